//! Advanced SIMD copy, extract, permute, table lookup, modified immediate (Arm ARM C4.1.95).

use super::rows;
use crate::a64::sem::simd_copy::{copy, imm, permute};

rows! {
    group SimdCopy, fp true;
    implemented {
        DUP_elem [Base] "dup" "0q001110000iiiii000001nnnnnddddd" => copy::dup_element;
        DUP_gen [Base] "dup" "0q001110000iiiii000011nnnnnddddd" => copy::dup_general;
        DUP_scalar [Base] "mov" "01011110000iiiii000001nnnnnddddd" => copy::dup_scalar;
        SMOV [Base] "smov" "0q001110000iiiii001011nnnnnddddd" => copy::smov;
        UMOV [Base] "umov" "0q001110000iiiii001111nnnnnddddd" => copy::umov;
        INS_gen [Base] "mov" "01001110000iiiii000111nnnnnddddd" => copy::ins_general;
        INS_elem [Base] "mov" "01101110000iiiii0jjjj1nnnnnddddd" => copy::ins_element;
        EXT [Base] "ext" "0q101110000mmmmm0iiii0nnnnnddddd" => permute::ext;
        UZP1 [Base] "uzp1" "0q001110ss0mmmmm000110nnnnnddddd" => permute::uzp;
        UZP2 [Base] "uzp2" "0q001110ss0mmmmm010110nnnnnddddd" => permute::uzp;
        TRN1 [Base] "trn1" "0q001110ss0mmmmm001010nnnnnddddd" => permute::trn;
        TRN2 [Base] "trn2" "0q001110ss0mmmmm011010nnnnnddddd" => permute::trn;
        ZIP1 [Base] "zip1" "0q001110ss0mmmmm001110nnnnnddddd" => permute::zip;
        ZIP2 [Base] "zip2" "0q001110ss0mmmmm011110nnnnnddddd" => permute::zip;
        TBL [Base] "tbl" "0q001110000mmmmm0ll000nnnnnddddd" => permute::tbl;
        TBX [Base] "tbx" "0q001110000mmmmm0ll100nnnnnddddd" => permute::tbx;
        MOVI_32 [Base] "movi" "0q00111100000abc0cc001defghddddd" => imm::movi;
        MOVI_16 [Base] "movi" "0q00111100000abc10c001defghddddd" => imm::movi;
        MOVI_msl [Base] "movi" "0q00111100000abc110c01defghddddd" => imm::movi;
        MOVI_8 [Base] "movi" "0q00111100000abc111001defghddddd" => imm::movi;
        MOVI_64 [Base] "movi" "0q10111100000abc111001defghddddd" => imm::movi;
        MVNI_32 [Base] "mvni" "0q10111100000abc0cc001defghddddd" => imm::mvni;
        MVNI_16 [Base] "mvni" "0q10111100000abc10c001defghddddd" => imm::mvni;
        MVNI_msl [Base] "mvni" "0q10111100000abc110c01defghddddd" => imm::mvni;
        ORR_imm_32 [Base] "orr" "0q00111100000abc0cc101defghddddd" => imm::orr;
        ORR_imm_16 [Base] "orr" "0q00111100000abc10c101defghddddd" => imm::orr;
        BIC_imm_32 [Base] "bic" "0q10111100000abc0cc101defghddddd" => imm::bic;
        BIC_imm_16 [Base] "bic" "0q10111100000abc10c101defghddddd" => imm::bic;
        FMOV_vec_imm_s [Base] "fmov" "0q00111100000abc111101defghddddd" => imm::movi;
        FMOV_vec_imm_d [Base] "fmov" "0110111100000abc111101defghddddd" => imm::movi;
    }
    unimplemented {
        FMOV_vec_imm_h [Fp16] "fmov" "0q00111100000abc111111defghddddd";
    }
}
