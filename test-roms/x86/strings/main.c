// String instructions: directions, overlaps, address sizes, faults in the middle. SDM vol. 2, MOVS, REP.

#include "rom.h"

#define PAGE 0x1000
// Four pages; the third can be taken away.
static u8 area[4 * PAGE] ALIGNED(4096);
static u8 from[4 * PAGE] ALIGNED(4096);

#if LONG
extern u64 boot_pd[];
static u64 pt[512] ALIGNED(4096);

static void map(void)
{
    // 4 KiB pages where the image is.
    for (unsigned i = 0; i < 512; i++)
        pt[i] = (u64)i << 12 | 7;
    boot_pd[0] = (u64)pt | 7;
    WRITE_REG("cr3", READ_REG("cr3"));
}
static void set_page(void *at, bool present)
{
    pt[(reg)at >> 12] = (reg)at | (present ? 7 : 6);
    asm volatile("invlpg %0" ::"m"(*(u8 *)at) : "memory");
}
#else
static u32 pd[1024] ALIGNED(4096), pt[1024] ALIGNED(4096);

static void map(void)
{
    for (unsigned i = 0; i < 1024; i++)
        pt[i] = i << 12 | 7;
    pd[0] = (u32)pt | 7;
    WRITE_REG("cr3", pd);
    WRITE_REG("cr0", READ_REG("cr0") | CR0_PG | CR0_WP);
}
static void set_page(void *at, bool present)
{
    pt[(reg)at >> 12] = (reg)at | (present ? 7 : 6);
    asm volatile("invlpg %0" ::"m"(*(u8 *)at) : "memory");
}
#endif

struct regs {
    reg c, si, di, ax, flags;
};

#define OP(name, insn, size)                                                                              \
    static struct regs name(void *di, const void *si, reg c, reg ax)                                      \
    {                                                                                                     \
        reg fl;                                                                                           \
        asm volatile(insn "; pushf; pop %4"                                                               \
                     : "+D"(di), "+S"(si), "+c"(c), "+a"(ax), "=r"(fl)::"memory", "cc");                   \
        return (struct regs){c, (reg)si, (reg)di, ax, fl};                                                \
    }

OP(movsb, "rep movsb", 1)
OP(movsw, "rep movsw", 2)
OP(movsl, "rep movsl", 4)
OP(stosb, "rep stosb", 1)
OP(stosw, "rep stosw", 2)
OP(stosl, "rep stosl", 4)
OP(lodsb, "rep lodsb", 1)
OP(lodsl, "rep lodsl", 4)
OP(back_movsb, "std; rep movsb; cld", 1)
OP(back_movsw, "std; rep movsw; cld", 2)
OP(back_stosl, "std; rep stosl; cld", 4)
OP(repe_cmpsb, "repe cmpsb", 1)
OP(repne_cmpsb, "repne cmpsb", 1)
OP(repe_cmpsl, "repe cmpsl", 4)
OP(repne_scasb, "repne scasb", 1)
OP(repe_scasb, "repe scasb", 1)
OP(repne_scasw, "repne scasw", 2)
OP(back_scasb, "std; repne scasb; cld", 1)
OP(one_movsb, "movsb", 1)
OP(one_stosl, "stosl", 4)
#if LONG
OP(movsq, "rep movsq", 8)
OP(stosq, "rep stosq", 8)
OP(repne_scasq, "repne scasq", 8)
#endif

static void fill(void)
{
    for (unsigned i = 0; i < sizeof area; i++) {
        area[i] = 0;
        from[i] = (u8)(i * 7 + (i >> 8));
    }
}

static void move(void)
{
    fill();
    struct regs r = movsb(area + 3, from + 5, 1000, 0);
    EQ(r.c, 0);
    EQ(r.di, (reg)area + 1003);
    EQ(r.si, (reg)from + 1005);
    EQ(memcmp(area + 3, from + 5, 1000), 0);
    EQ(area[2] | area[1003], 0);
    r = movsw(area + 0xffd, from + 1, 3000, 0);
    EQ(r.di, (reg)area + 0xffd + 6000);
    EQ(memcmp(area + 0xffd, from + 1, 6000), 0);
    EQ(area[0xffd + 6000], 0);
    r = movsl(area, from, sizeof area / 4, 0);
    EQ(memcmp(area, from, sizeof area), 0);
    r = movsb(area, from, 0, 0);
    EQ(r.di, (reg)area);
    r = one_movsb(area, from + 9, 77, 0);
    EQ(r.c, 77);
    EQ(area[0], from[9]);
#if LONG
    fill();
    r = movsq(area + 1, from + 3, 1200, 0);
    EQ(memcmp(area + 1, from + 3, 9600), 0);
    EQ(area[9601], 0);
#endif
}

static void store(void)
{
    fill();
    struct regs r = stosb(area + 1, NULL, 5000, 0x1234567f);
    EQ(r.di, (reg)area + 5001);
    u32 wrong = 0;
    for (unsigned i = 0; i < sizeof area; i++)
        wrong += area[i] != (i >= 1 && i < 5001 ? 0x7f : 0);
    EQ(wrong, 0);
    r = stosw(area + 0xfff, NULL, 3, 0x1234567f);
    EQ(*(u16 *)(area + 0xfff), 0x567f);
    EQ(area[0x1003] << 8 | area[0x1004], 0x7f56);
    r = stosl(area + 0xffe, NULL, 2000, 0x12345678);
    EQ(*(u32 *)(area + 0xffe), 0x12345678);
    EQ(*(u32 *)(area + 0xffe + 7996), 0x12345678);
    EQ(area[0xffe + 8000], 0);
    r = one_stosl(area, NULL, 5, 0xcafe);
    EQ(r.c, 5);
    EQ(r.di, (reg)area + 4);
#if LONG
    r = stosq(area + 5, NULL, 512, 0x1122334455667788);
    EQ(*(u64 *)(area + 5 + 4088), 0x1122334455667788);
#endif
}

static void load(void)
{
    fill();
    EQ((u8)lodsb(NULL, from, 1000, 0).ax, from[999]);
    EQ((u32)lodsl(NULL, from, 100, 0).ax, *(u32 *)(from + 396));
}

static void overlap(void)
{
    // Forwards by one repeats the first byte.
    fill();
    area[0] = 0x5a;
    movsb(area + 1, area, 3000, 0);
    EQ(area[1] << 16 | area[1500] << 8 | area[3000], 0x5a5a5a);
    EQ(area[3001], 0);
    // By three, a pattern.
    fill();
    area[0] = 1, area[1] = 2, area[2] = 3;
    movsb(area + 3, area, 9000, 0);
    u32 wrong = 0;
    for (unsigned i = 0; i < 9003; i++)
        wrong += area[i] != i % 3 + 1;
    EQ(wrong, 0);
    // Doublewords that overlap by two bytes.
    fill();
    for (unsigned i = 0; i < 8; i++)
        area[i] = (u8)(i + 1);
    movsl(area + 2, area, 3, 0);
    u8 model[16] = {1, 2, 3, 4, 5, 6, 7, 8};
    for (unsigned i = 0; i < 3; i++) {
        u8 t[4];
        memcpy(t, model + 4 * i, 4);
        memcpy(model + 2 + 4 * i, t, 4);
    }
    EQ(memcmp(area, model, 14), 0);
    // Downwards is safe.
    fill();
    movsb(from, from + 100, 5000, 0);
    EQ(from[0], (u8)(100 * 7));
    EQ(from[4999], (u8)(5099 * 7 + (5099 >> 8)));
    // Over its own page, backwards.
    fill();
    for (unsigned i = 0; i < 6000; i++)
        area[i] = (u8)(i * 3);
    struct regs r = back_movsb(area + 6009, area + 5999, 6000, 0);
    EQ(r.di, (reg)area + 9);
    EQ(r.si, (reg)area - 1);
    wrong = 0;
    for (unsigned i = 0; i < 6000; i++)
        wrong += area[i + 10] != (u8)(i * 3);
    EQ(wrong, 0);
    // Backwards onto higher overlapping bytes repeats the last.
    fill();
    area[5000] = 0x33;
    back_movsb(area + 4999, area + 5000, 5000, 0);
    EQ(area[0] << 8 | area[2500], 0x3333);
}

static void backwards(void)
{
    fill();
    struct regs r = back_movsw(area + 6000, from + 7000, 3000, 0);
    EQ(r.di, (reg)area);
    EQ(r.si, (reg)from + 1000);
    EQ(memcmp(area + 2, from + 1002, 6000), 0);
    fill();
    r = back_stosl(area + 0x1ffe, NULL, 1000, 0x04030201);
    EQ(r.di, (reg)area + 0x1ffe - 4000);
    EQ(*(u32 *)(area + 0x1ffe), 0x04030201);
    EQ(*(u32 *)(r.di + 4), 0x04030201);
    EQ(*(u8 *)(r.di + 3), 0);
}

static void compare(void)
{
    fill();
    memcpy(area, from, sizeof area);
    struct regs r = repe_cmpsb(area, from, 5000, 0);
    EQ(r.c, 0);
    EQ(r.flags & FL_ZF, FL_ZF);
    area[0x1234]++;
    r = repe_cmpsb(area, from, 5000, 0);
    EQ(r.c, 5000 - 0x1235);
    EQ(r.di, (reg)area + 0x1235);
    EQ(r.si, (reg)from + 0x1235);
    // It compares [SI] with [DI].
    EQ(r.flags & (FL_ZF | FL_CF), from[0x1234] < area[0x1234] ? FL_CF : 0);
    r = repe_cmpsl(area, from, 4096, 0);
    EQ(r.c, 4096 - 0x1234 / 4 - 1);
    r = repne_cmpsb(area + 1, from + 1, 100, 0);
    EQ(r.c, 99);
    // No iteration, no change of flags.
    set_flags(2 | FL_CF);
    reg fl;
    asm volatile("xor %%ecx, %%ecx; stc; repe cmpsb; pushf; pop %0" : "=r"(fl)::"ecx", "memory", "cc");
    EQ(fl & (FL_CF | FL_ZF), FL_CF | FL_ZF);
}

static void scan(void)
{
    memset(area, 'x', sizeof area);
    area[4500] = 'y';
    struct regs r = repne_scasb(area, NULL, 10000, 'y');
    EQ(r.di, (reg)area + 4501);
    EQ(r.c, 10000 - 4501);
    r = repe_scasb(area, NULL, 10000, 'x');
    EQ(r.di, (reg)area + 4501);
    r = repne_scasb(area, NULL, 3000, 'z');
    EQ(r.c, 0);
    EQ(r.flags & FL_ZF, 0);
    r = back_scasb(area + 9000, NULL, 9001, 'y');
    EQ(r.di, (reg)area + 4499);
    r = repne_scasw(area, NULL, 5000, 'y' | 'x' << 8);
    EQ(r.c, 5000 - 2251);
#if LONG
    *(u64 *)(area + 8000) = 0x123456789abcdef0;
    r = repne_scasq(area, NULL, 2000, 0x123456789abcdef0);
    EQ(r.c, 2000 - 1001);
#endif
}

static bool page_fault(struct frame *f)
{
    caught.cx = f->cx;
    caught.di = f->di;
    caught.si = f->si;
    caught.ip = f->ip;
    caught.error = f->error;
    caught.cr2 = READ_REG("cr2");
    caught.count++;
    set_page((void *)(caught.cr2 & ~(reg)(PAGE - 1)), true);
    return true;
}

static void faults(void)
{
    extern u8 rep_at[];
    fill();
    hooks[PF] = page_fault;
    // The destination's third page is away: registers say how far it came.
    set_page(area + 2 * PAGE, false);
    caught.count = 0;
    void *di = area + 5;
    const void *si = from + 6;
    reg c = sizeof area - 6;
    asm volatile("rep_at: rep movsb" : "+D"(di), "+S"(si), "+c"(c)::"memory");
    EQ(caught.count, 1);
    EQ(caught.cr2, (reg)area + 2 * PAGE);
    EQ(caught.error, 2);
    EQ(caught.ip, (reg)rep_at);
    EQ(caught.di, (reg)area + 2 * PAGE);
    EQ(caught.si, (reg)from + 2 * PAGE + 1);
    EQ(caught.cx, sizeof area - 6 - (2 * PAGE - 5));
    EQ(memcmp(area + 5, from + 6, sizeof area - 6), 0);
    EQ(c, 0);
    // The source's.
    fill();
    set_page(from + PAGE, false);
    caught.count = 0;
    movsl(area, from, sizeof area / 4, 0);
    EQ(caught.count, 1);
    EQ(caught.error, 0);
    EQ(caught.cr2, (reg)from + PAGE);
    EQ(caught.cx, (sizeof area - PAGE) / 4);
    EQ(caught.di, (reg)area + PAGE);
    EQ(memcmp(area, from, sizeof area), 0);
    // An element across the boundary: nothing of it is written.
    fill();
    set_page(area + PAGE, false);
    caught.count = 0;
    stosl(area + 2, NULL, 2000, 0x11223344);
    EQ(caught.count, 1);
    EQ(caught.cr2, (reg)area + PAGE);
    EQ(caught.di, (reg)area + PAGE - 2);
    EQ(caught.cx, 2000 - 1023);
    EQ(*(u32 *)(area + 2 + 7996), 0x11223344);
    // Backwards.
    fill();
    set_page(area + PAGE, false);
    caught.count = 0;
    back_movsb(area + 3 * PAGE, from + 3 * PAGE, 3 * PAGE, 0);
    EQ(caught.count, 1);
    EQ(caught.cr2, (reg)area + 2 * PAGE - 1);
    EQ(caught.cx, 2 * PAGE - 1);
    EQ(memcmp(area + 1, from + 1, 3 * PAGE), 0);
    // Comparing and scanning.
    memcpy(area, from, sizeof area);
    set_page(area + 3 * PAGE, false);
    caught.count = 0;
    struct regs r = repe_cmpsb(area, from, sizeof area, 0);
    EQ(caught.count, 1);
    EQ(caught.cx, PAGE);
    EQ(r.c, 0);
    memset(area, 1, sizeof area);
    area[3 * PAGE] = 2;
    set_page(area + PAGE, false);
    caught.count = 0;
    r = repne_scasb(area, NULL, sizeof area, 2);
    EQ(caught.count, 1);
    EQ(r.di, (reg)area + 3 * PAGE + 1);
    // A page not reached does not fault.
    set_page(area + 2 * PAGE, false);
    caught.count = 0;
    stosb(area, NULL, 2 * PAGE, 9);
    movsb(area + PAGE, from, PAGE, 0);
    EQ(caught.count, 0);
    stosb(area + 2 * PAGE, NULL, 0, 9);
    EQ(caught.count, 0);
    set_page(area + 2 * PAGE, true);
    hooks[PF] = NULL;
}

static void interrupted(void)
{
    // TF between iterations sees them one by one; here with a count beyond a page's.
    static u32 count;
    static reg last;
    bool hook(struct frame *f)
    {
        count++;
        last = f->cx;
        return true;
    }
    hooks[DB] = hook;
    count = 0;
    asm volatile("pushf; or" W " $0x100, (%%" R("sp") "); mov $300, %%ecx; lea area, %%" R("di") "; popf; rep stosb; "
                 "pushf; and" W " $~0x100, (%%" R("sp") "); popf" ::
                     : "ecx", R("di"), "memory", "cc");
    hooks[DB] = NULL;
    EQ(count, 303);
    EQ(last, 0);
}

static void address_sizes(void)
{
#if LONG
    // The upper halves of what a 32-bit address size counts with are cleared, or left alone where nothing is done.
    reg c = 0xffffffff00000010, si = 0xabcd00000000 | (reg)from, di = 0x123400000000 | (reg)area;
    fill();
    asm volatile("rep movsb (%%esi), (%%edi)" : "+c"(c), "+S"(si), "+D"(di)::"memory");
    EQ(c, 0);
    EQ(si, (reg)from + 16);
    EQ(di, (reg)area + 16);
    EQ(memcmp(area, from, 16), 0);
#else
    // With a 16-bit address size SI, DI and CX wrap; their upper halves stay.
    u8 *low = (u8 *)0x20000;
    u8 save[8];
    memcpy(save, low, 8);
    u16 sel = set_slot(0, descriptor(0x20000, 0x1ffff, ACC_DATA, D));
    for (unsigned i = 0; i < 8; i++)
        low[0xfffc + i] = 0, low[i] = 0;
    u32 c = 0xabcd0008, si = 0x55550100, di = 0x1234fffc;
    for (unsigned i = 0; i < 8; i++)
        low[0x100 + i] = (u8)(i + 1);
    asm volatile("push %%ds; push %%es; mov %w3, %%ds; mov %w3, %%es; addr16 rep movsb; pop %%es; pop %%ds"
                 : "+c"(c), "+S"(si), "+D"(di)
                 : "r"((u32)sel)
                 : "memory");
    EQ(c, 0xabcd0000);
    EQ(si, 0x55550108);
    EQ(di, 0x12340004);
    EQ(low[0xfffc] << 8 | low[0xffff], 0x0104);
    EQ(low[0] << 8 | low[3], 0x0508);
    EQ(low[0x10000], 0);
    memcpy(low, save, 8);
#endif
}

static void segments(void)
{
    // The source's segment can be overridden, the destination's cannot.
    fill();
#if LONG
    wrmsr(0xc0000100, (reg)from);
    void *di = area;
    const void *si = (void *)16;
    reg c = 100;
    asm volatile("rep movsb %%fs:(%%rsi), (%%rdi)" : "+D"(di), "+S"(si), "+c"(c)::"memory");
    EQ(memcmp(area, from + 16, 100), 0);
    wrmsr(0xc0000100, 0);
#else
    u16 sel = set_slot(0, descriptor((u32)from, 0xfff, ACC_DATA, D));
    asm volatile("mov %w0, %%fs" ::"r"((u32)sel));
    void *di = area;
    const void *si = (void *)16;
    reg c = 100;
    asm volatile("rep movsb %%fs:(%%esi), (%%edi)" : "+D"(di), "+S"(si), "+c"(c)::"memory");
    EQ(memcmp(area, from + 16, 100), 0);
    // It faults where the segment ends.
    qemu_lacks("does not check segment limits");
    di = area;
    si = (void *)0xff0;
    c = 100;
    caught.count = 0;
    asm volatile("movl $77f, catch_at; rep movsb %%fs:(%%esi), (%%edi); 77: movl $0, catch_at"
                 : "+D"(di), "+S"(si), "+c"(c)::"memory");
    EQ(caught.vector, GP);
    EQ(c, 84);
    EQ((reg)si, 0x1000);
#endif
}

void rom_main(void)
{
    map();
    TEST("MOVS", move());
    TEST("STOS", store());
    TEST("LODS", load());
    TEST("overlaps", overlap());
    TEST("backwards", backwards());
    TEST("CMPS", compare());
    TEST("SCAS", scan());
    TEST("faults in the middle", faults());
    TEST("stepping", interrupted());
    TEST("address sizes", address_sizes());
    TEST("segments", segments());
}
