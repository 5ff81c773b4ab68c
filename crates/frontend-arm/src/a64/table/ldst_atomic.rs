//! Exclusives, acquire/release and atomic memory operations (Arm ARM C4.1.94).

use super::rows;
use crate::a64::sem::ldst_atomic::{exclusive, lse, ordered};

rows! {
    group LdstAtomic, fp false;
    implemented {
        // Exclusives.
        STXRB [Base] "stxrb" "00001000000sssss0uuuuunnnnnttttt" => exclusive::store;
        STXRH [Base] "stxrh" "01001000000sssss0uuuuunnnnnttttt" => exclusive::store;
        STXR [Base] "stxr" "1z001000000sssss0uuuuunnnnnttttt" => exclusive::store;
        STLXRB [Base] "stlxrb" "00001000000sssss1uuuuunnnnnttttt" => exclusive::store;
        STLXRH [Base] "stlxrh" "01001000000sssss1uuuuunnnnnttttt" => exclusive::store;
        STLXR [Base] "stlxr" "1z001000000sssss1uuuuunnnnnttttt" => exclusive::store;
        LDXRB [Base] "ldxrb" "00001000010sssss0uuuuunnnnnttttt" => exclusive::load;
        LDXRH [Base] "ldxrh" "01001000010sssss0uuuuunnnnnttttt" => exclusive::load;
        LDXR [Base] "ldxr" "1z001000010sssss0uuuuunnnnnttttt" => exclusive::load;
        LDAXRB [Base] "ldaxrb" "00001000010sssss1uuuuunnnnnttttt" => exclusive::load;
        LDAXRH [Base] "ldaxrh" "01001000010sssss1uuuuunnnnnttttt" => exclusive::load;
        LDAXR [Base] "ldaxr" "1z001000010sssss1uuuuunnnnnttttt" => exclusive::load;
        STXP [Base] "stxp" "1z001000001sssss0uuuuunnnnnttttt" => exclusive::store_pair;
        STLXP [Base] "stlxp" "1z001000001sssss1uuuuunnnnnttttt" => exclusive::store_pair;
        LDXP [Base] "ldxp" "1z001000011sssss0uuuuunnnnnttttt" => exclusive::load_pair;
        LDAXP [Base] "ldaxp" "1z001000011sssss1uuuuunnnnnttttt" => exclusive::load_pair;
        // Acquire and release.
        STLRB [Base] "stlrb" "00001000100sssss1uuuuunnnnnttttt" => ordered::store;
        STLRH [Base] "stlrh" "01001000100sssss1uuuuunnnnnttttt" => ordered::store;
        STLR [Base] "stlr" "1z001000100sssss1uuuuunnnnnttttt" => ordered::store;
        LDARB [Base] "ldarb" "00001000110sssss1uuuuunnnnnttttt" => ordered::load;
        LDARH [Base] "ldarh" "01001000110sssss1uuuuunnnnnttttt" => ordered::load;
        LDAR [Base] "ldar" "1z001000110sssss1uuuuunnnnnttttt" => ordered::load;
        STLLRB [Lor] "stllrb" "00001000100sssss0uuuuunnnnnttttt" => ordered::store;
        STLLRH [Lor] "stllrh" "01001000100sssss0uuuuunnnnnttttt" => ordered::store;
        STLLR [Lor] "stllr" "1z001000100sssss0uuuuunnnnnttttt" => ordered::store;
        LDLARB [Lor] "ldlarb" "00001000110sssss0uuuuunnnnnttttt" => ordered::load;
        LDLARH [Lor] "ldlarh" "01001000110sssss0uuuuunnnnnttttt" => ordered::load;
        LDLAR [Lor] "ldlar" "1z001000110sssss0uuuuunnnnnttttt" => ordered::load;
        LDAPRB [Lrcpc] "ldaprb" "0011100010111111110000nnnnnttttt" => ordered::load;
        LDAPRH [Lrcpc] "ldaprh" "0111100010111111110000nnnnnttttt" => ordered::load;
        LDAPR [Lrcpc] "ldapr" "1z11100010111111110000nnnnnttttt" => ordered::load;
        STLURB [Lrcpc2] "stlurb" "00011001000iiiiiiiii00nnnnnttttt" => ordered::unscaled;
        LDAPURB [Lrcpc2] "ldapurb" "00011001010iiiiiiiii00nnnnnttttt" => ordered::unscaled;
        LDAPURSB [Lrcpc2] "ldapursb" "000110011w0iiiiiiiii00nnnnnttttt" => ordered::unscaled;
        STLURH [Lrcpc2] "stlurh" "01011001000iiiiiiiii00nnnnnttttt" => ordered::unscaled;
        LDAPURH [Lrcpc2] "ldapurh" "01011001010iiiiiiiii00nnnnnttttt" => ordered::unscaled;
        LDAPURSH [Lrcpc2] "ldapursh" "010110011w0iiiiiiiii00nnnnnttttt" => ordered::unscaled;
        STLUR [Lrcpc2] "stlur" "1z011001000iiiiiiiii00nnnnnttttt" => ordered::unscaled;
        LDAPUR [Lrcpc2] "ldapur" "1z011001010iiiiiiiii00nnnnnttttt" => ordered::unscaled;
        LDAPURSW [Lrcpc2] "ldapursw" "10011001100iiiiiiiii00nnnnnttttt" => ordered::unscaled;
        // Compare and swap. L: acquire, r: release.
        CASB [Lse] "casb" "000010001L1sssssr11111nnnnnttttt" => lse::cas;
        CASH [Lse] "cash" "010010001L1sssssr11111nnnnnttttt" => lse::cas;
        CAS [Lse] "cas" "1z0010001L1sssssr11111nnnnnttttt" => lse::cas;
        CASP [Lse] "casp" "0z0010000L1sssssr11111nnnnnttttt" => lse::casp;
        // Atomic memory operations; with XZR as Rt they are the ST forms. A: acquire, R: release.
        LDADDB [Lse] "ldaddb" "00111000AR1sssss000000nnnnnttttt" => lse::ldadd;
        LDADDH [Lse] "ldaddh" "01111000AR1sssss000000nnnnnttttt" => lse::ldadd;
        LDADD [Lse] "ldadd" "1z111000AR1sssss000000nnnnnttttt" => lse::ldadd;
        LDCLRB [Lse] "ldclrb" "00111000AR1sssss000100nnnnnttttt" => lse::ldclr;
        LDCLRH [Lse] "ldclrh" "01111000AR1sssss000100nnnnnttttt" => lse::ldclr;
        LDCLR [Lse] "ldclr" "1z111000AR1sssss000100nnnnnttttt" => lse::ldclr;
        LDEORB [Lse] "ldeorb" "00111000AR1sssss001000nnnnnttttt" => lse::ldeor;
        LDEORH [Lse] "ldeorh" "01111000AR1sssss001000nnnnnttttt" => lse::ldeor;
        LDEOR [Lse] "ldeor" "1z111000AR1sssss001000nnnnnttttt" => lse::ldeor;
        LDSETB [Lse] "ldsetb" "00111000AR1sssss001100nnnnnttttt" => lse::ldset;
        LDSETH [Lse] "ldseth" "01111000AR1sssss001100nnnnnttttt" => lse::ldset;
        LDSET [Lse] "ldset" "1z111000AR1sssss001100nnnnnttttt" => lse::ldset;
        LDSMAXB [Lse] "ldsmaxb" "00111000AR1sssss010000nnnnnttttt" => lse::ldsmax;
        LDSMAXH [Lse] "ldsmaxh" "01111000AR1sssss010000nnnnnttttt" => lse::ldsmax;
        LDSMAX [Lse] "ldsmax" "1z111000AR1sssss010000nnnnnttttt" => lse::ldsmax;
        LDSMINB [Lse] "ldsminb" "00111000AR1sssss010100nnnnnttttt" => lse::ldsmin;
        LDSMINH [Lse] "ldsminh" "01111000AR1sssss010100nnnnnttttt" => lse::ldsmin;
        LDSMIN [Lse] "ldsmin" "1z111000AR1sssss010100nnnnnttttt" => lse::ldsmin;
        LDUMAXB [Lse] "ldumaxb" "00111000AR1sssss011000nnnnnttttt" => lse::ldumax;
        LDUMAXH [Lse] "ldumaxh" "01111000AR1sssss011000nnnnnttttt" => lse::ldumax;
        LDUMAX [Lse] "ldumax" "1z111000AR1sssss011000nnnnnttttt" => lse::ldumax;
        LDUMINB [Lse] "lduminb" "00111000AR1sssss011100nnnnnttttt" => lse::ldumin;
        LDUMINH [Lse] "lduminh" "01111000AR1sssss011100nnnnnttttt" => lse::ldumin;
        LDUMIN [Lse] "ldumin" "1z111000AR1sssss011100nnnnnttttt" => lse::ldumin;
        SWPB [Lse] "swpb" "00111000AR1sssss100000nnnnnttttt" => lse::swp;
        SWPH [Lse] "swph" "01111000AR1sssss100000nnnnnttttt" => lse::swp;
        SWP [Lse] "swp" "1z111000AR1sssss100000nnnnnttttt" => lse::swp;
    }
    unimplemented {
    }
}
