//! Self-hosted debug registers (Arm ARM D17.3). No external debugger exists: the communication channel takes
//! one word that nobody fetches, and halting debug is never allowed.

use super::regs::mdscr;
use super::{Read, SysReg, Write};
use crate::ArmCpu;

/// EL0 access to the communication channel: MDSCR_EL1.TDCC traps it.
fn dcc_el0(c: &ArmCpu, _: bool) -> bool {
    c.sys.mdscr & mdscr::TDCC == 0
}

/// MDCCSR_EL0 and the mirror in MDSCR_EL1: TXfull, bit 29.
fn dcc_flags(c: &ArmCpu) -> u64 {
    (c.sys.dcc_full as u64) << 29
}

/// Registers of one breakpoint and one watchpoint.
macro_rules! points {
    ($($n:literal),*) => {
        &[$(
            SysReg::new(concat!("DBGBVR", $n, "_EL1"), [2, 0, 0, $n, 4])
                .field(1, |s| &mut s.dbgbvr[$n], !3),
            SysReg::new(concat!("DBGBCR", $n, "_EL1"), [2, 0, 0, $n, 5])
                .get(1, Read::Field(|s| &mut s.dbgbcr[$n]))
                .set(1, Write::MayFault(|c, v| { c.sys.dbgbcr[$n] = v & 0x00f0_e1e7; c.context_changed(); }))
                .sync(),
            SysReg::new(concat!("DBGWVR", $n, "_EL1"), [2, 0, 0, $n, 6])
                .field(1, |s| &mut s.dbgwvr[$n], !3),
            SysReg::new(concat!("DBGWCR", $n, "_EL1"), [2, 0, 0, $n, 7])
                .get(1, Read::Field(|s| &mut s.dbgwcr[$n]))
                .set(1, Write::Call(|c, v| {
                    c.sys.dbgwcr[$n] = v & 0x1f1f_ffff;
                    if v & 1 != 0 {
                        c.counters.gap("watchpoint enabled");
                    }
                })),
        )*]
    };
}

pub(super) static POINTS: &[SysReg] = points!(0, 1);

pub(super) static ROWS: &[SysReg] = &[
    SysReg::new("OSDTRRX_EL1", [2, 0, 0, 0, 2]).get(1, Read::Call(|_| 0)).set(1, Write::Nop),
    SysReg::new("OSDTRTX_EL1", [2, 0, 0, 3, 2]).get(1, Read::Call(|_| 0)).set(1, Write::Nop),
    SysReg::new("MDCCINT_EL1", [2, 0, 0, 2, 0]).field(1, |s| &mut s.mdccint, 3 << 29),
    SysReg::new("MDSCR_EL1", [2, 0, 0, 2, 2])
        .get(1, Read::Call(|c| c.sys.mdscr | dcc_flags(c)))
        .set(
            1,
            Write::MayFault(|c, v| {
                c.sys.mdscr = v & mdscr::RW;
                c.context_changed();
            }),
        )
        .sync(),
    SysReg::new("OSECCR_EL1", [2, 0, 0, 6, 2]).field(1, |s| &mut s.oseccr, 0xffff_ffff),
    SysReg::new("MDRAR_EL1", [2, 0, 1, 0, 0]).get(1, Read::Call(|_| 0)),
    SysReg::new("OSLAR_EL1", [2, 0, 1, 0, 4])
        .set(
            1,
            Write::MayFault(|c, v| {
                c.sys.os_lock = v & 1 != 0;
                c.context_changed();
            }),
        )
        .sync(),
    // OSLM 0b10: the OS lock is implemented.
    SysReg::new("OSLSR_EL1", [2, 0, 1, 1, 4]).get(1, Read::Call(|c| 8 | (c.sys.os_lock as u64) << 1)),
    SysReg::new("OSDLR_EL1", [2, 0, 1, 3, 4]).field(1, |s| &mut s.osdlr, 1).sync(),
    SysReg::new("DBGPRCR_EL1", [2, 0, 1, 4, 4]).field(1, |s| &mut s.dbgprcr, 1),
    SysReg::new("DBGCLAIMSET_EL1", [2, 0, 7, 8, 6])
        .get(1, Read::Call(|_| 0xff))
        .set(1, Write::Call(|c, v| c.sys.dbgclaim |= v & 0xff)),
    SysReg::new("DBGCLAIMCLR_EL1", [2, 0, 7, 9, 6])
        .get(1, Read::Call(|c| c.sys.dbgclaim))
        .set(1, Write::Call(|c, v| c.sys.dbgclaim &= !v)),
    // Non-secure invasive and non-invasive debug implemented and disabled: nobody is there to debug.
    SysReg::new("DBGAUTHSTATUS_EL1", [2, 0, 7, 14, 6]).get(1, Read::Call(|_| 0b1010)),
    SysReg::new("MDCCSR_EL0", [2, 3, 0, 1, 0]).get(0, Read::Call(|c| dcc_flags(c))).el0(dcc_el0),
    SysReg::new("DBGDTR_EL0", [2, 3, 0, 4, 0])
        .get(0, Read::Call(|_| 0))
        .set(0, Write::Call(|c, _| c.sys.dcc_full = true))
        .el0(dcc_el0),
    // DBGDTRRX_EL0 when read, DBGDTRTX_EL0 when written.
    SysReg::new("DBGDTRRX_EL0", [2, 3, 0, 5, 0])
        .get(0, Read::Call(|_| 0))
        .set(0, Write::Call(|c, _| c.sys.dcc_full = true))
        .el0(dcc_el0),
];
