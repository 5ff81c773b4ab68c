//! Rows of the group `Fp`.

use super::rows;

rows! {
    group Fp, fp true;
    implemented {
    }
    unimplemented {
    }
}
