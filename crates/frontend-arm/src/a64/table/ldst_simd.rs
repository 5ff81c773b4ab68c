//! Loads and stores of SIMD&FP registers (Arm ARM C4.1.94).

use super::rows;
use crate::a64::sem::ldst_simd::{multi, pair, reg, single};

rows! {
    group LdstSimd, fp true;
    implemented {
        // Register, unsigned immediate.
        LDR_fp_uimm [Base] "ldr" "ss111101x1iiiiiiiiiiiinnnnnttttt" => reg::unsigned;
        STR_fp_uimm [Base] "str" "ss111101x0iiiiiiiiiiiinnnnnttttt" => reg::unsigned;
        // Register, unscaled, post-indexed and pre-indexed immediate.
        LDUR_fp [Base] "ldur" "ss111100x10iiiiiiiii00nnnnnttttt" => reg::signed;
        STUR_fp [Base] "stur" "ss111100x00iiiiiiiii00nnnnnttttt" => reg::signed;
        LDR_fp_post [Base] "ldr" "ss111100x10iiiiiiiii01nnnnnttttt" => reg::signed;
        STR_fp_post [Base] "str" "ss111100x00iiiiiiiii01nnnnnttttt" => reg::signed;
        LDR_fp_pre [Base] "ldr" "ss111100x10iiiiiiiii11nnnnnttttt" => reg::signed;
        STR_fp_pre [Base] "str" "ss111100x00iiiiiiiii11nnnnnttttt" => reg::signed;
        // Register offset.
        LDR_fp_reg [Base] "ldr" "ss111100x11mmmmmooos10nnnnnttttt" => reg::offset;
        STR_fp_reg [Base] "str" "ss111100x01mmmmmooos10nnnnnttttt" => reg::offset;
        // Literal.
        LDR_fp_lit [Base] "ldr" "oo011100iiiiiiiiiiiiiiiiiiittttt" => reg::literal;
        // Pairs.
        LDNP_fp [Base] "ldnp" "oo10110001iiiiiiiuuuuunnnnnttttt" => pair::pair;
        STNP_fp [Base] "stnp" "oo10110000iiiiiiiuuuuunnnnnttttt" => pair::pair;
        LDP_fp_post [Base] "ldp" "oo10110011iiiiiiiuuuuunnnnnttttt" => pair::pair;
        STP_fp_post [Base] "stp" "oo10110010iiiiiiiuuuuunnnnnttttt" => pair::pair;
        LDP_fp [Base] "ldp" "oo10110101iiiiiiiuuuuunnnnnttttt" => pair::pair;
        STP_fp [Base] "stp" "oo10110100iiiiiiiuuuuunnnnnttttt" => pair::pair;
        LDP_fp_pre [Base] "ldp" "oo10110111iiiiiiiuuuuunnnnnttttt" => pair::pair;
        STP_fp_pre [Base] "stp" "oo10110110iiiiiiiuuuuunnnnnttttt" => pair::pair;
        // Multiple structures.
        LD1_x4 [Base] "ld1" "0q001100010000000010ssnnnnnttttt" => multi::contiguous::<4, _>;
        LD1_x3 [Base] "ld1" "0q001100010000000110ssnnnnnttttt" => multi::contiguous::<3, _>;
        LD1_x1 [Base] "ld1" "0q001100010000000111ssnnnnnttttt" => multi::contiguous::<1, _>;
        LD1_x2 [Base] "ld1" "0q001100010000001010ssnnnnnttttt" => multi::contiguous::<2, _>;
        LD4 [Base] "ld4" "0q001100010000000000ssnnnnnttttt" => multi::interleaved::<4, _>;
        LD3 [Base] "ld3" "0q001100010000000100ssnnnnnttttt" => multi::interleaved::<3, _>;
        LD2 [Base] "ld2" "0q001100010000001000ssnnnnnttttt" => multi::interleaved::<2, _>;
        ST1_x4 [Base] "st1" "0q001100000000000010ssnnnnnttttt" => multi::contiguous::<4, _>;
        ST1_x3 [Base] "st1" "0q001100000000000110ssnnnnnttttt" => multi::contiguous::<3, _>;
        ST1_x1 [Base] "st1" "0q001100000000000111ssnnnnnttttt" => multi::contiguous::<1, _>;
        ST1_x2 [Base] "st1" "0q001100000000001010ssnnnnnttttt" => multi::contiguous::<2, _>;
        ST4 [Base] "st4" "0q001100000000000000ssnnnnnttttt" => multi::interleaved::<4, _>;
        ST3 [Base] "st3" "0q001100000000000100ssnnnnnttttt" => multi::interleaved::<3, _>;
        ST2 [Base] "st2" "0q001100000000001000ssnnnnnttttt" => multi::interleaved::<2, _>;
        // Multiple structures, post-indexed.
        LD1_x4_post [Base] "ld1" "0q001100110mmmmm0010ssnnnnnttttt" => multi::contiguous::<4, _>;
        LD1_x3_post [Base] "ld1" "0q001100110mmmmm0110ssnnnnnttttt" => multi::contiguous::<3, _>;
        LD1_x1_post [Base] "ld1" "0q001100110mmmmm0111ssnnnnnttttt" => multi::contiguous::<1, _>;
        LD1_x2_post [Base] "ld1" "0q001100110mmmmm1010ssnnnnnttttt" => multi::contiguous::<2, _>;
        LD4_post [Base] "ld4" "0q001100110mmmmm0000ssnnnnnttttt" => multi::interleaved::<4, _>;
        LD3_post [Base] "ld3" "0q001100110mmmmm0100ssnnnnnttttt" => multi::interleaved::<3, _>;
        LD2_post [Base] "ld2" "0q001100110mmmmm1000ssnnnnnttttt" => multi::interleaved::<2, _>;
        ST1_x4_post [Base] "st1" "0q001100100mmmmm0010ssnnnnnttttt" => multi::contiguous::<4, _>;
        ST1_x3_post [Base] "st1" "0q001100100mmmmm0110ssnnnnnttttt" => multi::contiguous::<3, _>;
        ST1_x1_post [Base] "st1" "0q001100100mmmmm0111ssnnnnnttttt" => multi::contiguous::<1, _>;
        ST1_x2_post [Base] "st1" "0q001100100mmmmm1010ssnnnnnttttt" => multi::contiguous::<2, _>;
        ST4_post [Base] "st4" "0q001100100mmmmm0000ssnnnnnttttt" => multi::interleaved::<4, _>;
        ST3_post [Base] "st3" "0q001100100mmmmm0100ssnnnnnttttt" => multi::interleaved::<3, _>;
        ST2_post [Base] "st2" "0q001100100mmmmm1000ssnnnnnttttt" => multi::interleaved::<2, _>;
        // Single structure: R (bit 21) and opcode bit 13 give the number of registers.
        LD1_lane [Base] "ld1" "0q00110101000000oo0sssnnnnnttttt" => single::lane::<1, _>;
        LD2_lane [Base] "ld2" "0q00110101100000oo0sssnnnnnttttt" => single::lane::<2, _>;
        LD3_lane [Base] "ld3" "0q00110101000000oo1sssnnnnnttttt" => single::lane::<3, _>;
        LD4_lane [Base] "ld4" "0q00110101100000oo1sssnnnnnttttt" => single::lane::<4, _>;
        ST1_lane [Base] "st1" "0q00110100000000oo0sssnnnnnttttt" => single::lane::<1, _>;
        ST2_lane [Base] "st2" "0q00110100100000oo0sssnnnnnttttt" => single::lane::<2, _>;
        ST3_lane [Base] "st3" "0q00110100000000oo1sssnnnnnttttt" => single::lane::<3, _>;
        ST4_lane [Base] "st4" "0q00110100100000oo1sssnnnnnttttt" => single::lane::<4, _>;
        LD1_lane_post [Base] "ld1" "0q001101110mmmmmoo0sssnnnnnttttt" => single::lane::<1, _>;
        LD2_lane_post [Base] "ld2" "0q001101111mmmmmoo0sssnnnnnttttt" => single::lane::<2, _>;
        LD3_lane_post [Base] "ld3" "0q001101110mmmmmoo1sssnnnnnttttt" => single::lane::<3, _>;
        LD4_lane_post [Base] "ld4" "0q001101111mmmmmoo1sssnnnnnttttt" => single::lane::<4, _>;
        ST1_lane_post [Base] "st1" "0q001101100mmmmmoo0sssnnnnnttttt" => single::lane::<1, _>;
        ST2_lane_post [Base] "st2" "0q001101101mmmmmoo0sssnnnnnttttt" => single::lane::<2, _>;
        ST3_lane_post [Base] "st3" "0q001101100mmmmmoo1sssnnnnnttttt" => single::lane::<3, _>;
        ST4_lane_post [Base] "st4" "0q001101101mmmmmoo1sssnnnnnttttt" => single::lane::<4, _>;
        // Single structure to all lanes.
        LD1R [Base] "ld1r" "0q001101010000001100ssnnnnnttttt" => single::replicate::<1, _>;
        LD2R [Base] "ld2r" "0q001101011000001100ssnnnnnttttt" => single::replicate::<2, _>;
        LD3R [Base] "ld3r" "0q001101010000001110ssnnnnnttttt" => single::replicate::<3, _>;
        LD4R [Base] "ld4r" "0q001101011000001110ssnnnnnttttt" => single::replicate::<4, _>;
        LD1R_post [Base] "ld1r" "0q001101110mmmmm1100ssnnnnnttttt" => single::replicate::<1, _>;
        LD2R_post [Base] "ld2r" "0q001101111mmmmm1100ssnnnnnttttt" => single::replicate::<2, _>;
        LD3R_post [Base] "ld3r" "0q001101110mmmmm1110ssnnnnnttttt" => single::replicate::<3, _>;
        LD4R_post [Base] "ld4r" "0q001101111mmmmm1110ssnnnnnttttt" => single::replicate::<4, _>;
    }
    unimplemented {
    }
}
