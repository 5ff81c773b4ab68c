    .text
    .global switch_tables
    // x0 = TCR_EL1, x1 = TTBR0_EL1. No memory access while the MMU is off.
switch_tables:
    mrs     x2, sctlr_el1
    bic     x3, x2, #1
    dsb     sy
    msr     sctlr_el1, x3
    isb
    msr     tcr_el1, x0
    msr     ttbr0_el1, x1
    isb
    tlbi    vmalle1
    dsb     ish
    isb
    msr     sctlr_el1, x2
    isb
    ret

    // x0 = address. The word there with the MMU off.
    .global read_mmu_off
read_mmu_off:
    mrs     x2, sctlr_el1
    bic     x3, x2, #1
    dsb     sy
    msr     sctlr_el1, x3
    isb
    ldr     x0, [x0]
    dsb     sy
    msr     sctlr_el1, x2
    isb
    ret
