//! Data processing, immediate (Arm ARM C4.1.86).

use super::rows;
use crate::a64::sem::dp_imm;

rows! {
    group DpImm, fp false;
    implemented {
        ADR [Base] "adr" "0ii10000iiiiiiiiiiiiiiiiiiiddddd" => dp_imm::adr;
        ADRP [Base] "adrp" "1ii10000iiiiiiiiiiiiiiiiiiiddddd" => dp_imm::adr;

        ADD_imm [Base] "add" "z00100010siiiiiiiiiiiinnnnnddddd" => dp_imm::add_sub_imm;
        ADDS_imm [Base] "adds" "z01100010siiiiiiiiiiiinnnnnddddd" => dp_imm::add_sub_imm;
        SUB_imm [Base] "sub" "z10100010siiiiiiiiiiiinnnnnddddd" => dp_imm::add_sub_imm;
        SUBS_imm [Base] "subs" "z11100010siiiiiiiiiiiinnnnnddddd" => dp_imm::add_sub_imm;

        AND_imm [Base] "and" "z00100100Nrrrrrrssssssnnnnnddddd" => dp_imm::logical::and;
        ORR_imm [Base] "orr" "z01100100Nrrrrrrssssssnnnnnddddd" => dp_imm::logical::orr;
        EOR_imm [Base] "eor" "z10100100Nrrrrrrssssssnnnnnddddd" => dp_imm::logical::eor;
        ANDS_imm [Base] "ands" "z11100100Nrrrrrrssssssnnnnnddddd" => dp_imm::logical::ands;

        MOVN [Base] "movn" "z00100101hhiiiiiiiiiiiiiiiiddddd" => dp_imm::movn;
        MOVZ [Base] "movz" "z10100101hhiiiiiiiiiiiiiiiiddddd" => dp_imm::movz;
        MOVK [Base] "movk" "z11100101hhiiiiiiiiiiiiiiiiddddd" => dp_imm::movk;

        SBFM [Base] "sbfm" "z00100110Nrrrrrrssssssnnnnnddddd" => dp_imm::bitfield::sbfm;
        BFM [Base] "bfm" "z01100110Nrrrrrrssssssnnnnnddddd" => dp_imm::bitfield::bfm;
        UBFM [Base] "ubfm" "z10100110Nrrrrrrssssssnnnnnddddd" => dp_imm::bitfield::ubfm;

        EXTR [Base] "extr" "z00100111N0mmmmmssssssnnnnnddddd" => dp_imm::extr;
    }
    unimplemented {
        ADDG [Mte] "addg" "1001000110iiiiiioojjjjnnnnnddddd";
        SUBG [Mte] "subg" "1101000110iiiiiioojjjjnnnnnddddd";
    }
}
