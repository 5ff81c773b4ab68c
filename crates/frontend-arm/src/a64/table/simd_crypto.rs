//! Rows of the group `SimdCrypto`.

use super::rows;

rows! {
    group SimdCrypto, fp true;
    implemented {
    }
    unimplemented {
    }
}
