//! Where a firmware image is: in a ROM that ends at 4 GiB and, its last part, below 1 MiB, where real mode goes on after
//! the reset vector. There it is RAM that can always be written, whatever the host bridge's PAM registers say.

use crate::loader::LoadError;

const MIB: usize = 1 << 20;
/// Bytes below 1 MiB that repeat the end of the ROM.
const BELOW: usize = 128 << 10;

/// Whether there is room for the image and the reset vector in it.
pub(super) fn check(image: &[u8]) -> Result<(), LoadError> {
    if image.len().is_multiple_of(4096) && (64 << 10..=16 * MIB).contains(&image.len()) {
        return Ok(());
    }
    Err(LoadError::FirmwareSize { have: image.len() as u64 })
}

/// Physical address of its first byte.
pub(super) fn base(image: &[u8]) -> u64 {
    (1 << 32) - image.len() as u64
}

/// The copy below 1 MiB, and its address.
pub(super) fn below_1mib(image: &[u8]) -> (u64, &[u8]) {
    let copy = &image[image.len().saturating_sub(BELOW)..];
    ((MIB - copy.len()) as u64, copy)
}
