//! Rows of the group `SimdInt`.

use super::rows;

rows! {
    group SimdInt, fp true;
    implemented {
    }
    unimplemented {
    }
}
