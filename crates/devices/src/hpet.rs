//! High precision event timer (IA-PC HPET specification 1.0a): a 64-bit counter of 100 MHz and three timers.

use std::fmt;
use std::sync::{Arc, Mutex};

use lyrebird_isa::Size;
use lyrebird_softmmu::phys::MmioDevice;
use serde::{Deserialize, Serialize};

use crate::irq::{IrqPin, IrqSink};
use crate::lifecycle::{Device, Snapshot, SnapshotError};
use crate::lock;
use crate::regmap::{RegMap, Stray, Word, reg, reserved};
use crate::time::TimeSource;

/// Nanoseconds per tick of the counter.
pub const TICK_NS: u64 = 10;
/// Number of timers.
pub const TIMERS: usize = 3;

/// Revision 1, three timers, 64-bit counter, legacy replacement, Intel; 10^7 fs per tick.
const CAPABILITIES: u64 =
    0x01 | (TIMERS as u64 - 1) << 8 | 1 << 13 | 1 << 15 | 0x8086 << 16 | (TICK_NS * 1_000_000) << 32;

const CONFIG_ENABLE: u64 = 1 << 0;
const CONFIG_LEGACY: u64 = 1 << 1;

const TN_LEVEL: u64 = 1 << 1;
const TN_ENABLE: u64 = 1 << 2;
const TN_PERIODIC: u64 = 1 << 3;
/// Periodic capable, 64-bit capable.
const TN_CAPS: u64 = 1 << 4 | 1 << 5;
const TN_SET_ACCUMULATOR: u64 = 1 << 6;
const TN_32BIT: u64 = 1 << 8;
/// Trigger, enable, type, 32-bit mode and route; the accumulator bit reads as zero.
const TN_WRITABLE: u64 = TN_LEVEL | TN_ENABLE | TN_PERIODIC | TN_32BIT | 0x1f << 9;

#[derive(Clone, Copy, Debug)]
enum Reg {
    Capabilities,
    Config,
    Status,
    Counter,
    /// Of timer 0 on: configuration, comparator, FSB route (absent) and 8 reserved bytes each.
    Timers,
}

const MAP: RegMap<Reg, 9> = RegMap::new(
    Hpet::SIZE,
    [
        reg(Reg::Capabilities, 8),
        reserved(8),
        reg(Reg::Config, 8),
        reserved(8),
        reg(Reg::Status, 8),
        reserved(0xc8),
        reg(Reg::Counter, 0x10),
        reg(Reg::Timers, 0x20 * TIMERS as u64),
        reserved(0x400 - 0x160),
    ],
);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Comparator {
    config: u64,
    /// The comparator as it reads: in periodic mode, where it next matches.
    value: u64,
    /// Last value written in periodic mode.
    period: u64,
    /// The next write goes to the comparator itself, not only to the period.
    set_accumulator: bool,
    /// The counter when the timer was last looked at.
    seen: u64,
}

impl Comparator {
    const RESET: Comparator =
        Comparator { config: 0, value: u64::MAX, period: 0, set_accumulator: false, seen: 0 };

    fn is_32bit(&self) -> bool {
        self.config & TN_32BIT != 0
    }

    fn mask(&self) -> u64 {
        if self.is_32bit() { 0xffff_ffff } else { u64::MAX }
    }

    fn is_periodic(&self) -> bool {
        self.config & TN_PERIODIC != 0
    }

    /// Ticks from `count` until the comparator matches next; 0 is a full turn of the counter.
    fn distance(&self, count: u64) -> u64 {
        self.value.wrapping_sub(count) & self.mask()
    }

    /// Whether the counter matched since the last time, up to `count`; a periodic comparator moves on.
    fn advance(&mut self, count: u64) -> bool {
        let passed = count.wrapping_sub(self.seen);
        let left = self.distance(self.seen);
        self.seen = count;
        // Where it stands on the comparator, the match is over.
        if passed == 0 || left > passed || left == 0 && (!self.is_32bit() || passed <= self.mask()) {
            return false;
        }
        let period = self.period & self.mask();
        if self.is_periodic() && period != 0 {
            let late = (passed - left) / period + 1;
            self.value = self.value.wrapping_add(period.wrapping_mul(late)) & self.mask();
        }
        true
    }
}

/// The registers of an HPET. Time is in nanoseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HpetState {
    config: u64,
    /// Level-triggered interrupts that are active, a bit per timer.
    status: u64,
    /// The counter at `since`, or for good while it is halted.
    counter: u64,
    since: u64,
    timers: [Comparator; TIMERS],
}

impl HpetState {
    fn new() -> HpetState {
        HpetState {
            config: 0,
            status: 0,
            counter: 0,
            since: 0,
            timers: [const { Comparator::RESET }; TIMERS],
        }
    }

    fn enabled(&self) -> bool {
        self.config & CONFIG_ENABLE != 0
    }

    fn legacy(&self) -> bool {
        self.config & CONFIG_LEGACY != 0
    }

    /// The main counter.
    pub fn count(&self, now: u64) -> u64 {
        if !self.enabled() {
            return self.counter;
        }
        self.counter.wrapping_add(now.saturating_sub(self.since) / TICK_NS)
    }

    fn set_count(&mut self, count: u64, now: u64) {
        self.counter = count;
        self.since = now;
        for t in &mut self.timers {
            t.seen = count;
        }
    }

    /// Lets timers fire. Returns edges: a bit per edge-triggered timer that fired.
    fn update(&mut self, now: u64) -> u64 {
        if !self.enabled() {
            return 0;
        }
        let count = self.count(now);
        let mut edges = 0;
        for (n, t) in self.timers.iter_mut().enumerate() {
            if t.advance(count) {
                if t.config & TN_LEVEL != 0 {
                    // 2.3.3: the bit is set even while the timer's interrupt is not enabled.
                    self.status |= 1 << n;
                } else if t.config & TN_ENABLE != 0 {
                    edges |= 1 << n;
                }
            }
        }
        edges
    }

    /// When an interrupt is due next, in nanoseconds.
    pub fn next_event(&self, now: u64) -> Option<u64> {
        if !self.enabled() {
            return None;
        }
        let due = |(n, t): (usize, &Comparator)| {
            let active = t.config & TN_LEVEL != 0 && self.status >> n & 1 != 0;
            if t.config & TN_ENABLE == 0 || active {
                return None;
            }
            let left = match (t.distance(t.seen), t.is_32bit()) {
                (0, true) => 1 << 32,
                (0, false) => return None,
                (left, _) => left,
            };
            let ticks = t.seen.wrapping_sub(self.counter).checked_add(left)?;
            self.since.checked_add(ticks.checked_mul(TICK_NS)?)
        };
        Some(self.timers.iter().enumerate().filter_map(due).min()?.max(now))
    }

    /// Which timers hold their level-triggered interrupt.
    fn levels(&self) -> u64 {
        let enabled = |n: usize| self.timers[n].config & (TN_ENABLE | TN_LEVEL) == TN_ENABLE | TN_LEVEL;
        let held = (0..TIMERS).filter(|&n| enabled(n)).fold(0, |bits, n| bits | 1 << n);
        self.status & held
    }

    fn read(&self, reg: Reg, i: usize, routes: u32, now: u64) -> u32 {
        let value = match reg {
            Reg::Capabilities => CAPABILITIES,
            Reg::Config => self.config,
            Reg::Status => self.status,
            Reg::Counter if i < 2 => self.count(now),
            Reg::Timers => {
                let t = &self.timers[i / 8];
                match i % 8 {
                    0 | 1 => t.config | TN_CAPS | u64::from(routes) << 32,
                    2 | 3 => t.value,
                    _ => 0,
                }
            }
            Reg::Counter => 0,
        };
        if i.is_multiple_of(2) { value as u32 } else { (value >> 32) as u32 }
    }

    fn write(&mut self, reg: Reg, i: usize, word: Word, now: u64) {
        let shift = i % 2 * 32;
        let lanes = u64::from(word.lanes) << shift;
        let value = u64::from(word.value) << shift;
        let merge = |old: u64| old & !lanes | value;
        match reg {
            Reg::Config => {
                let count = self.count(now);
                self.config = merge(self.config) & (CONFIG_ENABLE | CONFIG_LEGACY);
                // Halted or started: the counter goes on from where it is.
                self.counter = count;
                self.since = now;
            }
            Reg::Status => self.status &= !value,
            // To be written while halted (2.3.7); a running one is set all the same.
            Reg::Counter if i < 2 => self.set_count(merge(self.count(now)), now),
            Reg::Timers => {
                let count = self.count(now);
                let t = &mut self.timers[i / 8];
                t.seen = count;
                match i % 8 {
                    0 | 1 => {
                        t.set_accumulator |= value & TN_SET_ACCUMULATOR != 0;
                        t.config = merge(t.config) & TN_WRITABLE;
                        if t.is_32bit() {
                            t.value &= 0xffff_ffff;
                            t.period &= 0xffff_ffff;
                        }
                        if t.config & TN_LEVEL == 0 {
                            self.status &= !(1 << (i / 8));
                        }
                    }
                    2 | 3 => {
                        let mask = t.mask();
                        if !t.is_periodic() || t.set_accumulator {
                            t.value = merge(t.value) & mask;
                        }
                        if t.is_periodic() {
                            t.period = merge(t.period) & mask;
                        }
                        // A 64-bit comparator is set in one piece or in two, low half first.
                        if t.is_32bit() || i % 2 == 1 {
                            t.set_accumulator = false;
                        }
                    }
                    _ => {}
                }
            }
            Reg::Capabilities | Reg::Counter => {}
        }
    }
}

/// What the timers' interrupts are wired to.
#[derive(Debug)]
pub struct HpetPins {
    /// Inputs of the IO-APIC that timers can choose, by number (0 to 31).
    pub routes: Vec<(u8, IrqPin)>,
    /// In place of the 8254 and of the RTC: timers 0 and 1 in legacy replacement mode.
    pub legacy: [IrqPin; 2],
    /// High while legacy replacement is on: the 8254 and the RTC are then to be cut off, see [`LegacyRoute`].
    pub replace: IrqPin,
}

/// An HPET.
pub struct Hpet {
    state: Mutex<HpetState>,
    /// A pin per timer and route: they are wired-OR.
    routes: Vec<(u8, [IrqPin; TIMERS])>,
    legacy: [IrqPin; 2],
    replace: IrqPin,
    time: Arc<dyn TimeSource>,
    stray: Stray,
}

impl Hpet {
    const KIND: &str = "hpet";
    const VERSION: u32 = 1;

    /// Size of the register window in bytes.
    pub const SIZE: u64 = 0x400;

    /// An HPET, halted.
    pub fn new(pins: HpetPins, time: Arc<dyn TimeSource>) -> Hpet {
        let HpetPins { routes, legacy, replace } = pins;
        let per_timer = |pin: IrqPin| {
            let (second, third) = (pin.share(), pin.share());
            [pin, second, third]
        };
        let routes = routes.into_iter().filter(|(n, _)| *n < 32);
        let routes = routes.map(|(n, pin)| (n, per_timer(pin))).collect();
        Hpet { state: Mutex::new(HpetState::new()), routes, legacy, replace, time, stray: Stray::new() }
    }

    fn route_capabilities(&self) -> u32 {
        self.routes.iter().fold(0, |bits, (n, _)| bits | 1 << n)
    }

    /// The first 32 bits of the capabilities, for the ACPI table.
    pub const fn event_timer_block_id() -> u32 {
        CAPABILITIES as u32
    }

    /// Drives all pins as the state demands, after a pulse where there is an edge.
    fn drive(&self, state: &HpetState, edges: u64) {
        let levels = state.levels();
        self.replace.set(state.legacy());
        for n in 0..TIMERS {
            let bit = 1 << n;
            let legacy = if state.legacy() { self.legacy.get(n) } else { None };
            let route = (state.timers[n].config >> 9 & 0x1f) as u8;
            let wires = self.routes.iter().map(|(r, pins)| (&pins[n], legacy.is_none() && *r == route));
            let own = self.legacy.get(n).map(|pin| (pin, legacy.is_some()));
            for (pin, chosen) in wires.chain(own) {
                if chosen && edges & bit != 0 {
                    pin.pulse();
                }
                pin.set(chosen && levels & bit != 0);
            }
        }
    }

    /// Lets timers fire that are due at `now` nanoseconds.
    pub fn update(&self, now: u64) {
        let mut state = lock(&self.state);
        let edges = state.update(now);
        self.drive(&state, edges);
    }

    /// The nanosecond at which the next interrupt is due, at least `now`. It changes with what is written.
    pub fn next_event(&self, now: u64) -> Option<u64> {
        lock(&self.state).next_event(now)
    }

    /// Accesses to registers that do not exist.
    pub fn stray(&self) -> &Stray {
        &self.stray
    }
}

impl MmioDevice for Hpet {
    fn name(&self) -> &str {
        Hpet::KIND
    }

    fn read(&self, offset: u64, size: Size) -> u64 {
        let now = self.time.now();
        let mut state = lock(&self.state);
        let edges = state.update(now);
        self.drive(&state, edges);
        let routes = self.route_capabilities();
        MAP.read(&self.stray, offset, size, |reg, i| state.read(reg, i, routes, now))
    }

    fn write(&self, offset: u64, size: Size, value: u64) {
        let now = self.time.now();
        let mut state = lock(&self.state);
        let edges = state.update(now);
        self.drive(&state, edges);
        MAP.write(&self.stray, offset, size, value, |reg, i, word| state.write(reg, i, word, now));
        self.drive(&state, 0);
    }
}

impl Device for Hpet {
    fn kind(&self) -> &'static str {
        Hpet::KIND
    }

    fn reset(&self) {
        let mut state = lock(&self.state);
        *state = HpetState::new();
        self.drive(&state, 0);
    }

    fn save(&self) -> Result<Snapshot, SnapshotError> {
        Snapshot::encode(Hpet::KIND, Hpet::VERSION, &*lock(&self.state))
    }

    fn restore(&self, snapshot: &Snapshot) -> Result<(), SnapshotError> {
        let mut new: HpetState = snapshot.decode(Hpet::KIND, Hpet::VERSION)?;
        new.config &= CONFIG_ENABLE | CONFIG_LEGACY;
        new.status &= (1 << TIMERS) - 1;
        for t in &mut new.timers {
            t.config &= TN_WRITABLE;
            t.value &= t.mask();
            t.period &= t.mask();
        }
        let mut state = lock(&self.state);
        *state = new;
        self.drive(&state, 0);
        Ok(())
    }
}

impl fmt::Debug for Hpet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hpet").field("state", &self.state).finish_non_exhaustive()
    }
}

/// The multiplexer of the chip set in front of IRQ 0 and IRQ 8: 8254 and RTC, or HPET timers 0 and 1 in legacy
/// replacement mode (2.4.1).
pub struct LegacyRoute {
    levels: Mutex<u32>,
    outputs: [IrqPin; 2],
}

/// Inputs of a [`LegacyRoute`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LegacyInput {
    /// Output of the 8254's channel 0.
    Pit,
    /// Interrupt of the real-time clock.
    Rtc,
    /// [`HpetPins::legacy`], first.
    Timer0,
    /// [`HpetPins::legacy`], second.
    Timer1,
    /// [`HpetPins::replace`].
    Replace,
}

impl LegacyRoute {
    /// A multiplexer that drives `irq0` and `irq8`.
    pub fn new(irq0: IrqPin, irq8: IrqPin) -> Arc<LegacyRoute> {
        Arc::new(LegacyRoute { levels: Mutex::new(0), outputs: [irq0, irq8] })
    }

    /// A pin that drives an input.
    pub fn input(self: &Arc<Self>, input: LegacyInput) -> IrqPin {
        let sink: Arc<dyn IrqSink> = self.clone();
        IrqPin::new(Arc::downgrade(&sink), input as u32)
    }
}

impl IrqSink for LegacyRoute {
    fn set_line(&self, line: u32, high: bool) {
        let mut levels = lock(&self.levels);
        let bit = 1u32.checked_shl(line).unwrap_or(0);
        *levels = if high { *levels | bit } else { *levels & !bit };
        let is = |input: LegacyInput| *levels >> input as u32 & 1 != 0;
        let replace = is(LegacyInput::Replace);
        self.outputs[0].set(is(if replace { LegacyInput::Timer0 } else { LegacyInput::Pit }));
        self.outputs[1].set(is(if replace { LegacyInput::Timer1 } else { LegacyInput::Rtc }));
    }
}

impl fmt::Debug for LegacyRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LegacyRoute").field("levels", &self.levels).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::irq::tests::Recorder;
    use crate::time::tests::TestClock;

    struct Board {
        hpet: Hpet,
        clock: Arc<TestClock>,
        wires: Arc<Recorder>,
        /// The recorder is at the far end of the multiplexer, too.
        _route: Arc<LegacyRoute>,
        pit: IrqPin,
    }

    /// Wires as the recorder numbers them.
    const IRQ0: u32 = 0;
    const IRQ2: u32 = 2;
    const IRQ8: u32 = 8;
    const IRQ20: u32 = 20;

    const CONFIG: u64 = 0x10;
    const STATUS: u64 = 0x20;
    const COUNTER: u64 = 0xf0;

    fn config(n: u64) -> u64 {
        0x100 + n * 0x20
    }
    fn comparator(n: u64) -> u64 {
        0x108 + n * 0x20
    }

    fn board() -> Board {
        let wires = Arc::new(Recorder::default());
        let sink: Arc<dyn IrqSink> = wires.clone();
        let pin = |n| IrqPin::new(Arc::downgrade(&sink), n);
        let route = LegacyRoute::new(pin(IRQ0), pin(IRQ8));
        let pins = HpetPins {
            routes: vec![(2, pin(IRQ2)), (20, pin(IRQ20))],
            legacy: [route.input(LegacyInput::Timer0), route.input(LegacyInput::Timer1)],
            replace: route.input(LegacyInput::Replace),
        };
        let clock = TestClock::new();
        let pit = route.input(LegacyInput::Pit);
        Board { hpet: Hpet::new(pins, clock.clone()), clock, wires, _route: route, pit }
    }

    impl Board {
        fn get(&self, offset: u64) -> u64 {
            self.hpet.read(offset, Size::B8)
        }
        fn set(&self, offset: u64, value: u64) {
            self.hpet.write(offset, Size::B8, value);
        }
        fn at(&self, ns: u64) {
            self.clock.set(ns);
            self.hpet.update(ns);
        }
        /// What happened on the wires since the last time.
        fn seen(&self) -> Vec<(u32, bool)> {
            std::mem::take(&mut *lock(&self.wires.0))
        }
    }

    fn edge(wire: u32) -> Vec<(u32, bool)> {
        vec![(wire, true), (wire, false)]
    }

    #[test]
    fn registers_after_power_on() {
        let b = board();
        assert_eq!(b.get(0), 0x0098_9680_8086_a201);
        assert_eq!(Hpet::event_timer_block_id(), 0x8086_a201);
        assert_eq!(b.hpet.read(4, Size::B4), 10_000_000);
        for zero in [CONFIG, STATUS, COUNTER] {
            assert_eq!(b.get(zero), 0);
        }
        for n in 0..3 {
            assert_eq!(b.get(config(n)), 0x0010_0004_0000_0030, "routes 2 and 20, 64-bit, periodic");
            assert_eq!(b.get(comparator(n)), u64::MAX);
        }
    }

    #[test]
    fn the_counter_counts_while_enabled() {
        let b = board();
        b.at(1000);
        assert_eq!(b.get(COUNTER), 0);
        b.set(COUNTER, 0xffff_fff0);
        b.set(CONFIG, 1);
        b.at(1155);
        assert_eq!(b.get(COUNTER), 0xffff_ffff);
        b.at(1160);
        assert_eq!(b.get(COUNTER), 0x1_0000_0000);
        assert_eq!(b.hpet.read(COUNTER + 4, Size::B4), 1);
        b.set(CONFIG, 0);
        b.at(5000);
        assert_eq!(b.get(COUNTER), 0x1_0000_0000);
    }

    #[test]
    fn one_shot_edge() {
        let b = board();
        b.set(config(2), 20 << 9 | TN_ENABLE);
        b.set(comparator(2), 100);
        assert_eq!(b.hpet.next_event(0), None, "halted");
        b.set(CONFIG, 1);
        assert_eq!(b.hpet.next_event(0), Some(1000));
        b.at(999);
        assert_eq!(b.seen(), []);
        b.at(1000);
        assert_eq!(b.seen(), edge(IRQ20));
        b.at(5000);
        assert_eq!(b.seen(), []);
        assert_eq!(b.get(STATUS), 0, "only for level-triggered interrupts");
        b.set(comparator(2), 400);
        b.at(9000);
        assert_eq!(b.seen(), [], "the counter is past it already");
        b.set(comparator(2), 1000);
        b.at(10_000);
        assert_eq!(b.seen(), edge(IRQ20));
    }

    #[test]
    fn level_until_cleared() {
        let b = board();
        b.set(config(0), 2 << 9 | TN_ENABLE | TN_LEVEL);
        b.set(comparator(0), 10);
        b.set(CONFIG, 1);
        b.at(200);
        assert_eq!((b.seen(), b.get(STATUS)), (vec![(IRQ2, true)], 1));
        b.set(STATUS, 6);
        assert_eq!(b.get(STATUS), 1);
        b.set(STATUS, 1);
        assert_eq!((b.seen(), b.get(STATUS)), (vec![(IRQ2, false)], 0));
        // Not enabled: the status is set, the wire rests until it is.
        b.set(config(0), 2 << 9 | TN_LEVEL);
        b.set(comparator(0), 50);
        b.at(500);
        assert_eq!((b.seen(), b.get(STATUS)), (vec![], 1));
        b.set(config(0), 2 << 9 | TN_LEVEL | TN_ENABLE);
        assert_eq!(b.seen(), [(IRQ2, true)]);
    }

    #[test]
    fn periodic_with_the_accumulator_bit() {
        let b = board();
        // As 2.3.9.2.2 describes it: first match by the accumulator, then the period.
        b.set(config(0), 2 << 9 | TN_ENABLE | TN_PERIODIC | TN_SET_ACCUMULATOR);
        b.set(comparator(0), 50);
        b.set(comparator(0), 100);
        assert_eq!(b.get(comparator(0)), 50);
        b.set(CONFIG, 1);
        let mut fired = Vec::new();
        let mut now = 0;
        while let Some(due) = b.hpet.next_event(now).filter(|&due| due <= 3600) {
            b.at(due);
            now = due;
            assert_eq!(b.seen(), edge(IRQ2));
            fired.push(due);
        }
        assert_eq!(fired, [500, 1500, 2500, 3500]);
        assert_eq!(b.get(comparator(0)), 450);
        b.at(10_000);
        assert_eq!((b.seen(), b.get(comparator(0))), (edge(IRQ2), 1050), "missed ones are one");
    }

    #[test]
    fn a_32_bit_timer_matches_at_every_turn() {
        let b = board();
        b.set(config(1), 2 << 9 | TN_ENABLE | TN_32BIT);
        b.set(comparator(1), 0xffff_ffff_0000_0010);
        assert_eq!(b.get(comparator(1)), 0x10);
        b.set(CONFIG, 1);
        b.at(160);
        assert_eq!(b.seen(), edge(IRQ2));
        let turn = (0x1_0000_0000 + 0x10) * TICK_NS;
        assert_eq!(b.hpet.next_event(160), Some(turn));
        b.at(turn - 1);
        assert_eq!(b.seen(), []);
        b.at(turn);
        assert_eq!(b.seen(), edge(IRQ2));
    }

    #[test]
    fn legacy_replacement() {
        let b = board();
        b.pit.pulse();
        assert_eq!(b.seen(), edge(IRQ0));
        b.set(config(0), TN_ENABLE | 20 << 9);
        b.set(config(1), TN_ENABLE | 20 << 9);
        b.set(comparator(0), 100);
        b.set(comparator(1), 200);
        b.set(CONFIG, 3);
        b.pit.pulse();
        assert_eq!(b.seen(), [], "the 8254 is cut off");
        b.at(1000);
        assert_eq!(b.seen(), edge(IRQ0));
        b.at(2000);
        assert_eq!(b.seen(), edge(IRQ8));
        b.set(CONFIG, 1);
        b.pit.pulse();
        assert_eq!(b.seen(), edge(IRQ0));
    }

    #[test]
    fn a_route_that_is_not_wired_leads_nowhere() {
        let b = board();
        b.set(config(0), TN_ENABLE | 7 << 9);
        b.set(comparator(0), 1);
        b.set(CONFIG, 1);
        b.at(100);
        assert_eq!(b.seen(), []);
    }

    #[test]
    fn saves_restores_and_resets() {
        let b = board();
        b.set(config(0), 2 << 9 | TN_ENABLE | TN_LEVEL);
        b.set(comparator(0), 10);
        b.set(CONFIG, 1);
        b.at(100);
        let saved = b.hpet.save().expect("saved");
        b.hpet.reset();
        assert_eq!((b.get(CONFIG), b.get(COUNTER)), (0, 0));
        b.hpet.restore(&saved).expect("restored");
        assert_eq!((b.get(STATUS), b.get(COUNTER)), (1, 10));
        assert_eq!(b.seen(), [(IRQ2, true), (IRQ2, false), (IRQ2, true)]);
    }

    #[test]
    fn nothing_that_a_guest_does_panics() {
        let b = board();
        for value in [0, 1, 3, 0x7f4e, 0xdead_beef_dead_beef, u64::MAX] {
            for offset in 0..0x410 {
                for size in [Size::B1, Size::B2, Size::B4, Size::B8, Size::B16] {
                    b.hpet.write(offset, size, value);
                    b.hpet.read(offset, size);
                }
            }
            b.at(value);
            b.hpet.next_event(value);
        }
        assert!(b.hpet.stray().count() > 0);
    }
}
