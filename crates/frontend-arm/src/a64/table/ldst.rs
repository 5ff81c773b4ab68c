//! Rows of the group `Ldst`.

use super::rows;

rows! {
    group Ldst, fp false;
    implemented {
    }
    unimplemented {
    }
}
