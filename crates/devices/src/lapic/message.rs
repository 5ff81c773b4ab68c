//! What travels between APICs.

use serde::{Deserialize, Serialize};

/// What a message does to the processors it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Delivery {
    /// Interrupt all of them.
    Fixed,
    /// Interrupt the one that does the least important work.
    LowestPriority,
    /// System management interrupt.
    Smi,
    /// Non-maskable interrupt.
    Nmi,
    /// Reset of the processor.
    Init,
    /// Start of a processor that waits after INIT.
    Startup,
    /// External interrupt: the vector is asked of the 8259.
    ExtInt,
}

impl Delivery {
    /// Bits 10:8 as all registers have them, where they agree.
    fn common(bits: u32) -> Option<Delivery> {
        Some(match bits >> 8 & 7 {
            0 => Delivery::Fixed,
            1 => Delivery::LowestPriority,
            2 => Delivery::Smi,
            4 => Delivery::Nmi,
            5 => Delivery::Init,
            6 => Delivery::Startup,
            7 => Delivery::ExtInt,
            _ => return None,
        })
    }

    /// Delivery mode in an interrupt command register.
    pub(super) fn of_icr(bits: u32) -> Option<Delivery> {
        Delivery::common(bits).filter(|d| *d != Delivery::ExtInt)
    }

    /// Delivery mode in an entry of the local vector table.
    pub(super) fn of_lvt(bits: u32) -> Option<Delivery> {
        Delivery::common(bits).filter(|d| !matches!(d, Delivery::LowestPriority | Delivery::Startup))
    }

    /// Delivery mode in a redirection entry of an IO-APIC, or in the data of a message-signalled interrupt.
    pub fn of_message(bits: u32) -> Option<Delivery> {
        Delivery::common(bits).filter(|d| *d != Delivery::Startup)
    }
}

/// Whom a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Every APIC.
    All,
    /// Every APIC but that of the processor with this number.
    AllBut(u32),
    /// The APIC of the processor with this number.
    Only(u32),
    /// The APIC with this ID.
    Physical(u32),
    /// Every APIC that finds itself in this message destination address.
    Logical(u32),
}

impl Destination {
    /// An 8-bit destination field and its mode bit; all ones is everyone.
    pub fn from_field(field: u8, logical: bool) -> Destination {
        match (field, logical) {
            (0xff, _) => Destination::All,
            (id, true) => Destination::Logical(u32::from(id)),
            (id, false) => Destination::Physical(u32::from(id)),
        }
    }
}

/// A message on the APIC bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// Whom it is for.
    pub destination: Destination,
    /// What it does.
    pub delivery: Delivery,
    /// Interrupt vector, or page number of a start-up.
    pub vector: u8,
    /// Level-triggered: its end is to be reported to the IO-APICs.
    pub level: bool,
}

impl Message {
    /// A message-signalled interrupt: a write of `data` to `address` in 0xfee0_0000 to 0xfeef_ffff (10.11).
    /// `None` if its delivery mode is reserved.
    pub fn from_msi(address: u32, data: u32) -> Option<Message> {
        Some(Message {
            destination: Destination::from_field((address >> 12) as u8, address & 1 << 2 != 0),
            delivery: Delivery::of_message(data)?,
            vector: data as u8,
            level: data & 1 << 15 != 0,
        })
    }
}
