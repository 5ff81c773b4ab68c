// The small run-time library of the x86 test ROMs. What is built with -m32 runs in protected mode without paging, what is
// built with -m64 in long mode with the first 4 GiB mapped to themselves; segments are flat.
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t s32;
typedef int64_t s64;
// As wide as a register.
typedef uintptr_t reg;

#define BIT(n) (1ull << (n))
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define ALIGNED(n) __attribute__((aligned(n)))
#define BARRIER() asm volatile("" ::: "memory")

#ifdef __x86_64__
#define LONG 1
#define W "q"
#define R(name) "r" name
#else
#define LONG 0
#define W "l"
#define R(name) "e" name
#endif

// ---- Ports and registers

static inline u8 inb(u16 port)
{
    u8 v;
    asm volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}
static inline void outb(u16 port, u8 v)
{
    asm volatile("outb %0, %1" ::"a"(v), "Nd"(port));
}
static inline void outw(u16 port, u16 v)
{
    asm volatile("outw %0, %1" ::"a"(v), "Nd"(port));
}
static inline u32 inl(u16 port)
{
    u32 v;
    asm volatile("inl %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}

#define READ_REG(name)                                      \
    ({                                                      \
        reg v_;                                             \
        asm volatile("mov %%" name ", %0" : "=r"(v_)::"memory"); \
        v_;                                                 \
    })
#define WRITE_REG(name, value) asm volatile("mov %0, %%" name ::"r"((reg)(value)) : "memory")

static inline u64 rdmsr(u32 n)
{
    u32 a, d;
    asm volatile("rdmsr" : "=a"(a), "=d"(d) : "c"(n));
    return (u64)d << 32 | a;
}
static inline void wrmsr(u32 n, u64 v)
{
    asm volatile("wrmsr" ::"c"(n), "a"((u32)v), "d"((u32)(v >> 32)) : "memory");
}
static inline u64 rdtsc(void)
{
    u32 a, d;
    asm volatile("rdtsc" : "=a"(a), "=d"(d)::"memory");
    return (u64)d << 32 | a;
}
static inline reg flags(void)
{
    reg f;
    asm volatile("pushf; pop %0" : "=r"(f));
    return f;
}
static inline void set_flags(reg f)
{
    asm volatile("push %0; popf" ::"r"(f) : "memory", "cc");
}
struct cpuid {
    u32 a, b, c, d;
};
struct cpuid cpuid(u32 leaf, u32 subleaf);
// One of CPUID's bits.
#define HAS_1C(bit) (cpuid(1, 0).c >> (bit) & 1)
#define HAS_1D(bit) (cpuid(1, 0).d >> (bit) & 1)
#define HAS_7B(bit) (cpuid(7, 0).b >> (bit) & 1)

#define CR0_PE BIT(0)
#define CR0_MP BIT(1)
#define CR0_EM BIT(2)
#define CR0_TS BIT(3)
#define CR0_NE BIT(5)
#define CR0_WP BIT(16)
#define CR0_AM BIT(18)
#define CR0_NW BIT(29)
#define CR0_CD BIT(30)
#define CR0_PG BIT(31)
#define CR4_VME BIT(0)
#define CR4_DE BIT(3)
#define CR4_PSE BIT(4)
#define CR4_PAE BIT(5)
#define CR4_PGE BIT(7)
#define CR4_OSFXSR BIT(9)
#define CR4_OSXMMEXCPT BIT(10)
#define CR4_UMIP BIT(11)
#define CR4_PCIDE BIT(17)
#define CR4_SMEP BIT(20)
#define CR4_SMAP BIT(21)
#define EFER 0xc0000080u
#define EFER_SCE BIT(0)
#define EFER_LME BIT(8)
#define EFER_LMA BIT(10)
#define EFER_NXE BIT(11)
#define FL_CF 0x1
#define FL_ZF 0x40
#define FL_TF 0x100
#define FL_IF 0x200
#define FL_DF 0x400
#define FL_NT 0x4000
#define FL_RF 0x10000
#define FL_VM 0x20000
#define FL_AC 0x40000
#define FL_VIF 0x80000
#define FL_VIP 0x100000

// ---- Console, strings

int printf(const char *format, ...);
void *memset(void *d, int c, size_t n);
void *memcpy(void *d, const void *s, size_t n);
int memcmp(const void *a, const void *b, size_t n);
_Noreturn void power_off(void);

// ---- Descriptor tables

// Selectors of the GDT; slots from SEL_TEST on are the tests'.
enum {
    SEL_CODE = 0x08,
    SEL_DATA = 0x10,
    // 64-bit code in a 32-bit ROM, 32-bit code in a 64-bit ROM.
    SEL_OTHER = 0x18,
    SEL_CODE16 = 0x20,
    SEL_DATA16 = 0x28,
    // Compatible with SYSENTER's and SYSCALL's order: user 32-bit code, data, 64-bit code.
    SEL_UCODE32 = 0x30 | 3,
    SEL_UDATA = 0x38 | 3,
    SEL_UCODE64 = 0x40 | 3,
    SEL_TSS = 0x48,
    SEL_TEST = 0x58,
};
#define SEL_UCODE (LONG ? SEL_UCODE64 : SEL_UCODE32)
#define GDT_SLOTS 40
extern u64 gdt[GDT_SLOTS];
struct table {
    u16 limit;
    reg base;
} __attribute__((packed));
// Access bytes.
enum { ACC_CODE = 0x9a, ACC_DATA = 0x92, ACC_TSS = 0x89, ACC_LDT = 0x82, ACC_USER = 0x60 };
// Flag nibbles.
enum { G = 8, D = 4, L = 2 };
// A segment descriptor (SDM vol. 3, 3.4.5).
u64 descriptor(u32 base, u32 limit, u8 access, u8 bits);
// Sets test slot n (0 to 28); returns its selector.
u16 set_slot(unsigned n, u64 desc);

struct tss {
#if LONG
    u32 reserved0;
    u64 sp[3];
    u64 reserved1;
    u64 ist[7];
    u64 reserved2;
    u16 reserved3, iomap;
#else
    u32 link;
    u32 esp0, ss0, esp1, ss1, esp2, ss2;
    u32 cr3, eip, eflags, eax, ecx, edx, ebx, esp, ebp, esi, edi;
    u32 es, cs, ss, ds, fs, gs, ldt;
    u16 trap, iomap;
#endif
} __attribute__((packed));
// The task register's, with an I/O bitmap that is the tests' to fill; all ports are forbidden.
struct full_tss {
    struct tss t;
    // Interrupt redirection bitmap (SDM vol. 3, 21.3.2).
    u8 redirection[32];
    u8 bitmap[8193];
} __attribute__((packed));
extern struct full_tss tss;
extern u8 trap_stack_top[];

enum { GATE_TASK = 5, GATE_CALL16 = 4, GATE_INT16 = 6, GATE_TRAP16 = 7, GATE_CALL = 12, GATE_INT = 14, GATE_TRAP = 15 };
struct gate {
    u16 offset0, sel;
    u8 count, access;
    u16 offset1;
#if LONG
    u32 offset2, reserved;
#endif
} __attribute__((packed));
extern struct gate idt[256];
// A present gate. `count` is the number of parameters of a call gate, in long mode the IST.
struct gate gate(const void *to, u16 sel, unsigned type, unsigned dpl, unsigned count);
// Sends a vector where all go at first.
void idt_default(unsigned vector);

// ---- Exceptions

struct frame {
#if LONG
    reg r15, r14, r13, r12, r11, r10, r9, r8;
#endif
    reg di, si, bp, bx, dx, cx, ax;
    reg vector, error;
    reg ip, cs, flags;
    // 32-bit code has these only when the privilege changed.
    reg sp, ss;
    // And these when VM was set.
    reg es, ds, fs, gs;
};

enum { DE, DB, NMI, BP, OF, BR, UD, NM, DF, TS = 10, NP, SS, GP, PF, MF = 16, AC, MC, XM };
// What the last caught exception was.
struct caught {
    unsigned count, vector;
    reg error, ip, cs, flags, sp, ss, cr2, ax, cx, si, di;
};
extern volatile struct caught caught;
// Where a caught exception continues; zero if none is expected.
extern volatile reg catch_at;
// Called first; true when it has dealt with the interrupt.
typedef bool (*trap_hook)(struct frame *f);
extern trap_hook hooks[256];

// Runs instructions; an exception in them is noted in `caught` and ends them. Registers they change must be named
// as clobbered. `caught.count` tells whether there was one.
#define TRY(insns, ...)                                                            \
    ({                                                                             \
        caught.count = 0;                                                          \
        caught.vector = 255;                                                       \
        caught.error = 0;                                                          \
        asm volatile("mov" W " $77f, catch_at\n" insns "\n77: mov" W " $0, catch_at" __VA_ARGS__); \
        caught.count;                                                              \
    })
// Checks for an exception with this error code.
#define FAULTS(vec, err, insns, ...)      \
    do {                                  \
        TRY(insns, __VA_ARGS__);          \
        EQ(caught.vector, vec);           \
        EQ(caught.error, err);            \
    } while (0)
#define FINE(insns, ...) EQ(TRY(insns, __VA_ARGS__), 0)

// Runs code at CPL 3 until `int $0x80`, whose EAX is returned, or an exception, which is in `caught`.
reg user_run(const void *ip, void *sp);
// The same with other selectors and flags.
reg user_enter(reg ip, reg cs, reg fl, reg sp, reg ss);
extern u8 user_stack[0x1000];
#define USER_SP (user_stack + sizeof user_stack - 64)
// Ends user_run from an interrupt hook.
_Noreturn void user_abort(void);

// ---- Tests

// Runs under QEMU without hardware help.
extern bool on_tcg;
void test_begin(const char *name);
bool test_check(u64 got, u64 want, const char *what, unsigned line);
void test_skip(const char *why);
// What fails from here to the end of the test is skipped on QEMU, which does not do it.
void qemu_lacks(const char *why);
void test_end(void);
// The totals, and from 0 again.
void tests_report(void);
_Noreturn void tests_finish(void);

#define TEST(name, body)  \
    do {                  \
        test_begin(name); \
        body;             \
        test_end();       \
    } while (0)
#define EQ(got, want) test_check((u64)(got), (u64)(want), #got, __LINE__)

// The ROM itself.
void rom_main(void);
