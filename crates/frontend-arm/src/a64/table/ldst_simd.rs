//! Rows of the group `LdstSimd`.

use super::rows;

rows! {
    group LdstSimd, fp true;
    implemented {
    }
    unimplemented {
    }
}
