/* The few system calls that the program makes, in both widths. */

#ifdef __x86_64__
#define SYS_WRITE 1
#define SYS_SIGACTION 13
#define SYS_SCHED_YIELD 24
#define SYS_GETPID 39
#define SYS_FORK 57
#define SYS_EXIT 60
#define SYS_WAIT4 61
#define SYS_KILL 62
#define SYSCALL "syscall"
#define SYSCALL_ARGUMENTS(first, second) "D"(first), "S"(second)
#define SYSCALL_CLOBBERS "rcx", "r11",
#else
#define SYS_EXIT 1
#define SYS_FORK 2
#define SYS_WRITE 4
#define SYS_GETPID 20
#define SYS_KILL 37
#define SYS_WAIT4 114
#define SYS_SCHED_YIELD 158
#define SYS_SIGACTION 174
#define SYSCALL "int $0x80"
#define SYSCALL_ARGUMENTS(first, second) "b"(first), "c"(second)
#define SYSCALL_CLOBBERS
#endif

#define SIGUSR1 10
/* With this, 32-bit kernels too return by rt_sigreturn. */
#define SA_SIGINFO 4ul
#define SA_RESTORER 0x04000000ul

long syscall4(long number, long first, long second, long third, long fourth);
void restore(void);

static inline void print(const char *text)
{
    long n = 0;
    while (text[n])
        n++;
    syscall4(SYS_WRITE, 1, (long)text, n, 0);
}

static inline void print_byte(unsigned char value)
{
    const char text[3] = { "0123456789abcdef"[value >> 4], "0123456789abcdef"[value & 15], 0 };
    print(text);
}

static inline long fork(void) { return syscall4(SYS_FORK, 0, 0, 0, 0); }
static inline long getpid(void) { return syscall4(SYS_GETPID, 0, 0, 0, 0); }
static inline void exit(int code) { syscall4(SYS_EXIT, code, 0, 0, 0); }

/* The status of a child that ended. */
static inline int wait_for(int child)
{
    int status = 0;
    syscall4(SYS_WAIT4, child, (long)&status, 0, 0);
    return status;
}

static inline void catch(int signal, void (*handler)(int))
{
    const struct {
        void (*handler)(int);
        unsigned long flags;
        void (*restorer)(void);
        unsigned long long mask;
    } __attribute__((packed)) action = { handler, SA_SIGINFO | SA_RESTORER, restore, 0 };
    syscall4(SYS_SIGACTION, signal, (long)&action, 0, sizeof action.mask);
}
