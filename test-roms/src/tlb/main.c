// Translation: maintenance, permissions, ASIDs, both table registers.

#include "tlb.h"

u64 read_mmu_off(u64 pa);

u64 marked_page(u64 mark)
{
    u64 p = (u64)page_alloc(1);
    write64(p, mark);
    return p;
}

// ---- Every form of TLBI

static u64 asid;

#define FORM(name) static void name(u64 arg) { asm volatile("tlbi " #name ", %0" ::"r"(arg) : "memory"); }
#define FORM_ALL(name) static void name(u64 arg) { (void)arg; asm volatile("tlbi " #name ::: "memory"); }
FORM(vae1) FORM(vale1) FORM(vaae1) FORM(vaale1) FORM(aside1)
FORM(vae1is) FORM(vale1is) FORM(vaae1is) FORM(vaale1is) FORM(aside1is)
FORM_ALL(vmalle1) FORM_ALL(vmalle1is)

static void each_form(u64 va, unsigned level, u64 one, u64 two, u64 attributes, void (*tlbi)(u64))
{
    u64 *entry = pte(va, level), wrong = 0;
    for (unsigned i = 0; i < 200; i++) {
        set_pte(entry, one | attributes);
        wrong += read64(va) != 1;
        set_pte(entry, 0);
        tlbi(asid << 48 | (va >> 12 & 0xfffffffffff));
        asm volatile("dsb ish; isb" ::: "memory");
        wrong += CATCH(read64(va)) != 1 || FSC(caught.esr) != (0x04 | level);
        // What faulted is in no TLB.
        set_pte(entry, two | attributes);
        wrong += read64(va) != 2;
        set_pte(entry, 0);
        tlbi(asid << 48 | (va >> 12 & 0xfffffffffff));
        asm volatile("dsb ish; isb" ::: "memory");
    }
    EQ(wrong, 0);
}

static void every_form(u64 va, unsigned level, u64 one, u64 two, u64 attributes)
{
    static void (*const forms[])(u64) = { vae1, vale1, vaae1, vaale1, aside1, vmalle1,
                                          vae1is, vale1is, vaae1is, vaale1is, aside1is, vmalle1is };
    for (unsigned i = 0; i < ARRAY_LEN(forms); i++) {
        // By ASID only what is not global.
        bool by_asid = forms[i] == aside1 || forms[i] == aside1is;
        each_form(va, level, one, two, attributes | (by_asid ? PTE_NG : 0), forms[i]);
        if (!by_asid)
            each_form(va, level, one, two, attributes | PTE_NG, forms[i]);
    }
}

static void tlbi_pages(void)
{
    every_form(TEST_VA + 0x1000, 3, marked_page(1), marked_page(2), MAP_DATA | PTE_PAGE);
}

static void tlbi_blocks(void)
{
    // 2 MiB each of RAM that nothing else uses.
    u64 one = board.memory_base + 0x1000000, two = one + 0x200000;
    write64(one, 1);
    write64(two, 2);
    every_form(TEST_VA + 0x40000000, 2, one, two, MAP_DATA | PTE_BLOCK);
}

// A whole table goes and comes with its level 2 entry.
static void tlbi_tables(void)
{
    u64 va = TEST_VA + 0x80000000, wrong = 0;
    u64 *leaf = pte(va, 3), *above = pte(va, 2), table = *above;
    set_pte(leaf, marked_page(5) | MAP_DATA | PTE_PAGE);
    u64 *other = page_alloc(1);
    other[0] = marked_page(6) | MAP_DATA | PTE_PAGE;
    for (unsigned i = 0; i < 500; i++) {
        wrong += read64(va) != 5;
        set_pte(above, 0);
        tlbi_va(va);
        wrong += CATCH(read64(va)) != 1 || FSC(caught.esr) != 0x06;
        set_pte(above, (u64)other | PTE_TABLE);
        wrong += read64(va) != 6;
        set_pte(above, 0);
        tlbi_va(va);
        set_pte(above, table);
    }
    EQ(wrong, 0);
}

// The tables are changed through another address than the one they were made by.
static void tables_by_alias(void)
{
    u64 va = TEST_VA + 0x3000, window = TEST_VA + 0x4000, wrong = 0;
    u64 *leaf = pte(va, 3), one = marked_page(11), two = marked_page(12);
    set_pte(pte(window, 3), ((u64)leaf & ~0xfffull) | MAP_DATA | PTE_PAGE);
    u64 *alias = (u64 *)(window | ((u64)leaf & 0xfff));
    for (unsigned i = 0; i < 3000; i++) {
        set_pte(alias, (i & 1 ? one : two) | MAP_DATA | PTE_PAGE);
        wrong += read64(va) != (i & 1 ? 11 : 12);
        set_pte(alias, 0);
        tlbi_va(va);
    }
    EQ(wrong, 0);
}

static void two_addresses_one_page(void)
{
    u64 a = TEST_VA + 0x5000, b = TEST_VA + 0x105000, page = marked_page(0), wrong = 0;
    set_pte(pte(a, 3), page | MAP_DATA | PTE_PAGE);
    set_pte(pte(b, 3), page | MAP_DATA | PTE_PAGE);
    for (u64 i = 0; i < 5000; i++) {
        write64(a + i % 512 * 8, i);
        wrong += read64(b + i % 512 * 8) != i || read64(page + i % 512 * 8) != i;
    }
    EQ(wrong, 0);
}

// More pages than any TLB has entries, in an order that meets conflicts.
static void many_pages(void)
{
    u64 va = TEST_VA + 0xc0000000, wrong = 0, x = 1;
    u64 pages = (u64)page_alloc(64);
    for (u64 i = 0; i < 64; i++)
        write64(pages + i * 4096, i);
    for (u64 i = 0; i < 4096; i++)
        *pte(va + i * 4096, 3) = (pages + i % 64 * 4096) | MAP_DATA | PTE_PAGE;
    tlb_flush_all();
    for (u64 i = 0; i < 40000; i++) {
        x = x * 6364136223846793005 + 1442695040888963407;
        u64 n = x >> 52;
        wrong += read64(va + n * 4096) != n % 64;
    }
    EQ(wrong, 0);
}

static void contiguous(void)
{
    // 16 pages of one 64 KiB piece, as the hint demands.
    u64 va = TEST_VA + 0x200000, piece = (u64)page_alloc(48), wrong = 0;
    u64 one = (piece + 0xffff) & ~0xffffull, two = one + 0x10000;
    for (u64 i = 0; i < 16; i++) {
        write64(one + i * 4096, i);
        write64(two + i * 4096, 100 + i);
    }
    for (unsigned round = 0; round < 100; round++) {
        u64 base = round & 1 ? two : one, plus = round & 1 ? 100 : 0;
        for (u64 i = 0; i < 16; i++)
            *pte(va + i * 4096, 3) = (base + i * 4096) | MAP_DATA | PTE_CONT | PTE_PAGE;
        DSB();
        for (u64 i = 0; i < 16; i++)
            wrong += read64(va + i * 4096) != plus + i;
        for (u64 i = 0; i < 16; i++)
            *pte(va + i * 4096, 3) = 0;
        for (u64 i = 0; i < 16; i++)
            tlbi_va(va + i * 4096);
        for (u64 i = 0; i < 16; i++)
            wrong += CATCH(read64(va + i * 4096)) != 1;
    }
    EQ(wrong, 0);
}

// ---- Permissions that change

static u64 *fixup_entry, fixup_desc, fixup_va, fixups;

// As a kernel would: mend the descriptor, drop the old translation, try again.
static bool fixup(struct frame *f)
{
    if (EC(f->esr) != EC_DABT && EC(f->esr) != EC_IABT && EC(f->esr) != EC_DABT_LOWER)
        return false;
    fixups++;
    set_pte(fixup_entry, fixup_desc);
    tlbi_va(fixup_va);
    return true;
}

static void begin_fixup(u64 va, u64 desc)
{
    fixup_entry = pte(va, 3);
    fixup_va = va;
    fixup_desc = desc;
    fixups = 0;
    trap_hooks[TRAP_SYNC] = fixup;
}

static void write_protection(void)
{
    u64 va = TEST_VA + 0x7000, page = marked_page(0), wrong = 0;
    begin_fixup(va, page | MAP_DATA | PTE_PAGE);
    set_pte(fixup_entry, page | MAP_DATA | PTE_PAGE);
    for (u64 i = 0; i < 3000; i++) {
        write64(va, i);
        set_pte(fixup_entry, page | MAP_DATA | PTE_RO | PTE_PAGE);
        tlbi_va(va);
        wrong += read64(va) != i || fixups != i;
        write64(va + 8, i);
        wrong += fixups != i + 1 || read64(va + 8) != i;
    }
    trap_hooks[TRAP_SYNC] = NULL;
    EQ(wrong, 0);
}

static void copy_on_write(void)
{
    u64 va = TEST_VA + 0x8000, wrong = 0;
    u64 shared = marked_page(42), own = marked_page(0);
    begin_fixup(va, own | MAP_DATA | PTE_PAGE);
    for (u64 i = 0; i < 2000; i++) {
        set_pte(fixup_entry, shared | MAP_DATA | PTE_RO | PTE_PAGE);
        tlbi_va(va);
        wrong += read64(va) != 42;
        write64(va, i);
        wrong += read64(va) != i || read64(shared) != 42 || read64(own) != i;
    }
    trap_hooks[TRAP_SYNC] = NULL;
    EQ(wrong, 0);
    EQ(fixups, 2000);
}

static void access_flag(void)
{
    u64 va = TEST_VA + 0x9000, page = marked_page(3), wrong = 0;
    begin_fixup(va, page | MAP_DATA | PTE_PAGE);
    for (u64 i = 0; i < 2000; i++) {
        set_pte(fixup_entry, (page | MAP_DATA | PTE_PAGE) & ~PTE_AF);
        tlbi_va(va);
        wrong += read64(va) != 3;
    }
    trap_hooks[TRAP_SYNC] = NULL;
    EQ(wrong, 0);
    EQ(fixups, 2000);
}

static u64 el0_sum(u64 va, u64 n)
{
    u64 sum = 0;
    while (n--)
        sum += read64(va);
    return sum;
}

static void user_access(void)
{
    u64 va = TEST_VA + 0xa000, page = marked_page(1), wrong = 0;
    begin_fixup(va, page | MAP_DATA_EL0 | PTE_PAGE);
    for (u64 i = 0; i < 500; i++) {
        set_pte(fixup_entry, page | MAP_DATA | PTE_PAGE);
        tlbi_va(va);
        // EL1's translation is no leave for EL0.
        wrong += read64(va) != 1;
        wrong += el0_call(el0_sum, va, 40) != 40;
    }
    trap_hooks[TRAP_SYNC] = NULL;
    EQ(wrong, 0);
    EQ(fixups, 500);
}

static void unprivileged(void)
{
    u64 kernel = TEST_VA + 0xb000, user = TEST_VA + 0xc000, v = 0;
    set_pte(pte(kernel, 3), marked_page(8) | MAP_DATA | PTE_PAGE);
    set_pte(pte(user, 3), marked_page(9) | MAP_DATA_EL0 | PTE_PAGE);
    for (unsigned i = 0; i < 2000; i++) {
        // LDTR and STTR have EL0's rights, from code that has just used EL1's.
        EQ(read64(kernel), 8);
        EQ(CATCH(asm volatile("ldtr %0, [%1]" : "=r"(v) : "r"(user) : "memory")), 0);
        EQ(v, 9);
        EQ(CATCH(asm volatile("ldtr %0, [%1]\n sttrb wzr, [%1, #1]\n" : "=r"(v) : "r"(kernel) : "memory")), 2);
        EQ(caught.esr, 0x9600004f);
        EQ(caught.far, kernel + 1);
    }
}

#define SET_PAN(v) asm volatile(".inst 0xd500409f | " #v " << 8" ::: "memory")

static void privileged_access_never(void)
{
    if (FIELD(MRS(id_aa64mmfr1_el1), 20) == 0) {
        test_skip("no FEAT_PAN");
        return;
    }
    u64 user = TEST_VA + 0xc000, kernel = TEST_VA + 0xb000, v = 0, n = 0;
    for (unsigned i = 0; i < 2500; i++) {
        SET_PAN(1);
        n += CATCH(read64(user)) == 1 && caught.esr == 0x9600000f && caught.spsr & BIT(22);
        n += CATCH(write64(user + 8, 1)) == 1 && caught.esr == 0x9600004f;
        n += CATCH(asm volatile("ldtr %0, [%1]" : "=r"(v) : "r"(user) : "memory")) == 0 && v == 9;
        n += read64(kernel) == 8;
        SET_PAN(0);
        n += CATCH(read64(user)) == 0;
    }
    EQ(n, 5 * 2500);
    // SCTLR_EL1.SPAN clear: taking an exception sets PAN; the return restores what was.
    u64 sctlr = MRS(sctlr_el1);
    MSR(sctlr_el1, sctlr & ~BIT(23));
    ISB();
    CATCH(asm volatile("svc #0" ::: "memory"));
    EQ(MRS(S3_0_C4_C2_3), 0);
    EQ(caught.spsr & BIT(22), 0);
    MSR(sctlr_el1, sctlr | BIT(23));
    ISB();
}

// ---- Address spaces

static u64 root(void)
{
    return MRS(ttbr0_el1) & 0xfffffffffffe;
}

// A second root with all of the first but the tests' GiBs.
static u64 second_root(void)
{
    u64 *copy = page_alloc(1);
    memcpy(copy, (void *)root(), 4096);
    memset(copy + TEST_VA / BIT(30), 0, 4096 - 8 * (TEST_VA / BIT(30)));
    return (u64)copy;
}

static void use(u64 table, u64 id)
{
    MSR(ttbr0_el1, table | id << 48);
    ISB();
}

static void address_spaces(void)
{
    u64 first = root(), second = second_root(), va = TEST_VA + 0x10000, shared = va + 0x1000, wrong = 0;
    u64 one = marked_page(1), two = marked_page(2), three = marked_page(3), everybody = marked_page(7);
    use(second, 2);
    u64 *entry2 = pte(va, 3);
    *entry2 = two | MAP_DATA | PTE_NG | PTE_PAGE;
    *pte(shared, 3) = everybody | MAP_DATA | PTE_PAGE;
    use(first, 1);
    u64 *entry1 = pte(va, 3);
    *entry1 = one | MAP_DATA | PTE_NG | PTE_PAGE;
    *pte(shared, 3) = everybody | MAP_DATA | PTE_PAGE;
    DSB();
    for (unsigned i = 0; i < 3000; i++) {
        use(first, 1);
        wrong += read64(va) != 1 || read64(shared) != 7;
        use(second, 2);
        wrong += read64(va) != 2 || read64(shared) != 7;
        // And written: the right page gets it.
        write64(va + 8, i);
        wrong += read64(two + 8) != i || read64(one + 8) != 0;
    }
    EQ(wrong, 0);
    // Maintenance of the address space that is not in use.
    for (unsigned i = 0; i < 1000; i++) {
        use(first, 1);
        wrong += read64(va) != (i & 1 ? 3 : 1);
        use(second, 2);
        wrong += read64(va) != 2;
        set_pte(entry1, 0);
        asm volatile("tlbi aside1is, %0; dsb ish; isb" ::"r"(1ull << 48) : "memory");
        set_pte(entry1, (i & 1 ? one : three) | MAP_DATA | PTE_NG | PTE_PAGE);
    }
    EQ(wrong, 0);
    use(first, 1);
    set_pte(entry1, one | MAP_DATA | PTE_NG | PTE_PAGE);
    asm volatile("tlbi vae1is, %0; dsb ish; isb" ::"r"(1ull << 48 | va >> 12) : "memory");
    // 16 bits of ASID with TCR_EL1.AS.
    if (FIELD(MRS(id_aa64mmfr0_el1), 4) == 2) {
        MSR(tcr_el1, MRS(tcr_el1) | BIT(36));
        tlb_flush_all();
        for (unsigned i = 0; i < 1000; i++) {
            use(first, 0x101);
            wrong += read64(va) != 1;
            use(second, 0x201);
            wrong += read64(va) != 2;
        }
        use(first, 0);
        MSR(tcr_el1, MRS(tcr_el1) & ~BIT(36));
        tlb_flush_all();
        EQ(wrong, 0);
    }
    // The ASID of TTBR1_EL1 with TCR_EL1.A1.
    MSR(tcr_el1, MRS(tcr_el1) | BIT(22));
    ISB();
    for (unsigned i = 0; i < 1000; i++) {
        MSR(ttbr1_el1, 3ull << 48);
        use(first, 9);
        wrong += read64(va) != 1;
        // The old translation has ASID 3: not this one's.
        MSR(ttbr1_el1, 4ull << 48);
        use(second, 9);
        wrong += read64(va) != 2;
    }
    MSR(tcr_el1, MRS(tcr_el1) & ~BIT(22));
    MSR(ttbr1_el1, 0);
    use(first, 0);
    tlb_flush_all();
    EQ(wrong, 0);
}

static void upper_half(void)
{
    u64 base = 0xffffff8000000000, *l1 = page_alloc(1), *l2 = page_alloc(1), *l3 = page_alloc(1), wrong = 0;
    u64 page = marked_page(0xbeef), tcr = MRS(tcr_el1);
    l1[3] = (u64)l2 | PTE_TABLE;
    l2[5] = (u64)l3 | PTE_TABLE;
    l3[7] = page | MAP_DATA | PTE_PAGE;
    l3[8] = page | MAP_CODE | PTE_NG | PTE_PAGE;
    DSB();
    u64 va = base + (3ull << 30) + (5ull << 21) + (7ull << 12);
    MSR(ttbr1_el1, l1);
    // T1SZ 25, like TTBR0's attributes, TG1 4 KiB; EPD1 clear.
    MSR(tcr_el1, (tcr & ~BIT(23)) | 25 << 16 | 1 << 24 | 1 << 26 | 3 << 28 | 2ull << 30);
    tlb_flush_all();
    for (u64 i = 0; i < 3000; i++) {
        wrong += read64(va) != 0xbeef;
        write64(va + 16, i);
        wrong += read64(page + 16) != i;
    }
    EQ(wrong, 0);
    EQ(CATCH(write64(va + 0x1000, 0)), 1);
    EQ(caught.esr, 0x9600004f);
    EQ(caught.far, va + 0x1000);
    EQ(CATCH(read64(va + 0x2000)), 1);
    EQ(caught.esr, 0x96000007);
    // The gap between the halves.
    EQ(CATCH(read64(base - 0x1000)), 1);
    EQ(caught.esr, 0x96000004);
    EQ(CATCH(el0_call(el0_sum, va, 1)), 1);
    EQ(caught.esr, 0x9200000f);
    EQ(el0_call(el0_sum, va + 0x1000, 3), 3 * 0xbeef);
    MSR(tcr_el1, tcr);
    MSR(ttbr1_el1, 0);
    tlb_flush_all();
    EQ(CATCH(read64(va)), 1);
    EQ(caught.esr, 0x96000004);
}

static void top_byte_ignored(void)
{
    u64 va = TEST_VA + 0x14000, tcr = MRS(tcr_el1), tagged = va | 0x5aull << 56;
    set_pte(pte(va, 3), marked_page(0x77) | MAP_DATA | PTE_PAGE);
    EQ(CATCH(read64(tagged)), 1);
    MSR(tcr_el1, tcr | BIT(37));
    tlb_flush_all();
    for (unsigned i = 0; i < 2500; i++) {
        EQ(read64(tagged), 0x77);
        EQ(read64(va), 0x77);
        EQ(read64(va | (u64)(i & 0x7f) << 56), 0x77);
    }
    // FAR keeps the tag.
    EQ(CATCH(read64(tagged + 0x1000)), 1);
    EQ(caught.far, tagged + 0x1000);
    MSR(tcr_el1, tcr);
    tlb_flush_all();
    EQ(CATCH(read64(tagged)), 1);
}

static void mmu_off_and_on(void)
{
    // An address whose page is another with the MMU on.
    u64 a = marked_page(0xa), b = marked_page(0xb), *entry = pte(a, 3), plain = *entry, wrong = 0;
    set_pte(entry, b | MAP_DATA | PTE_PAGE);
    tlbi_va(a);
    for (unsigned i = 0; i < 1000; i++) {
        wrong += read64(a) != 0xb;
        wrong += read_mmu_off(a) != 0xa;
    }
    set_pte(entry, 0);
    tlbi_va(a);
    set_pte(entry, plain);
    EQ(wrong, 0);
    EQ(read64(a), 0xa);
}

void rom_main(void)
{
    mmu_on();
    TEST("TLBI, pages", tlbi_pages());
    TEST("TLBI, blocks", tlbi_blocks());
    TEST("TLBI, tables", tlbi_tables());
    TEST("tables by an alias", tables_by_alias());
    TEST("two addresses, one page", two_addresses_one_page());
    TEST("many pages", many_pages());
    TEST("contiguous hint", contiguous());
    TEST("write protection", write_protection());
    TEST("copy on write", copy_on_write());
    TEST("access flag", access_flag());
    TEST("user access", user_access());
    TEST("LDTR and STTR", unprivileged());
    TEST("PAN", privileged_access_never());
    TEST("ASIDs", address_spaces());
    TEST("TTBR1", upper_half());
    TEST("top byte ignored", top_byte_ignored());
    TEST("MMU off and on", mmu_off_and_on());
    code_tests();
    format_tests();
    tests_finish();
}
