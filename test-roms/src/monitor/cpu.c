// What the CPU is and what its registers hold.

#include "monitor.h"

const char *cpu_name(void)
{
    static const struct {
        u8 implementer;
        u16 part;
        const char *name;
    } parts[] = {
        { 0x00, 0x4c6, "Lyrebird max" }, { 0x00, 0x051, "QEMU max" },   { 0x41, 0xd03, "Cortex-A53" },
        { 0x41, 0xd07, "Cortex-A57" },   { 0x41, 0xd08, "Cortex-A72" }, { 0x41, 0xd0b, "Cortex-A76" },
        { 0x41, 0xd0c, "Neoverse N1" },
    };
    u64 midr = MRS(midr_el1);
    for (unsigned i = 0; i < ARRAY_LEN(parts); i++)
        if (midr >> 24 == parts[i].implementer && (midr >> 4 & 0xfff) == parts[i].part)
            return parts[i].name;
    return "AArch64 CPU";
}

void cmd_info(void)
{
    u64 hz = MRS(cntfrq_el0), psci = psci_call(PSCI_VERSION, 0, 0, 0);
    printf("board    %s\n", board.model);
    printf("memory   %lu MiB at %lx\n", board.memory_size >> 20, board.memory_base);
    printf("image    %p to %p, stack below %p\n", __image_start, __image_end, __stack_top);
    if (board.dtb)
        printf("tree     at %lx\n", board.dtb);
    else
        printf("tree     none, built-in defaults\n");
    printf("CPU      %s, %u present, MPIDR %lx\n", cpu_name(), board.cpus, MRS(mpidr_el1));
    printf("GIC      v%u, distributor %lx, %s %lx\n", board.gic, board.gicd,
           board.gic == 3 ? "redistributor" : "CPU interface", board.gic == 3 ? board.gicr : board.gicc);
    printf("timer    %lu.%03lu MHz, interrupt at %u Hz\n", hz / 1000000, hz / 1000 % 1000, TICK_HZ);
    printf("PSCI     %lu.%lu\n", psci >> 16 & 0x7fff, psci & 0xffff);
}

struct feature {
    u8 low, min;
    const char *name;
};

static void features(u64 value, const struct feature *f, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (FIELD(value, f[i].low) >= f[i].min && FIELD(value, f[i].low) != 15)
            printf(" %s", f[i].name);
}

void cmd_el(void)
{
    u64 sp, daif = MRS(daif);
    asm volatile("mov %0, sp" : "=r"(sp));
    printf("EL%lu, SP_EL%lu %016lx, MMU %s\n", MRS(currentel) >> 2 & 3, MRS(spsel) & 1, sp,
           MRS(sctlr_el1) & SCTLR_M ? "on" : "off");
    printf("DAIF  %c%c%c%c\n", daif & BIT(9) ? 'D' : '-', daif & BIT(8) ? 'A' : '-', daif & BIT(7) ? 'I' : '-',
           daif & BIT(6) ? 'F' : '-');

    u64 midr = MRS(midr_el1), ctr = MRS(ctr_el0);
    printf("MIDR  %016lx  implementer %02lx, part %03lx, r%lup%lu\n", midr, midr >> 24 & 0xff, midr >> 4 & 0xfff,
           midr >> 20 & 15, midr & 15);
    printf("CTR   %016lx  lines I %u, D %u bytes%s%s\n", ctr, 4u << FIELD(ctr, 0), 4u << FIELD(ctr, 16),
           ctr & BIT(28) ? ", IDC" : "", ctr & BIT(29) ? ", DIC" : "");

    u64 pfr0 = MRS(id_aa64pfr0_el1);
    printf("PFR0  %016lx ", pfr0);
    for (unsigned el = 0; el < 4; el++)
        if (FIELD(pfr0, 4 * el))
            printf(" EL%u%s", el, FIELD(pfr0, 4 * el) == 2 ? "+AArch32" : "");
    if (FIELD(pfr0, 16) != 15)
        printf(" FP%s", FIELD(pfr0, 16) ? "16" : "");
    if (FIELD(pfr0, 20) != 15)
        printf(" ASIMD");
    static const struct feature pfr0_features[] = { { 24, 1, "GICv3-sysregs" }, { 28, 1, "RAS" }, { 32, 1, "SVE" } };
    features(pfr0, pfr0_features, ARRAY_LEN(pfr0_features));

    u64 isar0 = MRS(id_aa64isar0_el1), isar1 = MRS(id_aa64isar1_el1);
    static const struct feature isar0_features[] = {
        { 4, 1, "AES" },   { 4, 2, "PMULL" },  { 8, 1, "SHA1" },  { 12, 1, "SHA256" }, { 12, 2, "SHA512" },
        { 16, 1, "CRC32" }, { 20, 2, "LSE" },  { 28, 1, "RDM" },  { 32, 1, "SHA3" },   { 36, 1, "SM3" },
        { 40, 1, "SM4" },  { 44, 1, "DotProd" }, { 48, 1, "FHM" }, { 52, 1, "FlagM" }, { 60, 1, "RNG" },
    };
    static const struct feature isar1_features[] = {
        { 0, 1, "DPB" },  { 4, 1, "PAuth" },  { 12, 1, "JSCVT" }, { 16, 1, "FCMA" }, { 20, 1, "LRCPC" },
        { 32, 1, "FRINTTS" }, { 36, 1, "SB" }, { 44, 1, "BF16" }, { 52, 1, "I8MM" },
    };
    printf("\nISAR0 %016lx ", isar0);
    features(isar0, isar0_features, ARRAY_LEN(isar0_features));
    printf("\nISAR1 %016lx ", isar1);
    features(isar1, isar1_features, ARRAY_LEN(isar1_features));

    u64 mmfr0 = MRS(id_aa64mmfr0_el1), mmfr1 = MRS(id_aa64mmfr1_el1);
    static const u8 pa[] = { 32, 36, 40, 42, 44, 48, 52 };
    printf("\nMMFR0 %016lx  %u-bit physical addresses, %s-bit ASIDs, granules", mmfr0,
           FIELD(mmfr0, 0) < ARRAY_LEN(pa) ? pa[FIELD(mmfr0, 0)] : 0, FIELD(mmfr0, 4) ? "16" : "8");
    printf("%s%s%s", FIELD(mmfr0, 28) != 15 ? " 4K" : "", FIELD(mmfr0, 20) ? " 16K" : "",
           FIELD(mmfr0, 24) != 15 ? " 64K" : "");
    static const struct feature mmfr1_features[] = {
        { 0, 1, "HAFDBS" }, { 4, 2, "VMID16" }, { 8, 1, "VHE" }, { 12, 1, "HPDS" }, { 16, 1, "LOR" }, { 20, 1, "PAN" },
        { 28, 1, "XNX" },
    };
    printf("\nMMFR1 %016lx ", mmfr1);
    features(mmfr1, mmfr1_features, ARRAY_LEN(mmfr1_features));
    printf("\n");
}

static bool print_frame(struct frame *f)
{
    if (EC(f->esr) != EC_BRK || (f->esr & 0xffff) != 0x4d)
        return false;
    for (unsigned i = 0; i < 31; i++)
        printf("x%-3u %016lx%s", i, f->x[i], i % 3 == 2 || i == 30 ? "\n" : "  ");
    printf("sp   %016lx  pc   %016lx  pstate %08lx\n", (u64)f + FRAME_SIZE, f->elr, f->spsr);
    f->elr += 4;
    return true;
}

void cmd_regs(void)
{
    trap_hooks[TRAP_SYNC] = print_frame;
    asm volatile("brk #0x4d" ::: "memory");
    trap_hooks[TRAP_SYNC] = NULL;
}

void cmd_sysregs(void)
{
#define ROW(name) { #name, MRS(name) }
    const struct {
        const char *name;
        u64 value;
    } rows[] = {
        ROW(SCTLR_EL1),    ROW(ACTLR_EL1),     ROW(CPACR_EL1),    ROW(TCR_EL1),       ROW(TTBR0_EL1),
        ROW(TTBR1_EL1),    ROW(MAIR_EL1),      ROW(AMAIR_EL1),    ROW(CONTEXTIDR_EL1), ROW(VBAR_EL1),
        ROW(ESR_EL1),      ROW(FAR_EL1),       ROW(ELR_EL1),      ROW(SPSR_EL1),      ROW(SP_EL0),
        ROW(PAR_EL1),      ROW(ISR_EL1),       ROW(TPIDR_EL0),    ROW(TPIDRRO_EL0),   ROW(TPIDR_EL1),
        ROW(FPCR),         ROW(FPSR),          ROW(CNTFRQ_EL0),   ROW(CNTPCT_EL0),    ROW(CNTVCT_EL0),
        ROW(CNTKCTL_EL1),  ROW(CNTP_CTL_EL0),  ROW(CNTP_CVAL_EL0), ROW(CNTV_CTL_EL0), ROW(CNTV_CVAL_EL0),
        ROW(MDSCR_EL1),    ROW(CLIDR_EL1),     ROW(DCZID_EL0),    ROW(REVIDR_EL1),
    };
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++)
        printf("%-15s %016lx%s", rows[i].name, rows[i].value, i % 2 || i + 1 == ARRAY_LEN(rows) ? "\n" : "   ");
}
