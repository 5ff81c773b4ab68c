//! Loads and stores of general registers (Arm ARM C4.1.94), except the atomic and ordered ones.

use super::rows;
use crate::a64::sem::ldst::{pair, reg};

rows! {
    group Ldst, fp false;
    implemented {
        // Register, unsigned immediate: scaled by the size.
        STRB_imm [Base] "strb" "0011100100iiiiiiiiiiiinnnnnttttt" => reg::unsigned;
        LDRB_imm [Base] "ldrb" "0011100101iiiiiiiiiiiinnnnnttttt" => reg::unsigned;
        LDRSB_imm [Base] "ldrsb" "001110011wiiiiiiiiiiiinnnnnttttt" => reg::unsigned;
        STRH_imm [Base] "strh" "0111100100iiiiiiiiiiiinnnnnttttt" => reg::unsigned;
        LDRH_imm [Base] "ldrh" "0111100101iiiiiiiiiiiinnnnnttttt" => reg::unsigned;
        LDRSH_imm [Base] "ldrsh" "011110011wiiiiiiiiiiiinnnnnttttt" => reg::unsigned;
        STR_imm [Base] "str" "1z11100100iiiiiiiiiiiinnnnnttttt" => reg::unsigned;
        LDR_imm [Base] "ldr" "1z11100101iiiiiiiiiiiinnnnnttttt" => reg::unsigned;
        LDRSW_imm [Base] "ldrsw" "1011100110iiiiiiiiiiiinnnnnttttt" => reg::unsigned;
        PRFM_imm [Base] "prfm" "1111100110iiiiiiiiiiiinnnnnttttt" => reg::prefetch;
        // Register, unscaled immediate.
        STURB [Base] "sturb" "00111000000iiiiiiiii00nnnnnttttt" => reg::unscaled;
        LDURB [Base] "ldurb" "00111000010iiiiiiiii00nnnnnttttt" => reg::unscaled;
        LDURSB [Base] "ldursb" "001110001w0iiiiiiiii00nnnnnttttt" => reg::unscaled;
        STURH [Base] "sturh" "01111000000iiiiiiiii00nnnnnttttt" => reg::unscaled;
        LDURH [Base] "ldurh" "01111000010iiiiiiiii00nnnnnttttt" => reg::unscaled;
        LDURSH [Base] "ldursh" "011110001w0iiiiiiiii00nnnnnttttt" => reg::unscaled;
        STUR [Base] "stur" "1z111000000iiiiiiiii00nnnnnttttt" => reg::unscaled;
        LDUR [Base] "ldur" "1z111000010iiiiiiiii00nnnnnttttt" => reg::unscaled;
        LDURSW [Base] "ldursw" "10111000100iiiiiiiii00nnnnnttttt" => reg::unscaled;
        PRFUM [Base] "prfum" "11111000100iiiiiiiii00nnnnnttttt" => reg::prefetch;
        // Register, post-indexed.
        STRB_post [Base] "strb" "00111000000iiiiiiiii01nnnnnttttt" => reg::post;
        LDRB_post [Base] "ldrb" "00111000010iiiiiiiii01nnnnnttttt" => reg::post;
        LDRSB_post [Base] "ldrsb" "001110001w0iiiiiiiii01nnnnnttttt" => reg::post;
        STRH_post [Base] "strh" "01111000000iiiiiiiii01nnnnnttttt" => reg::post;
        LDRH_post [Base] "ldrh" "01111000010iiiiiiiii01nnnnnttttt" => reg::post;
        LDRSH_post [Base] "ldrsh" "011110001w0iiiiiiiii01nnnnnttttt" => reg::post;
        STR_post [Base] "str" "1z111000000iiiiiiiii01nnnnnttttt" => reg::post;
        LDR_post [Base] "ldr" "1z111000010iiiiiiiii01nnnnnttttt" => reg::post;
        LDRSW_post [Base] "ldrsw" "10111000100iiiiiiiii01nnnnnttttt" => reg::post;
        // Register, pre-indexed.
        STRB_pre [Base] "strb" "00111000000iiiiiiiii11nnnnnttttt" => reg::pre;
        LDRB_pre [Base] "ldrb" "00111000010iiiiiiiii11nnnnnttttt" => reg::pre;
        LDRSB_pre [Base] "ldrsb" "001110001w0iiiiiiiii11nnnnnttttt" => reg::pre;
        STRH_pre [Base] "strh" "01111000000iiiiiiiii11nnnnnttttt" => reg::pre;
        LDRH_pre [Base] "ldrh" "01111000010iiiiiiiii11nnnnnttttt" => reg::pre;
        LDRSH_pre [Base] "ldrsh" "011110001w0iiiiiiiii11nnnnnttttt" => reg::pre;
        STR_pre [Base] "str" "1z111000000iiiiiiiii11nnnnnttttt" => reg::pre;
        LDR_pre [Base] "ldr" "1z111000010iiiiiiiii11nnnnnttttt" => reg::pre;
        LDRSW_pre [Base] "ldrsw" "10111000100iiiiiiiii11nnnnnttttt" => reg::pre;
        // Register, unprivileged.
        STTRB [Base] "sttrb" "00111000000iiiiiiiii10nnnnnttttt" => reg::unprivileged;
        LDTRB [Base] "ldtrb" "00111000010iiiiiiiii10nnnnnttttt" => reg::unprivileged;
        LDTRSB [Base] "ldtrsb" "001110001w0iiiiiiiii10nnnnnttttt" => reg::unprivileged;
        STTRH [Base] "sttrh" "01111000000iiiiiiiii10nnnnnttttt" => reg::unprivileged;
        LDTRH [Base] "ldtrh" "01111000010iiiiiiiii10nnnnnttttt" => reg::unprivileged;
        LDTRSH [Base] "ldtrsh" "011110001w0iiiiiiiii10nnnnnttttt" => reg::unprivileged;
        STTR [Base] "sttr" "1z111000000iiiiiiiii10nnnnnttttt" => reg::unprivileged;
        LDTR [Base] "ldtr" "1z111000010iiiiiiiii10nnnnnttttt" => reg::unprivileged;
        LDTRSW [Base] "ldtrsw" "10111000100iiiiiiiii10nnnnnttttt" => reg::unprivileged;
        // Register, register offset.
        STRB_reg [Base] "strb" "00111000001mmmmmooos10nnnnnttttt" => reg::offset;
        LDRB_reg [Base] "ldrb" "00111000011mmmmmooos10nnnnnttttt" => reg::offset;
        LDRSB_reg [Base] "ldrsb" "001110001w1mmmmmooos10nnnnnttttt" => reg::offset;
        STRH_reg [Base] "strh" "01111000001mmmmmooos10nnnnnttttt" => reg::offset;
        LDRH_reg [Base] "ldrh" "01111000011mmmmmooos10nnnnnttttt" => reg::offset;
        LDRSH_reg [Base] "ldrsh" "011110001w1mmmmmooos10nnnnnttttt" => reg::offset;
        STR_reg [Base] "str" "1z111000001mmmmmooos10nnnnnttttt" => reg::offset;
        LDR_reg [Base] "ldr" "1z111000011mmmmmooos10nnnnnttttt" => reg::offset;
        LDRSW_reg [Base] "ldrsw" "10111000101mmmmmooos10nnnnnttttt" => reg::offset;
        PRFM_reg [Base] "prfm" "11111000101mmmmmooos10nnnnnttttt" => reg::prefetch_offset;
        // Literal.
        LDR_lit [Base] "ldr" "0z011000iiiiiiiiiiiiiiiiiiittttt" => reg::literal;
        LDRSW_lit [Base] "ldrsw" "10011000iiiiiiiiiiiiiiiiiiittttt" => reg::literal;
        PRFM_lit [Base] "prfm" "11011000iiiiiiiiiiiiiiiiiiittttt" => reg::prefetch;
        // Pairs.
        STP [Base] "stp" "z010100100iiiiiiiuuuuunnnnnttttt" => pair::offset;
        LDP [Base] "ldp" "z010100101iiiiiiiuuuuunnnnnttttt" => pair::offset;
        LDPSW [Base] "ldpsw" "0110100101iiiiiiiuuuuunnnnnttttt" => pair::offset;
        STP_post [Base] "stp" "z010100010iiiiiiiuuuuunnnnnttttt" => pair::post;
        LDP_post [Base] "ldp" "z010100011iiiiiiiuuuuunnnnnttttt" => pair::post;
        LDPSW_post [Base] "ldpsw" "0110100011iiiiiiiuuuuunnnnnttttt" => pair::post;
        STP_pre [Base] "stp" "z010100110iiiiiiiuuuuunnnnnttttt" => pair::pre;
        LDP_pre [Base] "ldp" "z010100111iiiiiiiuuuuunnnnnttttt" => pair::pre;
        LDPSW_pre [Base] "ldpsw" "0110100111iiiiiiiuuuuunnnnnttttt" => pair::pre;
        STNP [Base] "stnp" "z010100000iiiiiiiuuuuunnnnnttttt" => pair::offset;
        LDNP [Base] "ldnp" "z010100001iiiiiiiuuuuunnnnnttttt" => pair::offset;
    }
    unimplemented {
        LDRAA [Pauth] "ldraa" "111110000i1iiiiiiiiiw1nnnnnttttt";
        LDRAB [Pauth] "ldrab" "111110001i1iiiiiiiiiw1nnnnnttttt";
        STGP [Mte] "stgp" "0110100100iiiiiiiuuuuunnnnnttttt";
        STGP_post [Mte] "stgp" "0110100010iiiiiiiuuuuunnnnnttttt";
        STGP_pre [Mte] "stgp" "0110100110iiiiiiiuuuuunnnnnttttt";
        STG_post [Mte] "stg" "11011001001iiiiiiiii01nnnnnttttt";
        STG [Mte] "stg" "11011001001iiiiiiiii10nnnnnttttt";
        STG_pre [Mte] "stg" "11011001001iiiiiiiii11nnnnnttttt";
        STZG_post [Mte] "stzg" "11011001011iiiiiiiii01nnnnnttttt";
        STZG [Mte] "stzg" "11011001011iiiiiiiii10nnnnnttttt";
        STZG_pre [Mte] "stzg" "11011001011iiiiiiiii11nnnnnttttt";
        ST2G_post [Mte] "st2g" "11011001101iiiiiiiii01nnnnnttttt";
        ST2G [Mte] "st2g" "11011001101iiiiiiiii10nnnnnttttt";
        ST2G_pre [Mte] "st2g" "11011001101iiiiiiiii11nnnnnttttt";
        STZ2G_post [Mte] "stz2g" "11011001111iiiiiiiii01nnnnnttttt";
        STZ2G [Mte] "stz2g" "11011001111iiiiiiiii10nnnnnttttt";
        STZ2G_pre [Mte] "stz2g" "11011001111iiiiiiiii11nnnnnttttt";
        LDG [Mte] "ldg" "11011001011iiiiiiiii00nnnnnttttt";
        STZGM [Mte] "stzgm" "1101100100100000000000nnnnnttttt";
        STGM [Mte] "stgm" "1101100110100000000000nnnnnttttt";
        LDGM [Mte] "ldgm" "1101100111100000000000nnnnnttttt";
    }
}
