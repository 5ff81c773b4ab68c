// Data and instruction aborts: fault status by kind and level, FAR, and that nothing else has changed.

#include "exceptions.h"

#define DATA 0x96000000u
#define DATA_EL0 0x92000000u
#define FETCH 0x86000000u
#define FETCH_EL0 0x82000000u
#define WNR 0x40u

enum { ADDRESS_SIZE = 0x00, TRANSLATION = 0x04, ACCESS_FLAG = 0x08, PERMISSION = 0x0c, EXTERNAL = 0x10, WALK = 0x14 };

static void load(u64 va)
{
    asm volatile("ldr x9, [%0]" ::"r"(va) : "x9", "memory");
}

static void store(u64 va)
{
    asm volatile("str xzr, [%0]" ::"r"(va) : "memory");
}

static void fetch(u64 va)
{
    asm volatile("blr %0" ::"r"(va) : "x30", "memory");
}

static u64 el0_load(u64 va, u64 b)
{
    load(va);
    return b;
}

static u64 el0_store(u64 va, u64 b)
{
    store(va);
    return b;
}

static u64 el0_fetch(u64 va, u64 b)
{
    fetch(va);
    return b;
}

static void expect(u64 esr, u64 far, unsigned vector)
{
    EQ(caught.count, 1);
    EQ(caught.esr, esr);
    EQ(caught.far, far);
    EQ(caught.vector, vector);
}

// Every access to va faults with the status.
static void all_fault(u64 va, unsigned fsc)
{
    CATCH(load(va));
    expect(DATA | fsc, va, 4);
    CATCH(store(va));
    expect(DATA | WNR | fsc, va, 4);
    CATCH(fetch(va));
    expect(FETCH | fsc, va, 4);
    EQ(caught.elr, va);
    CATCH(el0_call(el0_load, va, 0));
    expect(DATA_EL0 | fsc, va, 8);
    CATCH(el0_call(el0_store, va, 0));
    expect(DATA_EL0 | WNR | fsc, va, 8);
    CATCH(el0_call(el0_fetch, va, 0));
    expect(FETCH_EL0 | fsc, va, 8);
    EQ(caught.elr, va);
}

static void *page;

static void set(u64 va, unsigned level, u64 desc)
{
    *pte(va, level) = desc;
    tlb_flush_all();
}

// Level 1 to 3: a GiB, 2 MiB, 4 KiB. Each has its own GiB, so that no test meets another's tables.
static u64 at_level(unsigned level)
{
    return TEST_VA + ((u64)level << 30) + 0x321000;
}

static u64 leaf(unsigned level, u64 attributes)
{
    u64 size = BIT(39 - 9 * level);
    return ((u64)page & ~(size - 1)) | attributes | (level == 3 ? PTE_PAGE : PTE_BLOCK);
}

static void translation(void)
{
    // Beyond T0SZ's range; TTBR1's half, switched off by EPD1.
    all_fault(BIT(39), TRANSLATION);
    all_fault(~0xfffull, TRANSLATION);
    for (unsigned level = 1; level <= 3; level++) {
        u64 va = at_level(level) + 0x18;
        set(va, level, 0);
        all_fault(va, TRANSLATION | level);
    }
    // A block descriptor does not exist at level 3.
    u64 va = at_level(3) + 0x8;
    set(va, 3, (u64)page | MAP_DATA | PTE_BLOCK);
    all_fault(va, TRANSLATION | 3);
}

static void access_flag(void)
{
    for (unsigned level = 1; level <= 3; level++) {
        u64 va = at_level(level) + 0x20;
        set(va, level, leaf(level, MAP_RWX & ~PTE_AF));
        all_fault(va, ACCESS_FLAG | level);
    }
}

static void permission(void)
{
    for (unsigned level = 1; level <= 3; level++) {
        u64 va = at_level(level);
        // EL1 only, read-only, no execution.
        set(va, level, leaf(level, MAP_DATA | PTE_RO));
        EQ(CATCH(load(va)), 0);
        CATCH(store(va));
        expect(DATA | WNR | PERMISSION | level, va, 4);
        CATCH(fetch(va));
        expect(FETCH | PERMISSION | level, va, 4);
        CATCH(el0_call(el0_load, va, 0));
        expect(DATA_EL0 | PERMISSION | level, va, 8);
        CATCH(el0_call(el0_store, va, 0));
        expect(DATA_EL0 | WNR | PERMISSION | level, va, 8);
        CATCH(el0_call(el0_fetch, va, 0));
        expect(FETCH_EL0 | PERMISSION | level, va, 8);
        // EL0 reads and writes; what EL0 can write EL1 cannot execute.
        set(va, level, leaf(level, MT_NORMAL | PTE_AF | PTE_EL0 | PTE_UXN));
        EQ(CATCH(el0_call(el0_load, va, 0)), 0);
        EQ(CATCH(el0_call(el0_store, va + 8, 0)), 0);
        CATCH(fetch(va));
        expect(FETCH | PERMISSION | level, va, 4);
    }
}

static void hierarchical(void)
{
    // APTable, PXNTable and UXNTable of the level 2 descriptor restrict the page below it.
    u64 va = at_level(3), *table = pte(va, 2), plain = *table;
    set(va, 3, leaf(3, MAP_DATA_EL0));
    EQ(CATCH(el0_call(el0_load, va, 0)), 0);
    set(va, 2, plain | BIT(61));
    CATCH(el0_call(el0_load, va, 0));
    expect(DATA_EL0 | PERMISSION | 3, va, 8);
    EQ(CATCH(store(va + 8)), 0);
    set(va, 2, plain | BIT(62));
    CATCH(store(va));
    expect(DATA | WNR | PERMISSION | 3, va, 4);
    set(va, 3, leaf(3, MAP_RWX));
    set(va, 2, plain | BIT(59));
    CATCH(fetch(va));
    expect(FETCH | PERMISSION | 3, va, 4);
    *table = plain;
    tlb_flush_all();
}

static void address_size(void)
{
    // IPS 32 bits, output addresses of 36.
    u64 tcr = MRS(tcr_el1);
    MSR(tcr_el1, tcr & ~(7ull << 32));
    ISB();
    for (unsigned level = 1; level <= 3; level++) {
        u64 va = at_level(level);
        set(va, level, leaf(level, MAP_RWX) | BIT(35));
        all_fault(va, ADDRESS_SIZE | level);
    }
    // The next table's address is too large.
    u64 va = at_level(3), *table = pte(va, 2), plain = *table;
    set(va, 2, plain | BIT(33));
    all_fault(va, ADDRESS_SIZE | 2);
    *table = plain;
    MSR(tcr_el1, tcr);
    tlb_flush_all();
}

static void external(void)
{
    u64 va = at_level(3);
    set(va, 3, HOLE | MT_DEVICE | PTE_AF | PTE_PAGE);
    CATCH(load(va));
    expect(DATA | EXTERNAL, va, 4);
    CATCH(store(va));
    expect(DATA | WNR | EXTERNAL, va, 4);
    set(va, 3, HOLE | MAP_CODE | PTE_PAGE);
    CATCH(fetch(va));
    expect(FETCH | EXTERNAL, va, 4);
    CATCH(el0_call(el0_load, va, 0));
    expect(DATA_EL0 | EXTERNAL, va, 8);
    CATCH(el0_call(el0_fetch, va, 0));
    expect(FETCH_EL0 | EXTERNAL, va, 8);
}

static void external_on_walk(void)
{
    for (unsigned level = 2; level <= 3; level++) {
        u64 va = at_level(3), *above = pte(va, level - 1), plain = *above;
        set(va, level - 1, HOLE | PTE_TABLE);
        all_fault(va, WALK | level);
        *above = plain;
        tlb_flush_all();
    }
}

// ---- Precision: a fault leaves everything else as it was

static void writeback(void)
{
    u64 bad = at_level(3), n = 0;
    set(bad, 3, 0);
    catching = true;
    for (u64 i = 0; i < 4000; i++) {
        u64 base = bad, a = 0x1111, b = 0x2222;
        asm volatile("ldr %1, [%0], #8\n ldr %1, [%0, #8]!\n ldp %1, %2, [%0], #16\n stp %1, %2, [%0, #-16]!\n"
                     "str %1, [%0], #8\n ldrsw %1, [%0, #4]!"
                     : "+r"(base), "+r"(a), "+r"(b)::"memory");
        n += base == bad && a == 0x1111 && b == 0x2222;
    }
    catching = false;
    EQ(n, 4000);
}

static u64 fault_pc, fault_sum;

static bool note(struct frame *f)
{
    fault_pc = f->elr;
    fault_sum = f->x[2] + f->x[3] * 3 + f->x[4] * 5 + f->x[5] * 7 + (f->spsr >> 28);
    f->elr += 4;
    return true;
}

// Registers and flags at the faulting instruction, from a loop hot enough to be compiled.
static void in_hot_code(void)
{
    u64 bad = at_level(3), wrong = 0;
    static u64 cell;
    set(bad, 3, 0);
    trap_hooks[TRAP_SYNC] = note;
    for (u64 i = 0; i < 20000; i++) {
        // Good 31 times out of 32.
        u64 va = i % 32 == 31 ? bad + i % 64 : (u64)&cell, at, want;
        fault_pc = 0;
        asm volatile("mov x2, %2\n add x3, x2, #1\n mul x4, x2, x3\n subs x5, x2, #100\n adr %0, 1f\n"
                     "1: ldrb w6, [%3]\n mov x2, #0\n cmp x2, #1\n mov x5, x3"
                     : "=&r"(at), "=m"(cell) : "r"(i), "r"(va) : "x2", "x3", "x4", "x5", "x6", "cc", "memory");
        if (va == (u64)&cell) {
            wrong += fault_pc != 0;
            continue;
        }
        u64 flags = i == 100 ? 6 : i < 100 ? 8 : 2;
        want = i + (i + 1) * 3 + i * (i + 1) * 5 + (i - 100) * 7 + flags;
        wrong += fault_pc != at || fault_sum != want;
    }
    trap_hooks[TRAP_SYNC] = NULL;
    EQ(wrong, 0);
}

// ---- AT

static u64 translate(u64 va, unsigned how)
{
    switch (how) {
    case 0: asm volatile("at s1e1r, %0; isb" ::"r"(va) : "memory"); break;
    case 1: asm volatile("at s1e1w, %0; isb" ::"r"(va) : "memory"); break;
    case 2: asm volatile("at s1e0r, %0; isb" ::"r"(va) : "memory"); break;
    default: asm volatile("at s1e0w, %0; isb" ::"r"(va) : "memory"); break;
    }
    return MRS(par_el1);
}

static void at_instructions(void)
{
    u64 va = at_level(3) + 0x123, pa = 0xfffffffff000;
    set(va, 3, leaf(3, MAP_DATA | PTE_RO));
    EQ(translate(va, 0) & (pa | 1), (u64)page);
    EQ(translate(va, 0) >> 56, 0xff);
    EQ(translate(va, 1) & 0x7f, (PERMISSION | 3) << 1 | 1);
    EQ(translate(va, 2) & 0x7f, (PERMISSION | 3) << 1 | 1);
    set(va, 3, leaf(3, MAP_DATA_EL0));
    EQ(translate(va, 3) & (pa | 1), (u64)page);
    set(va, 3, 0);
    EQ(translate(va, 3) & 0x7f, (TRANSLATION | 3) << 1 | 1);
    set(va, 3, leaf(3, MAP_DATA & ~PTE_AF));
    EQ(translate(va, 0) & 0x7f, (ACCESS_FLAG | 3) << 1 | 1);
}

void abort_tests(void)
{
    page = page_alloc(1);
    TEST("translation faults", translation());
    TEST("access flag faults", access_flag());
    TEST("permission faults", permission());
    TEST("table permissions", hierarchical());
    TEST("address size faults", address_size());
    TEST("external aborts", external());
    TEST("external aborts on walks", external_on_walk());
    TEST("no writeback on a fault", writeback());
    TEST("faults in hot code", in_hot_code());
    TEST("AT", at_instructions());
}
