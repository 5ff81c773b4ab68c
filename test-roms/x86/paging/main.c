// Paging: formats, rights, error codes, accessed and dirty bits, invalidation. SDM vol. 3, chapter 4. The 32-bit ROM has
// the formats of 2 and 3 levels, the 64-bit ROM that of 4.

#include "rom.h"

#define P 1ull
#define RW 2ull
#define US 4ull
#define A BIT(5)
#define DIRTY BIT(6)
#define PS BIT(7)
#define GL BIT(8)
#define NX BIT(63)
#define ALL (P | RW | US)
#define PAGE 0x1000u

// What is mapped: the first 4 MiB to themselves for the supervisor; tests have the 4 MiB from here on.
#define VA 0x40000000u
// CPL 3 code and stack.
#define U_CODE (VA + 0x1f0000)
#define U_STACK (VA + 0x1f1000)

static u8 page[4][PAGE] ALIGNED(4096);
static u8 u_page[2][PAGE] ALIGNED(4096);
#if LONG
static u64 top_pdpt[512] ALIGNED(4096), pml4[512] ALIGNED(4096);
#else
static u32 pd2[1024] ALIGNED(4096), pt2[1024] ALIGNED(4096);
static u64 pdpt[4] ALIGNED(32);
#endif
static u64 pd_low[512] ALIGNED(4096), pd_test[512] ALIGNED(4096), pt_test[512] ALIGNED(4096);
// 64-bit entries; else those of the 2-level format.
static bool pae = LONG;

static void flush(void)
{
    WRITE_REG("cr3", READ_REG("cr3"));
}
static void invlpg(reg va)
{
    asm volatile("invlpg (%0)" ::"r"(va) : "memory");
}

// Entry for an address of the tests in the last table and the one above.
static u64 get(u32 va, unsigned level)
{
#if !LONG
    if (!pae)
        return level == 1 ? pt2[va >> 12 & 1023] : pd2[va >> 22];
#endif
    return level == 1 ? pt_test[va >> 12 & 511] : pd_test[va >> 21 & 511];
}
static void set(u32 va, unsigned level, u64 v)
{
#if !LONG
    if (!pae) {
        *(level == 1 ? &pt2[va >> 12 & 1023] : &pd2[va >> 22]) = (u32)v;
        invlpg(va);
        return;
    }
#endif
    *(level == 1 ? &pt_test[va >> 12 & 511] : &pd_test[va >> 21 & 511]) = v;
    if (level == 1)
        invlpg(va);
    else
        flush();
}
static u64 table(void)
{
#if !LONG
    if (!pae)
        return (u32)pt2 | ALL;
#endif
    return (reg)pt_test | ALL;
}

static void standard(void)
{
    for (unsigned i = 0; i < 16; i++)
        set(VA + i * PAGE, 1, (reg)page[i & 3] | ALL);
    set(VA, 2, table());
    set(U_CODE, 1, (reg)u_page[0] | ALL);
    set(U_STACK, 1, (reg)u_page[1] | ALL);
    flush();
    for (unsigned i = 0; i < 4; i++)
        *(u32 *)page[i] = 0x1000 + i;
}

static void paging_on(void)
{
    // pop ax; pop cx; CX: 0 read, 1 write, else execute
    static const u8 user[] = {0x58, 0x59, 0x83, 0xf9, 1, 0x72, 8, 0x77, 4, 0x89, 0x08, 0xcd, 0x80, 0xff, 0xe0, 0x8b, 0x00, 0xcd, 0x80};
    memcpy(u_page[0], user, sizeof user);
    pd_low[0] = 0 | P | RW | PS;
    pd_low[1] = 0x200000 | P | RW | PS;
#if LONG
    pml4[0] = (reg)top_pdpt | ALL;
    top_pdpt[0] = (reg)pd_low | ALL;
    top_pdpt[1] = (reg)pd_test | ALL;
    standard();
    WRITE_REG("cr3", pml4);
#else
    WRITE_REG("cr0", READ_REG("cr0") & ~(reg)CR0_PG);
    if (pae) {
        pdpt[0] = (u32)pd_low | P;
        pdpt[1] = (u32)pd_test | P;
        standard();
        WRITE_REG("cr4", READ_REG("cr4") | CR4_PAE);
        WRITE_REG("cr3", pdpt);
    } else {
        pd2[0] = 0 | P | RW | PS;
        standard();
        WRITE_REG("cr4", (READ_REG("cr4") & ~(reg)CR4_PAE) | CR4_PSE);
        WRITE_REG("cr3", pd2);
    }
    WRITE_REG("cr0", READ_REG("cr0") | CR0_PG);
#endif
    WRITE_REG("cr0", READ_REG("cr0") | CR0_WP);
}

enum { READ, WRITE, EXEC };
#define OK 0xffff

static u32 code(void)
{
    if (caught.vector != PF)
        return 0x10000 | caught.vector;
    // QEMU leaves P out beside RSVD (SDM vol. 3, 4.7: it is there).
    return (u32)caught.error | (on_tcg && caught.error & 8 ? 1 : 0);
}

// The error code of an access to an address by the supervisor; OK if there is none.
static u32 access(unsigned kind, reg va)
{
    unsigned n;
    if (kind == READ)
        n = TRY("mov (%0), %%eax", ::"r"(va) : "eax", "memory");
    else if (kind == WRITE)
        n = TRY("movl $7, (%0)", ::"r"(va) : "memory");
    else
        n = TRY("mov %%" R("sp") ", %%" R("bx") "; call *%0; 77: mov %%" R("bx") ", %%" R("sp"), ::"r"(va) : R("bx"), "memory");
    return n ? code() : OK;
}

// The same at CPL 3.
static u32 user(unsigned kind, reg va)
{
    reg *sp = (reg *)(u_page[1] + PAGE - 64);
    sp[0] = va;
    sp[1] = kind;
    user_run((void *)(reg)U_CODE, (void *)(reg)(U_STACK + PAGE - 64));
    return caught.vector == 0x80 ? OK : code();
}

static u32 *at(reg va)
{
    asm volatile("" : "+r"(va));
    return (u32 *)va;
}

static void translation(void)
{
    standard();
    for (u32 i = 0; i < 16; i++)
        EQ(*at(VA + i * PAGE), 0x1000 + (i & 3));
    // Two addresses of one page.
    *at(VA + 8) = 0xabc;
    EQ(*at(VA + 4 * PAGE + 8), 0xabc);
    EQ(*(u32 *)(page[0] + 8), 0xabc);
    // Across pages.
    *at(VA + PAGE - 2) = 0x11223344;
    EQ(page[0][PAGE - 2] << 8 | page[0][PAGE - 1], 0x4433);
    EQ(*(u16 *)page[1], 0x1122);
}

static void error_codes(void)
{
    standard();
    u32 va = VA + 0x123;
    set(va, 1, (reg)page[0]);
    EQ(access(READ, va), 0);
    EQ(caught.cr2, va);
    EQ(access(WRITE, va), 2);
    EQ(user(READ, va), 4);
    EQ(caught.cr2, va);
    EQ(user(WRITE, va), 6);
    EQ(user(EXEC, va), 4);
    EQ(caught.cr2, va);
    EQ(caught.ip, va);
    EQ(access(EXEC, va), 0);
    // For the supervisor only.
    set(va, 1, (reg)page[0] | P | RW);
    EQ(access(WRITE, va), OK);
    EQ(user(READ, va), 5);
    EQ(user(WRITE, va), 7);
    EQ(user(EXEC, va), 5);
    // Only read.
    set(va, 1, (reg)page[0] | P | US);
    EQ(access(READ, va), OK);
    EQ(access(WRITE, va), 3);
    EQ(user(READ, va), OK);
    EQ(user(WRITE, va), 7);
    // The directory entry absent.
    set(VA, 2, 0);
    EQ(access(READ, va), 0);
    EQ(access(WRITE, va + 0x1000), 2);
    standard();
}

static void combined_rights(void)
{
    standard();
    for (unsigned i = 0; i < 16; i++) {
        u64 upper = P | (i & 3) << 1, lower = P | (u64)(i >> 2) << 1;
        if (!(upper & US))
            // The way back is in the same table.
            set(U_CODE, 1, (reg)u_page[0] | ALL);
        set(VA, 1, (reg)page[0] | lower);
        set(VA, 2, (table() & ~ALL) | upper);
        u64 both = upper & lower;
        EQ(access(READ, VA), OK);
        EQ(access(WRITE, VA), both & RW ? OK : 3);
        if (upper & US) {
            EQ(user(READ, VA), both & US ? OK : 5);
            if (upper & RW)
                EQ(user(WRITE, VA), (both & (US | RW)) == (US | RW) ? OK : 7);
        }
    }
    standard();
}

static void write_protect(void)
{
    standard();
    set(VA, 1, (reg)page[0] | P | US);
    EQ(access(WRITE, VA), 3);
    WRITE_REG("cr0", READ_REG("cr0") & ~(reg)CR0_WP);
    EQ(access(WRITE, VA), OK);
    EQ(*(u32 *)page[0], 7);
    EQ(user(WRITE, VA), 7);
    WRITE_REG("cr0", READ_REG("cr0") | CR0_WP);
    EQ(access(WRITE, VA), 3);
    // What reads and writes faults as a write, and changes nothing.
    *(u32 *)page[0] = 5;
    EQ(TRY("incl (%0)", ::"r"((reg)VA) : "memory"), 1);
    EQ(caught.error, 3);
    EQ(TRY("lock xaddl %%eax, (%0)", ::"r"((reg)VA) : "eax", "memory"), 1);
    EQ(caught.error, 3);
    // CMPXCHG writes even what it does not change.
    EQ(TRY("mov $77, %%eax; lock cmpxchgl %%ecx, (%0)", ::"r"((reg)VA) : "eax", "memory"), 1);
    EQ(caught.error, 3);
    EQ(*(u32 *)page[0], 5);
    standard();
}

static void accessed_dirty(void)
{
    standard();
    set(VA, 2, table());
    set(VA, 1, (reg)page[0] | ALL);
    EQ(get(VA, 1) & (A | DIRTY), 0);
    EQ(access(READ, VA), OK);
    EQ(get(VA, 1) & (A | DIRTY), A);
    EQ(get(VA, 2) & A, A);
    EQ(access(WRITE, VA), OK);
    EQ(get(VA, 1) & (A | DIRTY), A | DIRTY);
    // Cleared and invalidated, they are set again.
    set(VA, 1, get(VA, 1) & ~(A | DIRTY));
    EQ(access(READ, VA), OK);
    EQ(get(VA, 1) & (A | DIRTY), A);
    set(VA, 1, get(VA, 1) & ~(A | DIRTY));
    EQ(access(WRITE, VA), OK);
    EQ(get(VA, 1) & (A | DIRTY), A | DIRTY);
    // A write that is refused makes nothing dirty.
    set(VA, 1, (reg)page[0] | P | US);
    EQ(access(WRITE, VA), 3);
    EQ(get(VA, 1) & DIRTY, 0);
    // Of code.
    page[1][0] = 0xc3;
    set(VA + PAGE, 1, (reg)page[1] | ALL);
    EQ(access(EXEC, VA + PAGE), OK);
    EQ(get(VA + PAGE, 1) & (A | DIRTY), A);
    // CPL 3 sets them as well; both pages of an access that crosses.
    set(VA, 1, (reg)page[0] | ALL);
    set(VA + PAGE, 1, (reg)page[1] | ALL);
    EQ(user(WRITE, VA + PAGE - 1), OK);
    EQ(get(VA, 1) & DIRTY, DIRTY);
    EQ(get(VA + PAGE, 1) & DIRTY, DIRTY);
    standard();
}

static void crossing(void)
{
    standard();
    set(VA + PAGE, 1, 0);
    *(u32 *)(page[0] + PAGE - 4) = 0x55555555;
    EQ(access(READ, VA + PAGE - 3), 0);
    EQ(caught.cr2, VA + PAGE);
    EQ(access(WRITE, VA + PAGE - 3), 2);
    EQ(caught.cr2, VA + PAGE);
    EQ(*(u32 *)(page[0] + PAGE - 4), 0x55555555);
    set(VA + PAGE, 1, (reg)page[1] | ALL);
    set(VA, 1, 0);
    *(u32 *)page[1] = 0x66666666;
    EQ(access(WRITE, VA + PAGE - 3), 2);
    EQ(caught.cr2, VA + PAGE - 3);
    EQ(*(u32 *)page[1], 0x66666666);
    // An instruction: mov $imm32, %eax of which two bytes are on the first page.
    set(VA, 1, (reg)page[0] | ALL);
    page[0][PAGE - 2] = 0xb8;
    page[0][PAGE - 1] = 1;
    page[1][0] = page[1][1] = page[1][2] = 0;
    page[1][3] = 0xc3;
    EQ(access(EXEC, VA + PAGE - 2), OK);
    set(VA + PAGE, 1, 0);
    EQ(access(EXEC, VA + PAGE - 2), 0);
    EQ(caught.cr2, VA + PAGE);
    EQ(caught.ip, VA + PAGE - 2);
    standard();
}

static void stack_faults(void)
{
    standard();
    set(VA, 1, 0);
    reg after;
    // The stack pointer is as before.
    caught.count = 0;
    asm volatile("mov" W " $77f, catch_at; mov %%" R("sp") ", %0; push" W " $5; mov %%" R("sp") ", %%" R("cx") "; pop" W " (%1); "
                 "77: sub %%" R("sp") ", %%" R("cx") "; mov %0, %%" R("sp") "; mov %%" R("cx") ", %0"
                 : "=&r"(after)
                 : "r"((reg)VA)
                 : R("cx"), "memory");
    EQ(caught.count, 1);
    EQ(caught.error, 2);
    EQ(after, 0);
    standard();
}

static void invalidation(void)
{
    standard();
    EQ(*at(VA), 0x1000);
    // Absent to present needs nothing.
    set(VA, 1, 0);
    EQ(access(READ, VA), 0);
    if (pae)
        pt_test[VA >> 12 & 511] = (reg)page[1] | ALL;
#if !LONG
    else
        pt2[VA >> 12 & 1023] = (u32)page[1] | ALL;
#endif
    BARRIER();
    EQ(*at(VA), 0x1001);
    set(VA, 1, (reg)page[2] | ALL);
    EQ(*at(VA), 0x1002);
    // By the way of CR3, many.
    for (u32 i = 0; i < 16; i++)
        EQ(*at(VA + i * PAGE) & ~3, 0x1000);
    for (u32 i = 0; i < 16; i++) {
        if (pae)
            pt_test[(VA >> 12 & 511) + i] = (reg)page[3] | ALL;
#if !LONG
        else
            pt2[(VA >> 12 & 1023) + i] = (u32)page[3] | ALL;
#endif
    }
    flush();
    for (u32 i = 0; i < 16; i++)
        EQ(*at(VA + i * PAGE), 0x1003);
    // INVLPG of code.
    page[0][0] = 0xc3;
    page[1][0] = 0x0f, page[1][1] = 0x0b;
    set(VA, 1, (reg)page[0] | ALL);
    EQ(access(EXEC, VA), OK);
    set(VA, 1, (reg)page[1] | ALL);
    EQ(access(EXEC, VA), 0x10000 | UD);
    standard();
}

static void global(void)
{
    WRITE_REG("cr4", READ_REG("cr4") | CR4_PGE);
    standard();
    set(VA, 1, (reg)page[0] | ALL | GL);
    EQ(*at(VA), 0x1000);
    // INVLPG takes global entries as well.
    set(VA, 1, (reg)page[1] | ALL | GL);
    EQ(*at(VA), 0x1001);
    // A change of CR4.PGE takes all.
    if (pae)
        pt_test[VA >> 12 & 511] = (reg)page[2] | ALL | GL;
#if !LONG
    else
        pt2[VA >> 12 & 1023] = (u32)page[2] | ALL | GL;
#endif
    WRITE_REG("cr4", READ_REG("cr4") & ~(reg)CR4_PGE);
    EQ(*at(VA), 0x1002);
    standard();
}

static void large_pages(void)
{
    standard();
    u32 size = pae ? 0x200000 : 0x400000;
    // The image, again.
    reg base = (reg)page[0] & ~(reg)(size - 1), offset = (reg)page[0] & (size - 1);
    set(VA + 0x800000, 2, base | ALL | PS);
    EQ(*at(VA + 0x800000 + offset), 0x1000);
    EQ(*at(VA + 0x800000 + offset + PAGE), 0x1001);
    EQ(get(VA + 0x800000, 2) & (A | DIRTY), A);
    *at(VA + 0x800000 + offset) = 0x99;
    EQ(*(u32 *)page[0], 0x99);
    EQ(get(VA + 0x800000, 2) & (A | DIRTY), A | DIRTY);
    // One INVLPG takes it whole.
    set(VA + 0x800000, 2, 0);
    EQ(access(READ, VA + 0x800000 + offset), 0);
    EQ(access(READ, VA + 0x800000 + offset + PAGE), 0);
    // A reserved bit: the lowest of the address.
    u64 bit = pae ? BIT(13) : BIT(21);
    set(VA + 0x800000, 2, base | ALL | PS | bit);
    EQ(access(READ, VA + 0x800000), 9);
    EQ(access(WRITE, VA + 0x800000), 0xb);
    EQ(user(READ, VA + 0x800000), 0xd);
    set(VA + 0x800000, 2, 0);
    standard();
}

#if !LONG
static void no_pse(void)
{
    // Without CR4.PSE bit 7 means nothing in the 2-level format. All has to be mapped by 4 KiB pages.
    static u32 pt_low[1024] ALIGNED(4096);
    for (u32 i = 0; i < 1024; i++)
        pt_low[i] = i << 12 | 3;
    pd2[0] = (u32)pt_low | 3;
    flush();
    WRITE_REG("cr4", READ_REG("cr4") & ~(reg)CR4_PSE);
    set(VA, 2, (u32)pt2 | ALL | PS);
    u32 v = *at(VA);
    WRITE_REG("cr4", READ_REG("cr4") | CR4_PSE);
    pd2[0] = 0 | P | RW | PS;
    EQ(v, 0x1000);
    standard();
}

static void pointers(void)
{
    // The four entries are registers: loaded with CR3, and checked then.
    pdpt[2] = (u32)pd_test | P | BIT(1);
    qemu_lacks("reads PDPTEs at each walk and does not check them");
    EQ(TRY("mov %%cr3, %%eax; mov %%eax, %%cr3", ::: "eax", "memory"), 1);
    EQ(caught.vector, GP);
    EQ(caught.error, 0);
    pdpt[2] = 0;
    flush();
    u64 old = pdpt[1];
    pdpt[1] = 0;
    invlpg(VA);
    EQ(access(READ, VA), OK);
    pdpt[1] = old;
    flush();
}

static void off(void)
{
    // Without paging addresses are physical; A and D do not change.
    standard();
    set(VA, 1, (u32)page[1] | ALL);
    WRITE_REG("cr0", READ_REG("cr0") & ~(reg)CR0_PG);
    EQ(*at((u32)page[1]), 0x1001);
    EQ(get(VA, 1) & A, 0);
    WRITE_REG("cr0", READ_REG("cr0") | CR0_PG);
    EQ(*at(VA), 0x1001);
    EQ(get(VA, 1) & A, A);
}
#endif

static void no_execute(void)
{
    if (!(cpuid(0x80000001, 0).d >> 20 & 1)) {
        test_skip("no NX");
        return;
    }
    standard();
    page[0][0] = 0xc3;
    // Reserved while EFER.NXE is 0.
    set(VA, 1, (reg)page[0] | ALL | NX);
    EQ(access(READ, VA), 9);
    wrmsr(EFER, rdmsr(EFER) | EFER_NXE);
    flush();
    EQ(access(READ, VA), OK);
    EQ(access(WRITE, VA), OK);
    page[0][0] = 0xc3;
    EQ(access(EXEC, VA), 0x11);
    EQ(caught.ip, VA);
    EQ(caught.cr2, VA);
    EQ(user(EXEC, VA), 0x15);
    EQ(user(READ, VA), OK);
    // Of the directory.
    set(VA + 0x200000, 2, (reg)pt_test | ALL | NX);
    EQ(access(EXEC, VA + 0x200000 + PAGE), 0x11);
    EQ(access(READ, VA + 0x200000 + PAGE), OK);
    set(VA + 0x200000, 2, 0);
    EQ(access(EXEC, VA + 0x200000), 0x10);
    // Only the second page of an instruction.
    page[1][PAGE - 1] = 0x66;
    page[2][0] = 0x90, page[2][1] = 0xc3;
    set(VA + 2 * PAGE, 1, (reg)page[2] | ALL | NX);
    EQ(access(EXEC, VA + 2 * PAGE - 1), 0x11);
    EQ(caught.cr2, VA + 2 * PAGE);
    EQ(caught.ip, VA + 2 * PAGE - 1);
    standard();
    wrmsr(EFER, rdmsr(EFER) & ~EFER_NXE);
    flush();
}

static void reserved(void)
{
    standard();
    // Bits between MAXPHYADDR and 51.
    u32 bits = cpuid(0x80000008, 0).a & 0xff;
    if (bits < 52) {
        set(VA, 1, (reg)page[0] | ALL | BIT(51));
        EQ(access(READ, VA), 9);
        EQ(access(WRITE, VA), 0xb);
        EQ(user(READ, VA), 0xd);
        // Not of an absent entry.
        set(VA, 1, (reg)page[0] | BIT(51));
        EQ(access(READ, VA), 0);
        set(VA + 0x200000, 2, (reg)pt_test | ALL | BIT(51));
        EQ(access(READ, VA + 0x200000), 9);
        set(VA + 0x200000, 2, 0);
    }
    // The ignored ones of 4 levels.
    if (LONG) {
        set(VA, 1, (reg)page[0] | ALL | BIT(52) | BIT(58) | BIT(9));
        EQ(access(READ, VA), OK);
    }
    standard();
}

static void smep(void)
{
    if (!HAS_7B(7)) {
        test_skip("no SMEP");
        return;
    }
    standard();
    page[0][0] = 0xc3;
    EQ(access(EXEC, VA), OK);
    WRITE_REG("cr4", READ_REG("cr4") | CR4_SMEP);
    EQ(access(EXEC, VA), 0x11);
    EQ(access(READ, VA), OK);
    EQ(user(READ, VA), OK);
    set(VA, 1, (reg)page[0] | P | RW);
    EQ(access(EXEC, VA), OK);
    set(VA, 1, 0);
    EQ(access(EXEC, VA), 0x10);
    WRITE_REG("cr4", READ_REG("cr4") & ~(reg)CR4_SMEP);
    standard();
}

static void smap(void)
{
    if (!HAS_7B(20)) {
        test_skip("no SMAP");
        return;
    }
    standard();
    WRITE_REG("cr4", READ_REG("cr4") | CR4_SMAP);
    EQ(access(READ, VA), 1);
    EQ(access(WRITE, VA), 3);
    asm volatile("stac" ::: "memory");
    EQ(access(READ, VA), OK);
    EQ(access(WRITE, VA), OK);
    asm volatile("clac" ::: "memory");
    EQ(access(READ, VA), 1);
    EQ(user(READ, VA), OK);
    EQ(user(WRITE, VA), OK);
    set(VA, 1, (reg)page[0] | P | RW);
    EQ(access(READ, VA), OK);
    WRITE_REG("cr4", READ_REG("cr4") & ~(reg)CR4_SMAP);
    standard();
}

static void smap_implicit(void)
{
    if (!HAS_7B(20)) {
        test_skip("no SMAP");
        return;
    }
    qemu_lacks("takes implicit accesses for explicit ones");
    standard();
    WRITE_REG("cr4", READ_REG("cr4") | CR4_SMAP);
    // An implicit access of the supervisor heeds no AC: an LDT on a user's page.
    ((u64 *)page[3])[1] = descriptor(0, 0xfffff, ACC_DATA | 1, G | D);
    u32 ldt = set_slot(0, descriptor(VA + 3 * PAGE, 0xff, ACC_LDT, 0));
    set_slot(1, 0);
    asm volatile("lldt %w0; stac" ::"r"(ldt) : "memory");
    u32 n = TRY("mov %0, %%fs", ::"r"(0xc) : "memory");
    asm volatile("clac; lldt %w0" ::"r"(0) : "memory");
    WRITE_REG("cr4", READ_REG("cr4") & ~(reg)CR4_SMAP);
    EQ(n, 1);
    EQ(caught.vector, PF);
    EQ(caught.error, 1);
}

#if LONG
static void four_levels(void)
{
    standard();
    // The upper half; rights and NX of the upper levels.
    pml4[511] = (reg)top_pdpt | ALL;
    top_pdpt[511] = (reg)pd_test | ALL;
    flush();
    EQ(*at(0xffffffffc0000000), 0x1000);
    pml4[300] = (reg)top_pdpt | ALL;
    EQ(*at(0xffff960000000000 + VA + PAGE), 0x1001);
    pml4[511] = (reg)top_pdpt | P | US;
    flush();
    EQ(access(WRITE, 0xffffffffc0000000), 3);
    EQ(access(WRITE, 0xffff960000000000 + VA), OK);
    EQ(pml4[300] & A, A);
    top_pdpt[511] = (reg)pd_test | P | RW;
    pml4[511] = (reg)top_pdpt | ALL;
    flush();
    EQ(user(READ, 0xffffffffc0000000), 5);
    EQ(access(READ, 0xffffffffc0000000), OK);
    top_pdpt[511] = 0;
    flush();
    EQ(access(READ, 0xffffffffc0000000), 0);
    EQ(caught.cr2, 0xffffffffc0000000);
    // PS in a PML4E is reserved.
    pml4[511] = (reg)top_pdpt | ALL | PS;
    EQ(access(READ, 0xffffffffc0000000), 9);
    pml4[300] = pml4[511] = 0;
    flush();
}

static void gigabyte(void)
{
    if (!(cpuid(0x80000001, 0).d >> 26 & 1)) {
        test_skip("no 1 GiB pages");
        return;
    }
    standard();
    top_pdpt[5] = 0 | P | RW | PS;
    EQ(*at(0x140000000 + (reg)page[2]), 0x1002);
    EQ(top_pdpt[5] & (A | DIRTY), A);
    EQ(user(READ, 0x140000000), 5);
    top_pdpt[5] = BIT(13) | P | RW | PS;
    invlpg(0x140000000);
    EQ(access(READ, 0x140000000), 9);
    top_pdpt[5] = 0;
    invlpg(0x140000000);
}

static void invpcid(u64 type, u64 pcid, u64 va)
{
    struct {
        u64 pcid, va;
    } d = {pcid, va};
    asm volatile("invpcid %0, %1" ::"m"(d), "r"(type) : "memory");
}

static void pcids(void)
{
    if (!HAS_1C(17)) {
        test_skip("no PCID");
        return;
    }
    standard();
    static u64 pml4_b[512] ALIGNED(4096), pdpt_b[512] ALIGNED(4096), pd_b[512] ALIGNED(4096), pt_b[512] ALIGNED(4096);
    pml4_b[0] = (reg)pdpt_b | ALL;
    pdpt_b[0] = (reg)pd_low | ALL;
    pdpt_b[1] = (reg)pd_b | ALL;
    pd_b[0] = (reg)pt_b | ALL;
    pt_b[0] = (reg)page[1] | ALL;
    // Only with PCID 0 may it be switched on.
    WRITE_REG("cr3", (reg)pml4 | 8);
    FAULTS(GP, 0, "mov %%cr4, %%rax; bts $17, %%rax; mov %%rax, %%cr4", ::: "rax", "memory");
    WRITE_REG("cr3", pml4);
    WRITE_REG("cr4", READ_REG("cr4") | CR4_PCIDE);
    reg a = (reg)pml4 | 1, b = (reg)pml4_b | 2, keep = BIT(63);
    WRITE_REG("cr3", a);
    EQ(*at(VA), 0x1000);
    WRITE_REG("cr3", b);
    EQ(*at(VA), 0x1001);
    EQ(READ_REG("cr3"), b);
    for (unsigned i = 0; i < 10; i++) {
        WRITE_REG("cr3", a | keep);
        EQ(READ_REG("cr3"), a);
        EQ(*at(VA), 0x1000);
        WRITE_REG("cr3", b | keep);
        EQ(*at(VA), 0x1001);
    }
    // A load without bit 63 flushes its PCID.
    pt_b[0] = (reg)page[2] | ALL;
    WRITE_REG("cr3", b);
    EQ(*at(VA), 0x1002);
    // INVPCID: one address of another PCID; all of a PCID; all but global ones; all.
    for (u64 type = 0; type < 4; type++) {
        WRITE_REG("cr3", a | keep);
        EQ(*at(VA), 0x1000);
        pt_b[0] = (reg)page[type & 1 ? 2 : 3] | ALL;
        invpcid(type, type < 2 ? 2 : 0, type ? 0 : VA);
        WRITE_REG("cr3", b | keep);
        EQ(*at(VA), type & 1 ? 0x1002 : 0x1003);
    }
    // INVLPG is for the current one.
    pt_b[0] = (reg)page[0] | ALL;
    invlpg(VA);
    EQ(*at(VA), 0x1000);
    // Type 4 is none; PCIDs have 12 bits.
    struct {
        u64 pcid, va;
    } d = {0, 0};
    FAULTS(GP, 0, "invpcid %0, %1", ::"m"(d), "r"(4ul) : "memory");
    d.pcid = 0x1000;
    FAULTS(GP, 0, "invpcid %0, %1", ::"m"(d), "r"(1ul) : "memory");
    d.pcid = 1;
    d.va = BIT(47);
    FAULTS(GP, 0, "invpcid %0, %1", ::"m"(d), "r"(0ul) : "memory");
    WRITE_REG("cr3", pml4);
    // PAE may not be cleared in long mode.
    FAULTS(GP, 0, "mov %%cr4, %%rax; btr $5, %%rax; mov %%rax, %%cr4", ::: "rax", "memory");
    WRITE_REG("cr4", READ_REG("cr4") & ~(reg)CR4_PCIDE);
    EQ(*at(VA), 0x1000);
}
#endif

static void all(const char *format)
{
    printf("%s\n", format);
    paging_on();
    TEST("translation", translation());
    TEST("error codes", error_codes());
    TEST("rights of two levels", combined_rights());
    TEST("write protection", write_protect());
    TEST("accessed and dirty", accessed_dirty());
    TEST("page boundaries", crossing());
    TEST("POP to an absent page", stack_faults());
    TEST("invalidation", invalidation());
    TEST("global pages", global());
    TEST("large pages", large_pages());
    TEST("SMEP", smep());
    TEST("SMAP", smap());
    TEST("SMAP, implicit accesses", smap_implicit());
    if (pae) {
        TEST("no execute", no_execute());
        TEST("reserved bits", reserved());
    }
}

void rom_main(void)
{
#if LONG
    all("4 levels");
    TEST("4 levels", four_levels());
    TEST("1 GiB pages", gigabyte());
    TEST("PCID", pcids());
#else
    all("2 levels");
    TEST("bit 7 without PSE", no_pse());
    TEST("paging off", off());
    pae = true;
    all("3 levels");
    TEST("PDPTEs", pointers());
    TEST("paging off", off());
#endif
}
