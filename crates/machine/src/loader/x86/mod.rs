//! Kernels for PCs: Linux bzImage, multiboot 1, and ELF with an entry point for PVH.

mod bzimage;
mod elf;
mod multiboot;

pub use bzimage::{BootParams, BzImage};
pub use elf::PvhImage;
pub use multiboot::{BOOT_MAGIC, MultibootImage};

use super::compressed;
use super::error::{LoadError, Part};
use super::foreign::x86_kernel;

/// A kernel for a PC as found in a file.
#[derive(Clone, Debug)]
pub enum PcKernel<'a> {
    /// Linux (Documentation/arch/x86/boot.rst).
    Linux(BzImage<'a>),
    /// Multiboot, version 1.
    Multiboot(MultibootImage),
    /// An ELF executable with Xen's note of a 32-bit physical entry point.
    Pvh(PvhImage),
}

/// Recognises a kernel for a PC, inside gzip or not. `limit` (the size of guest RAM) bounds what decompression may
/// produce.
pub fn parse_pc_kernel(bytes: &[u8], limit: u64) -> Result<PcKernel<'_>, LoadError> {
    let bytes = compressed::unwrap(bytes, limit)?;
    if bytes.is_empty() {
        return Err(LoadError::Empty(Part::Kernel));
    }
    if bzimage::is_bzimage(&bytes) {
        return BzImage::parse(bytes).map(PcKernel::Linux);
    }
    if let Some(header) = multiboot::find(&bytes) {
        return MultibootImage::parse(&bytes, header).map(PcKernel::Multiboot);
    }
    if super::elf::is_elf(&bytes) {
        return PvhImage::parse(&bytes).map(PcKernel::Pvh);
    }
    Err(x86_kernel(&bytes))
}

impl PcKernel<'_> {
    /// Whether it is for 64-bit CPUs alone, as far as its headers tell.
    pub fn long(&self) -> bool {
        match self {
            PcKernel::Linux(k) => k.long,
            PcKernel::Multiboot(_) => false,
            PcKernel::Pvh(k) => k.long,
        }
    }

    /// Name of the format, for reports.
    pub fn format(&self) -> &'static str {
        match self {
            PcKernel::Linux(_) => "Linux bzImage",
            PcKernel::Multiboot(_) => "multiboot",
            PcKernel::Pvh(_) => "ELF with PVH entry point",
        }
    }
}

#[cfg(test)]
mod tests;
