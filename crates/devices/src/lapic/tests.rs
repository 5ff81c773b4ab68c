//! Expectations are statements of Intel's SDM, Vol. 3, chapter 10 (numbered as in the 2020s editions before the
//! chapter became 11), and of the MP specification.

use super::*;
use crate::time::tests::TestClock;

const RATES: Rates = Rates { timer_hz: 1_000_000_000, tsc_hz: 2_000_000_000 };

const ID: u64 = 0x20;
const TPR: u64 = 0x80;
const APR: u64 = 0x90;
const PPR: u64 = 0xa0;
const EOI: u64 = 0xb0;
const LDR: u64 = 0xd0;
const DFR: u64 = 0xe0;
const SVR: u64 = 0xf0;
const ISR: u64 = 0x100;
const TMR: u64 = 0x180;
const IRR: u64 = 0x200;
const ESR: u64 = 0x280;
const ICR: u64 = 0x300;
const ICR_HIGH: u64 = 0x310;
const LVT_TIMER: u64 = 0x320;
const LVT_PERF: u64 = 0x340;
const LVT_LINT0: u64 = 0x350;
const LVT_LINT1: u64 = 0x360;
const LVT_ERROR: u64 = 0x370;
const INITIAL: u64 = 0x380;
const CURRENT: u64 = 0x390;
const DIVIDE: u64 = 0x3e0;

struct Board {
    bus: Arc<ApicBus>,
    lines: Vec<Arc<CpuLines>>,
    clock: Arc<TestClock>,
}

impl Board {
    fn cpu(&self, n: usize) -> &LocalApic {
        &self.bus.apics[n]
    }
    fn get(&self, n: usize, offset: u64) -> u64 {
        self.cpu(n).read(offset, Size::B4)
    }
    fn set(&self, n: usize, offset: u64, value: u64) {
        self.cpu(n).write(offset, Size::B4, value);
    }
    fn level(&self, n: usize) -> u32 {
        self.lines[n].level()
    }
    fn fixed(&self, destination: Destination, vector: u8, level: bool) {
        self.bus.send(&Message { destination, delivery: Delivery::Fixed, vector, level });
    }
    /// Time passes, and the CPUs look at their timers.
    fn at(&self, ns: u64) {
        self.clock.set(ns);
        for apic in self.bus.cpus() {
            apic.update(ns);
        }
    }
}

fn powered_on(cpus: usize) -> Board {
    let lines: Vec<_> = (0..cpus).map(|_| Arc::new(CpuLines::new())).collect();
    let clock = TestClock::new();
    Board { bus: ApicBus::new(lines.clone(), RATES, 40, clock.clone()), lines, clock }
}

/// With all APICs enabled by software.
fn board(cpus: usize) -> Board {
    let b = powered_on(cpus);
    for n in 0..cpus {
        b.set(n, SVR, 0x1ff);
    }
    b
}

fn ack(b: &Board, n: usize) -> Option<Ack> {
    b.cpu(n).ack()
}

#[test]
fn registers_after_power_on() {
    let b = powered_on(2);
    assert_eq!(b.get(0, ID), 0);
    assert_eq!(b.get(1, ID), 0x0100_0000);
    assert_eq!(b.get(0, 0x30) & 0xff_00ff, 0x05_0014, "integrated, highest LVT entry 5");
    assert_eq!(b.get(0, DFR), 0xffff_ffff);
    assert_eq!(b.get(0, SVR), 0xff);
    for lvt in (LVT_TIMER..=LVT_ERROR).step_by(0x10) {
        assert_eq!(b.get(0, lvt), 0x1_0000);
    }
    for zero in [TPR, APR, PPR, LDR, ISR, TMR, IRR, ESR, ICR, ICR_HIGH, INITIAL, CURRENT, DIVIDE] {
        assert_eq!(b.get(0, zero), 0);
    }
    assert_eq!(b.cpu(0).base(), 0xfee0_0900);
    assert_eq!(b.cpu(1).base(), 0xfee0_0800);
}

#[test]
fn interrupts_are_taken_by_priority_and_end_in_order() {
    let b = board(1);
    b.fixed(Destination::Physical(0), 0x31, false);
    b.fixed(Destination::Physical(0), 0x52, false);
    assert_eq!(b.get(0, IRR + 0x10), 1 << 0x11);
    assert_eq!(b.get(0, IRR + 0x20), 1 << 0x12);
    assert_eq!(b.level(0), IRQ);
    assert_eq!(ack(&b, 0), Some(Ack::Vector(0x52)));
    assert_eq!(b.level(0), 0, "31h does not preempt");
    assert_eq!(b.get(0, PPR), 0x50);
    assert_eq!(b.get(0, ISR + 0x20), 1 << 0x12);
    b.fixed(Destination::Physical(0), 0x5f, false);
    assert_eq!(b.level(0), 0, "the same class does not preempt");
    b.fixed(Destination::Physical(0), 0x60, false);
    assert_eq!(ack(&b, 0), Some(Ack::Vector(0x60)));
    b.set(0, EOI, 0);
    assert_eq!(b.get(0, PPR), 0x50);
    b.set(0, EOI, 0);
    assert_eq!(ack(&b, 0), Some(Ack::Vector(0x5f)));
    b.set(0, EOI, 0);
    assert_eq!(ack(&b, 0), Some(Ack::Vector(0x31)));
    b.set(0, EOI, 0);
    assert_eq!(ack(&b, 0), None);
    assert_eq!(b.get(0, PPR), 0);
}

#[test]
fn the_task_priority_holds_interrupts_back() {
    let b = board(1);
    b.set(0, TPR, 0x4f);
    assert_eq!(b.cpu(0).cr8(), 4);
    assert_eq!(b.get(0, PPR), 0x4f);
    b.fixed(Destination::Physical(0), 0x4e, false);
    assert_eq!(b.level(0), 0);
    assert_eq!(b.get(0, APR), 0x4f, "class of TPR not below IRR's: all of TPR");
    assert_eq!(ack(&b, 0), Some(Ack::Vector(0xff)), "spurious");
    assert_eq!(b.get(0, ISR + 0x70), 0, "which does not enter the ISR");
    b.cpu(0).set_cr8(3);
    assert_eq!(b.get(0, TPR), 0x30);
    assert_eq!(b.get(0, APR), 0x40);
    assert_eq!(ack(&b, 0), Some(Ack::Vector(0x4e)));
}

#[derive(Default)]
struct Ended(Mutex<Vec<u8>>);

impl EoiSink for Ended {
    fn eoi(&self, vector: u8) {
        lock(&self.0).push(vector);
    }
}

#[test]
fn the_end_of_level_triggered_interrupts_is_broadcast() {
    let b = board(1);
    let ended = Arc::new(Ended::default());
    let sink: Arc<dyn EoiSink> = ended.clone();
    b.bus.connect(Arc::downgrade(&sink));
    let handle = |vector, level| {
        b.fixed(Destination::All, vector, level);
        assert_eq!(b.get(0, TMR + 0x20) != 0, level);
        assert_eq!(ack(&b, 0), Some(Ack::Vector(vector)));
        b.set(0, EOI, 0);
    };
    handle(0x41, true);
    handle(0x41, false);
    b.set(0, SVR, 0x11ff);
    handle(0x42, true);
    assert_eq!(*lock(&ended.0), [0x41], "bit 12 of SVR suppresses the broadcast");
}

#[test]
fn a_disabled_apic_takes_nmi_but_no_interrupts() {
    let b = powered_on(1);
    b.fixed(Destination::Physical(0), 0x40, false);
    assert_eq!(b.level(0), 0);
    b.bus.send(&Message { destination: Destination::All, delivery: Delivery::Nmi, vector: 0, level: false });
    assert_eq!(b.level(0), NMI);
    assert!(b.cpu(0).take_nmi());
    assert!(!b.cpu(0).take_nmi());
    assert_eq!(b.level(0), 0);
    b.set(0, LVT_TIMER, 0x40);
    assert_eq!(b.get(0, LVT_TIMER), 0x1_0040, "masks cannot be cleared");
    b.set(0, SVR, 0x1ff);
    b.set(0, LVT_TIMER, 0x40);
    b.set(0, SVR, 0xff);
    assert_eq!(b.get(0, LVT_TIMER), 0x1_0040);
}

#[test]
fn destinations() {
    let b = board(4);
    let got = |destination| {
        b.fixed(destination, 0x40, false);
        (0..4).fold(0, |set, n| {
            let mine = ack(&b, n).is_some();
            b.set(n, EOI, 0);
            set | u32::from(mine) << n
        })
    };
    assert_eq!(got(Destination::Physical(2)), 0b0100);
    assert_eq!(got(Destination::from_field(0xff, false)), 0b1111);
    assert_eq!(got(Destination::Physical(9)), 0);
    for n in 0..4 {
        b.set(n, LDR, 0x0100_0000 << n);
    }
    assert_eq!(got(Destination::Logical(0b1010)), 0b1010, "flat");
    // Cluster model: two clusters of two.
    for n in 0..4 {
        b.set(n, DFR, 0x0fff_ffff);
        b.set(n, LDR, (n as u64 / 2) << 28 | 1 << (24 + n % 2));
    }
    assert_eq!(got(Destination::Logical(0x03)), 0b0011);
    assert_eq!(got(Destination::Logical(0x12)), 0b1000);
    assert_eq!(got(Destination::Logical(0x23)), 0);
    assert_eq!(got(Destination::from_field(0xff, true)), 0b1111, "broadcast to all clusters");
}

#[test]
fn lowest_priority_goes_to_the_least_busy() {
    let b = board(3);
    for n in 0..3 {
        b.set(n, LDR, 0x0100_0000 << n);
        b.set(n, TPR, [0x40, 0x20, 0x10][n]);
    }
    let lowest = Message {
        destination: Destination::Logical(0b011),
        delivery: Delivery::LowestPriority,
        vector: 0x80,
        level: false,
    };
    b.bus.send(&lowest);
    assert_eq!([b.level(0), b.level(1), b.level(2)], [0, IRQ, 0]);
}

#[test]
fn interprocessor_interrupts() {
    let b = board(3);
    let taken = || -> Vec<Option<Ack>> {
        (0..3)
            .map(|n| {
                let a = ack(&b, n);
                b.set(n, EOI, 0);
                a
            })
            .collect()
    };
    let v = Some(Ack::Vector(0x61));
    b.set(1, ICR_HIGH, 0x0200_0000);
    b.set(1, ICR, 0x4061);
    assert_eq!(taken(), [None, None, v]);
    assert_eq!(b.get(1, ICR), 0x4061, "delivery status is idle");
    b.set(1, ICR, 0x4_4061);
    assert_eq!(taken(), [None, v, None], "self");
    b.set(1, ICR, 0x8_4061);
    assert_eq!(taken(), [v, v, v], "all");
    b.set(1, ICR, 0xc_4061);
    assert_eq!(taken(), [v, None, v], "all but self");
    b.set(1, ICR_HIGH, 0xff00_0000);
    b.set(1, ICR, 0x4061);
    assert_eq!(taken(), [v, v, v], "broadcast ID");
    b.set(1, ICR, 0xc_4400);
    assert_eq!([b.level(0), b.level(1), b.level(2)], [NMI, 0, NMI]);
}

#[test]
fn processors_are_started_by_init_and_startup() {
    let b = board(2);
    b.set(1, TPR, 0x20);
    b.set(1, ID, 0x0500_0000);
    b.set(0, ICR_HIGH, 0x0500_0000);
    b.set(0, ICR, 0xc500);
    assert_eq!(b.level(1), EVENT);
    assert_eq!(b.cpu(1).take_event(), Some(CpuEvent::Init));
    assert_eq!(b.cpu(1).take_event(), None);
    assert_eq!((b.get(1, TPR), b.get(1, SVR), b.get(1, ID)), (0, 0xff, 0x0500_0000));
    b.set(0, ICR, 0x8500);
    assert_eq!(b.level(1), 0, "INIT level de-assert");
    b.set(0, ICR, 0x4698);
    assert_eq!(b.cpu(1).take_event(), Some(CpuEvent::Startup(0x98)));
    b.set(0, ICR, 0x4699);
    assert_eq!(b.cpu(1).take_event(), None, "the second start-up is ignored");
    // The bootstrap processor does not wait for a start-up.
    b.set(1, ICR_HIGH, 0);
    b.set(1, ICR, 0x4500);
    b.set(1, ICR, 0x4698);
    assert_eq!(b.cpu(0).take_event(), Some(CpuEvent::Init));
    assert_eq!(b.cpu(0).take_event(), None);
}

#[test]
fn the_8259_comes_through_lint0() {
    let b = powered_on(1);
    let intr = b.bus.lint(0, 0).expect("LINT0");
    intr.assert();
    assert_eq!(b.level(0), 0, "masked after power-on");
    b.cpu(0).virtual_wire();
    assert_eq!((b.get(0, LVT_LINT0), b.get(0, LVT_LINT1)), (0x700, 0x400));
    assert_eq!(b.level(0), IRQ);
    assert_eq!(ack(&b, 0), Some(Ack::ExtInt));
    assert_eq!(b.level(0), IRQ, "as long as the 8259 asks");
    b.set(0, TPR, 0xff);
    assert_eq!(b.level(0), IRQ, "ExtINT passes the priorities by");
    intr.deassert();
    assert_eq!(b.level(0), 0);
    let nmi = b.bus.lint(0, 1).expect("LINT1");
    nmi.assert();
    assert!(b.cpu(0).take_nmi());
    assert_eq!(b.level(0), 0, "one per edge");
    assert!(b.bus.lint(1, 0).is_err() && b.bus.lint(0, 2).is_err());
}

#[test]
fn pins_of_an_apic_that_is_off_are_intr_and_nmi() {
    let b = powered_on(1);
    b.cpu(0).set_base(0xfee0_0100).expect("off");
    assert_eq!(b.get(0, ID), 0xffff_ffff, "no registers");
    let intr = b.bus.lint(0, 0).expect("LINT0");
    intr.assert();
    b.bus.lint(0, 1).expect("LINT1").pulse();
    assert_eq!(b.level(0), IRQ | NMI);
    assert_eq!(ack(&b, 0), Some(Ack::ExtInt));
}

#[test]
fn level_triggered_lint0_waits_for_its_end() {
    let b = board(1);
    b.set(0, LVT_LINT0, 0x8055);
    let pin = b.bus.lint(0, 0).expect("LINT0");
    pin.assert();
    assert_eq!(b.get(0, LVT_LINT0), 0xc055, "remote IRR");
    assert_eq!(ack(&b, 0), Some(Ack::Vector(0x55)));
    assert_eq!(b.get(0, IRR + 0x20), 0);
    b.set(0, EOI, 0);
    assert_eq!(ack(&b, 0), Some(Ack::Vector(0x55)), "still high");
    pin.deassert();
    b.set(0, EOI, 0);
    assert_eq!((ack(&b, 0), b.get(0, LVT_LINT0)), (None, 0x8055));
}

#[test]
fn errors_are_latched_by_a_write() {
    let b = board(1);
    b.set(0, LVT_ERROR, 0xfe);
    b.set(0, ICR, 0x4_4005);
    assert_eq!(b.get(0, ESR), 0);
    assert_eq!(ack(&b, 0), Some(Ack::Vector(0xfe)));
    b.set(0, EOI, 0);
    b.get(0, 0x3f0);
    b.set(0, ESR, 0);
    assert_eq!(b.get(0, ESR), 1 << 5 | 1 << 7, "send illegal vector, illegal register address");
    b.set(0, ESR, 0);
    assert_eq!(b.get(0, ESR), 0);
    b.fixed(Destination::All, 3, false);
    b.set(0, ESR, 0);
    assert_eq!(b.get(0, ESR), 1 << 6, "receive illegal vector");
}

#[test]
fn the_performance_entry_masks_itself() {
    let b = board(1);
    b.set(0, LVT_PERF, 0x400);
    b.cpu(0).local(Lvt::Performance);
    assert_eq!((b.level(0), b.get(0, LVT_PERF)), (NMI, 0x1_0400));
    b.cpu(0).local(Lvt::Thermal);
    assert_eq!(b.level(0), NMI);
}

#[test]
fn one_shot_timer() {
    let b = board(1);
    b.at(1000);
    b.set(0, LVT_TIMER, 0x40);
    b.set(0, DIVIDE, 0b1011);
    b.set(0, INITIAL, 500);
    assert_eq!(b.cpu(0).next_event(1000), Some(1500));
    b.at(1100);
    assert_eq!(b.get(0, CURRENT), 400);
    b.at(1499);
    assert_eq!((b.level(0), b.get(0, CURRENT)), (0, 1));
    b.at(1500);
    assert_eq!((b.level(0), b.get(0, CURRENT)), (IRQ, 0));
    assert_eq!(ack(&b, 0), Some(Ack::Vector(0x40)));
    b.set(0, EOI, 0);
    b.at(9000);
    assert_eq!((b.level(0), b.get(0, INITIAL), b.cpu(0).next_event(9000)), (0, 500, None));
    // Divided by 2, the value after reset; stopped by writing 0.
    b.set(0, DIVIDE, 0);
    b.set(0, INITIAL, 500);
    assert_eq!(b.cpu(0).next_event(9000), Some(10_000));
    b.at(9500);
    assert_eq!(b.get(0, CURRENT), 250);
    b.set(0, DIVIDE, 0b1010);
    assert_eq!(b.cpu(0).next_event(9500), Some(9500 + 250 * 128), "the rest goes on at the new rate");
    b.set(0, INITIAL, 0);
    assert_eq!((b.get(0, CURRENT), b.cpu(0).next_event(9500)), (0, None));
}

#[test]
fn periodic_timer() {
    let b = board(1);
    b.set(0, DIVIDE, 0b1011);
    b.set(0, LVT_TIMER, 0x2_0040);
    b.set(0, INITIAL, 100);
    let take = || {
        let a = ack(&b, 0);
        b.set(0, EOI, 0);
        a.is_some()
    };
    b.at(99);
    assert!(!take());
    b.at(100);
    assert!(take());
    assert_eq!((b.get(0, CURRENT), b.cpu(0).next_event(100)), (100, Some(200)));
    b.at(510);
    assert!(take());
    assert!(!take(), "what was missed is one interrupt");
    assert_eq!((b.get(0, CURRENT), b.cpu(0).next_event(510)), (90, Some(600)));
    b.set(0, LVT_TIMER, 0x3_0040);
    assert_eq!(b.cpu(0).next_event(510), None, "masked");
    b.at(650);
    assert!(!take());
    assert_eq!(b.get(0, CURRENT), 50, "but it counts on");
    b.set(0, LVT_TIMER, 0x2_0040);
    b.at(700);
    assert!(take());
}

#[test]
fn a_rate_that_is_no_whole_number_of_nanoseconds_does_not_drift() {
    let lines = vec![Arc::new(CpuLines::new())];
    let clock = TestClock::new();
    let rates = Rates { timer_hz: 66_666_666, tsc_hz: 1 };
    let bus = ApicBus::new(lines.clone(), rates, 40, clock);
    let apic = bus.cpu(0).expect("CPU 0");
    for (offset, value) in [(SVR, 0x1ff), (DIVIDE, 0b1011), (LVT_TIMER, 0x2_0040), (INITIAL, 66_666)] {
        apic.write(offset, Size::B4, value);
    }
    let mut now = 0;
    for n in 1..=5000u128 {
        let due = apic.next_event(now).expect("armed");
        assert_eq!(u128::from(due), (n * 66_666 * 1_000_000_000).div_ceil(66_666_666));
        apic.update(due - 1);
        assert_eq!(lines[0].level(), 0);
        apic.update(due);
        assert_eq!(apic.ack(), Some(Ack::Vector(0x40)));
        apic.write(EOI, Size::B4, 0);
        now = due;
    }
}

#[test]
fn tsc_deadline_timer() {
    let b = board(1);
    let apic = b.cpu(0);
    apic.set_tsc_deadline(1000);
    assert_eq!(apic.tsc_deadline(), 0, "ignored in other modes");
    b.set(0, LVT_TIMER, 0x4_0041);
    b.set(0, INITIAL, 7);
    assert_eq!(b.get(0, INITIAL), 0, "ignored in this mode");
    apic.set_tsc_deadline(1001);
    assert_eq!(apic.next_event(0), Some(501), "TSC at 2 GHz");
    b.at(500);
    assert_eq!((b.level(0), apic.tsc_deadline()), (0, 1001));
    b.at(501);
    assert_eq!((b.level(0), apic.tsc_deadline()), (IRQ, 0));
    assert_eq!(ack(&b, 0), Some(Ack::Vector(0x41)));
    b.set(0, EOI, 0);
    apic.set_tsc_deadline(5);
    assert_eq!(b.level(0), IRQ, "in the past: at once");
    assert!(ack(&b, 0).is_some());
    b.set(0, EOI, 0);
    apic.set_tsc_offset(0u64.wrapping_sub(1000));
    apic.set_tsc_deadline(1000);
    assert_eq!(apic.next_event(501), Some(1000), "the guest's TSC was set back by 1000 ticks");
    b.set(0, LVT_TIMER, 0x41);
    assert_eq!((apic.tsc_deadline(), apic.next_event(501)), (0, None), "change of mode disarms");
}

#[test]
fn modes_change_as_the_state_diagram_allows() {
    let b = powered_on(1);
    let apic = b.cpu(0);
    const OFF: u64 = 0xfee0_0100;
    const X: u64 = 0xfee0_0900;
    const X2: u64 = 0xfee0_0d00;
    assert_eq!(apic.set_base(0xfee0_0500), Err(Refused), "x2APIC, but not enabled");
    assert_eq!(apic.set_base(X2), Ok(()));
    assert_eq!(apic.set_base(X), Err(Refused));
    assert_eq!(apic.set_base(OFF), Ok(()));
    assert_eq!(apic.set_base(X2), Err(Refused));
    assert_eq!(apic.set_base(X), Ok(()));
    assert_eq!(apic.set_base(X | 1), Err(Refused), "reserved");
    assert_eq!(apic.set_base(X | 1 << 40), Err(Refused), "beyond the physical address");
    assert_eq!(apic.base(), X);
}

#[test]
fn x2apic_registers() {
    let b = board(18);
    assert_eq!(b.cpu(17).read_msr(0x802), Err(Refused), "xAPIC mode");
    for n in [0, 17] {
        b.cpu(n).set_base(b.cpu(n).base() | BASE_EXTD).expect("x2APIC");
    }
    let apic = b.cpu(17);
    assert_eq!(b.get(17, ID), 0xffff_ffff, "nothing in memory");
    assert_eq!(apic.read_msr(0x802), Ok(17));
    assert_eq!(apic.read_msr(0x80d), Ok(1 << 16 | 2), "cluster 1, bit 1");
    assert_eq!(apic.read_msr(0x80f), Ok(0x1ff), "goes on as it was");
    for msr in [0x809, 0x80b, 0x80e, 0x831, 0x83f, 0x801, 0x8ff, 0x7ff] {
        assert_eq!(apic.read_msr(msr), Err(Refused), "{msr:#x}");
    }
    for (msr, value) in
        [(0x802, 0), (0x803, 0), (0x80a, 0), (0x80b, 1), (0x80d, 0), (0x808, 0x100), (0x828, 1), (0x839, 0)]
    {
        assert_eq!(apic.write_msr(msr, value), Err(Refused), "{msr:#x}");
    }
    assert_eq!(apic.write_msr(0x830, 0x44), Ok(()));
    assert_eq!(ack(&b, 0), Some(Ack::Vector(0x44)));
    assert_eq!(b.cpu(0).write_msr(0x80b, 0), Ok(()));
    assert_eq!(b.cpu(0).write_msr(0x830, 0x0001_0002_0000_0845), Ok(()));
    assert_eq!(b.cpu(0).read_msr(0x830), Ok(0x0001_0002_0000_0845));
    assert_eq!(ack(&b, 17), Some(Ack::Vector(0x45)), "logical");
    assert_eq!(apic.write_msr(0x80b, 0), Ok(()));
    assert_eq!(apic.write_msr(0x83f, 0x46), Ok(()));
    assert_eq!(ack(&b, 17), Some(Ack::Vector(0x46)), "self");
}

#[test]
fn messages_of_devices() {
    let m = Message::from_msi(0xfee0_3004, 0x8141).expect("valid");
    let logical = Destination::Logical(3);
    let expected =
        Message { destination: logical, delivery: Delivery::LowestPriority, vector: 0x41, level: true };
    assert_eq!(m, expected);
    assert_eq!(Message::from_msi(0xfeef_f000, 0x41).map(|m| m.destination), Some(Destination::All));
    assert_eq!(Message::from_msi(0xfee0_0000, 0x300), None, "reserved delivery mode");
}

#[test]
fn an_external_interrupt_can_come_as_a_message() {
    let b = board(1);
    b.bus.send(&Message {
        destination: Destination::Physical(0),
        delivery: Delivery::ExtInt,
        vector: 0,
        level: false,
    });
    assert_eq!(b.level(0), IRQ);
    assert_eq!((ack(&b, 0), ack(&b, 0)), (Some(Ack::ExtInt), None));
}

#[test]
fn saves_restores_and_resets() {
    let b = board(2);
    b.fixed(Destination::Physical(1), 0x40, false);
    let saved = b.cpu(1).save().expect("saved");
    b.cpu(1).reset();
    assert_eq!((b.level(1), b.get(1, SVR)), (0, 0xff));
    b.cpu(1).restore(&saved).expect("restored");
    assert_eq!(b.level(1), IRQ);
    assert_eq!(b.cpu(1).save(), Ok(saved));
}

#[test]
fn nothing_that_a_guest_does_panics() {
    let b = board(2);
    for value in [0, 0x1_00ff, 0x7_ffff, 0xdead_beef, u64::MAX] {
        for offset in 0..0x1010 {
            for size in [Size::B1, Size::B2, Size::B4, Size::B8, Size::B16] {
                b.cpu(0).write(offset, size, value);
                b.cpu(0).read(offset, size);
            }
        }
        b.at(value);
        b.cpu(0).next_event(value);
    }
    assert!(b.cpu(0).stray().count() > 0);
    b.cpu(1).set_base(0xfee0_0c00).expect("x2APIC");
    for msr in 0..0x1000 {
        for value in [0, 0x1_00ff, u64::MAX] {
            let _ = b.cpu(1).write_msr(msr, value);
            let _ = b.cpu(1).read_msr(msr);
        }
    }
    for n in 0..2 {
        while b.cpu(n).take_event().is_some() {}
        for _ in 0..300 {
            b.cpu(n).ack();
        }
    }
}
