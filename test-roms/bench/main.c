/*
 * lyrebench: a benchmark for Linux without libraries, the same for every architecture. Each kernel repeats work of a
 * known size until the time is over, checks its result and prints
 *
 *     BENCH name value unit checksum
 *
 * with `wrong` behind it where the result is not what it must be. The value is operations per second.
 */
#include "bench.h"

#define CLOCK_MONOTONIC 1
#define MAP_PRIVATE_ANONYMOUS 0x22
#define SIGCHLD 17
#define AT_EXECFN 31
/* How much of the time is spent before anything counts, so that a translator has seen the code. */
#define WARM_UP 0.25

const char *self;

void *memset(void *to, int byte, u64 n)
{
    u8 *p = to;
    u64 word = 0x0101010101010101ul * (u8)byte;
    for (; n >= 8; n -= 8, p += 8)
        __builtin_memcpy(p, &word, 8);
    for (; n; n--)
        *p++ = (u8)byte;
    return to;
}

void *memcpy(void *to, const void *from, u64 n)
{
    u8 *p = to;
    const u8 *q = from;
    for (; n >= 8; n -= 8, p += 8, q += 8)
        __builtin_memcpy(p, q, 8);
    for (; n; n--)
        *p++ = *q++;
    return to;
}

int same(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return *a == *b;
}

static void write_text(int file, const char *text)
{
    u64 n = 0;
    while (text[n])
        n++;
    CALL(SYS_WRITE, file, text, n);
}

void print(const char *text) { write_text(1, text); }

void leave(int code)
{
    CALL(SYS_EXIT_GROUP, code, 0, 0);
    __builtin_trap();
}

void die(const char *why)
{
    write_text(2, "lyrebench: ");
    write_text(2, why);
    write_text(2, "\n");
    leave(2);
}

void *allocate(u64 size)
{
    long at = syscall6(SYS_MMAP, 0L, size, 3L, (long)MAP_PRIVATE_ANONYMOUS, -1L, 0L);
    if (at < 0 && at > -4096)
        die("no memory");
    return (void *)at;
}

void release(void *at, u64 size) { CALL(SYS_MUNMAP, at, size, 0); }

u64 digest(u64 sum, const void *data, u64 n)
{
    for (const u8 *p = data; n; n--)
        sum = (sum ^ *p++) * 0x100000001b3ul;
    return sum;
}

/* Seconds of a clock that only goes forwards. */
static double now(void)
{
    long time[2];
    CALL(SYS_CLOCK_GETTIME, CLOCK_MONOTONIC, time, 0);
    return (double)time[0] + (double)time[1] * 1e-9;
}

static char line[256];
static u64 length;

static void put(const char *text)
{
    while (*text && length < sizeof line - 1)
        line[length++] = *text++;
}

static void put_number(u64 n, u64 base, int digits)
{
    char text[24];
    int at = sizeof text - 1;
    for (text[at] = 0; n || digits > 0; n /= base, digits--)
        text[--at] = "0123456789abcdef"[n % base];
    put(text + at);
}

/* One line in one call: what the guest's kernel says meanwhile must not get into it. */
static void report(const char *name, double value, const char *unit, u64 checksum, int right)
{
    length = 0;
    put("BENCH ");
    put(name);
    put(" ");
    u64 thousandths = (u64)(value * 1000 + 0.5);
    put_number(thousandths / 1000, 10, 1);
    put(".");
    put_number(thousandths % 1000, 10, 3);
    put(" ");
    put(unit);
    put(" ");
    put_number(checksum, 16, 16);
    put(right ? "\n" : " wrong\n");
    CALL(SYS_WRITE, 1, line, length);
}

/* Runs it until `seconds` have passed; whether all results agree with the first. */
static int repeat(const struct kernel *k, double seconds, u64 *first, int *any, u64 *runs, double *taken)
{
    int agree = 1;
    *runs = 0;
    *taken = 0;
    double begin = now();
    while (now() - begin < seconds || !*runs) {
        if (k->prepare)
            k->prepare();
        double start = now();
        u64 result = k->run();
        *taken += now() - start;
        ++*runs;
        if (!*any)
            *first = result, *any = 1;
        agree &= result == *first;
    }
    return agree;
}

static int measure(const struct kernel *k, double seconds)
{
    u64 checksum = 0, runs;
    double taken;
    int any = 0;
    if (k->setup)
        k->setup();
    int right = repeat(k, seconds * WARM_UP, &checksum, &any, &runs, &taken);
    right &= repeat(k, seconds, &checksum, &any, &runs, &taken);
    if (k->sum)
        checksum = k->sum();
    if (k->finish)
        k->finish();
    right &= checksum == k->expected;
    report(k->name, (double)runs * k->operations / taken, k->unit, checksum, right);
    return right;
}

/* `--time NAME UNIT COUNT PROGRAM ...`: what COUNT operations of a program take; the checksum is of its output. */
static int time_program(char **arguments, char **environment)
{
    double count = 0;
    for (const char *p = arguments[2]; *p >= '0' && *p <= '9'; p++)
        count = count * 10 + (*p - '0');
    int ends[2], status = 0;
    if (CALL(SYS_PIPE2, ends, 0, 0) < 0)
        die("no pipe");
    double start = now();
    long child = CALL(SYS_CLONE, SIGCHLD, 0, 0);
    if (!child) {
        CALL(SYS_DUP3, ends[1], 1, 0);
        CALL(SYS_CLOSE, ends[0], 0, 0);
        CALL(SYS_CLOSE, ends[1], 0, 0);
        CALL(SYS_EXECVE, arguments[3], arguments + 3, environment);
        leave(127);
    }
    CALL(SYS_CLOSE, ends[1], 0, 0);
    static char buffer[1 << 16];
    u64 sum = DIGEST;
    for (long n; (n = CALL(SYS_READ, ends[0], buffer, sizeof buffer)) > 0;)
        sum = digest(sum, buffer, (u64)n);
    syscall6(SYS_WAIT4, child, &status, 0L, 0L, 0L, 0L);
    double taken = now() - start;
    report(arguments[0], count / taken, arguments[1], sum, status == 0);
    return status == 0;
}

static const struct kernel *const sets[] = { integer_kernels, pack_kernels, float_kernels, memory_kernels,
                                             system_kernels };

/* Runs the kernel of that name, or all; how many there were, and whether they were right. */
static int run(const char *name, double seconds, int *right)
{
    int found = 0;
    for (u64 i = 0; i < COUNT(sets); i++)
        for (const struct kernel *k = sets[i]; k->name; k++)
            if (!name || same(name, k->name)) {
                found++;
                *right &= measure(k, seconds);
            }
    return found;
}

static void list(void)
{
    for (u64 i = 0; i < COUNT(sets); i++)
        for (const struct kernel *k = sets[i]; k->name; k++) {
            length = 0;
            put(k->name);
            while (length < 14)
                put(" ");
            put(k->unit);
            put("/s");
            while (length < 28)
                put(" ");
            put(k->about);
            put("\n");
            CALL(SYS_WRITE, 1, line, length);
        }
}

static const char usage[] = "usage: lyrebench [--seconds S] [NAME]...\n"
                            "       lyrebench --list\n"
                            "       lyrebench --time NAME UNIT COUNT PROGRAM [ARGUMENT]...\n";

/* "2", "0.5": a number in tenths is enough. */
static double seconds_of(const char *text)
{
    double value = 0, place = 1;
    int point = 0, digits = 0;
    for (; *text; text++) {
        if (*text == '.' && !point) {
            point = 1;
        } else if (*text >= '0' && *text <= '9') {
            value = value * 10 + (*text - '0');
            place *= point ? 10 : 1;
            digits++;
        } else {
            digits = 0;
            break;
        }
    }
    if (!digits)
        die("--seconds wants a number");
    return value / place;
}

/* The stack as the kernel leaves it: the count of the arguments, they, the environment, the auxiliary vector. */
void start(long *stack)
{
    int count = (int)stack[0], names = 0, right = 1;
    char **arguments = (char **)(stack + 1), **environment = arguments + count + 1;
    char **end = environment;
    while (*end)
        end++;
    self = arguments[0];
    for (u64 *aux = (u64 *)(end + 1); aux[0]; aux += 2)
        if (aux[0] == AT_EXECFN)
            self = (const char *)aux[1];
    double seconds = 1;
    for (int i = 1; i < count; i++) {
        const char *a = arguments[i];
        if (same(a, "--list")) {
            list();
            leave(0);
        } else if (same(a, "--nothing")) {
            leave(0);
        } else if (same(a, "--seconds") && i + 1 < count) {
            seconds = seconds_of(arguments[++i]);
        } else if (same(a, "--time") && i + 4 < count) {
            leave(time_program(arguments + i + 1, environment) ? 0 : 1);
        } else if (a[0] == '-') {
            write_text(2, usage);
            leave(2);
        } else {
            names++;
            if (!run(a, seconds, &right)) {
                write_text(2, "lyrebench: no kernel ");
                write_text(2, a);
                write_text(2, "; --list names them\n");
                right = 0;
            }
        }
    }
    if (!names)
        run(NULL, seconds, &right);
    leave(right ? 0 : 1);
}
