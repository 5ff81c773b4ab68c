//! Rows of the group `LdstAtomic`.

use super::rows;

rows! {
    group LdstAtomic, fp false;
    implemented {
    }
    unimplemented {
    }
}
