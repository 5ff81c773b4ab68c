// Descriptor tables; exceptions that are expected, and those that are not.

#include "rom.h"

struct gate idt[256] ALIGNED(16);
struct full_tss tss ALIGNED(16);
volatile struct caught caught;
volatile reg catch_at;
volatile reg caught_ax;
trap_hook hooks[256];
u8 user_stack[0x1000] ALIGNED(16);
bool on_tcg;
extern const reg stubs[256];

u64 descriptor(u32 base, u32 limit, u8 access, u8 bits)
{
    return (limit & 0xffff) | (u64)(base & 0xffffff) << 16 | (u64)access << 40 | (u64)(limit >> 16 & 15) << 48 |
           (u64)bits << 52 | (u64)(base >> 24) << 56;
}

u16 set_slot(unsigned n, u64 desc)
{
    gdt[SEL_TEST / 8 + n] = desc;
    BARRIER();
    return (u16)(SEL_TEST + 8 * n);
}

struct gate gate(const void *to, u16 sel, unsigned type, unsigned dpl, unsigned count)
{
    reg at = (reg)to;
    return (struct gate){
        .offset0 = (u16)at,
        .sel = sel,
        .count = (u8)count,
        .access = (u8)(0x80 | dpl << 5 | type),
        .offset1 = (u16)(at >> 16),
#if LONG
        .offset2 = (u32)(at >> 32),
#endif
    };
}

void idt_default(unsigned vector)
{
    // Breakpoint, overflow, and the way back from CPL 3 are for everybody.
    unsigned dpl = vector == BP || vector == OF || vector >= 0x80 ? 3 : 0;
    idt[vector] = gate((const void *)stubs[vector], SEL_CODE, GATE_INT, dpl, 0);
    BARRIER();
}

void trap(struct frame *f);
void trap(struct frame *f)
{
    unsigned v = (unsigned)f->vector;
    if (hooks[v] && hooks[v](f))
        return;
    bool user = (f->cs & 3) || (!LONG && (f->flags & FL_VM));
    caught.count++;
    caught.vector = v;
    caught.error = f->error;
    caught.ip = f->ip;
    caught.cs = f->cs;
    caught.flags = f->flags;
    if (LONG || user) {
        caught.sp = f->sp;
        caught.ss = f->ss;
    }
    caught.cr2 = READ_REG("cr2");
    caught.ax = caught_ax = f->ax;
    if (user)
        user_abort();
    if (catch_at) {
        f->ip = catch_at;
        f->cs = SEL_CODE;
        f->flags &= ~(reg)(FL_TF | FL_RF | FL_NT);
        catch_at = 0;
        return;
    }
    printf("FAIL: exception %u, error 0x%lx at 0x%lx:0x%lx, flags 0x%lx, CR2 0x%lx\n", v, (u64)f->error, (u64)f->cs,
           (u64)f->ip, (u64)f->flags, (u64)caught.cr2);
    power_off();
}

reg user_run(const void *ip, void *sp)
{
    caught.count = 0;
    caught.vector = 255;
    caught.error = 0;
    return user_enter((reg)ip, SEL_UCODE, 2, (reg)sp, SEL_UDATA);
}

struct cpuid cpuid(u32 leaf, u32 subleaf)
{
    struct cpuid r;
    asm volatile("cpuid" : "=a"(r.a), "=b"(r.b), "=c"(r.c), "=d"(r.d) : "a"(leaf), "c"(subleaf));
    return r;
}

void rom_start(void);
void rom_start(void)
{
    // COM1: 115200 baud, 8n1.
    outb(0x3fb, 0x83);
    outb(0x3f8, 1);
    outb(0x3f9, 0);
    outb(0x3fb, 3);
    // No interrupts from the 8259s.
    outb(0x21, 0xff);
    outb(0xa1, 0xff);
    for (unsigned v = 0; v < 256; v++)
        idt_default(v);
    struct table idtr = {sizeof idt - 1, (reg)idt};
    asm volatile("lidt %0" ::"m"(idtr));
#if LONG
    tss.t.sp[0] = (reg)trap_stack_top;
#else
    tss.t.esp0 = (reg)trap_stack_top;
    tss.t.ss0 = SEL_DATA;
#endif
    tss.t.iomap = offsetof(struct full_tss, bitmap);
    memset(tss.bitmap, 0xff, sizeof tss.bitmap);
    gdt[SEL_TSS / 8] = descriptor((u32)(reg)&tss, sizeof tss - 1, ACC_TSS, 0);
    asm volatile("ltr %w0" ::"r"(SEL_TSS));
    struct cpuid h = cpuid(0x40000000, 0);
    on_tcg = (cpuid(1, 0).c >> 31 & 1) && h.b == 0x54474354;
    rom_main();
    tests_finish();
}
