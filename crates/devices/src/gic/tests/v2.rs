use lyrebird_isa::lines::{FIQ, IRQ};

use super::*;
use crate::irq::IrqPin;
use crate::lifecycle::{Device, SnapshotError};

const GICD_CTLR: u64 = 0x000;
const GICD_TYPER: u64 = 0x004;
const GICD_IGROUPR: u64 = 0x080;
const GICD_ISENABLER: u64 = 0x100;
const GICD_ICENABLER: u64 = 0x180;
const GICD_ISPENDR: u64 = 0x200;
const GICD_ICPENDR: u64 = 0x280;
const GICD_ISACTIVER: u64 = 0x300;
const GICD_ICACTIVER: u64 = 0x380;
const GICD_IPRIORITYR: u64 = 0x400;
const GICD_ITARGETSR: u64 = 0x800;
const GICD_ICFGR: u64 = 0xc00;
const GICD_SGIR: u64 = 0xf00;
const GICD_CPENDSGIR: u64 = 0xf10;
const GICD_SPENDSGIR: u64 = 0xf20;

const GICC_CTLR: u64 = 0x00;
const GICC_PMR: u64 = 0x04;
const GICC_BPR: u64 = 0x08;
const GICC_IAR: u64 = 0x0c;
const GICC_EOIR: u64 = 0x10;
const GICC_RPR: u64 = 0x14;
const GICC_HPPIR: u64 = 0x18;
const GICC_ABPR: u64 = 0x1c;
const GICC_AIAR: u64 = 0x20;
const GICC_AEOIR: u64 = 0x24;
const GICC_AHPPIR: u64 = 0x28;
const GICC_APR: u64 = 0xd0;
const GICC_NSAPR: u64 = 0xe0;
const GICC_DIR: u64 = 0x1000;

struct Rig {
    gic: Arc<GicV2>,
    lines: Vec<Arc<CpuLines>>,
    d: Vec<GicV2Dist>,
    c: Vec<GicV2Cpu>,
}

/// A GIC as Linux sets it up: everything in group 0, enabled, unmasked, SPIs at priority 0xa0.
fn rig(cpus: usize) -> Rig {
    let lines = lines(cpus);
    let gic = GicV2::new(VIRT_INTERRUPTS, lines.clone()).expect("a gic");
    let d: Vec<_> = (0..cpus).map(|i| gic.distributor(i)).collect();
    let c: Vec<_> = (0..cpus).map(|i| gic.cpu_interface(i)).collect();
    set(&d[0], GICD_CTLR, 1);
    for i in 0..72 {
        set(&d[0], GICD_IPRIORITYR + i * 4, 0xa0a0_a0a0);
        set(&d[0], GICD_ITARGETSR + i * 4, 0x0101_0101);
    }
    for (d, c) in d.iter().zip(&c) {
        set(d, GICD_ISENABLER, 0xffff_ffff);
        for i in 0..8 {
            set(d, GICD_IPRIORITYR + i * 4, 0xa0a0_a0a0);
        }
        set(c, GICC_PMR, 0xf0);
        set(c, GICC_CTLR, 1);
    }
    Rig { gic, lines, d, c }
}

impl Rig {
    fn enable(&self, intid: u64) {
        set(&self.d[0], GICD_ISENABLER + intid / 32 * 4, 1 << (intid % 32));
    }

    fn priority(&self, intid: u64, priority: u8) {
        self.d[0].write(GICD_IPRIORITYR + intid, Size::B1, u64::from(priority));
    }

    fn edge(&self, intid: u64) {
        let at = GICD_ICFGR + intid / 16 * 4;
        let bit = 2 << (intid % 16 * 2);
        set(&self.d[0], at, get(&self.d[0], at) | bit);
    }

    fn spi(&self, n: u32) -> IrqPin {
        self.enable(u64::from(n) + 32);
        self.gic.spi(n).expect("an spi")
    }

    fn level(&self, cpu: usize) -> u32 {
        self.lines[cpu].level()
    }

    fn iar(&self, cpu: usize) -> u32 {
        get(&self.c[cpu], GICC_IAR)
    }

    fn eoi(&self, cpu: usize, id: u32) {
        set(&self.c[cpu], GICC_EOIR, id);
    }

    fn active(&self, intid: u64) -> bool {
        get(&self.d[0], GICD_ISACTIVER + intid / 32 * 4) >> (intid % 32) & 1 != 0
    }

    fn pending(&self, intid: u64) -> bool {
        get(&self.d[0], GICD_ISPENDR + intid / 32 * 4) >> (intid % 32) & 1 != 0
    }
}

#[test]
fn resets_and_identifies_as_qemus_virt() {
    let gic = GicV2::new(VIRT_INTERRUPTS, lines(1)).expect("a gic");
    let (d, c) = (gic.distributor(0), gic.cpu_interface(0));
    assert_eq!((0..3).map(|i| get(&d, i * 4)).collect::<Vec<_>>(), [0, 8, 0x43b]);
    assert_eq!(get(&d, GICD_ISENABLER), 0xffff);
    assert_eq!(get(&d, GICD_ITARGETSR), 0);
    assert_eq!(get(&d, GICD_ICFGR), 0xaaaa_aaaa);
    assert_eq!(get(&d, GICD_ICFGR + 4), 0);
    let id: Vec<_> = (0..12).map(|i| get(&d, 0xfd0 + i * 4)).collect();
    assert_eq!(id, [4, 0, 0, 0, 0x90, 0xb4, 0x2b, 0, 0x0d, 0xf0, 0x05, 0xb1]);
    let cpu: Vec<_> = (0..8).map(|i| get(&c, i * 4)).collect();
    assert_eq!(cpu, [0, 0, 0, 0x3ff, 0, 0xff, 0x3ff, 1]);
    assert_eq!(get(&c, 0xfc), 0x0002_043b);
    assert_eq!(gic.stray().count(), 0);
    let two = GicV2::new(VIRT_INTERRUPTS, lines(2)).expect("a gic");
    assert_eq!(get(&two.distributor(0), GICD_TYPER), 0x28);
}

#[test]
fn a_level_is_pending_while_high() {
    let r = rig(1);
    let pin = r.spi(1);
    pin.assert();
    assert_eq!((r.level(0), r.pending(33)), (IRQ, true));
    pin.deassert();
    assert_eq!((r.level(0), r.pending(33)), (0, false), "and only then");
    pin.assert();
    assert_eq!(r.iar(0), 33);
    assert_eq!(r.level(0), 0, "active: not signalled again");
    assert!(r.active(33) && r.pending(33), "active and pending");
    assert_eq!(r.iar(0), 1023);
    r.eoi(0, 33);
    assert_eq!(r.level(0), IRQ, "still high");
    assert_eq!(r.iar(0), 33);
    pin.deassert();
    r.eoi(0, 33);
    assert_eq!((r.level(0), r.active(33), r.pending(33)), (0, false, false));
}

#[test]
fn an_edge_is_latched_once() {
    let r = rig(1);
    r.edge(34);
    let pin = r.spi(2);
    pin.pulse();
    assert_eq!(r.level(0), IRQ);
    assert_eq!(r.iar(0), 34);
    assert!(!r.pending(34));
    r.eoi(0, 34);
    assert_eq!(r.level(0), 0);
    pin.assert();
    assert_eq!(r.iar(0), 34);
    r.eoi(0, 34);
    assert_eq!(r.iar(0), 1023, "no edge, though still high");
    pin.deassert();
    pin.assert();
    assert_eq!(r.iar(0), 34);
    pin.pulse();
    pin.pulse();
    r.eoi(0, 34);
    assert_eq!(r.iar(0), 34, "an edge while active is remembered, two as one");
    r.eoi(0, 34);
    assert_eq!(r.iar(0), 1023);
}

#[test]
fn pending_can_be_set_and_cleared_by_hand() {
    let r = rig(1);
    let pin = r.spi(0);
    set(&r.d[0], GICD_ISPENDR + 4, 1);
    assert_eq!(r.level(0), IRQ);
    set(&r.d[0], GICD_ICPENDR + 4, 1);
    assert_eq!(r.level(0), 0);
    pin.assert();
    set(&r.d[0], GICD_ICPENDR + 4, 1);
    assert!(r.pending(32), "a level that is high cannot be cleared");
    pin.deassert();
    set(&r.d[0], GICD_ISPENDR + 4, 1);
    pin.pulse();
    assert!(r.pending(32), "the latch outlives the level");
    assert_eq!(r.iar(0), 32);
    assert!(!r.pending(32));
    set(&r.d[0], GICD_ICACTIVER + 4, 1);
    assert!(!r.active(32));
}

#[test]
fn enables_and_masks_gate_the_signal() {
    let r = rig(1);
    let pin = r.spi(0);
    pin.assert();
    for (device, at, off, on) in
        [(0, GICD_CTLR, 0, 1), (1, GICC_CTLR, 0, 1), (1, GICC_PMR, 0xa0, 0xa1), (1, GICC_PMR, 0, 0xff)]
    {
        let write = |v| if device == 0 { set(&r.d[0], at, v) } else { set(&r.c[0], at, v) };
        write(off);
        assert_eq!((r.level(0), r.iar(0)), (0, 1023), "{at:#x}");
        write(on);
        assert_eq!(r.level(0), IRQ, "{at:#x}");
    }
    set(&r.d[0], GICD_ICENABLER + 4, 1);
    assert_eq!((r.level(0), r.pending(32)), (0, true));
    set(&r.d[0], GICD_ISENABLER + 4, 1);
    assert_eq!(r.level(0), IRQ);
    assert_eq!(get(&r.d[0], GICD_ICENABLER + 4), 1, "both registers read as the enables");
}

#[test]
fn the_more_urgent_interrupt_preempts() {
    let r = rig(1);
    let (a, b, c) = (r.spi(10), r.spi(11), r.spi(12));
    r.priority(43, 0x80);
    r.priority(44, 0x80);
    a.assert();
    assert_eq!(r.iar(0), 42);
    assert_eq!(get(&r.c[0], GICC_RPR), 0xa0);
    c.assert();
    b.assert();
    assert_eq!(r.level(0), IRQ);
    assert_eq!(get(&r.c[0], GICC_HPPIR), 43, "equal priorities: the lower INTID");
    assert_eq!(r.iar(0), 43);
    assert_eq!(get(&r.c[0], GICC_RPR), 0x80);
    assert_eq!(r.level(0), 0, "44 is not more urgent than what runs");
    assert_eq!(r.iar(0), 1023);
    assert_eq!(get(&r.c[0], GICC_HPPIR), 44);
    b.deassert();
    r.eoi(0, 43);
    assert_eq!(get(&r.c[0], GICC_RPR), 0xa0);
    assert_eq!(r.iar(0), 44);
    c.deassert();
    r.eoi(0, 44);
    a.deassert();
    r.eoi(0, 42);
    assert_eq!((get(&r.c[0], GICC_RPR), r.level(0)), (0xff, 0));
}

#[test]
fn the_binary_point_holds_off_subpriorities() {
    let r = rig(1);
    let (a, b) = (r.spi(0), r.spi(1));
    r.priority(33, 0x90);
    set(&r.c[0], GICC_BPR, 5);
    assert_eq!(get(&r.c[0], GICC_BPR), 5);
    a.assert();
    assert_eq!(r.iar(0), 32);
    assert_eq!(get(&r.c[0], GICC_RPR), 0x80, "the group priority of 0xa0 with bits 7:6");
    b.assert();
    assert_eq!(r.level(0), 0, "same group priority");
    set(&r.c[0], GICC_BPR, 0);
    a.deassert();
    r.eoi(0, 32);
    assert_eq!(r.iar(0), 33);
}

#[test]
fn eoi_mode_splits_drop_and_deactivation() {
    let r = rig(1);
    let (a, b) = (r.spi(0), r.spi(1));
    set(&r.c[0], GICC_CTLR, 1 | 1 << 9);
    a.assert();
    assert_eq!(r.iar(0), 32);
    r.eoi(0, 32);
    assert_eq!(get(&r.c[0], GICC_RPR), 0xff, "priority dropped");
    assert!(r.active(32));
    assert_eq!(r.level(0), 0, "but not to be taken again");
    b.assert();
    assert_eq!(r.iar(0), 33, "others are");
    set(&r.c[0], GICC_DIR, 32);
    assert!(!r.active(32));
    r.eoi(0, 33);
    assert_eq!(r.iar(0), 32);
    set(&r.c[0], GICC_CTLR, 1);
    set(&r.c[0], GICC_DIR, 32);
    assert!(r.active(32), "DIR without EOImode is ignored");
}

#[test]
fn a_spurious_eoi_changes_nothing() {
    let r = rig(1);
    let pin = r.spi(0);
    pin.assert();
    r.eoi(0, 32);
    assert_eq!(r.level(0), IRQ);
    assert_eq!(r.iar(0), 32);
    r.eoi(0, 1023);
    r.eoi(0, 300);
    assert_eq!(get(&r.c[0], GICC_RPR), 0xa0);
    assert!(r.active(32));
}

#[test]
fn groups_choose_register_and_line() {
    let r = rig(1);
    let (zero, one) = (r.spi(0), r.spi(1));
    set(&r.d[0], GICD_IGROUPR + 4, 2);
    set(&r.d[0], GICD_CTLR, 3);
    set(&r.c[0], GICC_CTLR, 3 | 1 << 3);
    one.assert();
    assert_eq!(r.level(0), IRQ);
    assert_eq!(r.iar(0), 1022, "AckCtl is clear: group 1 is for the aliased register");
    assert_eq!(get(&r.c[0], GICC_HPPIR), 1022);
    assert_eq!(get(&r.c[0], GICC_AHPPIR), 33);
    assert_eq!(get(&r.c[0], GICC_AIAR), 33);
    assert_eq!((get(&r.c[0], GICC_APR), get(&r.c[0], GICC_NSAPR)), (0, 0));
    assert_eq!(get(&r.c[0], GICC_NSAPR + 8), 1 << 16, "priority 0xa0 is bit 80");
    r.priority(32, 0x40);
    zero.assert();
    assert_eq!(r.level(0), FIQ, "FIQEn");
    assert_eq!(get(&r.c[0], GICC_AIAR), 1023);
    assert_eq!(r.iar(0), 32);
    zero.deassert();
    r.eoi(0, 32);
    one.deassert();
    set(&r.c[0], GICC_AEOIR, 33);
    assert_eq!(get(&r.c[0], GICC_RPR), 0xff);
    one.assert();
    set(&r.c[0], GICC_CTLR, 3 | 1 << 2);
    assert_eq!(r.iar(0), 33, "AckCtl");
    set(&r.c[0], GICC_CTLR, 1);
    r.eoi(0, 33);
    assert_eq!(r.level(0), 0, "group 1 is off at the CPU");
    set(&r.c[0], GICC_CTLR, 2);
    assert_eq!(r.level(0), IRQ);
    set(&r.d[0], GICD_CTLR, 1);
    assert_eq!(r.level(0), 0, "group 1 is off at the distributor");
}

#[test]
fn sgis_carry_their_source() {
    let r = rig(3);
    set(&r.d[1], GICD_SGIR, 0b001 << 16 | 5);
    set(&r.d[2], GICD_SGIR, 0b011 << 16 | 5);
    assert_eq!((r.level(0), r.level(1), r.level(2)), (IRQ, IRQ, 0));
    assert_eq!(get(&r.d[0], GICD_SPENDSGIR + 4), 0b110 << 8);
    assert_eq!(r.iar(0), 1 << 10 | 5, "the lower source first");
    assert!(r.pending(5));
    r.eoi(0, 1 << 10 | 5);
    assert_eq!(r.iar(0), 2 << 10 | 5);
    r.eoi(0, 2 << 10 | 5);
    assert_eq!(r.iar(0), 1023);
    assert_eq!(r.iar(1), 2 << 10 | 5);
    r.eoi(1, 2 << 10 | 5);
    // Filters: all but self, self, and the reserved one.
    set(&r.d[1], GICD_SGIR, 1 << 24 | 3);
    assert_eq!((r.level(0), r.level(1), r.level(2)), (IRQ, 0, IRQ));
    r.d[0].write(GICD_CPENDSGIR + 3, Size::B1, 0xff);
    set(&r.d[2], GICD_CPENDSGIR, 0xff00_0000);
    assert_eq!((r.level(0), r.level(2)), (0, 0));
    set(&r.d[1], GICD_SGIR, 2 << 24 | 3);
    assert_eq!((r.level(0), r.level(1), r.level(2)), (0, IRQ, 0));
    assert_eq!(r.iar(1), 1 << 10 | 3);
    r.eoi(1, 1 << 10 | 3);
    set(&r.d[1], GICD_SGIR, 3 << 24 | 0xff << 16 | 3);
    assert_eq!((r.level(0), r.level(1), r.level(2)), (0, 0, 0));
    // Pended by hand, with a source; not through ISPENDR.
    set(&r.d[0], GICD_ISPENDR, 1 << 9);
    assert_eq!(r.level(0), 0);
    set(&r.d[0], GICD_SPENDSGIR + 8, 0xff04 << 8);
    assert_eq!(r.iar(0), 2 << 10 | 9);
    set(&r.d[0], GICD_ICENABLER, 0xffff);
    assert_eq!(get(&r.d[0], GICD_ISENABLER) & 0xffff, 0xffff, "SGIs are always enabled");
}

#[test]
fn spis_go_to_their_targets_and_one_takes_them() {
    let r = rig(3);
    assert_eq!(get(&r.d[2], GICD_ITARGETSR), 0x0404_0404, "private ones read as the reader");
    let pin = r.spi(4);
    r.d[0].write(GICD_ITARGETSR + 36, Size::B1, 0xfe);
    assert_eq!(get(&r.d[0], GICD_ITARGETSR + 36), 0x0101_0106, "CPUs that are not there are RAZ/WI");
    pin.assert();
    assert_eq!((r.level(0), r.level(1), r.level(2)), (0, IRQ, IRQ));
    assert_eq!(r.iar(2), 36);
    assert_eq!((r.level(1), r.iar(1)), (0, 1023), "1-N model: it is taken");
    r.eoi(2, 36);
    assert_eq!((r.level(1), r.level(2)), (IRQ, IRQ));
    r.d[0].write(GICD_ITARGETSR + 36, Size::B1, 1);
    assert_eq!((r.level(0), r.level(1), r.level(2)), (IRQ, 0, 0), "moves at once");
}

#[test]
fn ppis_are_per_cpu() {
    let r = rig(2);
    let timer = r.gic.ppi(1, 27).expect("a ppi");
    timer.assert();
    assert_eq!((r.level(0), r.level(1)), (0, IRQ));
    assert_eq!(get(&r.d[0], GICD_ISPENDR), 0);
    assert_eq!(get(&r.d[1], GICD_ISPENDR), 1 << 27);
    assert_eq!(r.iar(1), 27);
    timer.deassert();
    r.eoi(1, 27);
    assert_eq!(r.level(1), 0);
}

#[test]
fn reset_keeps_levels_and_restore_brings_all_back() {
    let r = rig(2);
    let pin = r.spi(0);
    pin.assert();
    set(&r.d[1], GICD_SGIR, 1 << 16 | 7);
    assert_eq!(r.iar(0), 1 << 10 | 7);
    let saved = r.gic.save().expect("saved");
    r.gic.reset();
    assert_eq!((r.level(0), get(&r.d[0], GICD_CTLR), get(&r.c[0], GICC_RPR)), (0, 0, 0xff));
    assert!(r.pending(32), "the device still drives its line");
    r.gic.restore(&saved).expect("restored");
    assert_eq!(get(&r.c[0], GICC_RPR), 0xa0);
    r.eoi(0, 1 << 10 | 7);
    assert_eq!(r.iar(0), 32);
    let other = GicV2::new(64, lines(2)).expect("a gic");
    assert!(matches!(other.restore(&saved), Err(SnapshotError::Malformed { .. })));
}

#[test]
fn nothing_that_a_guest_does_panics() {
    let r = rig(2);
    let pins: Vec<_> = (0..8).map(|n| r.gic.spi(n * 30).expect("an spi")).collect();
    let mut random = random_numbers(3);
    for _ in 0..300_000 {
        let size = Size::from_log2(random() as u32 % 5);
        let cpu = random() as usize % 2;
        let value = random() << 32 | random();
        let far = random().is_multiple_of(64);
        match random() % 8 {
            0 => pins[random() as usize % 8].set(random().is_multiple_of(2)),
            1 | 2 => drop(r.d[cpu].read(random() % 0x1004, size)),
            3 | 4 => r.d[cpu].write(random() % 0x1004, size, value),
            5 => drop(r.c[cpu].read(random() % 0x104, size)),
            6 => r.c[cpu].write(random() % 0x104, size, value),
            _ if far => r.c[cpu].write(random() << 32 | random(), size, value),
            _ => set(&r.c[cpu], [GICC_DIR, GICC_EOIR, GICC_ABPR][value as usize % 3], value as u32 % 320),
        }
    }
    assert!(r.gic.stray().count() > 0);
}
