//! Rows of the group `SimdShift`.

use super::rows;

rows! {
    group SimdShift, fp true;
    implemented {
    }
    unimplemented {
    }
}
