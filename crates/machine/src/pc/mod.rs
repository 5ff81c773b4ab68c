//! The `pc` board: what it tells a guest about itself. All of it are pure functions from a description to bytes
//! at addresses.

pub mod acpi;
pub mod e820;
pub mod smbios;

/// Bytes for guest memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    /// Physical address of the first.
    pub address: u64,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// What is to be added to `bytes` so that they sum up to zero.
fn checksum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0u8, |sum, b| sum.wrapping_sub(*b))
}
