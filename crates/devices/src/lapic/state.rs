//! One local APIC, without locks: priorities, what arrives, what the processor takes. Its registers are in
//! [`regs`].

mod regs;

use serde::{Deserialize, Serialize};

use super::message::{Delivery, Destination, Message};
use super::timer::{Mode, Rates, Timer};
use super::vectors::Vectors;

/// `IA32_APIC_BASE`: this is the bootstrap processor.
pub const BASE_BSP: u64 = 1 << 8;
/// `IA32_APIC_BASE`: x2APIC mode.
pub const BASE_EXTD: u64 = 1 << 10;
/// `IA32_APIC_BASE`: the APIC is there at all.
pub const BASE_EN: u64 = 1 << 11;
/// Where the registers are after reset.
pub const DEFAULT_BASE: u64 = 0xfee0_0000;

const SVR_ENABLE: u32 = 1 << 8;
const SVR_NO_BROADCAST: u32 = 1 << 12;
const SVR_BITS: u32 = 0x11ff;

const LVT_MASKED: u32 = 1 << 16;
const LVT_LEVEL: u32 = 1 << 15;
const LVT_REMOTE_IRR: u32 = 1 << 14;

/// Bits of the error status register (10.5.3).
mod esr {
    pub const SEND_ILLEGAL: u32 = 1 << 5;
    pub const RECEIVE_ILLEGAL: u32 = 1 << 6;
    pub const ILLEGAL_REGISTER: u32 = 1 << 7;
}

/// An entry of the local vector table, in the order of the registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lvt {
    /// The APIC's timer.
    Timer,
    /// Thermal sensor.
    Thermal,
    /// Performance counters.
    Performance,
    /// Pin LINT0, by convention the 8259's INTR.
    Lint0,
    /// Pin LINT1, by convention NMI.
    Lint1,
    /// Errors of the APIC itself.
    Error,
}

impl Lvt {
    const ALL: [Lvt; 6] = [Lvt::Timer, Lvt::Thermal, Lvt::Performance, Lvt::Lint0, Lvt::Lint1, Lvt::Error];

    /// Bits that can be written (figure 10-8).
    const fn writable(self) -> u32 {
        match self {
            Lvt::Timer => 0x7_00ff,
            Lvt::Thermal | Lvt::Performance => 0x1_07ff,
            Lvt::Lint0 | Lvt::Lint1 => 0x1_a7ff,
            Lvt::Error => 0x1_00ff,
        }
    }
}

/// What the processor acknowledges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ack {
    /// The interrupt with this vector.
    Vector(u8),
    /// An external interrupt: the vector comes from the 8259.
    ExtInt,
}

/// What other processors and the chip set do to the processor, besides interrupts and NMI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CpuEvent {
    /// Reset to the state after INIT. Any processor but the bootstrap one then waits for [`CpuEvent::Startup`].
    Init,
    /// Begin in real mode at this page number: CS = vector << 8, IP = 0.
    Startup(u8),
    /// System management interrupt.
    Smi,
}

/// An MSR access that the APIC refuses: the instruction raises #GP(0).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused;

/// What is to be done outside after a register was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outgoing {
    /// Nothing.
    None,
    /// Send an interprocessor interrupt.
    Ipi(Message),
    /// Tell the IO-APICs that a level-triggered interrupt was handled.
    Eoi(u8),
}

/// The registers of a local APIC (SDM Vol. 3, chapter 10).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApicState {
    /// Number of the processor: initial APIC ID, and x2APIC ID.
    index: u32,
    base: u64,
    /// ID in xAPIC mode.
    id: u8,
    tpr: u8,
    /// Logical ID in xAPIC mode.
    ldr: u8,
    /// Bits 31:28 of the destination format register: 0xf flat, 0 cluster.
    model: u8,
    svr: u32,
    isr: Vectors,
    tmr: Vectors,
    irr: Vectors,
    /// As latched by the last write.
    esr: u32,
    /// Seen since.
    errors: u32,
    icr: u64,
    lvt: [u32; 6],
    timer: Timer,
    /// Levels of LINT0 and LINT1.
    lint: [bool; 2],
    /// An ExtINT message was accepted.
    ext_int: bool,
    nmi: bool,
    smi: bool,
    init: bool,
    startup: Option<u8>,
    /// Only then is a start-up message accepted.
    wait_for_startup: bool,
}

impl ApicState {
    /// The APIC of processor `index` after power-on; 0 is the bootstrap processor.
    pub fn new(index: u32) -> ApicState {
        let bsp = index == 0;
        ApicState {
            index,
            base: DEFAULT_BASE | BASE_EN | if bsp { BASE_BSP } else { 0 },
            id: index as u8,
            tpr: 0,
            ldr: 0,
            model: 0xf,
            svr: 0xff,
            isr: Vectors::default(),
            tmr: Vectors::default(),
            irr: Vectors::default(),
            esr: 0,
            errors: 0,
            icr: 0,
            lvt: [LVT_MASKED; 6],
            timer: Timer::default(),
            lint: [false; 2],
            ext_int: false,
            nmi: false,
            smi: false,
            init: false,
            startup: None,
            wait_for_startup: !bsp,
        }
    }

    /// Everything after power-on except what others drive or own: pins, and the time-stamp counter.
    pub fn reset(&mut self) {
        let mut new = ApicState::new(self.index);
        new.lint = self.lint;
        new.timer = self.timer.clone();
        new.timer.reset();
        *self = new;
    }

    /// INIT: as after power-on, but for the IDs and the base (10.4.7.3).
    fn init(&mut self) {
        let (base, id) = (self.base, self.id);
        self.reset();
        self.base = base;
        self.id = id;
        self.wait_for_startup = base & BASE_BSP == 0;
        self.init = true;
    }

    /// Makes a decoded state one that this APIC can be in.
    pub fn sanitize(&mut self, index: u32) {
        self.index = index;
        self.svr &= SVR_BITS;
        for (entry, kind) in self.lvt.iter_mut().zip(Lvt::ALL) {
            *entry &= kind.writable() | LVT_REMOTE_IRR;
        }
        self.isr.sanitize();
        self.tmr.sanitize();
        self.irr.sanitize();
    }

    fn enabled(&self) -> bool {
        self.base & BASE_EN != 0
    }

    fn x2apic(&self) -> bool {
        self.base & BASE_EXTD != 0
    }

    fn software_enabled(&self) -> bool {
        self.enabled() && self.svr & SVR_ENABLE != 0
    }

    fn lvt(&self, entry: Lvt) -> u32 {
        self.lvt[entry as usize]
    }

    fn mode(&self) -> Mode {
        Mode::of(self.lvt(Lvt::Timer))
    }

    /// The APIC ID that other APICs address.
    pub fn apic_id(&self) -> u32 {
        if self.x2apic() { self.index } else { u32::from(self.id) }
    }

    fn logical_id(&self) -> u32 {
        if self.x2apic() {
            // 10.12.10.2: cluster number and a bit within the cluster follow from the ID.
            self.index >> 4 << 16 | 1 << (self.index & 0xf)
        } else {
            u32::from(self.ldr)
        }
    }

    // --- Priorities (10.8.3) ---

    fn isr_priority(&self) -> u8 {
        self.isr.highest().unwrap_or(0) & 0xf0
    }

    /// Processor priority.
    pub fn ppr(&self) -> u8 {
        if self.tpr & 0xf0 >= self.isr_priority() { self.tpr } else { self.isr_priority() }
    }

    /// Arbitration priority (10.6.2.4).
    fn apr(&self) -> u8 {
        let irr = self.irr.highest().unwrap_or(0) & 0xf0;
        let (tpr, isr) = (self.tpr & 0xf0, self.isr_priority());
        if tpr >= irr && tpr > isr { self.tpr } else { tpr.max(isr).max(irr) }
    }

    /// The task priority.
    pub fn tpr(&self) -> u8 {
        self.tpr
    }

    /// Sets the task priority.
    pub fn set_tpr(&mut self, tpr: u8) {
        self.tpr = tpr;
    }

    fn deliverable(&self) -> Option<u8> {
        self.irr.highest().filter(|v| self.enabled() && v & 0xf0 > self.ppr() & 0xf0)
    }

    /// Whether the 8259's request reaches the processor. LINT0 of a disabled APIC is the INTR pin (10.4.3).
    fn external(&self) -> bool {
        let entry = self.lvt(Lvt::Lint0);
        let through = entry & LVT_MASKED == 0 && Delivery::of_lvt(entry) == Some(Delivery::ExtInt);
        self.ext_int || self.lint[0] && (through || !self.enabled())
    }

    /// Whether the processor is to be interrupted.
    pub fn interrupt(&self) -> bool {
        self.external() || self.deliverable().is_some()
    }

    /// Whether an NMI is pending.
    pub fn nmi(&self) -> bool {
        self.nmi
    }

    /// Whether there is something for [`ApicState::take_event`].
    pub fn event(&self) -> bool {
        self.init || self.startup.is_some() || self.smi
    }

    /// The processor takes the interrupt. `None` if there is none; the spurious vector if there is only one
    /// that its priority holds back by now (10.9).
    pub fn ack(&mut self) -> Option<Ack> {
        if let Some(v) = self.deliverable() {
            self.irr.set(v, false);
            self.isr.set(v, true);
            return Some(Ack::Vector(v));
        }
        if self.external() {
            self.ext_int = false;
            return Some(Ack::ExtInt);
        }
        let blocked = self.enabled() && self.irr.highest().is_some();
        blocked.then_some(Ack::Vector(self.svr as u8))
    }

    /// The processor takes the NMI.
    pub fn take_nmi(&mut self) -> bool {
        std::mem::take(&mut self.nmi)
    }

    /// The processor takes what else is pending, INIT before start-up.
    pub fn take_event(&mut self) -> Option<CpuEvent> {
        if std::mem::take(&mut self.init) {
            return Some(CpuEvent::Init);
        }
        if let Some(page) = self.startup.take() {
            return Some(CpuEvent::Startup(page));
        }
        std::mem::take(&mut self.smi).then_some(CpuEvent::Smi)
    }

    // --- Arrivals ---

    /// Whether a message with this destination is for this APIC (10.6.2).
    pub fn is_addressed(&self, destination: Destination) -> bool {
        if !self.enabled() {
            return false;
        }
        match destination {
            Destination::All => true,
            Destination::AllBut(index) => self.index != index,
            Destination::Only(index) => self.index == index,
            Destination::Physical(id) => self.apic_id() == id,
            Destination::Logical(mda) if self.x2apic() => {
                let own = self.logical_id();
                own >> 16 == mda >> 16 && own & mda & 0xffff != 0
            }
            Destination::Logical(mda) if self.model == 0 => {
                let own = u32::from(self.ldr);
                own >> 4 == mda >> 4 && own & mda & 0xf != 0
            }
            Destination::Logical(mda) => u32::from(self.ldr) & mda != 0,
        }
    }

    /// Takes a message in that is for this APIC.
    pub fn accept(&mut self, delivery: Delivery, vector: u8, level: bool) {
        match delivery {
            Delivery::Fixed | Delivery::LowestPriority => {
                if !self.software_enabled() {
                    return;
                }
                if vector < 16 {
                    self.error(esr::RECEIVE_ILLEGAL);
                    return;
                }
                self.irr.set(vector, true);
                self.tmr.set(vector, level);
            }
            Delivery::Smi => self.smi = true,
            Delivery::Nmi => self.nmi = true,
            Delivery::Init => self.init(),
            Delivery::Startup => {
                if std::mem::take(&mut self.wait_for_startup) {
                    self.startup = Some(vector);
                }
            }
            Delivery::ExtInt => self.ext_int = true,
        }
    }

    /// A local source fires: its LVT entry says what comes of it.
    pub fn local(&mut self, source: Lvt) {
        let entry = self.lvt(source);
        if !self.enabled() || entry & LVT_MASKED != 0 {
            return;
        }
        let delivery = match source {
            Lvt::Timer | Lvt::Error => Some(Delivery::Fixed),
            _ => Delivery::of_lvt(entry),
        };
        match delivery {
            // The level is looked at in `external`.
            Some(Delivery::ExtInt) if source == Lvt::Lint0 => {}
            Some(delivery) => self.accept(delivery, entry as u8, false),
            None => {}
        }
        if source == Lvt::Performance {
            // Software has to unmask the entry again after each overflow.
            self.lvt[source as usize] |= LVT_MASKED;
        }
    }

    /// A LINT pin changes.
    pub fn set_lint(&mut self, pin: usize, high: bool) {
        let Some(level) = self.lint.get_mut(pin) else { return };
        let rises = !std::mem::replace(level, high) && high;
        if !self.enabled() {
            // LINT1 of a disabled APIC is the NMI pin.
            self.nmi |= rises && pin == 1;
            return;
        }
        if pin == 0 && self.lint0_is_level() {
            self.sample_lint0();
        } else if rises {
            self.local(if pin == 0 { Lvt::Lint0 } else { Lvt::Lint1 });
        }
    }

    /// Only LINT0 can be level-sensitive, and only in fixed mode (10.5.1).
    fn lint0_is_level(&self) -> bool {
        let entry = self.lvt(Lvt::Lint0);
        entry & LVT_LEVEL != 0 && Delivery::of_lvt(entry) == Some(Delivery::Fixed)
    }

    fn sample_lint0(&mut self) {
        let entry = self.lvt(Lvt::Lint0);
        if self.lint[0] && self.lint0_is_level() && entry & (LVT_MASKED | LVT_REMOTE_IRR) == 0 {
            self.accept(Delivery::Fixed, entry as u8, true);
            if self.irr.get(entry as u8) {
                self.lvt[Lvt::Lint0 as usize] |= LVT_REMOTE_IRR;
            }
        }
    }

    fn error(&mut self, bits: u32) {
        let new = bits & !self.errors;
        self.errors |= bits;
        if new == 0 {
            return;
        }
        // An error entry with an illegal vector would be the next error.
        let entry = self.lvt(Lvt::Error);
        if entry & LVT_MASKED == 0 && entry as u8 >= 16 {
            self.local(Lvt::Error);
        }
    }

    // --- Time ---

    /// Lets the timer fire if it is due.
    pub fn update(&mut self, now: u64, rates: &Rates) {
        if self.timer.expire(now, self.mode(), rates) {
            self.local(Lvt::Timer);
        }
    }

    /// When the timer interrupts next, in nanoseconds; not before `now`, and never while it is masked.
    pub fn next_event(&self, now: u64, rates: &Rates) -> Option<u64> {
        if self.lvt(Lvt::Timer) & LVT_MASKED != 0 {
            return None;
        }
        Some(self.timer.next(now, self.mode(), rates)?.max(now))
    }

    /// `IA32_TSC_DEADLINE`.
    pub fn deadline(&self) -> u64 {
        self.timer.deadline()
    }

    /// Writes `IA32_TSC_DEADLINE`.
    pub fn set_deadline(&mut self, value: u64, now: u64, rates: &Rates) {
        self.timer.set_deadline(value, self.mode());
        self.update(now, rates);
    }

    /// What the guest's TSC is ahead of one that started at 0 with the clock, modulo 2^64.
    pub fn set_tsc_offset(&mut self, offset: u64) {
        self.timer.set_tsc_offset(offset);
    }
}
