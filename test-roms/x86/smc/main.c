// Code that changes itself and other code. A change is seen by the next jump at the latest (SDM vol. 3, 11.6), and on
// all processors since the Pentium by the next instruction (vol. 3, 8.1.3 asks for a jump of portable code).

#include "rom.h"

static u8 code[0x4000] ALIGNED(4096);

static u32 call(const void *f)
{
    u32 v;
    asm volatile("call *%1" : "=a"(v) : "r"(f) : "memory", "ecx", "edx");
    return v;
}

// mov $v, %eax; ret
static u32 put(u32 at, u32 v)
{
    code[at] = 0xb8;
    memcpy(code + at + 1, &v, 4);
    code[at + 5] = 0xc3;
    BARRIER();
    return at;
}

static void rewritten(void)
{
    for (u32 i = 0; i < 3000; i++) {
        put(0x100, i);
        if (call(code + 0x100) != i) {
            EQ(call(code + 0x100), i);
            return;
        }
    }
    // One byte of the operand.
    put(0x100, 0x11223344);
    EQ(call(code + 0x100), 0x11223344);
    *(volatile u8 *)(code + 0x103) = 0x99;
    EQ(call(code + 0x100), 0x11993344);
    // The opcode: to ADD EAX.
    *(volatile u8 *)(code + 0x100) = 0x05;
    u32 v;
    asm volatile("call *%1" : "=a"(v) : "r"(code + 0x100), "a"(1) : "memory");
    EQ(v, 0x11993345);
}

static void data_beside(void)
{
    // Data on the page of code, written all the time.
    put(0x200, 7);
    u32 sum = 0;
    for (u32 i = 0; i < 5000; i++) {
        *(volatile u32 *)(code + 0x800) = i;
        sum += call(code + 0x200);
    }
    EQ(sum, 35000);
    EQ(*(volatile u32 *)(code + 0x800), 4999);
}

static void next_instruction(void)
{
    // movb $imm, 1f+1; jmp 1f; 1: mov $imm, %al
    for (u32 i = 0; i < 600; i++) {
        u32 v;
        asm volatile("movb %b1, 1f + 1; jmp 1f; .balign 4; 1: mov $0, %%al; movzbl %%al, %%eax" : "=&a"(v) : "d"(i) : "memory");
        if (v != (u8)i) {
            EQ(v, (u8)i);
            return;
        }
    }
    // Without the jump, in the same block.
    for (u32 i = 0; i < 600; i++) {
        u32 v;
        asm volatile("movb %b1, 1f + 1; 1: mov $0, %%al; movzbl %%al, %%eax" : "=&a"(v) : "d"(i) : "memory");
        if (v != (u8)i) {
            EQ(v, (u8)i);
            return;
        }
    }
}

static void own_instruction(void)
{
    // An instruction that overwrites itself is done as it was, once.
    u32 n;
    static const u8 again[] = {0xc6, 0x07, 0xc3, 0xff, 0xc0, 0xc3};   // movb $0xc3, (di); inc %eax; ret
    for (u32 i = 0; i < 200; i++) {
        memcpy(code + 0x300, again, sizeof again);
        asm volatile("call *%1" : "=a"(n) : "r"(code + 0x300), "D"(code + 0x300), "a"(5) : "memory");
        EQ(n, 6);
        EQ(code[0x300], 0xc3);
        // It is a RET now.
        asm volatile("call *%1" : "=a"(n) : "r"(code + 0x300), "D"(code + 0x300), "a"(5) : "memory");
        EQ(n, 5);
    }
}

static void loop_modified(void)
{
    // A loop that makes itself longer from within: it counts in the operand of its own ADD.
    static const u8 loop[] = {
        0x31, 0xc0,       // xor %eax, %eax
        0x83, 0xc0, 0x00, // 1: add $0, %eax
        0xfe, 0x07,       // incb (di)
        0xff, 0xc9,       // dec %ecx
        0x75, 0xf7,       // jnz 1b
        0xc3,
    };
    memcpy(code + 0x500, loop, sizeof loop);
    u32 v;
    reg c = 100;
    asm volatile("call *%2" : "=&a"(v), "+c"(c) : "r"(code + 0x500), "D"(code + 0x504) : "memory");
    // 0 + 1 + … + 99
    EQ(v, 4950);
}

static void crossing(void)
{
    // An instruction on two pages; each half is changed.
    u32 at = 0x1000 - 3;
    for (u32 i = 0; i < 300; i++) {
        put(at, i << 24 | (i & 0xff));
        if (call(code + at) != (i << 24 | (i & 0xff))) {
            EQ(call(code + at), i << 24 | (i & 0xff));
            return;
        }
        *(volatile u8 *)(code + 0xfff) = 0x5a;
        EQ(call(code + at) >> 8 & 0xff, 0x5a);
        *(volatile u8 *)(code + 0x1000) = 0xa5;
        EQ(call(code + at) >> 16 & 0xff, 0xa5);
    }
    // A block that goes on from page to page.
    memset(code + 0x1f00, 0x90, 0x200);
    put(0x2100, 1);
    EQ(call(code + 0x1f00), 1);
    put(0x2080, 2);
    EQ(call(code + 0x1f00), 2);
    put(0x1f80, 3);
    EQ(call(code + 0x1f00), 3);
    // A store over both.
    *(volatile u32 *)(code + 0x1ffe) = 0xc3c3c3c3;
    memset(code + 0x1f80, 0x90, 6);
    asm volatile("call *%1" : "=a"(at) : "r"(code + 0x1f00), "a"(77) : "memory");
    EQ(at, 77);
}

static void copied(void)
{
    // By string instructions, as a loader does.
    for (u32 i = 0; i < 50; i++) {
        put(0x600, i * 3);
        void *di = code + 0x3000;
        const void *si = code + 0x600;
        reg c = 0x800;
        asm volatile("rep movsb" : "+D"(di), "+S"(si), "+c"(c)::"memory");
        EQ(call(code + 0x3000), i * 3);
    }
    // By a locked one, by XCHG, by PUSH.
    put(0x700, 1);
    EQ(call(code + 0x700), 1);
    asm volatile("lock addl $0x100, %0" : "+m"(*(u32 *)(code + 0x701)));
    EQ(call(code + 0x700), 0x101);
    u32 x = 0x202;
    asm volatile("xchg %0, %1" : "+r"(x), "+m"(*(u32 *)(code + 0x701)));
    EQ(call(code + 0x700), 0x202);
    x = 0x303;
    asm volatile("cmpxchgl %1, %0" : "+m"(*(u32 *)(code + 0x701)) : "r"(x), "a"(0x202) : "memory", "cc");
    EQ(call(code + 0x700), 0x303);
}

static void stack_code(void)
{
    // Code on a stack in use.
    for (u32 i = 0; i < 300; i++) {
        u8 f[16];
        f[0] = 0xb8;
        memcpy(f + 1, &i, 4);
        f[5] = 0xc3;
        BARRIER();
        if (call(f) != i) {
            EQ(call(f), i);
            return;
        }
    }
}

static void many(void)
{
    // Many functions, all changed over and over.
    for (u32 round = 0; round < 20; round++) {
        u32 wrong = 0;
        for (u32 f = 0; f < 256; f++)
            put(f * 16, f + round * 1000);
        for (u32 f = 0; f < 256; f++)
            wrong += call(code + f * 16) != f + round * 1000;
        EQ(wrong, 0);
    }
}

static void jump_patched(void)
{
    // The displacement of a jump, as patched code has it (static keys): jmp +n
    put(0x900 + 2, 1);
    put(0x900 + 2 + 6, 2);
    code[0x900] = 0xeb;
    for (u32 i = 0; i < 400; i++) {
        *(volatile u8 *)(code + 0x901) = i & 1 ? 6 : 0;
        EQ(call(code + 0x900), i & 1 ? 2 : 1);
    }
    // Five bytes of NOP to a jump and back.
    put(0xa05, 1);
    put(0xa20, 2);
    static const u8 nop5[] = {0x0f, 0x1f, 0x44, 0x00, 0x00}, jmp5[] = {0xe9, 0x1b, 0, 0, 0};
    for (u32 i = 0; i < 200; i++) {
        code[0xa00] = 0xcc;
        memcpy(code + 0xa01, (i & 1 ? jmp5 : nop5) + 1, 4);
        code[0xa00] = (i & 1 ? jmp5 : nop5)[0];
        BARRIER();
        EQ(call(code + 0xa00), i & 1 ? 2 : 1);
    }
}

static void faulting(void)
{
    // A breakpoint put in and taken out.
    static u32 hits;
    bool hook(struct frame *f)
    {
        (void)f;
        hits++;
        return true;
    }
    hooks[BP] = hook;
    code[0xb00] = 0x90;
    put(0xb01, 9);
    for (u32 i = 0; i < 100; i++) {
        *(volatile u8 *)(code + 0xb00) = i & 1 ? 0xcc : 0x90;
        EQ(call(code + 0xb00), 9);
    }
    hooks[BP] = NULL;
    EQ(hits, 50);
}

void rom_main(void)
{
    TEST("rewritten functions", rewritten());
    TEST("data beside code", data_beside());
    TEST("the next instruction", next_instruction());
    TEST("the instruction itself", own_instruction());
    TEST("a loop's own operand", loop_modified());
    TEST("across pages", crossing());
    TEST("copies and atomics", copied());
    TEST("code on the stack", stack_code());
    TEST("many functions", many());
    TEST("patched jumps", jump_patched());
    TEST("breakpoints", faulting());
}
