//! Rows of the group `System`.

use super::rows;

rows! {
    group System, fp false;
    implemented {
    }
    unimplemented {
    }
}
