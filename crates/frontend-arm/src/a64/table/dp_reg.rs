//! Rows of the group `DpReg`.

use super::rows;

rows! {
    group DpReg, fp false;
    implemented {
    }
    unimplemented {
    }
}
