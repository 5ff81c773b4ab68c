//! Rows of the group `SimdCopy`.

use super::rows;

rows! {
    group SimdCopy, fp true;
    implemented {
    }
    unimplemented {
    }
}
