//! Rows of the group `SimdFp`.

use super::rows;

rows! {
    group SimdFp, fp true;
    implemented {
    }
    unimplemented {
    }
}
