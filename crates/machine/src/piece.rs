//! What is written to guest memory before a guest starts.

use lyrebird_softmmu::phys::{BusError, PhysMem};

/// Bytes for memory.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    /// Physical address of the first.
    pub addr: u64,
    /// The bytes.
    pub data: Vec<u8>,
    /// Zeros after the data.
    pub zeros: u64,
}

impl Piece {
    /// Bytes without zeros behind.
    pub fn new(addr: u64, data: Vec<u8>) -> Piece {
        Piece { addr, data, zeros: 0 }
    }

    /// Writes it.
    pub fn write(&self, phys: &PhysMem) -> Result<(), BusError> {
        const ZEROS: [u8; 4096] = [0; 4096];
        phys.write_bytes(self.addr, &self.data)?;
        let mut addr = self.addr + self.data.len() as u64;
        let mut left = self.zeros;
        while left > 0 {
            let n = left.min(ZEROS.len() as u64);
            phys.write_bytes(addr, &ZEROS[..n as usize])?;
            addr += n;
            left -= n;
        }
        Ok(())
    }
}
