//! What is in memory and registers when the guest's first instruction executes.

use std::borrow::Cow;

use lyrebird_frontend_arm::ArmCpu;
use lyrebird_softmmu::phys::PhysMem;

use super::{VirtConfig, VirtMachine};
use crate::error::MachineError;
use crate::fdt::{Chosen, Seeds};
use crate::loader::{KernelImage, Placement, RamRange, initrd, parse_kernel};
use crate::piece::Piece;

/// The files a machine is started from.
#[derive(Clone, Debug, Default)]
pub struct BootFiles {
    /// Linux arm64 `Image` (plain, gzip, EFI zboot) or AArch64 ELF executable.
    pub kernel: Vec<u8>,
    /// Initial RAM disk.
    pub initrd: Option<Vec<u8>>,
    /// Kernel command line; `None` keeps that of `dtb`.
    pub cmdline: Option<String>,
    /// Device tree instead of the board's own.
    pub dtb: Option<Vec<u8>>,
}

/// What a reset puts into memory and the boot CPU. Kept as long as the machine, since the guest may reset it.
#[derive(Debug)]
pub(super) struct Boot {
    pieces: Vec<Piece>,
    entry: u64,
    dtb_addr: u64,
    dtb: Vec<u8>,
}

impl Boot {
    pub fn new(
        files: BootFiles,
        ram: RamRange,
        seeds: Seeds,
        config: &VirtConfig,
    ) -> Result<Boot, MachineError> {
        if let Some(bytes) = &files.initrd {
            initrd::check(bytes)?;
        }
        let image = parse_kernel(&files.kernel, ram.size)?;
        let placement = Placement::new(&image, files.initrd.as_ref().map(|f| f.len() as u64), ram)?;
        let chosen = Chosen { bootargs: files.cmdline.as_deref(), initrd: placement.initrd.clone(), seeds };
        let dtb = VirtMachine::device_tree(config, files.dtb.as_deref(), &chosen)?;
        placement.check_dtb(dtb.len() as u64, ram)?;

        let unwrapped = match image {
            KernelImage::Elf(elf) => Err(elf.segments),
            KernelImage::Linux(image) => Ok(match image.data {
                Cow::Borrowed(_) => None,
                Cow::Owned(data) => Some(data),
            }),
        };
        let mut pieces = match unwrapped {
            Err(segments) => segments
                .into_iter()
                .map(|s| Piece { addr: s.addr, zeros: s.memory_size - s.data.len() as u64, data: s.data })
                .collect(),
            // The kernel clears its BSS itself. A file that was not compressed is kept, not copied.
            Ok(data) => {
                vec![Piece { addr: placement.kernel.start, data: data.unwrap_or(files.kernel), zeros: 0 }]
            }
        };
        if let (Some(data), Some(range)) = (files.initrd, &placement.initrd) {
            pieces.push(Piece { addr: range.start, data, zeros: 0 });
        }
        Ok(Boot { pieces, entry: placement.entry, dtb_addr: placement.dtb, dtb })
    }

    /// The device tree.
    pub fn dtb(&self) -> &[u8] {
        &self.dtb
    }

    /// Writes everything to memory.
    pub fn write(&self, phys: &PhysMem) -> Result<(), MachineError> {
        for piece in &self.pieces {
            piece.write(phys)?;
        }
        phys.write_bytes(self.dtb_addr, &self.dtb)?;
        Ok(())
    }

    /// Documentation/arch/arm64/booting.rst, "Call the kernel image": X0 is the device tree's address, X1 to
    /// X3 are 0, the MMU is off and interrupts are masked, as they are after a reset.
    pub fn enter(&self, cpu: &mut ArmCpu) {
        cpu.core.pc = self.entry;
        cpu.core.regs[0] = self.dtb_addr;
    }
}
