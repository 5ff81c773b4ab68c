//! Advanced SIMD shift by immediate (Arm ARM C4.1.95). Words with immh 0 that the modified immediates leave
//! match these rows too and are unallocated.

use super::rows;
use crate::a64::sem::simd_shift::lanewise::{self, scalar, vector};
use crate::a64::sem::simd_shift::{inline, length};

rows! {
    group SimdShift, fp true;
    implemented {
        SSHR_imm_vec [Base] "sshr" "0q0011110iiiiiii000001nnnnnddddd" => inline::vector;
        SSHR_imm_scalar [Base] "sshr" "010111110iiiiiii000001nnnnnddddd" => inline::scalar;
        USHR_imm_vec [Base] "ushr" "0q1011110iiiiiii000001nnnnnddddd" => inline::vector;
        USHR_imm_scalar [Base] "ushr" "011111110iiiiiii000001nnnnnddddd" => inline::scalar;
        SSRA_imm_vec [Base] "ssra" "0q0011110iiiiiii000101nnnnnddddd" => inline::vector;
        SSRA_imm_scalar [Base] "ssra" "010111110iiiiiii000101nnnnnddddd" => inline::scalar;
        USRA_imm_vec [Base] "usra" "0q1011110iiiiiii000101nnnnnddddd" => inline::vector;
        USRA_imm_scalar [Base] "usra" "011111110iiiiiii000101nnnnnddddd" => inline::scalar;
        SRSHR_imm_vec [Base] "srshr" "0q0011110iiiiiii001001nnnnnddddd" => vector::<lanewise::Rshr, _>;
        SRSHR_imm_scalar [Base] "srshr" "010111110iiiiiii001001nnnnnddddd" => scalar::<lanewise::Rshr, _>;
        URSHR_imm_vec [Base] "urshr" "0q1011110iiiiiii001001nnnnnddddd" => vector::<lanewise::Rshr, _>;
        URSHR_imm_scalar [Base] "urshr" "011111110iiiiiii001001nnnnnddddd" => scalar::<lanewise::Rshr, _>;
        SRSRA_imm_vec [Base] "srsra" "0q0011110iiiiiii001101nnnnnddddd" => vector::<lanewise::Rsra, _>;
        SRSRA_imm_scalar [Base] "srsra" "010111110iiiiiii001101nnnnnddddd" => scalar::<lanewise::Rsra, _>;
        URSRA_imm_vec [Base] "ursra" "0q1011110iiiiiii001101nnnnnddddd" => vector::<lanewise::Rsra, _>;
        URSRA_imm_scalar [Base] "ursra" "011111110iiiiiii001101nnnnnddddd" => scalar::<lanewise::Rsra, _>;
        SRI_imm_vec [Base] "sri" "0q1011110iiiiiii010001nnnnnddddd" => vector::<lanewise::Sri, _>;
        SRI_imm_scalar [Base] "sri" "011111110iiiiiii010001nnnnnddddd" => scalar::<lanewise::Sri, _>;
        SHL_imm_vec [Base] "shl" "0q0011110iiiiiii010101nnnnnddddd" => inline::vector;
        SHL_imm_scalar [Base] "shl" "010111110iiiiiii010101nnnnnddddd" => inline::scalar;
        SLI_imm_vec [Base] "sli" "0q1011110iiiiiii010101nnnnnddddd" => vector::<lanewise::Sli, _>;
        SLI_imm_scalar [Base] "sli" "011111110iiiiiii010101nnnnnddddd" => scalar::<lanewise::Sli, _>;
        SQSHLU_imm_vec [Base] "sqshlu" "0q1011110iiiiiii011001nnnnnddddd" => vector::<lanewise::Qshlu, _>;
        SQSHLU_imm_scalar [Base] "sqshlu" "011111110iiiiiii011001nnnnnddddd" => scalar::<lanewise::Qshlu, _>;
        SQSHL_imm_vec [Base] "sqshl" "0q0011110iiiiiii011101nnnnnddddd" => vector::<lanewise::Qshl, _>;
        SQSHL_imm_scalar [Base] "sqshl" "010111110iiiiiii011101nnnnnddddd" => scalar::<lanewise::Qshl, _>;
        UQSHL_imm_vec [Base] "uqshl" "0q1011110iiiiiii011101nnnnnddddd" => vector::<lanewise::Qshl, _>;
        UQSHL_imm_scalar [Base] "uqshl" "011111110iiiiiii011101nnnnnddddd" => scalar::<lanewise::Qshl, _>;
        SHRN_imm_vec [Base] "shrn" "0q0011110iiiiiii100001nnnnnddddd" => length::shrn;
        RSHRN_imm_vec [Base] "rshrn" "0q0011110iiiiiii100011nnnnnddddd" => length::rshrn;
        SQSHRUN_imm_vec [Base] "sqshrun" "0q1011110iiiiiii100001nnnnnddddd" => length::qshrun::<false, _>;
        SQSHRUN_imm_scalar [Base] "sqshrun" "011111110iiiiiii100001nnnnnddddd" => length::qshrun::<true, _>;
        SQRSHRUN_imm_vec [Base] "sqrshrun" "0q1011110iiiiiii100011nnnnnddddd" => length::qshrun::<false, _>;
        SQRSHRUN_imm_scalar [Base] "sqrshrun" "011111110iiiiiii100011nnnnnddddd" => length::qshrun::<true, _>;
        SQSHRN_imm_vec [Base] "sqshrn" "0q0011110iiiiiii100101nnnnnddddd" => length::qshrn::<false, _>;
        SQSHRN_imm_scalar [Base] "sqshrn" "010111110iiiiiii100101nnnnnddddd" => length::qshrn::<true, _>;
        SQRSHRN_imm_vec [Base] "sqrshrn" "0q0011110iiiiiii100111nnnnnddddd" => length::qshrn::<false, _>;
        SQRSHRN_imm_scalar [Base] "sqrshrn" "010111110iiiiiii100111nnnnnddddd" => length::qshrn::<true, _>;
        UQSHRN_imm_vec [Base] "uqshrn" "0q1011110iiiiiii100101nnnnnddddd" => length::qshrn::<false, _>;
        UQSHRN_imm_scalar [Base] "uqshrn" "011111110iiiiiii100101nnnnnddddd" => length::qshrn::<true, _>;
        UQRSHRN_imm_vec [Base] "uqrshrn" "0q1011110iiiiiii100111nnnnnddddd" => length::qshrn::<false, _>;
        UQRSHRN_imm_scalar [Base] "uqrshrn" "011111110iiiiiii100111nnnnnddddd" => length::qshrn::<true, _>;
        SSHLL_imm_vec [Base] "sshll" "0q0011110iiiiiii101001nnnnnddddd" => length::shll;
        USHLL_imm_vec [Base] "ushll" "0q1011110iiiiiii101001nnnnnddddd" => length::shll;
    }
    unimplemented {
    }
}
