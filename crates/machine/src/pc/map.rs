//! Where things are on the `pc` board: QEMU's i440FX machine.

/// End of conventional memory, where the VGA window begins.
pub const LOW_END: u64 = 0xa_0000;
/// End of the VGA window and beginning of the option ROMs' place, RAM here.
pub const HIGH_DOS: u64 = 0xc_0000;
/// RAM below 4 GiB ends at this address at most.
pub const LOW_MAX: u64 = 0xe000_0000;
/// RAM that does not fit below the PCI hole begins here.
pub const HIGH_BASE: u64 = 1 << 32;

/// IO-APIC.
pub const IOAPIC: u64 = 0xfec0_0000;
/// HPET.
pub const HPET: u64 = 0xfed0_0000;
/// Local APICs.
pub const LAPIC: u64 = 0xfee0_0000;

/// 8259 pair: first and second chip, and their edge/level registers.
pub const PORT_PIC: [u16; 3] = [0x20, 0xa0, 0x4d0];
/// DMA controllers and their page registers.
pub const PORT_DMA: [u16; 3] = [0x00, 0xc0, 0x80];
/// 8254.
pub const PORT_PIT: u16 = 0x40;
/// NMI status and control, the 8254's speaker.
pub const PORT_NMI: u16 = 0x61;
/// i8042: data, and status and command.
pub const PORT_KBD: [u16; 2] = [0x60, 0x64];
/// Real-time clock.
pub const PORT_RTC: u16 = 0x70;
/// POST code.
pub const PORT_POST: u16 = 0x80;
/// System control port A.
pub const PORT_92: u16 = 0x92;
/// SMI command and status.
pub const PORT_SMI: u16 = 0xb2;
/// Acknowledges an x87 error.
pub const PORT_FPU: u16 = 0xf0;
/// Debug console.
pub const PORT_DEBUG: u16 = 0xe9;
/// COM1 and COM2.
pub const PORT_COM: [u16; 2] = [0x3f8, 0x2f8];
/// isa-debug-exit, as it is usually placed: `-device isa-debug-exit,iobase=0xf4,iosize=4`.
pub const PORT_EXIT: u16 = 0xf4;
/// fw_cfg: selector and data, and DMA address.
pub const PORT_FW_CFG: [u16; 2] = [0x510, 0x514];
/// Power management registers.
pub const PORT_PM: u16 = 0x600;
/// PCI configuration.
pub const PORT_PCI: u16 = 0xcf8;
/// Reset control.
pub const PORT_RESET: u16 = 0xcf9;
/// General-purpose events.
pub const PORT_GPE: u16 = 0xafe0;

/// ISA interrupt of the 8254.
pub const IRQ_PIT: usize = 0;
/// ISA interrupt of the keyboard.
pub const IRQ_KBD: usize = 1;
/// ISA interrupts of COM1 and COM2.
pub const IRQ_COM: [usize; 2] = [4, 3];
/// ISA interrupt of the real-time clock.
pub const IRQ_RTC: usize = 8;
/// System control interrupt.
pub const IRQ_SCI: usize = 9;
/// ISA interrupt of the mouse.
pub const IRQ_MOUSE: usize = 12;
/// ISA interrupt of x87 errors.
pub const IRQ_FPU: usize = 13;
/// Where firmware routes PIRQA to PIRQD.
pub const PIRQ_ROUTES: [u8; 4] = [10, 10, 11, 11];

/// Frequency of the time stamp counter and of the local APIC's timer, in Hz: a tick is a nanosecond.
pub const TSC_HZ: u64 = 1_000_000_000;
