//! Cryptographic extension (Arm ARM C4.1.95) and its successors.

use super::rows;
use crate::a64::sem::simd_crypto::{aes, pmull, sha1, sha256};

rows! {
    group SimdCrypto, fp true;
    implemented {
        AESE [Aes] "aese" "0100111000101000010010nnnnnddddd" => aes::aese;
        AESD [Aes] "aesd" "0100111000101000010110nnnnnddddd" => aes::aesd;
        AESMC [Aes] "aesmc" "0100111000101000011010nnnnnddddd" => aes::aesmc;
        AESIMC [Aes] "aesimc" "0100111000101000011110nnnnnddddd" => aes::aesimc;
        PMULL_64 [Pmull] "pmull" "0q001110111mmmmm111000nnnnnddddd" => pmull::pmull;
        SHA1C [Sha1] "sha1c" "01011110000mmmmm000000nnnnnddddd" => sha1::sha1c;
        SHA1P [Sha1] "sha1p" "01011110000mmmmm000100nnnnnddddd" => sha1::sha1p;
        SHA1M [Sha1] "sha1m" "01011110000mmmmm001000nnnnnddddd" => sha1::sha1m;
        SHA1SU0 [Sha1] "sha1su0" "01011110000mmmmm001100nnnnnddddd" => sha1::sha1su0;
        SHA1H [Sha1] "sha1h" "0101111000101000000010nnnnnddddd" => sha1::sha1h;
        SHA1SU1 [Sha1] "sha1su1" "0101111000101000000110nnnnnddddd" => sha1::sha1su1;
        SHA256H [Sha256] "sha256h" "01011110000mmmmm010000nnnnnddddd" => sha256::sha256h;
        SHA256H2 [Sha256] "sha256h2" "01011110000mmmmm010100nnnnnddddd" => sha256::sha256h2;
        SHA256SU1 [Sha256] "sha256su1" "01011110000mmmmm011000nnnnnddddd" => sha256::sha256su1;
        SHA256SU0 [Sha256] "sha256su0" "0101111000101000001010nnnnnddddd" => sha256::sha256su0;
    }
    unimplemented {
        SHA512H [Sha512] "sha512h" "11001110011mmmmm100000nnnnnddddd";
        SHA512H2 [Sha512] "sha512h2" "11001110011mmmmm100001nnnnnddddd";
        SHA512SU1 [Sha512] "sha512su1" "11001110011mmmmm100010nnnnnddddd";
        SHA512SU0 [Sha512] "sha512su0" "1100111011000000100000nnnnnddddd";
        EOR3 [Sha3] "eor3" "11001110000mmmmm0aaaaannnnnddddd";
        BCAX [Sha3] "bcax" "11001110001mmmmm0aaaaannnnnddddd";
        RAX1 [Sha3] "rax1" "11001110011mmmmm100011nnnnnddddd";
        XAR [Sha3] "xar" "11001110100mmmmmiiiiiinnnnnddddd";
        SM3SS1 [Sm34] "sm3ss1" "11001110010mmmmm0aaaaannnnnddddd";
        SM3TT1A [Sm34] "sm3tt1a" "11001110010mmmmm10ii00nnnnnddddd";
        SM3TT1B [Sm34] "sm3tt1b" "11001110010mmmmm10ii01nnnnnddddd";
        SM3TT2A [Sm34] "sm3tt2a" "11001110010mmmmm10ii10nnnnnddddd";
        SM3TT2B [Sm34] "sm3tt2b" "11001110010mmmmm10ii11nnnnnddddd";
        SM3PARTW1 [Sm34] "sm3partw1" "11001110011mmmmm110000nnnnnddddd";
        SM3PARTW2 [Sm34] "sm3partw2" "11001110011mmmmm110001nnnnnddddd";
        SM4EKEY [Sm34] "sm4ekey" "11001110011mmmmm110010nnnnnddddd";
        SM4E [Sm34] "sm4e" "1100111011000000100001nnnnnddddd";
    }
}
