// Real, unreal, protected and long mode, and the ways between them; segment limits and types. SDM vol. 3, chapters 3, 5, 9.8,
// 9.9 and 20.

#include "rom.h"

#define BLOCK 0x8000u
extern u8 rm_start[], rm_end[];
extern u8 r_state[], r_int[], r_wrap[], r_fault[], r_limits[], r_unreal[], r_paging[], r_long[];
extern u8 rm_fault_0[], rm_fault_6[], rm_fault_12[], rm_fault_13[];
extern u8 l_regs[], l_compat[], l_int[], l_faults[], fault64[], int64[];
extern volatile u64 results64[16], idt64[512];
void real_call(u32 offset);
void long_call(const void *f);
u64 far_call(u32 offset, u32 sel);
u64 stack16(void);
extern u8 code16[];
u64 pml4[512] ALIGNED(4096);
static u64 pdpt[512] ALIGNED(4096), pd[512] ALIGNED(4096);

static volatile u32 *const results = (volatile u32 *)(BLOCK + 0x1000);

static void real(const u8 *routine)
{
    memcpy((void *)BLOCK, rm_start, (size_t)(rm_end - rm_start));
    for (unsigned i = 0; i < 64; i++)
        results[i] = 0;
    const u8 *faults[] = {[0] = rm_fault_0, [6] = rm_fault_6, [12] = rm_fault_12, [13] = rm_fault_13};
    u32 *ivt = (u32 *)(reg)results[63];
    asm volatile("" : "+r"(ivt));
    for (unsigned v = 0; v < ARRAY_LEN(faults); v++)
        if (faults[v])
            ivt[v] = BLOCK / 16 << 16 | (u32)(faults[v] - rm_start);
    real_call((u32)(routine - rm_start));
}

static void real_mode(void)
{
    real(r_state);
    EQ(results[0], BLOCK / 16);
    EQ(results[1], 0x7ff0 - 2);
    EQ(results[2] & 1, 0);
    EQ(results[3] & 0xf02a, 2);
    EQ(results[4], 0xffff0000);
    EQ(results[5], 0);
    EQ(results[6], 0x5678);
    EQ(results[7], 0x1234);
    EQ(READ_REG("cr0") & 1, 1);
}

static void real_interrupts(void)
{
    real(r_int);
    EQ(results[2], results[0]);
    // The handler has IF clear; its IRET brings it back, and CF as the handler left it.
    EQ(results[3] & (FL_IF | FL_CF), FL_CF);
    EQ(results[4], results[0] - 6);
    EQ(results[5], 0);
    EQ(results[6], BLOCK / 16);
    EQ(results[7] & (FL_IF | FL_CF), FL_IF | FL_CF);
    EQ(results[1] & (FL_IF | FL_CF), FL_IF);
}

static void real_wrap(void)
{
    real(r_wrap);
    EQ(results[0], 0x42);
    EQ(results[1], *(u32 *)0x100000);
    EQ(results[2], 0xfffe);
}

static void real_faults(void)
{
    real(r_fault);
    // Number, and distance of the pushed IP from the instruction.
    EQ(results[0], 0);
    for (unsigned i = 1; i < 8; i++)
        EQ(results[i], 6 << 16);
}

static void real_limits(void)
{
    qemu_lacks("does not check segment limits");
    real(r_limits);
    EQ(results[0], 13 << 16);
    EQ(results[1] >> 16, 0xff);
    EQ(results[2], 13 << 16);
    EQ(results[3], 12 << 16);
}

static void real_paging(void)
{
    if (on_tcg) {
        test_skip("takes CR0.PG in real mode");
        return;
    }
    real(r_paging);
    EQ(results[0], 13 << 16);
}

static void unreal(void)
{
    u32 *high = (u32 *)0x900000;
    *high = 0;
    real(r_unreal);
    EQ(results[0], *(u32 *)0x100000);
    EQ(results[1], *(u32 *)0x100000);
    EQ(*(volatile u32 *)high, 0x12345678);
}

static void tables(void)
{
    pml4[0] = (u32)pdpt | 7;
    pdpt[0] = (u32)pd | 7;
    for (u32 i = 0; i < 512; i++)
        pd[i] = (u64)i << 21 | 0x87;
    u32 at[] = {(u32)fault64, (u32)int64};
    for (unsigned i = 0; i < 2; i++) {
        unsigned v = i ? 0x60 : GP;
        idt64[2 * v] = (at[i] & 0xffff) | (u64)SEL_OTHER << 16 | 0x8eull << 40 | (u64)(at[i] >> 16) << 48;
        idt64[2 * v + 1] = 0;
    }
}

static bool no_long(void)
{
    if (cpuid(0x80000000, 0).a >= 0x80000001 && (cpuid(0x80000001, 0).d >> 29 & 1))
        return false;
    test_skip("no long mode");
    return true;
}

static void long_mode(void)
{
    if (no_long())
        return;
    long_call(l_regs);
    // LMA follows PG; in compatibility mode 48H is DEC.
    EQ(results64[0] & (EFER_LMA | EFER_LME), EFER_LMA | EFER_LME);
    EQ((u32)results64[1], 0xffffffff);
    EQ(results64[2] & (EFER_LMA | EFER_LME), EFER_LME);
    EQ(results64[4], 0x2468acf13579bde1);
    EQ(results64[5], 1);
    EQ(results64[6], 0xffffffffffff0001);
    EQ(results64[7], 0xffffffff80000001);
    EQ(results64[8], 0x5566);
    EQ(results64[9], 0x77);
    EQ(results64[10], 0xfffffffffffffffe);
    EQ(READ_REG("cr0") >> 31, 0);
}

static void compatibility(void)
{
    if (no_long())
        return;
    long_call(l_compat);
    EQ((u32)results64[4], 0x12);
    EQ(results64[5], 0x1122334455667788);
    EQ(results64[6] & 0xffff, SEL_OTHER);
    // The handler runs 64-bit code, and what it interrupted was not.
    EQ(results64[7] & 0xffff, SEL_OTHER);
    EQ(results64[8] & 0xffff, SEL_CODE);
}

static void long_interrupts(void)
{
    if (no_long())
        return;
    long_call(l_int);
    EQ(results64[5], results64[6]);
    EQ(results64[8] & 0xffff, SEL_OTHER);
}

static void long_faults(void)
{
    if (no_long())
        return;
    if (on_tcg) {
        test_skip("lets PG, PAE and LME be changed in long mode");
        return;
    }
    results64[4] = 0;
    results64[3] = 1;
    long_call(l_faults);
    EQ((u32)results64[4], 3);
    EQ(results64[3], 0);
}

static void real_to_long(void)
{
    if (no_long())
        return;
    WRITE_REG("cr4", READ_REG("cr4") | CR4_PAE);
    WRITE_REG("cr3", pml4);
    wrmsr(EFER, rdmsr(EFER) | EFER_LME);
    real(r_long);
    EQ(results[0], 0x55667788);
    EQ(results[1], 0x11223344);
    EQ(results[2] & (EFER_LMA | EFER_LME), EFER_LMA | EFER_LME);
    EQ(results[3], 0x4321);
    EQ(rdmsr(EFER) & EFER_LMA, 0);
    wrmsr(EFER, rdmsr(EFER) & ~EFER_LME);
    WRITE_REG("cr4", READ_REG("cr4") & ~(reg)CR4_PAE);
}

static void there_and_back(void)
{
    for (unsigned i = 0; i < 200; i++) {
        real(r_state);
        if (i % 4 == 0 && !no_long())
            long_call(l_regs);
    }
    EQ(results[0], BLOCK / 16);
}

static void lmsw(void)
{
    // It sets PE, and never clears it.
    asm volatile("lmsw %w0" ::"r"(0) : "memory");
    EQ(READ_REG("cr0") & 1, 1);
    u32 old = READ_REG("cr0");
    asm volatile("lmsw %w0" ::"r"(old | CR0_TS) : "memory");
    EQ(READ_REG("cr0"), old | CR0_TS);
    asm volatile("clts");
    EQ(READ_REG("cr0"), old & ~(u32)CR0_TS);
}

static void protected16(void)
{
    u16 sel = set_slot(0, descriptor((u32)code16, 0xffff, ACC_CODE, 0));
    u64 r = far_call(0, sel);
    EQ(r >> 32, 0xffff0000);
    r = stack16();
    EQ((u32)r, 0x1234fffc);
    EQ(r >> 32, 0x55667788);
}

// ---- Segments

static u8 bytes[0x3000] ALIGNED(4096);

static u32 lar(u32 sel)
{
    u32 v = 0xdead;
    u8 z;
    asm volatile("lar %2, %0; setz %1" : "+r"(v), "=q"(z) : "r"(sel) : "cc");
    // Bits 16 to 19 are undefined.
    return z ? v & 0xf0ff00 : 1;
}
static u32 lsl(u32 sel)
{
    u32 v = 0xdead;
    u8 z;
    asm volatile("lsl %2, %0; setz %1" : "+r"(v), "=q"(z) : "r"(sel) : "cc");
    return z ? v : 0xbad;
}
static u32 verify(u32 sel)
{
    u8 r, w;
    asm volatile("verr %w2; setz %0; verw %w2; setz %1" : "=q"(r), "=q"(w) : "r"(sel) : "cc");
    return (u32)r << 4 | w;
}

static void inspection(void)
{
    EQ(lar(SEL_DATA), 0xc09300);
    EQ(lsl(SEL_DATA), 0xffffffff);
    u16 ro = set_slot(0, descriptor(0x12345, 0x6789a, 0x90, D));
    u16 code = set_slot(1, descriptor(0, 0x12, 0x98, G));
    u16 readable = set_slot(2, descriptor(0, 0, 0x9a, 0));
    u16 absent = set_slot(3, descriptor(0, 5, 0x12, 0));
    u16 call = set_slot(4, 0x00008c0000080000);
    EQ(lar(ro), 0x409000);
    EQ(lsl(ro), 0x6789a);
    EQ(lsl(code), 0x12fff);
    EQ(lsl(readable), 0);
    // LAR and LSL ask for no presence.
    EQ(lsl(absent), 5);
    EQ(lar(call) & 0xff00, 0x8c00);
    EQ(lsl(call), 0xbad);
    EQ(lar(0), 1);
    EQ(lsl(GDT_SLOTS * 8), 0xbad);
    // Of an outer RPL they see less.
    EQ(lar(SEL_DATA | 3), 1);
    EQ(lar(SEL_UDATA), 0xc0f300);
    EQ(verify(SEL_DATA), 0x11);
    EQ(verify(ro), 0x10);
    EQ(verify(code), 0);
    EQ(verify(readable), 0x10);
    EQ(verify(SEL_TSS), 0);
    EQ(verify(SEL_DATA | 3), 0);
    // ARPL.
    u32 a = 0x10, z;
    asm volatile("arpl %w2, %w0; setz %b1" : "+r"(a), "=q"(z) : "r"(3) : "cc");
    EQ(a << 8 | (u8)z, 0x1301);
    asm volatile("arpl %w2, %w0; setz %b1" : "+r"(a), "=q"(z) : "r"(1) : "cc");
    EQ(a << 8 | (u8)z, 0x1300);
}

static void accessed(void)
{
    u16 sel = set_slot(0, descriptor(0, 0xfffff, ACC_DATA, G | D));
    asm volatile("mov %0, %%fs" ::"r"((u32)sel) : "memory");
    EQ(gdt[sel / 8] >> 40 & 0xff, ACC_DATA | 1);
    // A null selector loads without a table.
    FINE("xor %%eax, %%eax; mov %%eax, %%fs; mov %%eax, %%gs", ::: "eax", "memory");
    qemu_lacks("does not mark code segments accessed");
    sel = set_slot(0, descriptor((u32)code16, 0xffff, ACC_CODE, 0));
    far_call(0, sel);
    EQ(gdt[sel / 8] >> 40 & 0xff, ACC_CODE | 1);
}

// Reads a byte at FS:offset; the vector, or 255.
static u32 read_fs(u32 offset, u32 size)
{
    if (size == 1)
        TRY("movb %%fs:(%0), %%al", ::"r"(offset) : "eax", "memory");
    else if (size == 4)
        TRY("movl %%fs:(%0), %%eax", ::"r"(offset) : "eax", "memory");
    else
        TRY("fnstenv %%fs:(%0)", ::"r"(offset) : "memory");
    return caught.vector | (u32)caught.error << 8;
}
static u32 write_fs(u32 offset)
{
    TRY("movb $1, %%fs:(%0)", ::"r"(offset) : "memory");
    return caught.vector | (u32)caught.error << 8;
}
static void load_fs(u64 desc)
{
    u32 sel = set_slot(0, desc);
    asm volatile("mov %0, %%fs" ::"r"(sel) : "memory");
}

static void bases(void)
{
    for (u32 i = 0; i < sizeof bytes; i++)
        bytes[i] = (u8)i;
    load_fs(descriptor((u32)bytes + 3, 0xfffff, ACC_DATA, G | D));
    u32 v;
    asm volatile("movzbl %%fs:4, %0" : "=r"(v)::"memory");
    EQ(v, 7);
    // Sums wrap at 4 GiB.
    asm volatile("movzbl %%fs:(%1), %0" : "=r"(v) : "r"(-2) : "memory");
    EQ(v, 1);
    asm volatile("mov $0x10, %%eax; mov %%eax, %%fs" ::: "eax", "memory");
}

static void limits(void)
{
    qemu_lacks("does not check segment limits and types");
    load_fs(descriptor((u32)bytes, 0x1ff, ACC_DATA, D));
    EQ(read_fs(0x1ff, 1), 255);
    EQ(read_fs(0x200, 1), GP);
    EQ(read_fs(0x1fc, 4), 255);
    EQ(read_fs(0x1fd, 4), GP);
    EQ(read_fs(0xfffffffe, 4), GP);
    // In pages.
    load_fs(descriptor((u32)bytes, 1, ACC_DATA, G | D));
    EQ(read_fs(0x1fff, 1), 255);
    EQ(read_fs(0x2000, 1), GP);
    EQ(read_fs(0x1ffd, 4), GP);
    // Growing down: what is above the limit, to 64 KiB or 4 GiB.
    load_fs(descriptor((u32)bytes, 0xfff, 0x96, 0));
    EQ(read_fs(0xfff, 1), GP);
    EQ(read_fs(0x1000, 1), 255);
    EQ(read_fs(0xffff, 1), 255);
    EQ(read_fs(0x10000, 1), GP);
    load_fs(descriptor((u32)bytes, 0xfff, 0x96, D));
    EQ(read_fs(0xffe, 4), GP);
    EQ(read_fs(0x1000, 4), 255);
    EQ(read_fs(0x10000, 4), 255);
    // Read-only data, readable code.
    load_fs(descriptor((u32)bytes, 0xfff, 0x90, D));
    EQ(read_fs(0, 4), 255);
    EQ(write_fs(0), GP);
    load_fs(descriptor((u32)bytes, 0xfff, 0x9a, D));
    EQ(read_fs(0, 4), 255);
    EQ(write_fs(0), GP);
    // A null selector.
    asm volatile("mov %0, %%fs" ::"r"(0) : "memory");
    EQ(read_fs(0, 4), GP);
    // DS is none for code with a CS override that writes.
    FAULTS(GP, 0, "movl $1, %%cs:bytes_there", ::: "memory");
    asm volatile("mov $0x10, %%eax; mov %%eax, %%fs" ::: "eax", "memory");
}
u32 bytes_there;

static void stack_limit(void)
{
    qemu_lacks("does not check segment limits");
    // The stack goes on being used: 4 MiB from 0, and an access by EBP beyond them.
    u32 sel = set_slot(0, descriptor(0, 0x3ff, ACC_DATA, G | D));
    caught.count = 0;
    asm volatile("movl $77f, catch_at; mov %0, %%ss; mov %%ebp, %%ecx; mov $0x3ffffd, %%ebp; mov (%%ebp), %%eax; "
                 "77: mov %%ecx, %%ebp; mov %1, %%ss; movl $0, catch_at" ::"S"(sel), "d"(SEL_DATA)
                 : "eax", "ecx", "memory");
    EQ(caught.count, 1);
    EQ(caught.vector, SS);
    EQ(caught.error, 0);
}

static void code_limit(void)
{
    if (on_tcg) {
        test_skip("does not check segment limits");
        return;
    }
    // A jump beyond the limit.
    u16 sel = set_slot(0, descriptor(0, 0x1000, ACC_CODE, D));
    struct {
        u32 to;
        u16 sel;
    } __attribute__((packed)) far = {0x1001, sel};
    FAULTS(GP, 0, "ljmp *%0", ::"m"(far) : "memory");
    // An instruction that reaches beyond it: the fault is in the segment.
    static u8 code[16];
    memset(code, 0x90, sizeof code);
    code[8] = 0xb8;
    sel = set_slot(0, descriptor((u32)code, 10, ACC_CODE, D));
    far.to = 0;
    far.sel = sel;
    FAULTS(GP, 0, "ljmp *%0", ::"m"(far) : "memory");
    EQ(caught.cs, sel);
    EQ(caught.ip, 8);
    // A near branch beyond it: the fault is the branch's.
    code[5] = 0xeb;
    code[6] = 0x70;
    FAULTS(GP, 0, "ljmp *%0", ::"m"(far) : "memory");
    EQ(caught.cs, sel);
    EQ(caught.ip, 5);
}

void rom_main(void)
{
    tables();
    TEST("real mode", real_mode());
    TEST("interrupts in real mode", real_interrupts());
    TEST("exceptions in real mode", real_faults());
    TEST("wrapping in real mode", real_wrap());
    TEST("limits in real mode", real_limits());
    TEST("paging in real mode", real_paging());
    TEST("unreal mode", unreal());
    TEST("long mode", long_mode());
    TEST("compatibility mode", compatibility());
    TEST("interrupts in long mode", long_interrupts());
    TEST("no way out of long mode", long_faults());
    TEST("from real to long mode", real_to_long());
    TEST("there and back", there_and_back());
    TEST("LMSW", lmsw());
    TEST("16-bit protected mode", protected16());
    TEST("LAR, LSL, VERR, VERW, ARPL", inspection());
    TEST("accessed bits", accessed());
    TEST("segment bases", bases());
    TEST("segment limits", limits());
    TEST("stack limit", stack_limit());
    TEST("code limit", code_limit());
}
