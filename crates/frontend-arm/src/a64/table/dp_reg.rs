//! Data processing, register (Arm ARM C4.1.95), and the flag manipulations of FEAT_FlagM.

use super::rows;
use crate::a64::sem::dp_reg::{add_sub, carry, cond, crc32, data1, data2, data3, flagm, logical};

rows! {
    group DpReg, fp false;
    implemented {
        AND_shift [Base] "and" "z0001010hh0mmmmmiiiiiinnnnnddddd" => logical::and;
        BIC_shift [Base] "bic" "z0001010hh1mmmmmiiiiiinnnnnddddd" => logical::bic;
        ORR_shift [Base] "orr" "z0101010hh0mmmmmiiiiiinnnnnddddd" => logical::orr;
        ORN_shift [Base] "orn" "z0101010hh1mmmmmiiiiiinnnnnddddd" => logical::orn;
        EOR_shift [Base] "eor" "z1001010hh0mmmmmiiiiiinnnnnddddd" => logical::eor;
        EON_shift [Base] "eon" "z1001010hh1mmmmmiiiiiinnnnnddddd" => logical::eon;
        ANDS_shift [Base] "ands" "z1101010hh0mmmmmiiiiiinnnnnddddd" => logical::ands;
        BICS_shift [Base] "bics" "z1101010hh1mmmmmiiiiiinnnnnddddd" => logical::bics;

        ADD_shift [Base] "add" "z0001011hh0mmmmmiiiiiinnnnnddddd" => add_sub::shifted;
        ADDS_shift [Base] "adds" "z0101011hh0mmmmmiiiiiinnnnnddddd" => add_sub::shifted;
        SUB_shift [Base] "sub" "z1001011hh0mmmmmiiiiiinnnnnddddd" => add_sub::shifted;
        SUBS_shift [Base] "subs" "z1101011hh0mmmmmiiiiiinnnnnddddd" => add_sub::shifted;

        ADD_ext [Base] "add" "z0001011001mmmmmoooiiinnnnnddddd" => add_sub::extended;
        ADDS_ext [Base] "adds" "z0101011001mmmmmoooiiinnnnnddddd" => add_sub::extended;
        SUB_ext [Base] "sub" "z1001011001mmmmmoooiiinnnnnddddd" => add_sub::extended;
        SUBS_ext [Base] "subs" "z1101011001mmmmmoooiiinnnnnddddd" => add_sub::extended;

        ADC [Base] "adc" "z0011010000mmmmm000000nnnnnddddd" => carry::add_sub_carry;
        ADCS [Base] "adcs" "z0111010000mmmmm000000nnnnnddddd" => carry::add_sub_carry;
        SBC [Base] "sbc" "z1011010000mmmmm000000nnnnnddddd" => carry::add_sub_carry;
        SBCS [Base] "sbcs" "z1111010000mmmmm000000nnnnnddddd" => carry::add_sub_carry;

        RMIF [FlagM] "rmif" "10111010000iiiiii00001nnnnn0mmmm" => flagm::rmif;
        SETF8 [FlagM] "setf8" "0011101000000000000010nnnnn01101" => flagm::setf8;
        SETF16 [FlagM] "setf16" "0011101000000000010010nnnnn01101" => flagm::setf16;
        CFINV [FlagM] "cfinv" "11010101000000000100000000011111" => flagm::cfinv;

        CCMN_reg [Base] "ccmn" "z0111010010mmmmmcccc00nnnnn0ffff" => cond::ccmp_reg;
        CCMP_reg [Base] "ccmp" "z1111010010mmmmmcccc00nnnnn0ffff" => cond::ccmp_reg;
        CCMN_imm [Base] "ccmn" "z0111010010iiiiicccc10nnnnn0ffff" => cond::ccmp_imm;
        CCMP_imm [Base] "ccmp" "z1111010010iiiiicccc10nnnnn0ffff" => cond::ccmp_imm;

        CSEL [Base] "csel" "z0011010100mmmmmcccc00nnnnnddddd" => cond::csel;
        CSINC [Base] "csinc" "z0011010100mmmmmcccc01nnnnnddddd" => cond::csinc;
        CSINV [Base] "csinv" "z1011010100mmmmmcccc00nnnnnddddd" => cond::csinv;
        CSNEG [Base] "csneg" "z1011010100mmmmmcccc01nnnnnddddd" => cond::csneg;

        RBIT [Base] "rbit" "z101101011000000000000nnnnnddddd" => data1::rbit;
        REV16 [Base] "rev16" "z101101011000000000001nnnnnddddd" => data1::rev16;
        REV_w [Base] "rev" "0101101011000000000010nnnnnddddd" => data1::rev;
        REV32 [Base] "rev32" "1101101011000000000010nnnnnddddd" => data1::rev32;
        REV_x [Base] "rev" "1101101011000000000011nnnnnddddd" => data1::rev;
        CLZ [Base] "clz" "z101101011000000000100nnnnnddddd" => data1::clz;
        CLS [Base] "cls" "z101101011000000000101nnnnnddddd" => data1::cls;

        UDIV [Base] "udiv" "z0011010110mmmmm000010nnnnnddddd" => data2::udiv;
        SDIV [Base] "sdiv" "z0011010110mmmmm000011nnnnnddddd" => data2::sdiv;
        LSLV [Base] "lslv" "z0011010110mmmmm001000nnnnnddddd" => data2::lslv;
        LSRV [Base] "lsrv" "z0011010110mmmmm001001nnnnnddddd" => data2::lsrv;
        ASRV [Base] "asrv" "z0011010110mmmmm001010nnnnnddddd" => data2::asrv;
        RORV [Base] "rorv" "z0011010110mmmmm001011nnnnnddddd" => data2::rorv;

        CRC32B [Crc32] "crc32b" "00011010110mmmmm010000nnnnnddddd" => crc32::crc32;
        CRC32H [Crc32] "crc32h" "00011010110mmmmm010001nnnnnddddd" => crc32::crc32;
        CRC32W [Crc32] "crc32w" "00011010110mmmmm010010nnnnnddddd" => crc32::crc32;
        CRC32X [Crc32] "crc32x" "10011010110mmmmm010011nnnnnddddd" => crc32::crc32;
        CRC32CB [Crc32] "crc32cb" "00011010110mmmmm010100nnnnnddddd" => crc32::crc32c;
        CRC32CH [Crc32] "crc32ch" "00011010110mmmmm010101nnnnnddddd" => crc32::crc32c;
        CRC32CW [Crc32] "crc32cw" "00011010110mmmmm010110nnnnnddddd" => crc32::crc32c;
        CRC32CX [Crc32] "crc32cx" "10011010110mmmmm010111nnnnnddddd" => crc32::crc32c;

        MADD [Base] "madd" "z0011011000mmmmm0aaaaannnnnddddd" => data3::madd;
        MSUB [Base] "msub" "z0011011000mmmmm1aaaaannnnnddddd" => data3::msub;
        SMADDL [Base] "smaddl" "10011011001mmmmm0aaaaannnnnddddd" => data3::smaddl;
        SMSUBL [Base] "smsubl" "10011011001mmmmm1aaaaannnnnddddd" => data3::smsubl;
        SMULH [Base] "smulh" "10011011010mmmmm0aaaaannnnnddddd" => data3::smulh;
        UMADDL [Base] "umaddl" "10011011101mmmmm0aaaaannnnnddddd" => data3::umaddl;
        UMSUBL [Base] "umsubl" "10011011101mmmmm1aaaaannnnnddddd" => data3::umsubl;
        UMULH [Base] "umulh" "10011011110mmmmm0aaaaannnnnddddd" => data3::umulh;
    }
    unimplemented {
        SUBP [Mte] "subp" "10011010110mmmmm000000nnnnnddddd";
        SUBPS [Mte] "subps" "10111010110mmmmm000000nnnnnddddd";
        IRG [Mte] "irg" "10011010110mmmmm000100nnnnnddddd";
        GMI [Mte] "gmi" "10011010110mmmmm000101nnnnnddddd";
        PACGA [Pauth] "pacga" "10011010110mmmmm001100nnnnnddddd";

        PACIA [Pauth] "pacia" "1101101011000001000000nnnnnddddd";
        PACIB [Pauth] "pacib" "1101101011000001000001nnnnnddddd";
        PACDA [Pauth] "pacda" "1101101011000001000010nnnnnddddd";
        PACDB [Pauth] "pacdb" "1101101011000001000011nnnnnddddd";
        AUTIA [Pauth] "autia" "1101101011000001000100nnnnnddddd";
        AUTIB [Pauth] "autib" "1101101011000001000101nnnnnddddd";
        AUTDA [Pauth] "autda" "1101101011000001000110nnnnnddddd";
        AUTDB [Pauth] "autdb" "1101101011000001000111nnnnnddddd";
        PACIZA [Pauth] "paciza" "110110101100000100100011111ddddd";
        PACIZB [Pauth] "pacizb" "110110101100000100100111111ddddd";
        PACDZA [Pauth] "pacdza" "110110101100000100101011111ddddd";
        PACDZB [Pauth] "pacdzb" "110110101100000100101111111ddddd";
        AUTIZA [Pauth] "autiza" "110110101100000100110011111ddddd";
        AUTIZB [Pauth] "autizb" "110110101100000100110111111ddddd";
        AUTDZA [Pauth] "autdza" "110110101100000100111011111ddddd";
        AUTDZB [Pauth] "autdzb" "110110101100000100111111111ddddd";
        XPACI [Pauth] "xpaci" "110110101100000101000011111ddddd";
        XPACD [Pauth] "xpacd" "110110101100000101000111111ddddd";
    }
}
