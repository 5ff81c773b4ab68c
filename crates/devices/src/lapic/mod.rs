//! Local APICs (Intel SDM Vol. 3, chapter 10) of all processors of a board, and the bus between them.
//!
//! [`ApicBus`] is made once with the lines of all processors; [`ApicBus::cpu`] is the APIC of one. A processor
//! sees its own at `IA32_APIC_BASE` ([`LocalApic`] is an [`MmioDevice`]), or through MSRs in x2APIC mode.
//! Towards the processor an APIC drives [`CpuLines`]: [`IRQ`] while [`LocalApic::ack`] has an interrupt,
//! [`NMI`] until [`LocalApic::take_nmi`], [`EVENT`] until [`LocalApic::take_event`] has given all.
//!
//! Lock order: every APIC has its own lock and never holds it while it calls another APIC or an IO-APIC, whose
//! lock is taken before an APIC's.

mod message;
mod state;
mod timer;
mod vectors;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, Weak};

use lyrebird_isa::Size;
pub use lyrebird_isa::lines::IRQ;
use lyrebird_isa::lines::{CpuLines, FIQ, SERROR};
use lyrebird_softmmu::phys::MmioDevice;

pub use message::{Delivery, Destination, Message};
pub use state::{Ack, ApicState, BASE_BSP, BASE_EN, BASE_EXTD, CpuEvent, DEFAULT_BASE, Lvt, Refused};
pub use timer::Rates;

use crate::irq::{IrqPin, IrqSink};
use crate::lifecycle::{Device, Snapshot, SnapshotError};
use crate::lock;
use crate::regmap::Stray;
use crate::time::TimeSource;
use state::Outgoing;

/// Line of [`CpuLines`] that is high while an NMI is pending.
pub const NMI: u32 = SERROR;
/// Line of [`CpuLines`] that is high while a [`CpuEvent`] is pending.
pub const EVENT: u32 = FIQ;

/// First MSR of the x2APIC registers.
pub const X2APIC_MSR: u32 = 0x800;

/// Learns of the end of level-triggered interrupts: an IO-APIC.
pub trait EoiSink: Send + Sync {
    /// The interrupt with this vector was handled. Called with no APIC's lock held.
    fn eoi(&self, vector: u8);
}

/// There is no such processor or pin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no LINT{pin} of processor {cpu}")]
pub struct NoLint {
    /// Number of the processor.
    pub cpu: usize,
    /// Number of the pin: 0 or 1.
    pub pin: usize,
}

/// The local APICs of a board.
pub struct ApicBus {
    apics: Vec<Arc<LocalApic>>,
    io: OnceLock<Weak<dyn EoiSink>>,
}

impl ApicBus {
    /// One APIC per element of `lines`, with its index as ID. `pa_bits` is the width of physical addresses.
    pub fn new(
        lines: Vec<Arc<CpuLines>>,
        rates: Rates,
        pa_bits: u32,
        time: Arc<dyn TimeSource>,
    ) -> Arc<ApicBus> {
        Arc::new_cyclic(|bus| {
            let apics = lines.into_iter().zip(0..).map(|(lines, index)| {
                Arc::new(LocalApic {
                    index,
                    state: Mutex::new(Inner { apic: ApicState::new(index), driven: 0 }),
                    lines,
                    rates,
                    pa_bits,
                    time: time.clone(),
                    bus: bus.clone(),
                    stray: Stray::new(),
                })
            });
            ApicBus { apics: apics.collect(), io: OnceLock::new() }
        })
    }

    /// The APIC of a processor.
    pub fn cpu(&self, index: usize) -> Option<&Arc<LocalApic>> {
        self.apics.get(index)
    }

    /// All APICs, by processor.
    pub fn cpus(&self) -> &[Arc<LocalApic>] {
        &self.apics
    }

    /// Names the IO-APIC that is told of ends of interrupts. Only the first call counts.
    pub fn connect(&self, io: Weak<dyn EoiSink>) {
        // A second IO-APIC would need a list; no board has one.
        let _ = self.io.set(io);
    }

    /// A pin that drives LINT`pin` of a processor. LINT0 is the 8259's, LINT1 is NMI.
    ///
    /// # Errors
    /// There is no such pin.
    pub fn lint(self: &Arc<Self>, cpu: usize, pin: usize) -> Result<IrqPin, NoLint> {
        if cpu >= self.apics.len() || pin > 1 {
            return Err(NoLint { cpu, pin });
        }
        let sink: Arc<dyn IrqSink> = self.clone();
        Ok(IrqPin::new(Arc::downgrade(&sink), (cpu * 2 + pin) as u32))
    }

    /// Delivers a message of an IO-APIC, a device or another processor.
    pub fn send(&self, message: &Message) {
        let Message { destination, delivery, vector, level } = *message;
        let addressed = |apic: &&Arc<LocalApic>| lock(&apic.state).apic.is_addressed(destination);
        if delivery == Delivery::LowestPriority {
            let least = |apic: &&Arc<LocalApic>| lock(&apic.state).apic.ppr();
            if let Some(apic) = self.apics.iter().filter(addressed).min_by_key(least) {
                apic.accept(delivery, vector, level);
            }
            return;
        }
        for apic in self.apics.iter().filter(addressed) {
            apic.accept(delivery, vector, level);
        }
    }

    fn eoi(&self, vector: u8) {
        if let Some(io) = self.io.get().and_then(Weak::upgrade) {
            io.eoi(vector);
        }
    }
}

impl IrqSink for ApicBus {
    fn set_line(&self, line: u32, high: bool) {
        if let Some(apic) = self.apics.get(line as usize / 2) {
            apic.change(|state| state.set_lint(line as usize % 2, high));
        }
    }
}

impl fmt::Debug for ApicBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApicBus").field("apics", &self.apics).finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Inner {
    apic: ApicState,
    /// What the processor's lines were last driven to.
    driven: u32,
}

/// The local APIC of one processor.
pub struct LocalApic {
    index: u32,
    state: Mutex<Inner>,
    lines: Arc<CpuLines>,
    rates: Rates,
    pa_bits: u32,
    time: Arc<dyn TimeSource>,
    bus: Weak<ApicBus>,
    stray: Stray,
}

impl LocalApic {
    const KIND: &str = "local-apic";
    const VERSION: u32 = 1;

    /// Size of the register window in bytes.
    pub const SIZE: u64 = 0x1000;

    /// Drives the processor's lines as the state demands.
    fn drive(&self, inner: &mut MutexGuard<'_, Inner>) {
        let apic = &inner.apic;
        let mut level = 0;
        for (line, high) in [(IRQ, apic.interrupt()), (NMI, apic.nmi()), (EVENT, apic.event())] {
            if high {
                level |= line;
            }
        }
        let changed = inner.driven ^ level;
        if changed != 0 {
            inner.driven = level;
            self.lines.set(changed & !level, false);
            self.lines.set(changed & level, true);
        }
    }

    fn change<T>(&self, f: impl FnOnce(&mut ApicState) -> T) -> T {
        let mut inner = lock(&self.state);
        let result = f(&mut inner.apic);
        self.drive(&mut inner);
        result
    }

    fn accept(&self, delivery: Delivery, vector: u8, level: bool) {
        self.change(|apic| apic.accept(delivery, vector, level));
    }

    fn send(&self, out: Outgoing) {
        match (out, self.bus.upgrade()) {
            (Outgoing::Ipi(message), Some(bus)) => bus.send(&message),
            (Outgoing::Eoi(vector), Some(bus)) => bus.eoi(vector),
            _ => {}
        }
    }

    /// Number of the processor, which is the ID after reset.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// Lets the timer fire if it is due at `now` nanoseconds.
    pub fn update(&self, now: u64) {
        self.change(|apic| apic.update(now, &self.rates));
    }

    /// The nanosecond at which the timer interrupts next, at least `now`. It changes with what the processor
    /// writes, and with INIT.
    pub fn next_event(&self, now: u64) -> Option<u64> {
        lock(&self.state).apic.next_event(now, &self.rates)
    }

    /// The processor acknowledges what the line [`IRQ`] announces. For [`Ack::ExtInt`] it goes on to ask the
    /// 8259 for the vector.
    pub fn ack(&self) -> Option<Ack> {
        self.change(ApicState::ack)
    }

    /// The processor takes the NMI that the line [`NMI`] announces.
    pub fn take_nmi(&self) -> bool {
        self.change(ApicState::take_nmi)
    }

    /// The processor takes what the line [`EVENT`] announces; one per call.
    pub fn take_event(&self) -> Option<CpuEvent> {
        self.change(ApicState::take_event)
    }

    /// A source inside the processor fires: performance counter or thermal sensor.
    pub fn local(&self, source: Lvt) {
        self.change(|apic| apic.local(source));
    }

    /// CR8: bits 7:4 of the task priority.
    pub fn cr8(&self) -> u64 {
        u64::from(lock(&self.state).apic.tpr() >> 4)
    }

    /// Writes bits 3:0 of CR8; the others are the processor's to check.
    pub fn set_cr8(&self, value: u64) {
        self.change(|apic| apic.set_tpr((value as u8) << 4));
    }

    /// `IA32_APIC_BASE` (MSR 0x1b).
    pub fn base(&self) -> u64 {
        lock(&self.state).apic.base()
    }

    /// Writes `IA32_APIC_BASE`. The address is only kept: whoever maps the registers reads it.
    ///
    /// # Errors
    /// Reserved bits, or a change of mode that does not exist: #GP(0).
    pub fn set_base(&self, value: u64) -> Result<(), Refused> {
        self.change(|apic| apic.set_base(value, self.pa_bits))
    }

    /// Reads an MSR from 0x800 to 0x8ff.
    ///
    /// # Errors
    /// No such register, or not in x2APIC mode: #GP(0).
    pub fn read_msr(&self, msr: u32) -> Result<u64, Refused> {
        let index = msr.checked_sub(X2APIC_MSR).ok_or(Refused)?;
        let now = self.time.now();
        self.change(|apic| apic.read_msr(index, now, &self.rates))
    }

    /// Writes an MSR from 0x800 to 0x8ff.
    ///
    /// # Errors
    /// No such register, a reserved bit set, or not in x2APIC mode: #GP(0).
    pub fn write_msr(&self, msr: u32, value: u64) -> Result<(), Refused> {
        let index = msr.checked_sub(X2APIC_MSR).ok_or(Refused)?;
        let now = self.time.now();
        let out = self.change(|apic| apic.write_msr(index, value, now, &self.rates))?;
        self.send(out);
        Ok(())
    }

    /// `IA32_TSC_DEADLINE` (MSR 0x6e0): 0 when it is not armed or has passed.
    pub fn tsc_deadline(&self) -> u64 {
        let now = self.time.now();
        self.change(|apic| {
            apic.update(now, &self.rates);
            apic.deadline()
        })
    }

    /// Writes `IA32_TSC_DEADLINE`, in ticks of the guest's time-stamp counter.
    pub fn set_tsc_deadline(&self, value: u64) {
        let now = self.time.now();
        self.change(|apic| apic.set_deadline(value, now, &self.rates));
    }

    /// The processor's time-stamp counter was written: it now is `offset` ahead (modulo 2^64) of a counter of
    /// [`Rates::tsc_hz`] that is 0 when the clock is.
    pub fn set_tsc_offset(&self, offset: u64) {
        self.change(|apic| apic.set_tsc_offset(offset));
    }

    /// What firmware leaves behind on the bootstrap processor: virtual wire mode, the 8259 through LINT0 and NMI
    /// through LINT1 (MP specification 3.6.2.2). For boards that load a kernel without firmware.
    pub fn virtual_wire(&self) {
        let now = self.time.now();
        self.change(|apic| {
            for (index, value) in [(0x0f, 0x1ff), (0x35, 0x700), (0x36, 0x400)] {
                apic.write(index, value, now, &self.rates);
            }
        });
    }

    /// Accesses that no register is made for: other widths, other alignment, or while there is nothing in memory.
    pub fn stray(&self) -> &Stray {
        &self.stray
    }
}

impl MmioDevice for LocalApic {
    fn name(&self) -> &str {
        LocalApic::KIND
    }

    fn read(&self, offset: u64, size: Size) -> u64 {
        // Parts of a register are undefined by the manual (10.4.1), but harmless to read.
        let lane = offset & 0xf;
        if lane + size.bytes() > 4 || offset >= LocalApic::SIZE {
            self.stray.note(offset);
            return 0;
        }
        let now = self.time.now();
        match self.change(|apic| apic.read((offset >> 4) as u32, now, &self.rates)) {
            Some(value) => size.width().zext(u64::from(value) >> (8 * lane)),
            None => {
                self.stray.note(offset);
                size.width().zext(u64::MAX)
            }
        }
    }

    fn write(&self, offset: u64, size: Size, value: u64) {
        if offset & 0xf != 0 || size != Size::B4 || offset >= LocalApic::SIZE {
            self.stray.note(offset);
            return;
        }
        let now = self.time.now();
        let out = self.change(|apic| apic.write((offset >> 4) as u32, value as u32, now, &self.rates));
        self.send(out);
    }
}

impl Device for LocalApic {
    fn kind(&self) -> &'static str {
        LocalApic::KIND
    }

    fn reset(&self) {
        self.change(ApicState::reset);
    }

    fn save(&self) -> Result<Snapshot, SnapshotError> {
        Snapshot::encode(LocalApic::KIND, LocalApic::VERSION, &lock(&self.state).apic)
    }

    fn restore(&self, snapshot: &Snapshot) -> Result<(), SnapshotError> {
        let mut new: ApicState = snapshot.decode(LocalApic::KIND, LocalApic::VERSION)?;
        new.sanitize(self.index);
        self.change(|apic| *apic = new);
        Ok(())
    }
}

impl fmt::Debug for LocalApic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut d = f.debug_struct("LocalApic");
        d.field("index", &self.index)
            .field("state", &self.state)
            .field("stray", &self.stray)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
