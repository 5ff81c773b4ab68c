//! Branches, exception generation and system instructions, without the branches (Arm ARM C4.1.66).
//!
//! The operations of `SYS`, `SYSL`, `MSR` and `MRS` stand by name in [`crate::sys`].

use super::rows;
use crate::a64::sem::{sysreg, system};

rows! {
    group System, fp false, mode;
    implemented {
        UDF [Base] "udf" "0000000000000000iiiiiiiiiiiiiiii" => system::udf;

        SVC [Base] "svc" "11010100000iiiiiiiiiiiiiiii00001" => system::svc;
        HVC [Base] "hvc" "11010100000iiiiiiiiiiiiiiii00010" => system::hvc;
        SMC [Base] "smc" "11010100000iiiiiiiiiiiiiiii00011" => system::smc;
        BRK [Base] "brk" "11010100001iiiiiiiiiiiiiiii00000" => system::brk;
        HLT [Base] "hlt" "11010100010iiiiiiiiiiiiiiii00000" => system::undefined_here;
        DCPS1 [Base] "dcps1" "11010100101iiiiiiiiiiiiiiii00001" => system::undefined_here;
        DCPS2 [Base] "dcps2" "11010100101iiiiiiiiiiiiiiii00010" => system::undefined_here;
        DCPS3 [Base] "dcps3" "11010100101iiiiiiiiiiiiiiii00011" => system::undefined_here;
        ERET [Base] "eret" "11010110100111110000001111100000" => system::eret;
        DRPS [Base] "drps" "11010110101111110000001111100000" => system::undefined_here;

        HINT [Base] "hint" "11010101000000110010mmmmooo11111" => system::nop;
        NOP [Base] "nop" "11010101000000110010000000011111" => system::nop;
        YIELD [Base] "yield" "11010101000000110010000000111111" => system::nop;
        WFE [Base] "wfe" "11010101000000110010000001011111" => system::wfe;
        WFI [Base] "wfi" "11010101000000110010000001111111" => system::wfi;
        SEV [Base] "sev" "11010101000000110010000010011111" => system::sev;
        SEVL [Base] "sevl" "11010101000000110010000010111111" => system::sev;
        DGH [Base] "dgh" "11010101000000110010000011011111" => system::nop;
        XPACLRI [Base] "xpaclri" "11010101000000110010000011111111" => system::nop;
        PACIA1716 [Base] "pacia1716" "11010101000000110010000100011111" => system::nop;
        PACIB1716 [Base] "pacib1716" "11010101000000110010000101011111" => system::nop;
        AUTIA1716 [Base] "autia1716" "11010101000000110010000110011111" => system::nop;
        AUTIB1716 [Base] "autib1716" "11010101000000110010000111011111" => system::nop;
        ESB [Base] "esb" "11010101000000110010001000011111" => system::nop;
        PSB_CSYNC [Base] "psb" "11010101000000110010001000111111" => system::nop;
        TSB_CSYNC [Base] "tsb" "11010101000000110010001001011111" => system::nop;
        CSDB [Base] "csdb" "11010101000000110010001010011111" => system::nop;
        PACIAZ [Base] "paciaz" "11010101000000110010001100011111" => system::nop;
        PACIASP [Base] "paciasp" "11010101000000110010001100111111" => system::nop;
        PACIBZ [Base] "pacibz" "11010101000000110010001101011111" => system::nop;
        PACIBSP [Base] "pacibsp" "11010101000000110010001101111111" => system::nop;
        AUTIAZ [Base] "autiaz" "11010101000000110010001110011111" => system::nop;
        AUTIASP [Base] "autiasp" "11010101000000110010001110111111" => system::nop;
        AUTIBZ [Base] "autibz" "11010101000000110010001111011111" => system::nop;
        AUTIBSP [Base] "autibsp" "11010101000000110010001111111111" => system::nop;
        BTI [Base] "bti" "110101010000001100100100oo011111" => system::nop;

        CLREX [Base] "clrex" "11010101000000110011mmmm01011111" => system::clrex;
        DSB [Base] "dsb" "11010101000000110011mmmm10011111" => system::barrier;
        DMB [Base] "dmb" "11010101000000110011mmmm10111111" => system::barrier;
        ISB [Base] "isb" "11010101000000110011mmmm11011111" => system::isb;
        SB [Sb] "sb" "11010101000000110011000011111111" => system::barrier;

        MSR_SPSel [Base] "msr" "11010101000000000100mmmm10111111" => system::msr_imm;
        MSR_PAN [Pan] "msr" "11010101000000000100mmmm10011111" => system::msr_imm;
        MSR_SSBS [Ssbs] "msr" "11010101000000110100mmmm00111111" => system::msr_imm;
        MSR_DAIFSet [Base] "msr" "11010101000000110100mmmm11011111" => system::daif_set;
        MSR_DAIFClr [Base] "msr" "11010101000000110100mmmm11111111" => system::daif_clr;

        SYS [Base] "sys" "1101010100001oooCCCCmmmmpppttttt" => sysreg::sys;
        SYSL [Base] "sysl" "1101010100101oooCCCCmmmmpppttttt" => sysreg::sysl;
        MSR_reg [Base] "msr" "110101010001xoooCCCCmmmmpppttttt" => sysreg::msr;
        MRS [Base] "mrs" "110101010011xoooCCCCmmmmpppttttt" => sysreg::mrs;
    }
    unimplemented {
        MSR_UAO [Uao] "msr" "11010101000000000100mmmm01111111";
        MSR_DIT [Dit] "msr" "11010101000000110100mmmm01011111";
        MSR_TCO [Mte] "msr" "11010101000000110100mmmm10011111";
        ERETAA [Pauth] "eretaa" "11010110100111110000101111111111";
        ERETAB [Pauth] "eretab" "11010110100111110000111111111111";
    }
}
