// The small run-time library of the test ROMs.
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frame.h"

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t s32;
typedef int64_t s64;

#define BIT(n) (1ull << (n))
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

// ---- System registers and barriers

#define STRING_(s) #s
#define STRING(s) STRING_(s)
#define MRS(reg)                                                            \
    ({                                                                      \
        u64 mrs_value_;                                                     \
        asm volatile("mrs %0, " STRING(reg) : "=r"(mrs_value_)::"memory"); \
        mrs_value_;                                                         \
    })
#define MSR(reg, value) asm volatile("msr " STRING(reg) ", %x0" ::"rZ"((u64)(value)) : "memory")
#define ISB() asm volatile("isb" ::: "memory")
#define DSB() asm volatile("dsb sy" ::: "memory")
#define WFI() asm volatile("wfi" ::: "memory")
#define IRQ_ON() asm volatile("msr daifclr, #2" ::: "memory")
#define IRQ_OFF() asm volatile("msr daifset, #2" ::: "memory")

static inline u32 mmio_read32(u64 addr)
{
    u32 v;
    asm volatile("ldr %w0, [%1]" : "=r"(v) : "r"(addr) : "memory");
    return v;
}

static inline void mmio_write32(u64 addr, u32 v)
{
    asm volatile("str %w0, [%1]" ::"r"(v), "r"(addr) : "memory");
}

static inline void mmio_write8(u64 addr, u8 v)
{
    asm volatile("strb %w0, [%1]" ::"r"(v), "r"(addr) : "memory");
}

// One field of an ID register, four bits wide from bit `low`.
#define FIELD(value, low) (((value) >> (low)) & 15)

// ---- Console

void uart_init(void);
void uart_putc(char c);
// A received character, or -1.
int uart_getc(void);
// Lets the UART raise its interrupt when a character arrives.
void uart_irq_enable(void);
#define UART_INTID 33

int printf(const char *format, ...) __attribute__((format(printf, 1, 2)));
int vprintf(const char *format, va_list args);

void *memset(void *d, int c, size_t n);
void *memcpy(void *d, const void *s, size_t n);
void *memmove(void *d, const void *s, size_t n);
int memcmp(const void *a, const void *b, size_t n);
int strcmp(const char *a, const char *b);
size_t strlen(const char *s);

// ---- Board

struct board {
    u64 dtb;            // address, 0 if there is none
    char model[48];     // root node's `compatible`
    u64 memory_base;
    u64 memory_size;
    unsigned cpus;
    unsigned gic;       // architecture version: 2 or 3
    u64 gicd, gicc, gicr;
    char bootargs[64];
};
extern struct board board;
void fdt_read(u64 dtb);

u64 psci_call(u32 function, u64 a, u64 b, u64 c);
#define PSCI_VERSION 0x84000000u
#define PSCI_SYSTEM_OFF 0x84000008u
#define PSCI_SYSTEM_RESET 0x84000009u
_Noreturn void power_off(void);

// ---- Exceptions

struct frame {
    u64 x[31];
    u64 sp_el0;
    u64 elr, spsr, esr, far;
    u64 vector;
    u64 pad;
};
_Static_assert(sizeof(struct frame) == FRAME_SIZE, "frame.h");
_Static_assert(offsetof(struct frame, elr) == FRAME_ELR, "frame.h");
_Static_assert(offsetof(struct frame, esr) == FRAME_ESR, "frame.h");
_Static_assert(offsetof(struct frame, vector) == FRAME_VECTOR, "frame.h");

enum { TRAP_SYNC, TRAP_IRQ, TRAP_FIQ, TRAP_SERROR };
// Called first, by kind; true when it has dealt with the exception.
typedef bool (*trap_hook)(struct frame *f);
extern trap_hook trap_hooks[4];

// ESR_ELx.EC
enum {
    EC_UNKNOWN = 0x00,
    EC_WFX = 0x01,
    EC_FP = 0x07,
    EC_ILLEGAL = 0x0e,
    EC_SVC = 0x15,
    EC_SYSREG = 0x18,
    EC_IABT_LOWER = 0x20,
    EC_IABT = 0x21,
    EC_PC_ALIGN = 0x22,
    EC_DABT_LOWER = 0x24,
    EC_DABT = 0x25,
    EC_SP_ALIGN = 0x26,
    EC_BRK = 0x3c,
};
#define EC(esr) ((unsigned)((esr) >> 26) & 63)
#define ISS(esr) ((unsigned)(esr) & 0x1ffffff)
#define FSC(esr) ((unsigned)(esr) & 63)

// The last synchronous exception while catching.
struct caught {
    u64 esr, far, elr, spsr;
    unsigned vector;
    unsigned count;
};
extern volatile struct caught caught;
extern volatile bool catching;

// Runs `code`; exceptions in it are counted in `caught` and their instruction is skipped (for an instruction abort:
// the function is returned from).
#define CATCH(code)                     \
    ({                                  \
        caught.count = 0;               \
        catching = true;                \
        asm volatile("" ::: "memory");  \
        code;                           \
        asm volatile("" ::: "memory");  \
        catching = false;               \
        caught.count;                   \
    })

// Runs f(a, b) at EL0, where code, its stack and EL0_DATA are accessible (no constants of the compiler).
#define EL0_DATA __attribute__((section(".el0bss,\"aw\",%nobits//")))
u64 el0_call(u64 (*f)(u64, u64), u64 a, u64 b);
_Noreturn void panic_frame(const struct frame *f);

// ---- MMU: identity map, 4 KiB granule, 39-bit addresses

// Descriptor fields (Arm ARM D8.3)
#define PTE_VALID 1ull
#define PTE_TABLE 3ull
#define PTE_PAGE 3ull
#define PTE_BLOCK 1ull
#define PTE_ATTR(n) ((u64)(n) << 2)
#define PTE_EL0 BIT(6)
#define PTE_RO BIT(7)
#define PTE_ISH (3ull << 8)
#define PTE_AF BIT(10)
#define PTE_NG BIT(11)
#define PTE_CONT BIT(52)
#define PTE_PXN BIT(53)
#define PTE_UXN BIT(54)
// MAIR_EL1 indices
#define MT_DEVICE PTE_ATTR(0)
#define MT_NORMAL (PTE_ATTR(1) | PTE_ISH)
#define MT_NC (PTE_ATTR(2) | PTE_ISH)
#define MAP_DATA (MT_NORMAL | PTE_AF | PTE_PXN | PTE_UXN)
#define MAP_CODE (MT_NORMAL | PTE_AF | PTE_RO | PTE_EL0)
#define MAP_DATA_EL0 (MAP_DATA | PTE_EL0)
#define MAP_DEVICE (MT_DEVICE | PTE_AF | PTE_PXN | PTE_UXN)

#define SCTLR_M BIT(0)
#define SCTLR_A BIT(1)
#define SCTLR_C BIT(2)
#define SCTLR_SA BIT(3)
#define SCTLR_SA0 BIT(4)
#define SCTLR_I BIT(12)

// Switches the MMU and caches on: the image with its own permissions, devices, RAM, the rest as device memory.
void mmu_on(void);
// The descriptor of an address in the table of a level (1 to 3) of TTBR0; makes the tables above it.
u64 *pte(u64 va, unsigned level);
// Makes stores to code visible to instruction fetch.
void code_sync(const void *start, size_t bytes);
// Zeroed, page-aligned memory for tables and test pages.
void *page_alloc(unsigned pages);
void tlb_flush_all(void);

#define MAP_RWX (MT_NORMAL | PTE_AF | PTE_UXN)
// Nothing answers at this physical address.
#define HOLE 0x0b000000ull
// Addresses left to the tests, 64 GiB and up; mmu_on maps nothing there.
#define TEST_VA 0x1000000000ull

// ---- Interrupt controller

void gic_init(void);
void gic_enable(unsigned intid, u8 priority);
void gic_disable(unsigned intid);
u32 gic_ack(void);
void gic_eoi(u32 iar);

// ---- Tests

extern unsigned tests_passed, tests_failed, tests_skipped;
void test_begin(const char *name);
bool test_check(u64 got, u64 want, const char *what);
void test_skip(const char *why);
void test_end(void);
// Prints the totals and switches off.
_Noreturn void tests_finish(void);

#define TEST(name, body)  \
    do {                  \
        test_begin(name); \
        body;             \
        test_end();       \
    } while (0)
#define EQ(got, want) test_check((u64)(got), (u64)(want), #got)

// The ROM itself.
void rom_main(void);

extern char __image_start[], __text_end[], __rodata_end[], __el0_start[], __stack_el0_top[], __image_end[], __stack_top[], vectors[];
