// Ordinary code as a compiler makes it. Names are those of the tables' rows.

typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long u64;

#define ROW(name) __asm__("real." name)

struct node {
    struct node *next;
    long key;
    u64 value;
};

u64 list_sum(const struct node *n, long key) ROW("list_sum");
u64 list_sum(const struct node *n, long key)
{
    u64 sum = 0;
    for (; n; n = n->next)
        if (n->key <= key)
            sum += n->value;
    return sum;
}

struct node *list_reverse(struct node *n) ROW("list_reverse");
struct node *list_reverse(struct node *n)
{
    struct node *done = 0;
    while (n) {
        struct node *next = n->next;
        n->next = done;
        done = n;
        n = next;
    }
    return done;
}

u32 crc32_table(u32 crc, const u8 *p, u64 n, const u32 *table) ROW("crc32_table");
u32 crc32_table(u32 crc, const u8 *p, u64 n, const u32 *table)
{
    while (n--)
        crc = table[(crc ^ *p++) & 0xff] ^ crc >> 8;
    return crc;
}

unsigned crc16_bits(unsigned crc, u8 v) ROW("crc16_bits");
unsigned crc16_bits(unsigned crc, u8 v)
{
    for (int i = 0; i < 8; i++) {
        unsigned carry = (crc ^ v) & 1;
        crc >>= 1;
        v >>= 1;
        if (carry)
            crc ^= 0xa001;
    }
    return crc;
}

void matrix_multiply(int n, const int *a, const int *b, int *c) ROW("matrix_multiply");
void matrix_multiply(int n, const int *a, const int *b, int *c)
{
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            int sum = 0;
            for (int k = 0; k < n; k++)
                sum += a[i * n + k] * b[k * n + j];
            c[i * n + j] = sum;
        }
}

int number_state(const u8 **text) ROW("number_state");
int number_state(const u8 **text)
{
    enum { START, INT, DOT, EXP, BAD } s = START;
    const u8 *p = *text;
    for (; *p && s != BAD; p++) {
        u8 c = *p;
        int digit = c >= '0' && c <= '9';
        if (c == ',') {
            p++;
            break;
        }
        switch (s) {
        case START: s = digit || c == '-' || c == '+' ? INT : c == '.' ? DOT : BAD; break;
        case INT: s = digit ? INT : c == '.' ? DOT : (c | 32) == 'e' ? EXP : BAD; break;
        case DOT: s = digit ? DOT : (c | 32) == 'e' ? EXP : BAD; break;
        case EXP: s = digit || c == '-' || c == '+' ? EXP : BAD; break;
        case BAD: break;
        }
    }
    *text = p;
    return s;
}

void sift_down(u64 *heap, u64 n, u64 i) ROW("sift_down");
void sift_down(u64 *heap, u64 n, u64 i)
{
    for (u64 v = heap[i];;) {
        u64 k = 2 * i + 1;
        if (k >= n) {
            heap[i] = v;
            return;
        }
        if (k + 1 < n && heap[k + 1] > heap[k])
            k++;
        if (heap[k] <= v) {
            heap[i] = v;
            return;
        }
        heap[i] = heap[k];
        i = k;
    }
}

long partition(long *a, long n) ROW("partition");
long partition(long *a, long n)
{
    long pivot = a[n / 2], i = -1, j = n;
    for (;;) {
        do
            i++;
        while (a[i] < pivot);
        do
            j--;
        while (a[j] > pivot);
        if (i >= j)
            return j;
        long t = a[i];
        a[i] = a[j];
        a[j] = t;
    }
}

u64 hash_find(const u64 *table, u64 mask, u64 key) ROW("hash_find");
u64 hash_find(const u64 *table, u64 mask, u64 key)
{
    u64 h = key * 0x9e3779b97f4a7c15;
    h ^= h >> 29;
    for (u64 i = h & mask;; i = (i + 1) & mask)
        if (table[i] == key || !table[i])
            return i;
}

int compare_strings(const char *a, const char *b) ROW("compare_strings");
int compare_strings(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return *(const u8 *)a - *(const u8 *)b;
}

u32 decimal(u64 v, char *to) ROW("decimal");
u32 decimal(u64 v, char *to)
{
    u32 n = 0;
    do {
        to[n++] = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    return n;
}

u64 fibonacci(u64 n) ROW("fibonacci");
u64 fibonacci(u64 n)
{
    return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

double dot(const double *a, const double *b, u64 n) ROW("dot");
double dot(const double *a, const double *b, u64 n)
{
    double sum = 0;
    for (u64 i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

void triad(double *a, const double *b, const double *c, double s, u64 n) ROW("triad");
void triad(double *a, const double *b, const double *c, double s, u64 n)
{
    for (u64 i = 0; i < n; i++)
        a[i] = b[i] + s * c[i];
}

u64 random_access(u64 *table, u64 mask, u64 n, u64 x) ROW("random_access");
u64 random_access(u64 *table, u64 mask, u64 n, u64 x)
{
    for (u64 i = 0; i < n; i++) {
        x = x << 1 ^ ((long)x < 0 ? 7 : 0);
        table[x & mask] ^= x;
    }
    return x;
}
