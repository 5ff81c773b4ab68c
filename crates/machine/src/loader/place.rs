//! Where kernel, initial RAM disk and device tree go, as QEMU's `virt` board places them.

use std::ops::Range;

use super::error::{LoadError, Part};
use super::{ElfImage, KernelImage};

const MIB: u64 = 1 << 20;
const PAGE: u64 = 0x1000;
/// A device tree is mapped with one 2 MiB block: it must neither be larger nor cross a boundary
/// (Documentation/arch/arm64/booting.rst, "Setup the device tree").
const DTB_ALIGN: u64 = 2 * MIB;

/// Guest RAM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RamRange {
    /// Physical address of the first byte.
    pub base: u64,
    /// Bytes.
    pub size: u64,
}

impl RamRange {
    /// First address after RAM.
    pub fn end(self) -> u64 {
        self.base + self.size
    }

    fn no_room(self, part: Part, addr: u64, size: u64) -> LoadError {
        let end = addr.saturating_add(size);
        LoadError::NoRoom {
            part,
            size,
            addr,
            ram_base: self.base,
            ram_end: self.end(),
            mib_needed: end.saturating_sub(self.base).div_ceil(MIB),
        }
    }

    fn holds(self, addr: u64, size: u64) -> bool {
        addr >= self.base && addr <= self.end() && size <= self.end() - addr
    }
}

/// Physical addresses of what is loaded before the first instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The kernel's extent in memory, BSS included.
    pub kernel: Range<u64>,
    /// First instruction.
    pub entry: u64,
    /// The initial RAM disk.
    pub initrd: Option<Range<u64>>,
    /// Where the device tree starts.
    pub dtb: u64,
    /// Bytes available for the device tree.
    pub dtb_room: u64,
}

impl Placement {
    /// Places a kernel and an initial RAM disk of `initrd_size` bytes, and finds room for a device tree. The
    /// size of the tree is not known yet, since it names the other two; check it with [`Placement::check_dtb`].
    pub fn new(
        kernel: &KernelImage<'_>,
        initrd_size: Option<u64>,
        ram: RamRange,
    ) -> Result<Placement, LoadError> {
        let (extent, entry) = match kernel {
            KernelImage::Linux(image) => {
                // Below 4 KiB there would be no room for a boot stub; QEMU moves such kernels (all since
                // v5.10) up, and so do we, to have the same addresses.
                let offset =
                    if image.text_offset < PAGE { image.text_offset + 2 * MIB } else { image.text_offset };
                let base = ram.base.next_multiple_of(2 * MIB) + offset;
                if !ram.holds(base, image.memory_size) {
                    return Err(ram.no_room(Part::Kernel, base, image.memory_size));
                }
                (base..base + image.memory_size, base)
            }
            KernelImage::Elf(elf) => (elf_extent(elf, ram)?, elf.entry),
        };
        // Documentation/arch/arm64/booting.rst: kernel and initrd within one 32 GiB window; 128 MiB up leaves
        // room for the kernel to decompress or relocate itself.
        let initrd_start = (ram.base + (ram.size / 2).min(128 * MIB)).max(extent.end).next_multiple_of(PAGE);
        let mut top = extent.end;
        let initrd = match initrd_size {
            None => {
                // The same address as with an empty one.
                if initrd_start < ram.end() {
                    top = initrd_start;
                }
                None
            }
            Some(size) if ram.holds(initrd_start, size) => {
                top = initrd_start + size;
                Some(initrd_start..top)
            }
            Some(size) => return Err(ram.no_room(Part::Initrd, initrd_start, size)),
        };
        let below = extent.start.saturating_sub(ram.base);
        let (dtb, dtb_room) = match kernel {
            KernelImage::Elf(_) if below >= 64 * 1024 && ram.base.is_multiple_of(DTB_ALIGN) => {
                (ram.base, below.min(DTB_ALIGN))
            }
            _ => {
                let dtb = top.next_multiple_of(DTB_ALIGN);
                (dtb, ram.end().saturating_sub(dtb).min(DTB_ALIGN))
            }
        };
        if dtb_room == 0 {
            return Err(ram.no_room(Part::Dtb, dtb, 64 * 1024));
        }
        Ok(Placement { kernel: extent, entry, initrd, dtb, dtb_room })
    }

    /// Whether a device tree of `size` bytes fits.
    pub fn check_dtb(&self, size: u64, ram: RamRange) -> Result<(), LoadError> {
        if size > DTB_ALIGN {
            return Err(LoadError::Malformed {
                part: Part::Dtb,
                what: "the total size",
                offset: 4,
                problem: format!("{size} bytes, arm64 kernels take at most 2 MiB"),
            });
        }
        if size > self.dtb_room {
            return Err(ram.no_room(Part::Dtb, self.dtb, size));
        }
        Ok(())
    }
}

fn elf_extent(elf: &ElfImage, ram: RamRange) -> Result<Range<u64>, LoadError> {
    for s in &elf.segments {
        if ram.holds(s.addr, s.memory_size) {
            continue;
        }
        if s.addr >= ram.base && s.addr < ram.end() {
            return Err(ram.no_room(Part::Kernel, s.addr, s.memory_size));
        }
        return Err(LoadError::OutsideRam {
            part: Part::Kernel,
            index: s.index,
            size: s.memory_size,
            addr: s.addr,
            ram_base: ram.base,
            ram_end: ram.end(),
            // A Linux `vmlinux` has kernel virtual addresses in its program headers.
            advice: if s.addr >> 48 == 0xffff {
                "if this is Linux's vmlinux, give arch/arm64/boot/Image instead"
            } else {
                "link it for addresses in RAM"
            },
        });
    }
    let (low, high) = elf.extent();
    Ok(low..high)
}
