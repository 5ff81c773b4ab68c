//! Generic timer registers (Arm ARM D11, D17.8). The timers themselves are the board's.

use super::{Read, SysReg, Write};
use crate::ArmCpu;
use crate::platform::{Timer, TimerReg};

/// Bits of CNTKCTL_EL1.
mod cntkctl {
    /// EL0 may read the physical counter and CNTFRQ_EL0.
    pub const EL0PCTEN: u64 = 1 << 0;
    /// EL0 may read the virtual counter and CNTFRQ_EL0.
    pub const EL0VCTEN: u64 = 1 << 1;
    /// EL0 may use the virtual timer.
    pub const EL0VTEN: u64 = 1 << 8;
    /// EL0 may use the physical timer.
    pub const EL0PTEN: u64 = 1 << 9;
    /// The three above and the event stream's EVNTEN, EVNTDIR, EVNTI.
    pub const RW: u64 = 0x3ff;
}

/// One register of one timer.
macro_rules! timer {
    ($name:literal, $enc:expr, $el:literal, $t:ident, $r:ident) => {
        SysReg::new($name, $enc)
            .get($el, Read::Call(|c| c.platform.timer_read(Timer::$t, TimerReg::$r)))
            .set($el, Write::MayFault(|c, v| c.platform.timer_write(Timer::$t, TimerReg::$r, v)))
            .sync()
    };
}

fn enabled(c: &ArmCpu, bits: u64) -> bool {
    c.sys.cntkctl & bits != 0
}

fn phys(c: &ArmCpu, _: bool) -> bool {
    enabled(c, cntkctl::EL0PTEN)
}

fn virt(c: &ArmCpu, _: bool) -> bool {
    enabled(c, cntkctl::EL0VTEN)
}

pub(super) static ROWS: &[SysReg] = &[
    SysReg::new("CNTKCTL_EL1", [3, 0, 14, 1, 0]).field(1, |s| &mut s.cntkctl, cntkctl::RW),
    // Writable at the highest level only.
    SysReg::new("CNTFRQ_EL0", [3, 3, 14, 0, 0])
        .get(0, Read::Field(|s| &mut s.cntfrq))
        .set(
            1,
            Write::MayFault(|c, v| {
                if c.pstate.el == c.model.top_el {
                    c.sys.cntfrq = v & 0xffff_ffff;
                } else {
                    c.raise_undefined();
                }
            }),
        )
        .el0(|c, _| enabled(c, cntkctl::EL0PCTEN | cntkctl::EL0VCTEN)),
    SysReg::new("CNTPCT_EL0", [3, 3, 14, 0, 1])
        .get(0, Read::Call(|c| c.platform.counter()))
        .el0(|c, _| enabled(c, cntkctl::EL0PCTEN)),
    SysReg::new("CNTVCT_EL0", [3, 3, 14, 0, 2])
        .get(0, Read::Call(|c| c.platform.counter()))
        .el0(|c, _| enabled(c, cntkctl::EL0VCTEN)),
    timer!("CNTP_TVAL_EL0", [3, 3, 14, 2, 0], 0, Phys, Tval).el0(phys),
    timer!("CNTP_CTL_EL0", [3, 3, 14, 2, 1], 0, Phys, Ctl).el0(phys),
    timer!("CNTP_CVAL_EL0", [3, 3, 14, 2, 2], 0, Phys, Cval).el0(phys),
    timer!("CNTV_TVAL_EL0", [3, 3, 14, 3, 0], 0, Virt, Tval).el0(virt),
    timer!("CNTV_CTL_EL0", [3, 3, 14, 3, 1], 0, Virt, Ctl).el0(virt),
    timer!("CNTV_CVAL_EL0", [3, 3, 14, 3, 2], 0, Virt, Cval).el0(virt),
    timer!("CNTHP_TVAL_EL2", [3, 4, 14, 2, 0], 2, Hyp, Tval),
    timer!("CNTHP_CTL_EL2", [3, 4, 14, 2, 1], 2, Hyp, Ctl),
    timer!("CNTHP_CVAL_EL2", [3, 4, 14, 2, 2], 2, Hyp, Cval),
    timer!("CNTPS_TVAL_EL1", [3, 7, 14, 2, 0], 3, Sec, Tval),
    timer!("CNTPS_CTL_EL1", [3, 7, 14, 2, 1], 3, Sec, Ctl),
    timer!("CNTPS_CVAL_EL1", [3, 7, 14, 2, 2], 3, Sec, Cval),
];
