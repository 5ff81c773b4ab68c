//! Data processing, immediate (Arm ARM C4.1.86).

use super::rows;
use crate::a64::sem::dp_imm;

rows! {
    group DpImm, fp false;
    implemented {
        ADD_imm [Base] "add" "z0010001ssiiiiiiiiiiiinnnnnddddd" => dp_imm::add_sub_imm;
        ADDS_imm [Base] "adds" "z0110001ssiiiiiiiiiiiinnnnnddddd" => dp_imm::add_sub_imm;
        SUB_imm [Base] "sub" "z1010001ssiiiiiiiiiiiinnnnnddddd" => dp_imm::add_sub_imm;
        SUBS_imm [Base] "subs" "z1110001ssiiiiiiiiiiiinnnnnddddd" => dp_imm::add_sub_imm;
        ADR [Base] "adr" "0ii10000iiiiiiiiiiiiiiiiiiiddddd" => dp_imm::adr;
        ADRP [Base] "adrp" "1ii10000iiiiiiiiiiiiiiiiiiiddddd" => dp_imm::adr;
    }
    unimplemented {
    }
}
