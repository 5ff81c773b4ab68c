//! Reading and writing registers: in memory, through x2APIC MSRs, and `IA32_APIC_BASE`.

use super::{ApicState, BASE_BSP, BASE_EN, BASE_EXTD, Lvt, Outgoing, Refused, esr};
use super::{LVT_MASKED, LVT_REMOTE_IRR, SVR_BITS, SVR_ENABLE, SVR_NO_BROADCAST};
use crate::lapic::message::{Delivery, Destination, Message};
use crate::lapic::timer::{Mode, Rates};

/// Version 0x14 (integrated), 6 LVT entries, suppression of EOI broadcasts.
const VERSION: u32 = 0x14 | 5 << 16 | 1 << 24;

/// A register, at `index * 16` in memory and at MSR `0x800 + index`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reg {
    Id,
    Version,
    Tpr,
    Apr,
    Ppr,
    Eoi,
    /// Remote read; no processor since the P6 family has it.
    Rrd,
    Ldr,
    Dfr,
    Svr,
    Isr(u32),
    Tmr(u32),
    Irr(u32),
    Esr,
    Icr,
    IcrHigh,
    Lvt(Lvt),
    InitialCount,
    CurrentCount,
    Divide,
    /// x2APIC only.
    SelfIpi,
}

impl Reg {
    fn at(index: u32) -> Option<Reg> {
        Some(match index {
            0x02 => Reg::Id,
            0x03 => Reg::Version,
            0x08 => Reg::Tpr,
            0x09 => Reg::Apr,
            0x0a => Reg::Ppr,
            0x0b => Reg::Eoi,
            0x0c => Reg::Rrd,
            0x0d => Reg::Ldr,
            0x0e => Reg::Dfr,
            0x0f => Reg::Svr,
            0x10..=0x17 => Reg::Isr(index - 0x10),
            0x18..=0x1f => Reg::Tmr(index - 0x18),
            0x20..=0x27 => Reg::Irr(index - 0x20),
            0x28 => Reg::Esr,
            0x30 => Reg::Icr,
            0x31 => Reg::IcrHigh,
            0x32..=0x37 => Reg::Lvt(Lvt::ALL[(index - 0x32) as usize]),
            0x38 => Reg::InitialCount,
            0x39 => Reg::CurrentCount,
            0x3e => Reg::Divide,
            0x3f => Reg::SelfIpi,
            _ => return None,
        })
    }
}

impl ApicState {
    fn get(&self, reg: Reg, now: u64, rates: &Rates) -> u32 {
        match reg {
            Reg::Id if self.x2apic() => self.index,
            Reg::Id => u32::from(self.id) << 24,
            Reg::Version => VERSION,
            Reg::Tpr => u32::from(self.tpr),
            Reg::Apr => u32::from(self.apr()),
            Reg::Ppr => u32::from(self.ppr()),
            Reg::Ldr if self.x2apic() => self.logical_id(),
            Reg::Ldr => u32::from(self.ldr) << 24,
            Reg::Dfr => u32::from(self.model) << 28 | 0x0fff_ffff,
            Reg::Svr => self.svr,
            Reg::Isr(i) => self.isr.word(i),
            Reg::Tmr(i) => self.tmr.word(i),
            Reg::Irr(i) => self.irr.word(i),
            Reg::Esr => self.esr,
            Reg::Icr => self.icr as u32,
            Reg::IcrHigh => (self.icr >> 32) as u32,
            Reg::Lvt(entry) => self.lvt(entry),
            Reg::InitialCount => self.timer.initial(),
            Reg::CurrentCount => self.timer.count(now, self.mode(), rates),
            Reg::Divide => self.timer.divide(),
            Reg::Eoi | Reg::Rrd | Reg::SelfIpi => 0,
        }
    }

    fn set(&mut self, reg: Reg, value: u32, now: u64, rates: &Rates) -> Outgoing {
        match reg {
            Reg::Id => self.id = (value >> 24) as u8,
            Reg::Tpr => self.tpr = value as u8,
            Reg::Eoi => return self.eoi(),
            Reg::Ldr => self.ldr = (value >> 24) as u8,
            Reg::Dfr => self.model = (value >> 28) as u8,
            Reg::Svr => self.set_svr(value),
            Reg::Esr => self.esr = std::mem::take(&mut self.errors),
            Reg::Icr => {
                self.icr = self.icr & !0xffff_ffff | u64::from(value & 0x000c_cfff);
                return self.send();
            }
            Reg::IcrHigh => self.icr = self.icr & 0xffff_ffff | u64::from(value & 0xff00_0000) << 32,
            Reg::Lvt(entry) => self.set_lvt(entry, value, now, rates),
            Reg::InitialCount => self.timer.set_initial(value, now, self.mode()),
            Reg::Divide => self.timer.set_divide(value, now, self.mode(), rates),
            Reg::SelfIpi => return self.send_self(value as u8),
            Reg::Version
            | Reg::Apr
            | Reg::Ppr
            | Reg::Rrd
            | Reg::Isr(_)
            | Reg::Tmr(_)
            | Reg::Irr(_)
            | Reg::CurrentCount => {}
        }
        Outgoing::None
    }

    fn set_svr(&mut self, value: u32) {
        self.svr = value & SVR_BITS;
        if self.svr & SVR_ENABLE == 0 {
            // 10.4.7.2: all mask bits are set and stay so.
            for entry in &mut self.lvt {
                *entry |= LVT_MASKED;
            }
        }
    }

    fn set_lvt(&mut self, entry: Lvt, value: u32, now: u64, rates: &Rates) {
        let mut new = value & entry.writable();
        if self.svr & SVR_ENABLE == 0 {
            new |= LVT_MASKED;
        }
        match entry {
            Lvt::Timer => self.timer.change_mode(self.mode(), Mode::of(new), now, rates),
            Lvt::Lint0 => new |= self.lvt(Lvt::Lint0) & LVT_REMOTE_IRR,
            _ => {}
        }
        self.lvt[entry as usize] = new;
        if entry == Lvt::Lint0 {
            if !self.lint0_is_level() {
                self.lvt[Lvt::Lint0 as usize] &= !LVT_REMOTE_IRR;
            }
            self.sample_lint0();
        }
    }

    /// End of the interrupt with the highest priority (10.8.5).
    fn eoi(&mut self) -> Outgoing {
        let Some(vector) = self.isr.highest() else { return Outgoing::None };
        self.isr.set(vector, false);
        if !self.tmr.get(vector) {
            return Outgoing::None;
        }
        let lint0 = self.lvt(Lvt::Lint0);
        if lint0 & LVT_REMOTE_IRR != 0 && lint0 as u8 == vector {
            self.lvt[Lvt::Lint0 as usize] &= !LVT_REMOTE_IRR;
            self.sample_lint0();
        }
        if self.svr & SVR_NO_BROADCAST != 0 { Outgoing::None } else { Outgoing::Eoi(vector) }
    }

    fn send_self(&mut self, vector: u8) -> Outgoing {
        if vector < 16 {
            self.error(esr::SEND_ILLEGAL);
        } else {
            self.accept(Delivery::Fixed, vector, false);
        }
        Outgoing::None
    }

    /// The interrupt command register was written (10.6.1).
    fn send(&mut self) -> Outgoing {
        let low = self.icr as u32;
        let vector = low as u8;
        let Some(delivery) = Delivery::of_icr(low) else { return Outgoing::None };
        let (asserted, level) = (low & 1 << 14 != 0, low & 1 << 15 != 0);
        if delivery == Delivery::Init && level && !asserted {
            // INIT level de-assert sets the arbitration IDs, which nothing since the Pentium 4 has.
            return Outgoing::None;
        }
        if matches!(delivery, Delivery::Fixed | Delivery::LowestPriority) && vector < 16 {
            self.error(esr::SEND_ILLEGAL);
            return Outgoing::None;
        }
        let field = (self.icr >> 32) as u32;
        let (id, everyone) = if self.x2apic() { (field, u32::MAX) } else { (field >> 24, 0xff) };
        let destination = match low >> 18 & 3 {
            // To itself, only fixed interrupts can be sent (table 10-3).
            1 if delivery == Delivery::Fixed => Destination::Only(self.index),
            1 => return Outgoing::None,
            2 => Destination::All,
            3 => Destination::AllBut(self.index),
            _ if id == everyone => Destination::All,
            _ if low & 1 << 11 != 0 => Destination::Logical(id),
            _ => Destination::Physical(id),
        };
        Outgoing::Ipi(Message { destination, delivery, vector, level: false })
    }

    /// Reads the 32-bit register at `index * 16`. `None` while there are no registers in memory.
    pub fn read(&mut self, index: u32, now: u64, rates: &Rates) -> Option<u32> {
        if !self.enabled() || self.x2apic() {
            return None;
        }
        self.update(now, rates);
        match Reg::at(index) {
            Some(reg) if reg != Reg::SelfIpi => Some(self.get(reg, now, rates)),
            _ => {
                self.error(esr::ILLEGAL_REGISTER);
                Some(0)
            }
        }
    }

    /// Writes the 32-bit register at `index * 16`.
    pub fn write(&mut self, index: u32, value: u32, now: u64, rates: &Rates) -> Outgoing {
        if !self.enabled() || self.x2apic() {
            return Outgoing::None;
        }
        self.update(now, rates);
        match Reg::at(index) {
            Some(reg) if reg != Reg::SelfIpi => {
                let out = self.set(reg, value, now, rates);
                self.update(now, rates);
                out
            }
            _ => {
                self.error(esr::ILLEGAL_REGISTER);
                Outgoing::None
            }
        }
    }

    /// Reads the MSR `0x800 + index`.
    pub fn read_msr(&mut self, index: u32, now: u64, rates: &Rates) -> Result<u64, Refused> {
        if !self.enabled() || !self.x2apic() {
            return Err(Refused);
        }
        self.update(now, rates);
        match Reg::at(index).ok_or(Refused)? {
            // Not in x2APIC mode, or write-only (table 10-6).
            Reg::Apr | Reg::Dfr | Reg::Rrd | Reg::IcrHigh | Reg::Eoi | Reg::SelfIpi => Err(Refused),
            Reg::Icr => Ok(self.icr),
            reg => Ok(u64::from(self.get(reg, now, rates))),
        }
    }

    /// Writes the MSR `0x800 + index`. Reserved bits that are not zero are refused.
    pub fn write_msr(
        &mut self,
        index: u32,
        value: u64,
        now: u64,
        rates: &Rates,
    ) -> Result<Outgoing, Refused> {
        if !self.enabled() || !self.x2apic() {
            return Err(Refused);
        }
        let reg = Reg::at(index).ok_or(Refused)?;
        let allowed = match reg {
            Reg::Tpr | Reg::SelfIpi => 0xff,
            Reg::Eoi | Reg::Esr => 0,
            Reg::Svr => u64::from(SVR_BITS),
            Reg::Icr => 0xffff_ffff_000c_cfff,
            Reg::Lvt(entry) => u64::from(entry.writable() | 1 << 12 | LVT_REMOTE_IRR),
            Reg::InitialCount => 0xffff_ffff,
            Reg::Divide => 0xb,
            _ => return Err(Refused),
        };
        if value & !allowed != 0 {
            return Err(Refused);
        }
        self.update(now, rates);
        let out = if reg == Reg::Icr {
            self.icr = value;
            self.send()
        } else {
            self.set(reg, value as u32, now, rates)
        };
        self.update(now, rates);
        Ok(out)
    }

    /// `IA32_APIC_BASE`.
    pub fn base(&self) -> u64 {
        self.base
    }

    /// Writes `IA32_APIC_BASE`. Of the changes of mode, only those of figure 10-27 are allowed. `pa_bits` is the
    /// width of a physical address.
    pub fn set_base(&mut self, value: u64, pa_bits: u32) -> Result<(), Refused> {
        let address = 1u64.checked_shl(pa_bits).unwrap_or(0).wrapping_sub(1) & !0xfff;
        if value & !(address | BASE_BSP | BASE_EXTD | BASE_EN) != 0 {
            return Err(Refused);
        }
        let mode = |v: u64| (v & BASE_EN != 0, v & BASE_EXTD != 0);
        match (mode(self.base), mode(value)) {
            (_, (false, true)) => return Err(Refused),
            ((false, _), (true, true)) => return Err(Refused),
            ((true, true), (true, false)) => return Err(Refused),
            _ => {}
        }
        let was_enabled = self.enabled();
        self.base = value;
        if was_enabled && !self.enabled() {
            // 10.4.3: when it is enabled again, it is as after power-on.
            let (init, startup, wait) = (self.init, self.startup, self.wait_for_startup);
            self.reset();
            (self.base, self.init, self.startup, self.wait_for_startup) = (value, init, startup, wait);
        }
        Ok(())
    }
}
