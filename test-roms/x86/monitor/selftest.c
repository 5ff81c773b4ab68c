// The CPU self-test: what real mode has of its own.

#include "monitor.h"

static void arithmetic(void)
{
    u16 a, f;
    asm("mov $0x7fff, %0; add $1, %0; pushfw; popw %1" : "=&r"(a), "=r"(f)::"cc");
    EQ(a, 0x8000);
    // OF, SF, AF, PF.
    EQ(f & 0x8d5, 0x894);
    asm("mov $5, %0; sub $6, %0; sbb %1, %1" : "=&r"(a), "=&r"(f)::"cc");
    EQ(a, 0xffff);
    EQ(f, 0xffff);
    // BCD: 38 + 45 = 83, 9 * 7 = 63.
    asm("mov $0x38, %%al; add $0x45, %%al; daa; xor %%ah, %%ah" : "=a"(a)::"cc");
    EQ(a, 0x83);
    asm("mov $9, %%al; mov $7, %%ah; mul %%ah; aam" : "=a"(a)::"cc");
    EQ(a, 0x603);
    asm("mov $0x603, %%ax; aad" : "=a"(a)::"cc");
    EQ(a, 63);
    u32 wide;
    asm("mov $0x12345678, %0; imul $-3, %0, %0" : "=&r"(wide)::"cc");
    EQ(wide, 0xc962fc98);
}

static void stacks(void)
{
    u16 a, b;
    asm volatile("pushw %%sp; popw %0; movw %%sp, %1" : "=&r"(a), "=&r"(b)::"memory");
    EQ(a, b);
    u32 before, after;
    asm volatile("movl %%esp, %0; pushal; pushaw; popaw; popal; movl %%esp, %1" : "=&r"(before), "=&r"(after)::"memory");
    EQ(before, after);
    asm volatile("movw %%sp, %0; enterw $16, $0; leavew; movw %%sp, %1" : "=&r"(a), "=&r"(b)::"memory");
    EQ(a, b);
    // Far calls: the callee sees another CS, with the same code.
    asm volatile("pushw %%cs; pushw $1f; pushw $0x80; pushw $2f - 0x800; lretw\n2: movw %%cs, %0; lretw\n1:" : "=r"(a)::"memory");
    EQ(a, 0x80);
}

static void strings(void)
{
    static u8 data[64];
    u32 si = (u32)data, di = (u32)data + 1, n = 63;
    data[0] = 0x5a;
    asm volatile("cld; rep movsb" : "+S"(si), "+D"(di), "+c"(n)::"memory");
    EQ(data[63], 0x5a);
    EQ(n, 0);
    data[40] = 1;
    di = (u32)data, n = 64;
    asm volatile("repe scasb" : "+D"(di), "+c"(n) : "a"(0x5a) : "cc", "memory");
    EQ(di, (u32)data + 41);
    EQ(n, 23);
    // SI wraps at 64 KiB.
    u16 first = (u16)peek(0, 0, 2);
    si = 0xfffe, n = 2;
    u32 got;
    asm volatile("rep lodsw %%ds:(%%si), %%ax" : "+S"(si), "+c"(n), "=a"(got)::"memory");
    EQ((u16)got, first);
    EQ(si, 2);
}

static void faults(void)
{
    u32 dx = 1, ax = 0, cx = 0;
    FAULTS(DE, 0, "divw %w2", : "+d"(dx), "+a"(ax) : "r"(cx) : "cc", "memory");
    FAULTS(DE, 0, "movb $1, %%al; aam $0", ::: "eax", "cc", "memory");
    FAULTS(UD, 0, "ud2", ::: "memory");
    static const u16 range[] = {5, 10};
    FAULTS(BR, 0, "boundw %0, %1", ::"r"((u16)11), "m"(range) : "memory");
    FAULTS(OF, 0, "movb $0x7f, %%al; incb %%al; into", ::: "eax", "cc", "memory");
    // Instructions of protected mode.
    FAULTS(UD, 0, "sldt %%ax", ::: "eax", "memory");
    FAULTS(UD, 0, "arpl %%ax, %%ax", ::: "eax", "memory");
    // A word at the last byte of the segment, and an offset beyond it; through SS another vector.
    qemu_lacks("does not check segment limits");
    FAULTS(GP, 0, "movw %%ds:0xffff, %%ax", ::: "eax", "memory");
    FAULTS(GP, 0, "movl $0x10000, %%eax; movb (%%eax), %%al", ::: "eax", "memory");
    FAULTS(SS, 0, "movl $0x10000, %%eax; movb %%ss:(%%eax), %%al", ::: "eax", "memory");
}

static unsigned steps;

static void step(struct registers *r)
{
    if (caught.vector == DB)
        steps++;
    // An INT1 that is unknown; there is nothing else that it could be.
    if (caught.vector == UD)
        r->ip++;
    // A trap is taken with TF clear; the program goes on with its own.
    if (steps == 5)
        r->flags &= (u16)~FL_TF;
}

static void software(void)
{
    u16 flags_in = 0;
    hook = step;
    caught.count = 0;
    asm volatile("int $0x61" ::: "memory");
    EQ(caught.vector, 0x61);
    asm volatile("int3" ::: "memory");
    EQ(caught.vector, BP);
    steps = 0;
    asm volatile("pushfw; popw %0; orw $0x100, %0; pushw %0; popfw; nop; nop; nop; nop; nop; nop; nop" : "+r"(flags_in)::"cc", "memory");
    EQ(steps, 5);
    qemu_lacks("has no INT1");
    asm volatile(".byte 0xf1" ::: "memory");
    EQ(caught.vector, DB);
    hook = NULL;
}

// Port 92 and the keyboard controller are wired together: either opens the line.
static void set_a20(bool open)
{
    outb(0x92, open ? 2 : 0);
    while (inb(0x64) & 2) {
    }
    outb(0x64, 0xd1);
    while (inb(0x64) & 2) {
    }
    outb(0x60, open ? 0xdf : 0xdd);
    while (inb(0x64) & 2) {
    }
}

static void a20(void)
{
    // 0xffff:0x510 is 0x100500, or 0x500 without address line 20.
    set_a20(true);
    poke(0, 0x500, 2, 0x1111);
    poke(0xffff, 0x510, 2, 0x2222);
    EQ(peek(0, 0x500, 2), 0x1111);
    EQ(peek(0xffff, 0x510, 2), 0x2222);
    set_a20(false);
    EQ(peek(0xffff, 0x510, 2), 0x1111);
    poke(0xffff, 0x510, 2, 0x3333);
    EQ(peek(0, 0x500, 2), 0x3333);
    set_a20(true);
    EQ(peek(0xffff, 0x510, 2), 0x2222);
}

static void unreal(void)
{
    // A segment of 4 GiB, loaded in protected mode, stays (SDM vol. 3, 9.9).
    static const u64 table[] = {0, 0x00cf93000000ffff};
    struct table gdtr = {sizeof table - 1, (reg)table};
    u32 eax;
    asm volatile("cli; data32 lgdt %1; mov %%cr0, %0; orb $1, %b0; mov %0, %%cr0; jmp 1f\n"
                 "1: mov $8, %0; mov %w0, %%gs; mov %%cr0, %0; andb $0xfe, %b0; mov %0, %%cr0; jmp 2f\n"
                 "2: sti" : "=&a"(eax) : "m"(gdtr) : "memory", "cc");
    u32 at = 0x100000, magic;
    asm volatile("movl %%gs:4(%1), %0" : "=r"(magic) : "r"(at) : "memory");
    // The multiboot header's flags.
    EQ(magic, 2);
    qemu_lacks("does not check segment limits");
    // Real mode's own limit again.
    static const u64 small[] = {0, 0x000093000000ffff};
    gdtr.base = (reg)small;
    asm volatile("cli; data32 lgdt %1; mov %%cr0, %0; orb $1, %b0; mov %0, %%cr0; jmp 1f\n"
                 "1: mov $8, %0; mov %w0, %%gs; mov %%cr0, %0; andb $0xfe, %b0; mov %0, %%cr0; jmp 2f\n"
                 "2: xor %0, %0; mov %w0, %%gs; sti" : "=&a"(eax) : "m"(gdtr) : "memory", "cc");
    FAULTS(GP, 0, "movb %%gs:(%0), %%al", ::"r"(at) : "eax", "memory");
}

static void timer(void)
{
    u32 start = timer_ticks;
    while (timer_ticks - start < 3)
        asm volatile("hlt");
    EQ(timer_ticks - start, 3);
    asm volatile("cli");
    start = timer_ticks;
    for (volatile u32 i = 0; i < 1000; i++) {
    }
    EQ(timer_ticks - start, 0);
    asm volatile("sti");
}

void cmd_test(void)
{
    TEST("16- and 32-bit arithmetic, BCD", arithmetic());
    TEST("stack and far calls", stacks());
    TEST("strings", strings());
    TEST("exceptions", faults());
    TEST("INT n, INT3, INT1, stepping", software());
    TEST("address line 20", a20());
    TEST("unreal mode", unreal());
    TEST("timer", timer());
    tests_report();
}
