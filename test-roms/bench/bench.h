/* What the kernels of the benchmark share: a little of Linux, and how a kernel is described. */

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long u64;

#define NULL ((void *)0)
#define COUNT(array) (sizeof(array) / sizeof *(array))
/* Not to be seen through: the work is to be done each time. */
#define OPAQUE __attribute__((noipa))
/* For the files whose loops are to become vectors; copies stay loops. */
#define VECTORS _Pragma("GCC optimize (\"O3\", \"no-tree-loop-distribute-patterns\")")

#ifdef __x86_64__
enum {
    SYS_READ = 0, SYS_WRITE = 1, SYS_CLOSE = 3, SYS_MMAP = 9, SYS_MUNMAP = 11, SYS_SIGACTION = 13, SYS_MADVISE = 28,
    SYS_GETPID = 39, SYS_CLONE = 56, SYS_EXECVE = 59, SYS_WAIT4 = 61, SYS_KILL = 62, SYS_FTRUNCATE = 77,
    SYS_GETPPID = 110, SYS_SETAFFINITY = 203, SYS_CLOCK_GETTIME = 228, SYS_EXIT_GROUP = 231, SYS_DUP3 = 292,
    SYS_PIPE2 = 293, SYS_MEMFD_CREATE = 319
};
#else
enum {
    SYS_DUP3 = 24, SYS_FTRUNCATE = 46, SYS_CLOSE = 57, SYS_PIPE2 = 59, SYS_READ = 63, SYS_WRITE = 64,
    SYS_EXIT_GROUP = 94, SYS_CLOCK_GETTIME = 113, SYS_SETAFFINITY = 122, SYS_KILL = 129, SYS_SIGACTION = 134,
    SYS_GETPID = 172, SYS_GETPPID = 173, SYS_MUNMAP = 215, SYS_CLONE = 220, SYS_EXECVE = 221, SYS_MMAP = 222,
    SYS_MADVISE = 233, SYS_WAIT4 = 260, SYS_MEMFD_CREATE = 279
};
#endif

long syscall6(long number, ...);
void restore(void);

#define CALL(number, a, b, c) syscall6(number, (long)(a), (long)(b), (long)(c), 0L, 0L, 0L)

/* A kernel: work of a known size with a known result. */
struct kernel {
    const char *name;
    /* Operations of one run, in units of `unit`; the value printed is operations per second. */
    double operations;
    const char *unit;
    /* The result of every run, or of `sum` after the last. */
    u64 expected;
    /* Work, timed. */
    u64 (*run)(void);
    /* Before each run, not timed; may be missing. */
    void (*prepare)(void);
    /* Before the first and after the last; may be missing. */
    void (*setup)(void);
    void (*finish)(void);
    /* Computes the result where it is too long for `run`; may be missing. */
    u64 (*sum)(void);
    const char *about;
};

extern const struct kernel integer_kernels[], pack_kernels[], float_kernels[], memory_kernels[], system_kernels[];
/* How this program was started, to start it again. */
extern const char *self;

void *memcpy(void *to, const void *from, u64 n);
void *memset(void *to, int byte, u64 n);
int same(const char *a, const char *b);
void print(const char *text);
void die(const char *why) __attribute__((noreturn));
void leave(int code) __attribute__((noreturn));
/* Zeroed memory of this program's own. */
void *allocate(u64 size);
void release(void *at, u64 size);
/* FNV-1a, to be continued. */
u64 digest(u64 sum, const void *data, u64 n);
#define DIGEST 0xcbf29ce484222325ul

/* xorshift64*, the same numbers everywhere. */
static inline u64 random_next(u64 *state)
{
    u64 x = *state;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *state = x;
    return x * 0x2545f4914f6cdd1dul;
}
