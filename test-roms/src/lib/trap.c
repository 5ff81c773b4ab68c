// Exceptions, start and end of a ROM.

#include "rom.h"

trap_hook trap_hooks[4];
volatile struct caught caught;
volatile bool catching;

void el0_resume(void);
void trap(struct frame *f);
void rom_start(u64 dtb);

u64 psci_call(u32 function, u64 a, u64 b, u64 c)
{
    register u64 x0 asm("x0") = function;
    register u64 x1 asm("x1") = a;
    register u64 x2 asm("x2") = b;
    register u64 x3 asm("x3") = c;
    asm volatile("hvc #0" : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3)::"memory");
    return x0;
}

_Noreturn void power_off(void)
{
    psci_call(PSCI_SYSTEM_OFF, 0, 0, 0);
    for (;;)
        WFI();
}

_Noreturn void panic_frame(const struct frame *f)
{
    static const char *const kinds[4] = { "synchronous exception", "IRQ", "FIQ", "SError" };
    catching = false;
    printf("\nunexpected %s, vector %lu\n", kinds[f->vector & 3], f->vector);
    printf("ESR %016lx  FAR %016lx\nELR %016lx  SPSR %08lx\n", f->esr, f->far, f->elr, f->spsr);
    for (unsigned i = 0; i < 31; i++)
        printf("x%-2u %016lx%s", i, f->x[i], i % 4 == 3 || i == 30 ? "\n" : "  ");
    power_off();
}

static void record(struct frame *f)
{
    caught.esr = f->esr;
    caught.far = f->far;
    caught.elr = f->elr;
    caught.spsr = f->spsr;
    caught.vector = (unsigned)f->vector;
    caught.count++;
    switch (EC(f->esr)) {
    case EC_IABT:
    case EC_IABT_LOWER:
    case EC_PC_ALIGN:
        f->elr = f->x[30];
        break;
    case EC_ILLEGAL:
        f->spsr &= ~BIT(20);
        break;
    case EC_SVC:
        break;
    default:
        f->elr += 4;
    }
}

void trap(struct frame *f)
{
    unsigned kind = f->vector & 3;
    if (kind == TRAP_SYNC && EC(f->esr) == EC_SVC && (f->esr & 0xffff) == SVC_EL0_DONE && f->vector == 8) {
        f->elr = (u64)el0_resume;
        f->spsr = 0x3c5; // EL1h, DAIF masked
        return;
    }
    if (trap_hooks[kind] && trap_hooks[kind](f))
        return;
    if (kind == TRAP_SYNC && catching) {
        record(f);
        return;
    }
    panic_frame(f);
}

void rom_start(u64 dtb)
{
    uart_init();
    fdt_read(dtb);
    rom_main();
    power_off();
}
