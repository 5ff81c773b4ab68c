//! The GICv3 CPU interface in system registers (Arm IHI 0069, 12.2). UNDEFINED where the board's GIC has none.

use super::{Read, SysReg, Write};
use crate::ArmCpu;
use crate::platform::IccReg;

fn exists(c: &ArmCpu) -> bool {
    c.platform.gic_sysregs()
}

/// Readable.
macro_rules! ro {
    ($name:literal, $enc:expr, $r:expr) => {
        SysReg::new($name, $enc).get(1, Read::Call(|c| c.platform.icc_read($r))).exists(exists)
    };
}

/// Writable; interrupts may become pending or stop being so.
macro_rules! wo {
    ($name:literal, $enc:expr, $r:expr) => {
        SysReg::new($name, $enc)
            .set(1, Write::MayFault(|c, v| c.platform.icc_write($r, v)))
            .sync()
            .exists(exists)
    };
}

/// Readable and writable.
macro_rules! rw {
    ($name:literal, $enc:expr, $r:expr) => {
        wo!($name, $enc, $r).get(1, Read::Call(|c| c.platform.icc_read($r)))
    };
}

pub(super) static ROWS: &[SysReg] = &[
    rw!("ICC_PMR_EL1", [3, 0, 4, 6, 0], IccReg::Pmr),
    ro!("ICC_IAR0_EL1", [3, 0, 12, 8, 0], IccReg::Iar0),
    wo!("ICC_EOIR0_EL1", [3, 0, 12, 8, 1], IccReg::Eoir0),
    ro!("ICC_HPPIR0_EL1", [3, 0, 12, 8, 2], IccReg::Hppir0),
    rw!("ICC_BPR0_EL1", [3, 0, 12, 8, 3], IccReg::Bpr0),
    rw!("ICC_AP0R0_EL1", [3, 0, 12, 8, 4], IccReg::Ap0r(0)),
    rw!("ICC_AP0R1_EL1", [3, 0, 12, 8, 5], IccReg::Ap0r(1)),
    rw!("ICC_AP0R2_EL1", [3, 0, 12, 8, 6], IccReg::Ap0r(2)),
    rw!("ICC_AP0R3_EL1", [3, 0, 12, 8, 7], IccReg::Ap0r(3)),
    rw!("ICC_AP1R0_EL1", [3, 0, 12, 9, 0], IccReg::Ap1r(0)),
    rw!("ICC_AP1R1_EL1", [3, 0, 12, 9, 1], IccReg::Ap1r(1)),
    rw!("ICC_AP1R2_EL1", [3, 0, 12, 9, 2], IccReg::Ap1r(2)),
    rw!("ICC_AP1R3_EL1", [3, 0, 12, 9, 3], IccReg::Ap1r(3)),
    wo!("ICC_DIR_EL1", [3, 0, 12, 11, 1], IccReg::Dir),
    ro!("ICC_RPR_EL1", [3, 0, 12, 11, 3], IccReg::Rpr),
    wo!("ICC_SGI1R_EL1", [3, 0, 12, 11, 5], IccReg::Sgi1r),
    wo!("ICC_ASGI1R_EL1", [3, 0, 12, 11, 6], IccReg::Asgi1r),
    wo!("ICC_SGI0R_EL1", [3, 0, 12, 11, 7], IccReg::Sgi0r),
    ro!("ICC_IAR1_EL1", [3, 0, 12, 12, 0], IccReg::Iar1),
    wo!("ICC_EOIR1_EL1", [3, 0, 12, 12, 1], IccReg::Eoir1),
    ro!("ICC_HPPIR1_EL1", [3, 0, 12, 12, 2], IccReg::Hppir1),
    rw!("ICC_BPR1_EL1", [3, 0, 12, 12, 3], IccReg::Bpr1),
    rw!("ICC_CTLR_EL1", [3, 0, 12, 12, 4], IccReg::Ctlr),
    rw!("ICC_SRE_EL1", [3, 0, 12, 12, 5], IccReg::Sre),
    rw!("ICC_IGRPEN0_EL1", [3, 0, 12, 12, 6], IccReg::Igrpen0),
    rw!("ICC_IGRPEN1_EL1", [3, 0, 12, 12, 7], IccReg::Igrpen1),
];
