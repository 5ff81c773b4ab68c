/* What the kernel does for programs: system calls, signals, pipes, processes, memory. */
#include "bench.h"

#define SIGUSR1 10
#define SIGCHLD 17
#define SA_RESTORER 0x04000000ul
#define MADV_NOHUGEPAGE 15
#define PAGE 4096ul

static long fork(void) { return CALL(SYS_CLONE, SIGCHLD, 0, 0); }

static u64 wait_for(long child)
{
    int status = -1;
    syscall6(SYS_WAIT4, child, &status, 0L, 0L, 0L, 0L);
    return (u64)status;
}

/* --- the cheapest call --- */

#define CALLS 2000

/* Whoever the parent is, it stays. */
OPAQUE static u64 syscall_run(void)
{
    long parent = CALL(SYS_GETPPID, 0, 0, 0);
    u64 same_parent = 0;
    for (int i = 0; i < CALLS; i++)
        same_parent += CALL(SYS_GETPPID, 0, 0, 0) == parent;
    return same_parent;
}

/* --- signals: a handler installed, the signal sent and handled --- */

#define SIGNALS 500

static volatile u64 handled;

static void handler(int signal) { handled += (u64)signal; }

OPAQUE static u64 signal_run(void)
{
    const struct {
        void (*handler)(int);
        u64 flags;
        void (*restorer)(void);
        u64 mask;
    } action = { handler, SA_RESTORER, restore, 0 };
    long self_id = CALL(SYS_GETPID, 0, 0, 0);
    handled = 0;
    for (int i = 0; i < SIGNALS; i++) {
        syscall6(SYS_SIGACTION, (long)SIGUSR1, &action, 0L, sizeof action.mask, 0L, 0L);
        CALL(SYS_KILL, self_id, SIGUSR1, 0);
    }
    return handled;
}

/* --- a byte through a ring of processes: with two a ping-pong, with more and memory touched a test of context switches --- */

#define MEMBERS 8
#define TOUCHED (64u << 10)

static int ring_size, ring_in[MEMBERS], ring_out[MEMBERS];
static long members[MEMBERS];
static u8 touched[TOUCHED];

/* A page at a time, as a process with some memory of its own does. */
static u8 touch(u8 byte, int much)
{
    for (u32 i = 0; much && i < TOUCHED; i += PAGE)
        touched[i] += byte;
    return (u8)(byte + 1);
}

static void ring_setup(int size, int much)
{
    /* On one processor, as in a guest: a switch is to be one. */
    u64 first = 1;
    CALL(SYS_SETAFFINITY, 0, sizeof first, &first);
    ring_size = size;
    for (int i = 0; i < size; i++) {
        int ends[2];
        if (CALL(SYS_PIPE2, ends, 0, 0) < 0)
            die("no pipe");
        ring_in[i] = ends[0];
        ring_out[i] = ends[1];
    }
    /* Member i reads its own pipe and writes the next one's; the first is this process. */
    for (int i = 1; i < size; i++) {
        members[i] = fork();
        if (members[i] < 0)
            die("no fork");
        if (members[i])
            continue;
        int in = ring_in[i], out = ring_out[(i + 1) % size];
        for (int j = 0; j < size; j++) {
            if (ring_in[j] != in)
                CALL(SYS_CLOSE, ring_in[j], 0, 0);
            if (ring_out[j] != out)
                CALL(SYS_CLOSE, ring_out[j], 0, 0);
        }
        u8 byte;
        while (CALL(SYS_READ, in, &byte, 1) == 1) {
            byte = touch(byte, much);
            CALL(SYS_WRITE, out, &byte, 1);
        }
        leave(0);
    }
}

static u64 ring_run(int rounds, int much)
{
    u8 byte = 0;
    u64 sum = 0;
    for (int i = 0; i < rounds; i++) {
        CALL(SYS_WRITE, ring_out[1], &byte, 1);
        if (CALL(SYS_READ, ring_in[0], &byte, 1) != 1)
            return 0;
        byte = touch(byte, much);
        sum = sum * 31 + byte;
    }
    return sum;
}

static void ring_finish(void)
{
    for (int i = 0; i < ring_size; i++) {
        CALL(SYS_CLOSE, ring_out[i], 0, 0);
        CALL(SYS_CLOSE, ring_in[i], 0, 0);
    }
    for (int i = 1; i < ring_size; i++)
        wait_for(members[i]);
    u64 all = ~0ul;
    CALL(SYS_SETAFFINITY, 0, sizeof all, &all);
}

#define TRIPS 200
#define ROUNDS 40

static void pipe_setup(void) { ring_setup(2, 0); }
OPAQUE static u64 pipe_run(void) { return ring_run(TRIPS, 0); }
static void context_setup(void) { ring_setup(MEMBERS, 1); }
OPAQUE static u64 context_run(void) { return ring_run(ROUNDS, 1); }

/* --- processes --- */

#define FORKS 10

OPAQUE static u64 fork_run(void)
{
    u64 sum = 0;
    for (int i = 0; i < FORKS; i++) {
        long child = fork();
        if (!child)
            leave(i + 1);
        sum = sum * 31 + wait_for(child);
    }
    return sum;
}

OPAQUE static u64 exec_run(void)
{
    const char *const arguments[] = { self, "--nothing", NULL }, *const environment[] = { NULL };
    u64 sum = 0;
    for (int i = 0; i < FORKS; i++) {
        long child = fork();
        if (!child) {
            CALL(SYS_EXECVE, self, arguments, environment);
            leave(1);
        }
        sum += wait_for(child) == 0;
    }
    return sum;
}

/* --- memory: pages that come with the first touch, and pages of a file written through a mapping --- */

#define PAGES 512

OPAQUE static u64 fault_run(void)
{
    u8 *at = allocate(PAGES * PAGE);
    CALL(SYS_MADVISE, at, PAGES * PAGE, MADV_NOHUGEPAGE);
    u64 sum = 0;
    for (u64 i = 0; i < PAGES; i++) {
        sum += at[i * PAGE + i];
        at[i * PAGE + i] = (u8)i;
        sum += at[i * PAGE + i];
    }
    release(at, PAGES * PAGE);
    return sum;
}

static int file;

static void mmap_setup(void)
{
    file = (int)CALL(SYS_MEMFD_CREATE, "bench", 0, 0);
    if (file < 0)
        die("no memory file");
}

OPAQUE static u64 mmap_run(void)
{
    CALL(SYS_FTRUNCATE, file, PAGES * PAGE, 0);
    long at = syscall6(SYS_MMAP, 0L, PAGES * PAGE, 3L, 1L, (long)file, 0L);
    if (at < 0 && at > -4096)
        return 0;
    u64 *words = (u64 *)at, sum = 0;
    for (u64 i = 0; i < PAGES * PAGE / sizeof(u64); i++)
        words[i] = i;
    for (u64 i = 0; i < PAGES; i++)
        sum = sum * 31 + words[i * (PAGE / sizeof(u64)) + i % (PAGE / sizeof(u64))];
    release(words, PAGES * PAGE);
    CALL(SYS_FTRUNCATE, file, 0, 0);
    return sum;
}

static void mmap_finish(void) { CALL(SYS_CLOSE, file, 0, 0); }

const struct kernel system_kernels[] = {
    { "syscall", CALLS * 1e-3, "Kcalls", CALLS, syscall_run, NULL, NULL, NULL, NULL, "getppid" },
    { "signal", SIGNALS * 1e-3, "Ksignals", SIGNALS * SIGUSR1, signal_run, NULL, NULL, NULL, NULL, "a handler installed, a signal sent and handled" },
    { "pipe", TRIPS * 1e-3, "Ktrips", 0x51f82ab034c7e8c8, pipe_run, NULL, pipe_setup, ring_finish, NULL, "a byte to another process and back" },
    { "context", ROUNDS * MEMBERS * 1e-3, "Kswitches", 0x97e55d248f40d3a0, context_run, NULL, context_setup, ring_finish, NULL, "a ring of 8 processes that touch 64 KiB each" },
    { "fork", FORKS, "forks", 0x19ad30eed8a500, fork_run, NULL, NULL, NULL, NULL, "fork, exit and wait" },
    { "exec", FORKS, "execs", FORKS, exec_run, NULL, NULL, NULL, NULL, "fork, exec of this program and wait" },
    { "fault", PAGES * 1e-3, "Kpages", 0xff00, fault_run, NULL, NULL, NULL, NULL, "pages mapped, touched, unmapped" },
    { "mmap", PAGES * PAGE * 1e-6, "MB", 0x8be4c15073000100, mmap_run, NULL, mmap_setup, mmap_finish, NULL, "2 MiB of a file written through a mapping" },
    { 0 },
};
