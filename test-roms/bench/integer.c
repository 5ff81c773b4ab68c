/* Integer code of many kinds: lists, matrices, a state machine, CRC, sorting, SHA-256, a sieve, an interpreter, calls, hashing. */
#include "bench.h"

/* --- a linked list: search, reversal, merge sort, as programs that follow pointers do --- */

#define NODES 200
#define SEARCHES 40

struct node {
    struct node *next;
    u16 value, index;
};

static struct node nodes[NODES];

static struct node *merge(struct node *a, struct node *b, int by_index)
{
    struct node head, *tail = &head;
    while (a && b) {
        struct node **least = (by_index ? a->index <= b->index : a->value <= b->value) ? &a : &b;
        tail->next = *least;
        tail = *least;
        *least = tail->next;
    }
    tail->next = a ? a : b;
    return head.next;
}

static struct node *merge_sort(struct node *list, int by_index)
{
    if (!list || !list->next)
        return list;
    struct node *slow = list, *fast = list->next;
    while (fast && fast->next) {
        slow = slow->next;
        fast = fast->next->next;
    }
    struct node *half = slow->next;
    slow->next = NULL;
    return merge(merge_sort(list, by_index), merge_sort(half, by_index), by_index);
}

static u32 crc16(u32 crc, u32 value, int bits)
{
    for (; bits; bits--, value >>= 1)
        crc = (crc ^ value) & 1 ? crc >> 1 ^ 0xa001 : crc >> 1;
    return crc;
}

OPAQUE static u64 list_work(void)
{
    u64 seed = 1;
    for (int i = 0; i < NODES; i++) {
        nodes[i].next = i + 1 < NODES ? &nodes[i + 1] : NULL;
        nodes[i].value = (u16)(random_next(&seed) >> 40);
        nodes[i].index = (u16)i;
    }
    struct node *list = nodes;
    u32 crc = 0xffff, found = 0;
    for (u32 i = 0; i < SEARCHES; i++) {
        u16 wanted = nodes[i * 5].value;
        for (struct node *n = list; n; n = n->next)
            if (n->value == wanted) {
                found += n->index;
                break;
            }
        struct node *reversed = NULL;
        while (list) {
            struct node *next = list->next;
            list->next = reversed;
            reversed = list;
            list = next;
        }
        list = reversed;
    }
    list = merge_sort(list, 0);
    for (struct node *n = list; n; n = n->next)
        crc = crc16(crc, n->value ^ n->index, 16);
    list = merge_sort(list, 1);
    for (struct node *n = list; n; n = n->next)
        crc = crc16(crc, n->value, 16);
    return (u64)found << 16 | crc;
}

/* --- small matrices of 16-bit numbers --- */

#define SIDE 24

static short left[SIDE][SIDE], right[SIDE][SIDE];
static int product[SIDE][SIDE];

OPAQUE static u64 matrix_work(void)
{
    u64 seed = 2, sum = 0;
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) {
            u64 r = random_next(&seed);
            left[i][j] = (short)(r >> 50);
            right[i][j] = (short)(r >> 30);
        }
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) {
            int total = 0;
            for (int k = 0; k < SIDE; k++)
                total += left[i][k] * right[k][j] % 65521;
            product[i][j] = total;
        }
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) {
            u32 total = 0;
            for (int k = 0; k < SIDE; k++) {
                u32 p = (u32)(left[i][k] * right[k][j]);
                total += (p >> 2 & 15) * (p >> 5 & 127);
            }
            sum = sum * 31 + total + (u64)(u32)product[i][j];
        }
    return sum;
}

/* --- a scanner of numbers, character by character --- */

static const char numbers[] = "5012,1234,-874,+122,35.54400,.1234500,-110.700,+0.64400,5.500e+3,-.123e-2,-87e+832,"
                              "+0.6e-12,T0.3e-1F,-T.T++Tq,1T3.4e4z,34.0e-T^,,7,12345678,0.0.1,9e,+,";

OPAQUE static u64 state_work(void)
{
    enum { START, SIGN, INTEGER, POINT, FRACTION, EXPONENT, EXPONENT_SIGN, POWER, INVALID, STATES };
    u32 ends[STATES] = { 0 }, visits[STATES] = { 0 };
    for (int round = 0; round < 96; round++) {
        int state = START;
        for (const char *p = numbers; *p; p++) {
            char c = *p;
            int digit = c >= '0' && c <= '9';
            visits[state]++;
            if (c == ',') {
                ends[state]++;
                state = START;
                continue;
            }
            /* The round turns some digits, so that not every round takes the same way. */
            if (digit && ((c + round) & 15) == 15)
                c = 'e';
            switch (state) {
            case START:
                state = digit ? INTEGER : c == '+' || c == '-' ? SIGN : c == '.' ? POINT : INVALID;
                break;
            case SIGN:
                state = digit ? INTEGER : c == '.' ? POINT : INVALID;
                break;
            case INTEGER:
                state = c == '.' ? FRACTION : c == 'e' ? EXPONENT : digit ? INTEGER : INVALID;
                break;
            case POINT:
                state = digit ? FRACTION : INVALID;
                break;
            case FRACTION:
                state = c == 'e' ? EXPONENT : digit ? FRACTION : INVALID;
                break;
            case EXPONENT:
                state = c == '+' || c == '-' ? EXPONENT_SIGN : digit ? POWER : INVALID;
                break;
            case EXPONENT_SIGN:
            case POWER:
                state = digit ? POWER : INVALID;
                break;
            default:
                break;
            }
        }
    }
    u64 sum = 0;
    for (int i = 0; i < STATES; i++)
        sum = sum * 1000003 + ends[i] * 4096u + visits[i];
    return sum;
}

/* --- CRC-16, bit by bit --- */

OPAQUE static u64 crc_work(void)
{
    u64 seed = 3;
    u32 crc = 0;
    for (int i = 0; i < 500; i++)
        crc = crc16(crc, (u32)(random_next(&seed) >> 32), 32);
    return crc;
}

#define TIMES(name, n)                                                                                                 \
    OPAQUE static u64 name##_run(void)                                                                                 \
    {                                                                                                                  \
        u64 sum = 0;                                                                                                   \
        for (int i = 0; i < (n); i++)                                                                                  \
            sum += name##_work();                                                                                      \
        return sum;                                                                                                    \
    }

TIMES(list, 20)
TIMES(matrix, 20)
TIMES(state, 20)
TIMES(crc, 20)

OPAQUE static u64 core_run(void)
{
    u64 sum = 0;
    for (int i = 0; i < 10; i++)
        sum = sum * 31 + (list_work() ^ matrix_work() ^ state_work() ^ crc_work());
    return sum;
}

/* --- quicksort --- */

#define SORTED 50000

static u32 numbers_to_sort[SORTED];

OPAQUE static void quicksort(u32 *a, long n)
{
    while (n > 16) {
        u32 x = a[0], y = a[n / 2], z = a[n - 1];
        u32 pivot = x < y ? (y < z ? y : x < z ? z : x) : (x < z ? x : y < z ? z : y);
        long i = -1, j = n;
        for (;;) {
            do
                i++;
            while (a[i] < pivot);
            do
                j--;
            while (a[j] > pivot);
            if (i >= j)
                break;
            u32 t = a[i];
            a[i] = a[j];
            a[j] = t;
        }
        quicksort(a, j + 1);
        a += j + 1;
        n -= j + 1;
    }
    for (long i = 1; i < n; i++) {
        u32 x = a[i];
        long j = i;
        for (; j && a[j - 1] > x; j--)
            a[j] = a[j - 1];
        a[j] = x;
    }
}

static void sort_prepare(void)
{
    u64 seed = 4;
    for (int i = 0; i < SORTED; i++)
        numbers_to_sort[i] = (u32)(random_next(&seed) >> 32);
}

OPAQUE static u64 sort_run(void)
{
    quicksort(numbers_to_sort, SORTED);
    u64 sum = 0;
    for (int i = 0; i < SORTED; i++)
        sum = sum * 31 + numbers_to_sort[i];
    return sum;
}

/* --- SHA-256 (FIPS 180-4), of whole blocks --- */

#define HASHED (128u << 10)

static u32 sha_constants[64];
static u8 hashed[HASHED];

/* The first 32 bits of the fractional part of a root of a prime. */
static u32 root_fraction(u32 prime, int cube)
{
    /* The root times 2^32, a bit at a time from above; its cube fits 128 bits. */
    u64 root = 0;
    for (int bit = 39; bit >= 0; bit--) {
        u64 t = root | 1ul << bit;
        unsigned __int128 square = (unsigned __int128)t * t;
        int fits = cube ? square * t <= (unsigned __int128)prime << 96 : square <= (unsigned __int128)prime << 64;
        if (fits)
            root = t;
    }
    return (u32)root;
}

static u32 sha_initial[8];

static void sha_setup(void)
{
    int n = 0;
    for (u32 p = 2; n < 64; p++) {
        u32 d = 2;
        while (d * d <= p && p % d)
            d++;
        if (d * d <= p)
            continue;
        if (n < 8)
            sha_initial[n] = root_fraction(p, 0);
        sha_constants[n++] = root_fraction(p, 1);
    }
    u64 seed = 5;
    for (u32 i = 0; i < HASHED; i++)
        hashed[i] = (u8)(random_next(&seed) >> 56);
}

static u32 rotate(u32 x, int n) { return x >> n | x << (32 - n); }

static void sha_block(u32 h[8], const u8 *p)
{
    u32 w[64];
    for (int i = 0; i < 16; i++, p += 4)
        w[i] = (u32)p[0] << 24 | (u32)p[1] << 16 | (u32)p[2] << 8 | p[3];
    for (int i = 16; i < 64; i++) {
        u32 a = w[i - 15], b = w[i - 2];
        w[i] = w[i - 16] + (rotate(a, 7) ^ rotate(a, 18) ^ a >> 3) + w[i - 7] + (rotate(b, 17) ^ rotate(b, 19) ^ b >> 10);
    }
    u32 s[8];
    for (int i = 0; i < 8; i++)
        s[i] = h[i];
    for (int i = 0; i < 64; i++) {
        u32 e = s[4], a = s[0];
        u32 t1 = s[7] + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + ((e & s[5]) ^ (~e & s[6])) + sha_constants[i] + w[i];
        u32 t2 = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & s[1]) ^ (a & s[2]) ^ (s[1] & s[2]));
        s[7] = s[6], s[6] = s[5], s[5] = e, s[4] = s[3] + t1;
        s[3] = s[2], s[2] = s[1], s[1] = a, s[0] = t1 + t2;
    }
    for (int i = 0; i < 8; i++)
        h[i] += s[i];
}

OPAQUE static u64 sha_run(void)
{
    u32 h[8];
    for (int i = 0; i < 8; i++)
        h[i] = sha_initial[i];
    for (u32 at = 0; at < HASHED; at += 64)
        sha_block(h, hashed + at);
    /* The padding: a bit, zeros, the length in bits. */
    u8 last[64] = { 0x80 };
    last[61] = (u8)(HASHED * 8 >> 16);
    last[62] = (u8)(HASHED * 8 >> 8);
    sha_block(h, last);
    return (u64)h[0] << 32 | h[1];
}

/* --- the sieve of Eratosthenes, of odd numbers --- */

#define SIEVED (1u << 20)

static u8 composite[SIEVED / 2];

OPAQUE static u64 sieve_run(void)
{
    u64 primes = 1;
    memset(composite, 0, sizeof composite);
    for (u32 i = 3; i < SIEVED; i += 2) {
        if (composite[i / 2])
            continue;
        primes++;
        for (u64 j = (u64)i * i; j < SIEVED; j += 2 * i)
            composite[j / 2] = 1;
    }
    return primes;
}

/* --- an interpreter: a loop around one indirect jump --- */

enum { PUSH, LOAD, STORE, ADD, MULTIPLY, HALVE, AND1, SUBTRACT, JUMP, JUMP_ZERO, LESS, STOP };

/* The longest way of Collatz' sequence from below a bound. Variables: 0 the start, 1 the number, 2 its steps, 3 the most. */
#define BOUND 300
static short code[] = {
    PUSH, 1, STORE, 0,
    /* 4: the next start */
    LOAD, 0, STORE, 1, PUSH, 0, STORE, 2,
    /* 12: until the number is 1 */
    LOAD, 1, PUSH, 1, SUBTRACT, JUMP_ZERO, 48, LOAD, 1, AND1, JUMP_ZERO, 34,
    LOAD, 1, PUSH, 3, MULTIPLY, PUSH, 1, ADD, JUMP, 37,
    /* 34: even */
    LOAD, 1, HALVE,
    /* 37 */
    STORE, 1, LOAD, 2, PUSH, 1, ADD, STORE, 2, JUMP, 12,
    /* 48: more steps than ever? */
    LOAD, 3, LOAD, 2, LESS, JUMP_ZERO, 59, LOAD, 2, STORE, 3,
    /* 59 */
    LOAD, 0, PUSH, 1, ADD, STORE, 0, LOAD, 0, PUSH, BOUND, LESS, JUMP_ZERO, 75, JUMP, 4,
    /* 75 */
    STOP,
};

/* Operations that one run of the program takes; the result tells them. */
#define STEPS 237230

OPAQUE static u64 interpreter_run(void)
{
    long stack[16], *top = stack, variables[4] = { 0 };
    const short *at = code;
    u64 steps = 0;
    for (;;) {
        steps++;
        switch (*at++) {
        case PUSH:
            *top++ = *at++;
            break;
        case LOAD:
            *top++ = variables[*at++];
            break;
        case STORE:
            variables[*at++] = *--top;
            break;
        case ADD:
            top--;
            top[-1] += *top;
            break;
        case SUBTRACT:
            top--;
            top[-1] -= *top;
            break;
        case MULTIPLY:
            top--;
            top[-1] *= *top;
            break;
        case HALVE:
            top[-1] >>= 1;
            break;
        case AND1:
            top[-1] &= 1;
            break;
        case LESS:
            top--;
            top[-1] = top[-1] < *top;
            break;
        case JUMP:
            at = code + *at;
            break;
        case JUMP_ZERO:
            at = *--top ? at + 1 : code + *at;
            break;
        case STOP:
            return steps << 16 | (u64)variables[3];
        default:
            return 0;
        }
    }
}

/* --- calls and returns, deep and many --- */

#define FIBONACCI 25
/* Calls: 2 F(n+1) - 1. */
#define CALLS 242785

__attribute__((noipa, optimize("no-optimize-sibling-calls"))) static u64 fibonacci(u64 n)
{
    return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

OPAQUE static u64 calls_run(void) { return fibonacci(FIBONACCI); }

/* --- a hash table: insertions, then as many hits and misses --- */

#define KEYS 20000
#define SLOTS (1u << 16)

struct slot {
    u64 key, value;
};

static struct slot slots[SLOTS];

static struct slot *find(u64 key)
{
    u64 at = (key * 0x9e3779b97f4a7c15ul) >> 48;
    while (slots[at].key && slots[at].key != key)
        at = (at + 1) % SLOTS;
    return &slots[at];
}

OPAQUE static u64 hash_run(void)
{
    memset(slots, 0, sizeof slots);
    u64 seed = 6, sum = 0;
    for (u64 i = 0; i < KEYS; i++) {
        u64 key = random_next(&seed) | 1;
        struct slot *slot = find(key);
        slot->key = key;
        slot->value += i;
    }
    seed = 6;
    for (u64 i = 0; i < KEYS; i++) {
        u64 key = random_next(&seed) | 1;
        sum = sum * 31 + find(key)->value;
        sum += find(key ^ 0xff00)->key != 0;
    }
    return sum;
}

const struct kernel integer_kernels[] = {
    { "core", 10, "iterations", 0x6852a79a3cca8d20, core_run, NULL, NULL, NULL, NULL, "list, matrix, state and crc, once each per iteration" },
    { "list", 20, "iterations", 0x130bdcab4, list_run, NULL, NULL, NULL, NULL, "a linked list: search, reversal, merge sort" },
    { "matrix", 20, "iterations", 0xb6329a2544c8c2a4, matrix_run, NULL, NULL, NULL, NULL, "small matrices of 16-bit numbers" },
    { "state", 20, "iterations", 0x58a1b0861154cb0, state_run, NULL, NULL, NULL, NULL, "a scanner of numbers, character by character" },
    { "crc", 20, "iterations", 0x13f524, crc_run, NULL, NULL, NULL, NULL, "CRC-16 of 2000 bytes, bit by bit" },
    { "sort", SORTED * 1e-6, "Mitems", 0x8ac47f020b84faa6, sort_run, sort_prepare, NULL, NULL, NULL, "quicksort of 50,000 random numbers" },
    { "sha256", HASHED * 1e-6, "MB", 0xed7ee7aa81e56edc, sha_run, NULL, sha_setup, NULL, NULL, "SHA-256 of 128 KiB" },
    { "sieve", SIEVED * 1e-6, "Mnumbers", 82025, sieve_run, NULL, NULL, NULL, NULL, "primes below 2^20" },
    { "interp", STEPS * 1e-6, "Msteps", 0x39eae007f, interpreter_run, NULL, NULL, NULL, NULL, "an interpreter around one indirect jump" },
    { "calls", CALLS * 1e-6, "Mcalls", 75025, calls_run, NULL, NULL, NULL, NULL, "recursive calls and returns" },
    { "hash", 3 * KEYS * 1e-6, "Mlookups", 0x5e950516b6440710, hash_run, NULL, NULL, NULL, NULL, "a hash table of 1 MiB: insertions, hits, misses" },
    { 0 },
};
