//! Branches (Arm ARM C4.1.93).

use super::rows;
use crate::a64::sem::branch;

rows! {
    group Branch, fp false;
    implemented {
        B [Base] "b" "000101iiiiiiiiiiiiiiiiiiiiiiiiii" => branch::b;
        BL [Base] "bl" "100101iiiiiiiiiiiiiiiiiiiiiiiiii" => branch::bl;
        B_cond [Base] "b.cond" "01010100iiiiiiiiiiiiiiiiiii0cccc" => branch::b_cond;
        CBZ [Base] "cbz" "z0110100iiiiiiiiiiiiiiiiiiittttt" => branch::cbz;
        CBNZ [Base] "cbnz" "z0110101iiiiiiiiiiiiiiiiiiittttt" => branch::cbz;
        TBZ [Base] "tbz" "b0110110bbbbbiiiiiiiiiiiiiittttt" => branch::tbz;
        TBNZ [Base] "tbnz" "b0110111bbbbbiiiiiiiiiiiiiittttt" => branch::tbz;
        BR [Base] "br" "1101011000011111000000nnnnn00000" => branch::br;
        BLR [Base] "blr" "1101011000111111000000nnnnn00000" => branch::blr;
        RET [Base] "ret" "1101011001011111000000nnnnn00000" => branch::ret;
    }
    unimplemented {
        BRAAZ [Pauth] "braaz" "1101011000011111000010nnnnn11111";
        BRABZ [Pauth] "brabz" "1101011000011111000011nnnnn11111";
        BLRAAZ [Pauth] "blraaz" "1101011000111111000010nnnnn11111";
        BLRABZ [Pauth] "blrabz" "1101011000111111000011nnnnn11111";
        RETAA [Pauth] "retaa" "11010110010111110000101111111111";
        RETAB [Pauth] "retab" "11010110010111110000111111111111";
        BRAA [Pauth] "braa" "1101011100011111000010nnnnnmmmmm";
        BRAB [Pauth] "brab" "1101011100011111000011nnnnnmmmmm";
        BLRAA [Pauth] "blraa" "1101011100111111000010nnnnnmmmmm";
        BLRAB [Pauth] "blrab" "1101011100111111000011nnnnnmmmmm";
    }
}
