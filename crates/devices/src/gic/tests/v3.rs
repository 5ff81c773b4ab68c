use lyrebird_isa::lines::{FIQ, IRQ};

use super::*;
use crate::irq::IrqPin;
use crate::lifecycle::{Device, SnapshotError};

const GICD_CTLR: u64 = 0x0000;
const GICD_IGROUPR: u64 = 0x0080;
const GICD_ISENABLER: u64 = 0x0100;
const GICD_ISPENDR: u64 = 0x0200;
const GICD_ISACTIVER: u64 = 0x0300;
const GICD_IPRIORITYR: u64 = 0x0400;
const GICD_ICFGR: u64 = 0x0c00;
const GICD_IROUTER: u64 = 0x6000;

const GICR_STRIDE: u64 = 0x2_0000;
const GICR_TYPER: u64 = 0x0_0008;
const GICR_WAKER: u64 = 0x0_0014;
const GICR_IGROUPR0: u64 = 0x1_0080;
const GICR_ISENABLER0: u64 = 0x1_0100;
const GICR_ISPENDR0: u64 = 0x1_0200;
const GICR_ICPENDR0: u64 = 0x1_0280;
const GICR_ISACTIVER0: u64 = 0x1_0300;
const GICR_IPRIORITYR: u64 = 0x1_0400;
const GICR_ICFGR1: u64 = 0x1_0c04;

struct Rig {
    gic: Arc<GicV3>,
    lines: Vec<Arc<CpuLines>>,
    d: GicV3Dist,
    r: GicV3Redist,
}

/// Affinities 0.0.0.0 and up, 16 to a cluster, as on `virt`.
fn bare(cpus: usize) -> Rig {
    let lines = lines(cpus);
    let cpus =
        lines.iter().enumerate().map(|(i, l)| ((((i / 16) << 8) | (i % 16)) as u32, l.clone())).collect();
    let gic = GicV3::new(VIRT_INTERRUPTS, cpus).expect("a gic");
    let (d, r) = (gic.distributor(), gic.redistributors());
    Rig { gic, lines, d, r }
}

/// A GIC as Linux sets it up: everything in group 1, enabled, unmasked, at priority 0xa0.
fn rig(cpus: usize) -> Rig {
    let rig = bare(cpus);
    set(&rig.d, GICD_CTLR, 0x12);
    for i in 0..72 {
        set(&rig.d, GICD_IPRIORITYR + i * 4, 0xa0a0_a0a0);
    }
    for i in 0..9 {
        set(&rig.d, GICD_IGROUPR + i * 4, 0xffff_ffff);
    }
    for cpu in 0..cpus {
        let frame = cpu as u64 * GICR_STRIDE;
        set(&rig.r, frame + GICR_WAKER, 0);
        set(&rig.r, frame + GICR_IGROUPR0, 0xffff_ffff);
        set(&rig.r, frame + GICR_ISENABLER0, 0xffff_ffff);
        for i in 0..8 {
            set(&rig.r, frame + GICR_IPRIORITYR + i * 4, 0xa0a0_a0a0);
        }
        rig.icc(cpu, IccReg::Pmr, 0xf0);
        rig.icc(cpu, IccReg::Igrpen1, 1);
    }
    rig
}

impl Rig {
    fn icc(&self, cpu: usize, reg: IccReg, value: u64) {
        self.gic.icc_write(cpu, reg, value);
    }

    fn read(&self, cpu: usize, reg: IccReg) -> u64 {
        self.gic.icc_read(cpu, reg)
    }

    fn level(&self, cpu: usize) -> u32 {
        self.lines[cpu].level()
    }

    fn spi(&self, n: u32) -> IrqPin {
        set(&self.d, GICD_ISENABLER + u64::from(n / 32 + 1) * 4, 1 << (n % 32));
        self.gic.spi(n).expect("an spi")
    }

    fn route(&self, intid: u64, affinity: u64) {
        self.d.write(GICD_IROUTER + intid * 8, Size::B8, affinity);
    }
}

#[test]
fn resets_and_identifies_as_qemus_virt() {
    let g = bare(2);
    assert_eq!(get(&g.d, 0), 0x50, "DS and ARE");
    // QEMU's virt with an ITS has LPIS (bit 17) as well.
    assert_eq!(get(&g.d, 4), 0x0378_0008);
    assert_eq!(get(&g.d, 8), 0x43b);
    let id = |d: &dyn MmioDevice, base: u64| -> Vec<u64> {
        (0..12).map(|i| d.read(base + i * 4, Size::B4)).collect()
    };
    assert_eq!(id(&g.d, 0xffd0), [0x44, 0, 0, 0, 0x92, 0xb4, 0x3b, 0, 0x0d, 0xf0, 0x05, 0xb1]);
    assert_eq!(id(&g.r, 0xffd0), [0x44, 0, 0, 0, 0x93, 0xb4, 0x3b, 0, 0x0d, 0xf0, 0x05, 0xb1]);
    assert_eq!(get(&g.r, GICR_WAKER), 6);
    assert_eq!(g.r.read(GICR_TYPER, Size::B8), 0x0000_0000_0100_0000);
    assert_eq!(g.r.read(GICR_STRIDE + GICR_TYPER, Size::B8), 0x0000_0001_0100_0110, "last, CPU 1, Aff0 1");
    assert_eq!(get(&g.r, 0x1_0c00), 0xaaaa_aaaa);
    assert_eq!(get(&g.r, GICR_ISENABLER0), 0);
    assert_eq!(get(&g.r, 0x70), 0, "no LPI tables");
    assert_eq!(g.read(0, IccReg::Ctlr), 0x8c00);
    assert_eq!(g.read(0, IccReg::Sre), 7);
    assert_eq!(g.read(0, IccReg::Rpr), 0xff);
    assert_eq!((g.read(0, IccReg::Bpr0), g.read(0, IccReg::Bpr1)), (2, 3));
    assert_eq!(g.read(0, IccReg::Iar1), 1023);
    assert_eq!(g.gic.stray().count(), 0);
}

#[test]
fn a_device_interrupt_from_line_to_eoi() {
    let g = rig(1);
    let pin = g.spi(1);
    pin.assert();
    assert_eq!(g.level(0), IRQ);
    assert_eq!(g.read(0, IccReg::Hppir1), 33);
    assert_eq!(g.read(0, IccReg::Hppir0), 1023);
    assert_eq!(g.read(0, IccReg::Iar0), 1023, "it is in group 1");
    assert_eq!(g.read(0, IccReg::Iar1), 33);
    assert_eq!((g.level(0), g.read(0, IccReg::Rpr)), (0, 0xa0));
    assert_eq!(g.read(0, IccReg::Ap1r(0)), 1 << 20, "priority 0xa0 of 5 bits");
    assert_eq!(get(&g.d, GICD_ISACTIVER + 4), 2);
    assert_eq!(get(&g.d, GICD_ISPENDR + 4), 2, "active and pending");
    g.icc(0, IccReg::Eoir0, 33);
    assert_eq!(g.read(0, IccReg::Rpr), 0xa0, "wrong group's EOIR is ignored");
    g.icc(0, IccReg::Eoir1, 33);
    assert_eq!((g.level(0), g.read(0, IccReg::Rpr)), (IRQ, 0xff));
    pin.deassert();
    assert_eq!((g.level(0), g.read(0, IccReg::Iar1)), (0, 1023));
}

#[test]
fn edges_and_levels() {
    let g = rig(1);
    set(&g.d, GICD_ICFGR + 8, 2 << 4);
    let pin = g.spi(2);
    pin.pulse();
    assert_eq!(g.read(0, IccReg::Iar1), 34);
    g.icc(0, IccReg::Eoir1, 34);
    assert_eq!(g.level(0), 0);
    // A PPI made edge-triggered.
    set(&g.r, GICR_ICFGR1, 2 << 22);
    assert_eq!(get(&g.r, GICR_ICFGR1), 2 << 22);
    let timer = g.gic.ppi(0, 27).expect("a ppi");
    timer.pulse();
    assert_eq!(get(&g.r, GICR_ISPENDR0), 1 << 27);
    set(&g.r, GICR_ICPENDR0, 1 << 27);
    assert_eq!(g.level(0), 0);
    set(&g.r, GICR_ICFGR1, 0);
    timer.assert();
    assert_eq!(g.read(0, IccReg::Iar1), 27);
    assert_eq!(get(&g.r, GICR_ISACTIVER0), 1 << 27);
    timer.deassert();
    g.icc(0, IccReg::Eoir1, 27);
    assert_eq!(g.level(0), 0);
}

#[test]
fn five_priority_bits() {
    let g = rig(1);
    g.icc(0, IccReg::Pmr, 0xff);
    assert_eq!(g.read(0, IccReg::Pmr), 0xf8);
    g.d.write(GICD_IPRIORITYR + 40, Size::B1, 0xa7);
    assert_eq!(g.d.read(GICD_IPRIORITYR + 40, Size::B1), 0xa0);
    let pin = g.spi(8);
    pin.assert();
    g.icc(0, IccReg::Pmr, 0xa0);
    assert_eq!(g.level(0), 0);
    g.icc(0, IccReg::Pmr, 0xa8);
    assert_eq!(g.level(0), IRQ);
    g.icc(0, IccReg::Bpr0, 0);
    g.icc(0, IccReg::Bpr1, 0);
    assert_eq!((g.read(0, IccReg::Bpr0), g.read(0, IccReg::Bpr1)), (2, 3), "the least there are");
    g.icc(0, IccReg::Bpr0, 6);
    g.icc(0, IccReg::Ctlr, 1);
    assert_eq!(g.read(0, IccReg::Ctlr), 0x8c01);
    assert_eq!(g.read(0, IccReg::Bpr1), 7, "CBPR: the common binary point, plus one");
    g.icc(0, IccReg::Bpr1, 4);
    assert_eq!(g.read(0, IccReg::Bpr1), 7);
    g.icc(0, IccReg::Ctlr, 0);
    assert_eq!(g.read(0, IccReg::Bpr1), 3);
}

#[test]
fn priorities_nest() {
    let g = rig(1);
    let pins = [g.spi(0), g.spi(1), g.spi(2)];
    for (i, priority) in [0xa0, 0x98, 0x40].into_iter().enumerate() {
        g.d.write(GICD_IPRIORITYR + 32 + i as u64, Size::B1, priority);
    }
    g.icc(0, IccReg::Bpr1, 5);
    pins[0].assert();
    assert_eq!(g.read(0, IccReg::Iar1), 32);
    pins[1].assert();
    assert_eq!((g.level(0), g.read(0, IccReg::Hppir1)), (IRQ, 33), "0x80 before 0xa0 with group bits 7:5");
    g.icc(0, IccReg::Bpr1, 7);
    assert_eq!(g.level(0), 0, "bit 7 alone is the same");
    pins[2].assert();
    assert_eq!(g.level(0), IRQ);
    assert_eq!(g.read(0, IccReg::Iar1), 34);
    assert_eq!(g.read(0, IccReg::Rpr), 0);
    pins[2].deassert();
    g.icc(0, IccReg::Eoir1, 34);
    pins[0].deassert();
    g.icc(0, IccReg::Eoir1, 32);
    assert_eq!(g.read(0, IccReg::Iar1), 33);
}

#[test]
fn eoi_mode_splits_drop_and_deactivation() {
    let g = rig(1);
    let pin = g.spi(0);
    g.icc(0, IccReg::Ctlr, 2);
    pin.assert();
    assert_eq!(g.read(0, IccReg::Iar1), 32);
    g.icc(0, IccReg::Eoir1, 32);
    assert_eq!((g.read(0, IccReg::Rpr), g.level(0)), (0xff, 0));
    assert_eq!(get(&g.d, GICD_ISACTIVER + 4), 1);
    g.icc(0, IccReg::Dir, 32);
    assert_eq!(g.level(0), IRQ);
    assert_eq!(g.read(0, IccReg::Iar1), 32);
    g.icc(0, IccReg::Ctlr, 0);
    g.icc(0, IccReg::Dir, 32);
    assert_eq!(get(&g.d, GICD_ISACTIVER + 4), 1, "DIR without EOImode is ignored");
}

#[test]
fn group_0_is_fiq() {
    let g = rig(1);
    let pin = g.spi(0);
    set(&g.d, GICD_IGROUPR + 4, 0xffff_fffe);
    pin.assert();
    assert_eq!(g.level(0), 0, "neither enable for group 0 is set");
    set(&g.d, GICD_CTLR, 3);
    assert_eq!(get(&g.d, GICD_CTLR), 0x53);
    g.icc(0, IccReg::Igrpen0, 1);
    assert_eq!(g.level(0), FIQ);
    assert_eq!(g.read(0, IccReg::Iar1), 1023);
    assert_eq!(g.read(0, IccReg::Iar0), 32);
    assert_eq!((g.read(0, IccReg::Ap0r(0)), g.read(0, IccReg::Ap1r(0))), (1 << 20, 0));
    g.icc(0, IccReg::Eoir1, 32);
    assert_eq!(g.read(0, IccReg::Rpr), 0xa0);
    g.icc(0, IccReg::Eoir0, 32);
    assert_eq!((g.read(0, IccReg::Rpr), g.level(0)), (0xff, FIQ));
}

#[test]
fn sgis_reach_the_listed_cpus_of_a_cluster() {
    let g = rig(18);
    let levels = |g: &Rig| (0..18).filter(|&i| g.level(i) != 0).collect::<Vec<_>>();
    g.icc(0, IccReg::Sgi1r, 5 << 24 | 0b1010);
    assert_eq!(levels(&g), [1, 3]);
    assert_eq!(g.read(3, IccReg::Iar1), 5);
    g.icc(3, IccReg::Eoir1, 5);
    g.icc(1, IccReg::Sgi1r, 1 << 16 | 5 << 24 | 0b10);
    assert_eq!(levels(&g), [1, 17], "cluster 1");
    assert_eq!((g.read(1, IccReg::Iar1), g.read(17, IccReg::Iar1)), (5, 5));
    g.icc(1, IccReg::Eoir1, 5);
    g.icc(17, IccReg::Eoir1, 5);
    g.icc(2, IccReg::Sgi1r, 1 << 40 | 9 << 24);
    assert_eq!(levels(&g), (0..18).filter(|&i| i != 2).collect::<Vec<_>>(), "all but self");
    g.icc(0, IccReg::Sgi1r, 1 << 48 | 0xffff);
    g.icc(0, IccReg::Sgi0r, 0b100);
    g.icc(0, IccReg::Asgi1r, 0b100);
    assert_eq!(g.level(2), 0, "other affinity; SGI 0 is not in group 0");
}

#[test]
fn spis_go_where_irouter_says() {
    let g = rig(18);
    let pin = g.spi(0);
    pin.assert();
    assert_eq!(g.level(0), IRQ, "affinity 0.0.0.0 after reset");
    g.route(32, 0x101);
    assert_eq!((g.level(0), g.level(17)), (0, IRQ));
    assert_eq!(g.d.read(GICD_IROUTER + 32 * 8, Size::B8), 0x101);
    set(&g.d, GICD_IROUTER + 32 * 8, 2);
    assert_eq!((g.level(17), g.level(2)), (0, IRQ), "half a register");
    set(&g.d, GICD_IROUTER + 32 * 8 + 4, 1);
    assert_eq!(g.level(2), 0, "nobody has Aff3 1");
    assert_eq!(g.d.read(GICD_IROUTER + 32 * 8, Size::B8), 1 << 32 | 2);
    g.route(32, 0);
    assert_eq!(g.level(0), IRQ);
}

#[test]
fn private_interrupts_are_in_the_redistributor_only() {
    let g = rig(2);
    set(&g.d, GICD_ISPENDR, 0xffff_ffff);
    assert_eq!((get(&g.d, GICD_ISPENDR), get(&g.d, GICD_ISENABLER)), (0, 0));
    assert_eq!(g.level(0), 0);
    set(&g.r, GICR_STRIDE + GICR_ISPENDR0, 1 << 20);
    assert_eq!((g.level(0), g.level(1)), (0, IRQ));
    set(&g.r, GICR_WAKER, 2);
    assert_eq!(get(&g.r, GICR_WAKER), 6, "the children sleep at once");
}

#[test]
fn reset_keeps_levels_and_restore_brings_all_back() {
    let g = rig(2);
    let pin = g.spi(0);
    pin.assert();
    assert_eq!(g.read(0, IccReg::Iar1), 32);
    let saved = g.gic.save().expect("saved");
    g.gic.reset();
    assert_eq!((g.level(0), g.read(0, IccReg::Rpr), get(&g.d, 0)), (0, 0xff, 0x50));
    assert_eq!(get(&g.d, GICD_ISPENDR + 4), 1);
    g.gic.restore(&saved).expect("restored");
    g.icc(0, IccReg::Eoir1, 32);
    assert_eq!(g.level(0), IRQ);
    assert!(matches!(bare(1).gic.restore(&saved), Err(SnapshotError::Malformed { .. })));
    let v2 = GicV2::new(64, lines(1)).expect("a gic");
    assert!(matches!(v2.restore(&saved), Err(SnapshotError::WrongKind { .. })));
}

#[test]
fn nothing_that_a_guest_does_panics() {
    const ICC: [IccReg; 25] = [
        IccReg::Pmr,
        IccReg::Iar0,
        IccReg::Iar1,
        IccReg::Eoir0,
        IccReg::Eoir1,
        IccReg::Hppir0,
        IccReg::Hppir1,
        IccReg::Bpr0,
        IccReg::Bpr1,
        IccReg::Ap0r(0),
        IccReg::Ap1r(0),
        IccReg::Ap1r(255),
        IccReg::Dir,
        IccReg::Rpr,
        IccReg::Sgi1r,
        IccReg::Asgi1r,
        IccReg::Sgi0r,
        IccReg::Ctlr,
        IccReg::CtlrEl3,
        IccReg::Sre,
        IccReg::SreEl2,
        IccReg::SreEl3,
        IccReg::Igrpen0,
        IccReg::Igrpen1,
        IccReg::Igrpen1El3,
    ];
    let g = rig(2);
    let pins: Vec<_> = (0..8).map(|n| g.gic.spi(n * 30).expect("an spi")).collect();
    let mut random = random_numbers(4);
    for _ in 0..300_000 {
        let size = Size::from_log2(random() as u32 % 5);
        let value = random() << 32 | random();
        let cpu = random() as usize % 3;
        let sgi_frame = random() % 2 * GICR_STRIDE + 0x1_0000 + random() % 0xe10;
        match random() % 9 {
            0 => pins[random() as usize % 8].set(random().is_multiple_of(2)),
            1 => drop(g.d.read(random() % 0x1_0010, size)),
            2 => g.d.write(random() % 0x1_0010, size, value),
            3 => drop(g.r.read(random() % 0x4_0010, size)),
            4 => g.r.write(sgi_frame, size, value),
            5 => g.d.write(random() % 0x1000, size, value),
            6 => drop(g.gic.icc_read(cpu, ICC[random() as usize % 25])),
            7 => g.icc(cpu, ICC[random() as usize % 25], value % 300),
            _ => g.icc(cpu, ICC[random() as usize % 25], value),
        }
    }
    assert!(g.gic.stray().count() > 0);
}
