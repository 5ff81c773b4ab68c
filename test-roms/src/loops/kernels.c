// Integer kernels, each long enough to be compiled, each with one number to show for it.

#include "kernels.h"

typedef uint8_t u8;
typedef uint32_t u32;
typedef uint64_t u64;

static u64 random_state;

static u64 next_random(void)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return random_state >> 33;
}

static u8 bytes[65536];
static u32 words[16384];

static void fill_bytes(u64 seed)
{
    random_state = seed;
    for (unsigned i = 0; i < sizeof bytes; i++)
        bytes[i] = (u8)next_random();
}

static void fill_words(u64 seed)
{
    random_state = seed;
    for (unsigned i = 0; i < 16384; i++)
        words[i] = (u32)next_random();
}

// Bit by bit.
static u64 crc32(void)
{
    u32 c = ~0u;
    fill_bytes(1);
    for (unsigned i = 0; i < sizeof bytes; i++) {
        c ^= bytes[i];
        for (unsigned k = 0; k < 8; k++)
            c = c & 1 ? c >> 1 ^ 0xedb88320 : c >> 1;
    }
    return (u32)~c;
}

static const u32 sha_k[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static u32 ror(u32 v, unsigned n)
{
    return v >> n | v << (32 - n);
}

// FIPS 180-4's compression over 1024 blocks, without the padding.
static u64 sha256(void)
{
    u32 h[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };
    u32 w[64];
    fill_bytes(2);
    for (unsigned at = 0; at < sizeof bytes; at += 64) {
        for (unsigned i = 0; i < 16; i++)
            w[i] = (u32)bytes[at + 4 * i] << 24 | (u32)bytes[at + 4 * i + 1] << 16 | (u32)bytes[at + 4 * i + 2] << 8
                   | bytes[at + 4 * i + 3];
        for (unsigned i = 16; i < 64; i++)
            w[i] = w[i - 16] + w[i - 7] + (ror(w[i - 15], 7) ^ ror(w[i - 15], 18) ^ w[i - 15] >> 3)
                   + (ror(w[i - 2], 17) ^ ror(w[i - 2], 19) ^ w[i - 2] >> 10);
        u32 a = h[0], b = h[1], c = h[2], d = h[3], e = h[4], f = h[5], g = h[6], k = h[7];
        for (unsigned i = 0; i < 64; i++) {
            u32 t = k + (ror(e, 6) ^ ror(e, 11) ^ ror(e, 25)) + ((e & f) ^ (~e & g)) + sha_k[i] + w[i];
            u32 u = (ror(a, 2) ^ ror(a, 13) ^ ror(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
            k = g, g = f, f = e, e = d + t, d = c, c = b, b = a, a = t + u;
        }
        h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e, h[5] += f, h[6] += g, h[7] += k;
    }
    return (u64)h[0] << 32 | h[7];
}

static void quick(u32 *a, int n)
{
    while (n > 1) {
        u32 pivot = a[n / 2];
        int i = 0, k = n - 1;
        while (i <= k) {
            while (a[i] < pivot)
                i++;
            while (a[k] > pivot)
                k--;
            if (i <= k) {
                u32 t = a[i];
                a[i++] = a[k];
                a[k--] = t;
            }
        }
        quick(a, k + 1);
        a += i;
        n -= i;
    }
}

static u64 digest_words(void)
{
    u64 sum = 0;
    for (unsigned i = 0; i < 16384; i++)
        sum = sum * 1000003 + words[i];
    return sum;
}

static u64 quicksort(void)
{
    fill_words(3);
    quick(words, 16384);
    return digest_words();
}

static void sift(u32 *a, unsigned root, unsigned n)
{
    for (unsigned child; (child = 2 * root + 1) < n; root = child) {
        if (child + 1 < n && a[child] < a[child + 1])
            child++;
        if (a[root] >= a[child])
            return;
        u32 t = a[root];
        a[root] = a[child];
        a[child] = t;
    }
}

static u64 heapsort(void)
{
    // The same numbers: the same result as quicksort.
    fill_words(3);
    for (unsigned i = 16384 / 2; i-- > 0;)
        sift(words, i, 16384);
    for (unsigned n = 16384; n-- > 1;) {
        u32 t = words[0];
        words[0] = words[n];
        words[n] = t;
        sift(words, 0, n);
    }
    return digest_words();
}

static u64 matrix(void)
{
    static u64 a[64][64], b[64][64], c[64][64];
    u64 sum = 0;
    random_state = 5;
    for (unsigned i = 0; i < 64; i++)
        for (unsigned k = 0; k < 64; k++)
            a[i][k] = next_random(), b[i][k] = next_random();
    for (unsigned round = 0; round < 4; round++) {
        for (unsigned i = 0; i < 64; i++) {
            for (unsigned k = 0; k < 64; k++) {
                u64 v = 0;
                for (unsigned m = 0; m < 64; m++)
                    v += a[i][m] * b[m][k];
                c[i][k] = v;
            }
        }
        for (unsigned i = 0; i < 64; i++)
            for (unsigned k = 0; k < 64; k++)
                a[i][k] = c[i][k], sum = sum * 31 + c[i][k];
    }
    return sum;
}

static __attribute__((noinline)) u64 fib(unsigned n)
{
    return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

static u64 fibonacci(void)
{
    return fib(25);
}

static unsigned length(const char *s)
{
    unsigned n = 0;
    while (s[n])
        n++;
    return n;
}

static const char *find(const char *text, const char *word)
{
    for (; *text; text++) {
        unsigned i = 0;
        while (word[i] && text[i] == word[i])
            i++;
        if (!word[i])
            return text;
    }
    return 0;
}

static u64 strings(void)
{
    static char text[8192], copy[8192];
    u64 sum = 0;
    random_state = 7;
    for (unsigned i = 0; i < sizeof text - 1; i++)
        text[i] = (char)('a' + next_random() % 4);
    static const char *const wanted[] = { "abc", "dddd", "abcabc", "dcbad", "aabbccdd", "zzz", "cabbad" };
    for (unsigned round = 0; round < 10; round++) {
        for (unsigned w = 0; w < sizeof wanted / sizeof *wanted; w++)
            for (const char *p = text; (p = find(p, wanted[w])); p++)
                sum = sum * 33 + (u64)(p - text);
        // Reversed, then upper case back and forth.
        unsigned n = length(text);
        for (unsigned i = 0; i < n; i++)
            copy[i] = text[n - 1 - i];
        for (unsigned i = 0; i < n; i++)
            text[i] = (char)(((copy[i] & 0xdf) | 0x20) ^ (i % 97 == round ? 1 : 0));
        for (unsigned i = 0; i < n; i++)
            if (text[i] < 'a' || text[i] > 'd')
                text[i] = 'd';
    }
    return sum;
}

// A tokenizer by states, then a stack machine by opcodes.
static u64 state_machine(void)
{
    enum { START, NUMBER, NAME, STRING, ESCAPE, COMMENT, OPERATOR } state = START;
    static const char alphabet[] = "0123456789abcxyz_ \t\n\"\\#+-*/=<>(){};,.";
    u64 counts[7] = { 0 }, hash = 0;
    random_state = 11;
    for (unsigned i = 0; i < 400000; i++) {
        char c = alphabet[next_random() % (sizeof alphabet - 1)];
        switch (state) {
        case START:
            switch (c) {
            case '0' ... '9': state = NUMBER; break;
            case 'a' ... 'z': case '_': state = NAME; break;
            case '"': state = STRING; break;
            case '#': state = COMMENT; break;
            case '+': case '-': case '*': case '/': case '=': case '<': case '>': state = OPERATOR; break;
            default: break;
            }
            break;
        case NUMBER:
            if (c < '0' || c > '9')
                state = START;
            break;
        case NAME:
            if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'))
                state = START;
            break;
        case STRING: state = c == '"' ? START : c == '\\' ? ESCAPE : STRING; break;
        case ESCAPE: state = STRING; break;
        case COMMENT:
            if (c == '\n')
                state = START;
            break;
        case OPERATOR: state = c == '=' ? OPERATOR : START; break;
        }
        counts[state]++;
        hash = (hash << 5 | hash >> 59) ^ (u64)state ^ (u64)(u8)c << 8;
    }
    for (unsigned i = 0; i < 7; i++)
        hash = hash * 1000003 + counts[i];
    return hash;
}

static u64 bytecode(void)
{
    enum { PUSH, ADD, SUB, MUL, XOR, DUP, SWAP, DROP, SHR, ROT, JNZ, DEC, STORE, LOAD, HALT };
    // n = 60000; do { acc = ((acc * 7) ^ n) + (acc >> 3); } while (--n)
    static const u8 program[] = { LOAD, 0, PUSH, 7, MUL, LOAD, 1, XOR, LOAD, 0, PUSH, 3, SHR, ADD, STORE, 0,
                                  LOAD, 1, DEC, DUP, STORE, 1, JNZ, 0, HALT };
    u64 stack[16], variables[2] = { 12345, 60000 }, t;
    unsigned sp = 0, pc = 0;
    for (;;) {
        switch (program[pc++]) {
        case PUSH: stack[sp++] = program[pc++]; break;
        case ADD: sp--; stack[sp - 1] += stack[sp]; break;
        case SUB: sp--; stack[sp - 1] -= stack[sp]; break;
        case MUL: sp--; stack[sp - 1] *= stack[sp]; break;
        case XOR: sp--; stack[sp - 1] ^= stack[sp]; break;
        case DUP: stack[sp] = stack[sp - 1]; sp++; break;
        case SWAP: t = stack[sp - 1]; stack[sp - 1] = stack[sp - 2]; stack[sp - 2] = t; break;
        case DROP: sp--; break;
        case SHR: sp--; stack[sp - 1] >>= stack[sp] & 63; break;
        case ROT: t = stack[sp - 3]; stack[sp - 3] = stack[sp - 2]; stack[sp - 2] = stack[sp - 1]; stack[sp - 1] = t; break;
        case JNZ: pc++; if (stack[--sp]) pc = program[pc - 1]; break;
        case DEC: stack[sp - 1]--; break;
        case STORE: variables[program[pc++]] = stack[--sp]; break;
        case LOAD: stack[sp++] = variables[program[pc++]]; break;
        default: return variables[0];
        }
    }
}

static u64 sieve(void)
{
    u64 primes = 0;
    for (unsigned i = 0; i < sizeof bytes; i++)
        bytes[i] = 0;
    for (unsigned i = 2; i < sizeof bytes; i++) {
        if (bytes[i])
            continue;
        primes++;
        for (u64 k = (u64)i * i; k < sizeof bytes; k += i)
            bytes[k] = 1;
    }
    return primes;
}

static u64 place(unsigned n, u32 columns, u32 left, u32 right)
{
    u32 all = (1u << n) - 1;
    if (columns == all)
        return 1;
    u64 found = 0;
    for (u32 open = all & ~(columns | left | right); open; open &= open - 1) {
        u32 bit = open & -open;
        found += place(n, columns | bit, (left | bit) << 1, (right | bit) >> 1);
    }
    return found;
}

static u64 queens(void)
{
    return place(9, 0, 0, 0);
}

static u64 collatz(void)
{
    u64 longest = 0, at = 0;
    for (u64 n = 1; n < 30000; n++) {
        u64 steps = 0;
        for (u64 v = n; v != 1; steps++)
            v = v & 1 ? 3 * v + 1 : v / 2;
        if (steps > longest)
            longest = steps, at = n;
    }
    return longest << 32 | at;
}

static u64 op_add(u64 a, u64 b) { return a + b; }
static u64 op_mul(u64 a, u64 b) { return a * (b | 1); }
static u64 op_rot(u64 a, u64 b) { return a << (b & 31) | a >> (63 - (b & 31)) >> 1; }
static u64 op_div(u64 a, u64 b) { return a / (b + 1) ^ a; }
static u64 op_mod(u64 a, u64 b) { return a % (b + 3) + (a << 9); }

// Through pointers that no predictor knows beforehand.
static u64 indirect_calls(void)
{
    static u64 (*const volatile operations[])(u64, u64) = { op_add, op_mul, op_rot, op_div, op_mod };
    u64 v = 1;
    random_state = 13;
    for (unsigned i = 0; i < 300000; i++) {
        u64 r = next_random();
        v = operations[r % 5](v, r >> 3);
    }
    return v;
}

const struct kernel kernels[KERNELS] = {
    { "CRC-32", crc32 },       { "SHA-256", sha256 },     { "quicksort", quicksort }, { "heapsort", heapsort },
    { "matrix", matrix },      { "Fibonacci", fibonacci }, { "strings", strings },    { "state machine", state_machine },
    { "bytecode", bytecode },  { "sieve", sieve },        { "queens", queens },       { "Collatz", collatz },
    { "indirect calls", indirect_calls },
};
