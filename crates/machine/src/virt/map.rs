//! The memory map and interrupt numbers of the `virt` board, which are those of QEMU's (`hw/arm/virt.c`): guests
//! with addresses built in find what they expect.

/// A range of physical addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// First address.
    pub base: u64,
    /// Bytes.
    pub size: u64,
}

const fn window(base: u64, size: u64) -> Window {
    Window { base, size }
}

/// Two banks of NOR flash; nothing is plugged in.
pub const FLASH: Window = window(0, 0x0800_0000);
/// GIC distributor.
pub const GIC_DIST: Window = window(0x0800_0000, 0x1_0000);
/// GICv2 CPU interface.
pub const GIC_CPU: Window = window(0x0801_0000, 0x1_0000);
/// GICv3 redistributors, 128 KiB per CPU.
pub const GIC_REDIST: Window = window(0x080a_0000, 0x00f6_0000);
/// PL011 UART.
pub const UART: Window = window(0x0900_0000, 0x1000);
/// PL031 real-time clock.
pub const RTC: Window = window(0x0901_0000, 0x1000);
/// PL061 GPIO with the power key.
pub const GPIO: Window = window(0x0903_0000, 0x1000);
/// virtio-mmio transports.
pub const VIRTIO: Window = window(0x0a00_0000, 0x4000);
/// Bytes per virtio-mmio transport.
pub const VIRTIO_STRIDE: u64 = 0x200;
/// Number of virtio-mmio transports.
pub const VIRTIO_COUNT: u32 = 32;
/// Where RAM starts.
pub const RAM_BASE: u64 = 0x4000_0000;
/// RAM ends below this: 255 GiB, where the high device windows start.
pub const RAM_LIMIT: u64 = 255 << 30;

/// Shared peripheral interrupt (INTID minus 32) of the UART.
pub const SPI_UART: u32 = 1;
/// SPI of the real-time clock.
pub const SPI_RTC: u32 = 2;
/// SPI of the GPIO controller.
pub const SPI_GPIO: u32 = 7;
/// SPI of the first virtio-mmio transport.
pub const SPI_VIRTIO: u32 = 16;

/// INTID of the EL2 physical timer.
pub const PPI_TIMER_HYP: u32 = 26;
/// INTID of the virtual timer.
pub const PPI_TIMER_VIRT: u32 = 27;
/// INTID of the secure physical timer.
pub const PPI_TIMER_SEC: u32 = 29;
/// INTID of the non-secure EL1 physical timer.
pub const PPI_TIMER_PHYS: u32 = 30;

/// GPIO line of the power key.
pub const GPIO_POWER_KEY: u32 = 3;
