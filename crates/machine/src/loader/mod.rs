//! Loading kernels, initial RAM disks and device trees: pure functions on byte slices.
//!
//! [`parse_kernel`] recognises and unwraps a kernel, [`initrd::check`] and [`crate::fdt::Tree::parse`] check the
//! other two files, [`Placement::new`] decides where everything goes. Nothing here touches guest memory.

mod compressed;
mod elf;
mod error;
mod foreign;
mod image;
pub mod initrd;
mod place;
pub mod x86;

pub use elf::{ElfImage, Segment};
pub use error::{LoadError, Part};
pub use image::{LinuxImage, PageSize};
pub use place::{Placement, RamRange};

use std::borrow::Cow;

/// A kernel as found in a file.
#[derive(Clone, Debug)]
pub enum KernelImage<'a> {
    /// A Linux arm64 `Image` (Documentation/arch/arm64/booting.rst), decompressed.
    Linux(LinuxImage<'a>),
    /// A bare-metal ELF executable.
    Elf(ElfImage),
}

/// Recognises and, if need be, decompresses a kernel: Linux arm64 `Image`, bare or inside gzip or an EFI zboot
/// wrapper, or an AArch64 ELF executable. `limit` (the size of guest RAM) bounds what decompression may produce.
pub fn parse_kernel(bytes: &[u8], limit: u64) -> Result<KernelImage<'_>, LoadError> {
    let bytes = compressed::unwrap(bytes, limit)?;
    if bytes.is_empty() {
        return Err(LoadError::Empty(Part::Kernel));
    }
    if elf::is_elf(&bytes) {
        return ElfImage::parse(&bytes).map(KernelImage::Elf);
    }
    if image::is_image(&bytes) {
        return LinuxImage::parse(bytes).map(KernelImage::Linux);
    }
    Err(foreign::kernel(&bytes))
}

/// The first bytes of a file, for messages.
fn start(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().take(8).copied().collect()
}

impl<'a> KernelImage<'a> {
    /// Name of the format, for reports.
    pub fn format(&self) -> &'static str {
        match self {
            KernelImage::Linux(_) => "Linux arm64 Image",
            KernelImage::Elf(_) => "AArch64 ELF",
        }
    }

    /// Detaches the kernel from the file's bytes.
    pub fn into_owned(self) -> KernelImage<'static> {
        match self {
            KernelImage::Linux(l) => {
                KernelImage::Linux(LinuxImage { data: Cow::Owned(l.data.into_owned()), ..l })
            }
            KernelImage::Elf(e) => KernelImage::Elf(e),
        }
    }
}

#[cfg(test)]
mod tests;
