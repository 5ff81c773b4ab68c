//! Putting a [`PhysMem`] together.

use std::fmt;
use std::sync::{Arc, Mutex};

use lyrebird_isa::state::{PAGE_BITS, PAGE_MASK, PAGE_SIZE};

use super::watch::Watch;
use super::{Kind, MmioDevice, PhysMem, Region};
use crate::host::HostMemory;

/// Why a physical address space cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PhysMemError {
    /// A region of no bytes.
    #[error("{what} at {base:#x} has zero size")]
    Zero {
        /// Kind or name of the region.
        what: String,
        /// Its base address.
        base: u64,
    },
    /// RAM or ROM that does not start or end on a page boundary.
    #[error("{what} at {base:#x}, {len:#x} bytes, is not aligned to {PAGE_SIZE}-byte pages")]
    Unaligned {
        /// Kind or name of the region.
        what: String,
        /// Its base address.
        base: u64,
        /// Its length in bytes.
        len: u64,
    },
    /// A region that passes the end of the physical address space.
    #[error("{what} at {base:#x}, {len:#x} bytes, ends above the physical address space")]
    TooHigh {
        /// Kind or name of the region.
        what: String,
        /// Its base address.
        base: u64,
        /// Its length in bytes.
        len: u64,
    },
    /// Two regions share addresses.
    #[error("{a} at {a_base:#x} and {b} at {b_base:#x} overlap")]
    Overlap {
        /// The lower region.
        a: String,
        /// Its base address.
        a_base: u64,
        /// The other region.
        b: String,
        /// Its base address.
        b_base: u64,
    },
    /// The host does not give that much memory.
    #[error("the host refuses {bytes} bytes of memory for the guest: {source}")]
    Host {
        /// How many bytes were asked for.
        bytes: u64,
        /// The host's reason.
        source: std::io::Error,
    },
}

/// Collects the regions of a [`PhysMem`].
#[derive(Debug, Default)]
pub struct PhysMemBuilder {
    regions: Vec<(u64, u64, Pending)>,
}

enum Pending {
    Ram,
    Rom(Vec<u8>),
    Mmio(Arc<dyn MmioDevice>),
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what())
    }
}

impl Pending {
    fn what(&self) -> String {
        match self {
            Pending::Ram => String::from("RAM"),
            Pending::Rom(_) => String::from("ROM"),
            Pending::Mmio(d) => format!("device {}", d.name()),
        }
    }
}

impl PhysMemBuilder {
    /// Adds `len` bytes of zeroed RAM at `base`, both multiples of [`PAGE_SIZE`].
    #[must_use]
    pub fn ram(mut self, base: u64, len: u64) -> Self {
        self.regions.push((base, len, Pending::Ram));
        self
    }

    /// Adds ROM at `base` (a multiple of [`PAGE_SIZE`]); the contents are padded with zeros to whole pages.
    #[must_use]
    pub fn rom(mut self, base: u64, bytes: &[u8]) -> Self {
        let len = (bytes.len() as u64).next_multiple_of(PAGE_SIZE);
        self.regions.push((base, len, Pending::Rom(bytes.to_vec())));
        self
    }

    /// Adds a device window of `len` bytes at `base`. Several may share a page.
    #[must_use]
    pub fn mmio(mut self, base: u64, len: u64, device: Arc<dyn MmioDevice>) -> Self {
        self.regions.push((base, len, Pending::Mmio(device)));
        self
    }

    /// Checks the map and takes the memory from the host.
    ///
    /// # Errors
    /// A [`PhysMemError`] names the region that is empty, unaligned, too high or overlapping, or says that the
    /// host has not enough memory.
    pub fn build(mut self) -> Result<Arc<PhysMem>, PhysMemError> {
        self.regions.sort_by_key(|r| r.0);
        let mut total: u64 = 0;
        for &(base, len, ref p) in &self.regions {
            let what = p.what();
            if len == 0 {
                return Err(PhysMemError::Zero { what, base });
            }
            if base.checked_add(len - 1).is_none() {
                return Err(PhysMemError::TooHigh { what, base, len });
            }
            if !matches!(p, Pending::Mmio(_)) {
                if (base | len) & !PAGE_MASK != 0 {
                    return Err(PhysMemError::Unaligned { what, base, len });
                }
                total = total.saturating_add(len);
            }
        }
        for w in self.regions.windows(2) {
            if let [a, b] = w
                && b.0 - a.0 < a.1
            {
                let (a_name, b_name) = (a.2.what(), b.2.what());
                return Err(PhysMemError::Overlap { a: a_name, a_base: a.0, b: b_name, b_base: b.0 });
            }
        }
        let refused = |source| PhysMemError::Host { bytes: total, source };
        let bytes = usize::try_from(total)
            .ok()
            .filter(|&n| isize::try_from(n).is_ok())
            .ok_or_else(|| refused(std::io::ErrorKind::OutOfMemory.into()))?;
        let memory = HostMemory::new(bytes).map_err(refused)?;

        // RAM first, so that RAM page numbers are dense; ROM behind it.
        let mut regions = Vec::with_capacity(self.regions.len());
        let (mut offset, mut ram_bytes, mut main) = (0usize, 0usize, (0u64, 0u64, 0usize));
        for pass in 0..2 {
            for (base, len, p) in &self.regions {
                let kind = match (p, pass) {
                    (Pending::Ram, 0) => {
                        if *len > main.1 {
                            main = (*base, *len, offset);
                        }
                        ram_bytes += *len as usize;
                        Kind::Ram(offset)
                    }
                    (Pending::Rom(b), 1) => {
                        // SAFETY: the region's part of the mapping is at least as long as its bytes, and nobody
                        // else has a pointer into the mapping yet.
                        unsafe {
                            memory.base().add(offset).copy_from_nonoverlapping(b.as_ptr(), b.len());
                        }
                        Kind::Rom(offset)
                    }
                    (Pending::Mmio(d), 1) => Kind::Mmio(d.clone()),
                    _ => continue,
                };
                if !matches!(kind, Kind::Mmio(_)) {
                    offset += *len as usize;
                }
                regions.push(Region { base: *base, last: base + (len - 1), kind });
            }
        }
        regions.sort_by_key(|r| r.base);

        let ram_pages = ram_bytes >> PAGE_BITS;
        Ok(Arc::new(PhysMem {
            main_base: main.0,
            main_len: main.1,
            main_offset: main.2,
            memory,
            regions,
            ram_bytes,
            watch: Watch::new(ram_pages),
            split: Mutex::new(()),
        }))
    }
}
