//! Rows of the group `Branch`.

use super::rows;

rows! {
    group Branch, fp false;
    implemented {
    }
    unimplemented {
    }
}
