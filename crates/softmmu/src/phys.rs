//! [`PhysMem`]: the physical address space of a machine.

mod builder;
mod watch;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use lyrebird_isa::Size;
use lyrebird_isa::state::{PAGE_BITS, PAGE_MASK, PAGE_SIZE};

use crate::host::{self, HostMemory};

pub use builder::{PhysMemBuilder, PhysMemError};
use watch::Watch;
pub(crate) use watch::{TableWrites, coalesce};

/// A memory-mapped device. Handlers run with no lock of the bus held; state is the device's to protect.
///
/// The bus only passes naturally aligned accesses of 1 to 8 bytes that lie inside the device's window.
pub trait MmioDevice: Send + Sync {
    /// Name for diagnostics.
    fn name(&self) -> &str;
    /// Reads a register at `offset` bytes into the window. Bits above `size` are ignored.
    fn read(&self, offset: u64, size: Size) -> u64;
    /// Writes a register at `offset` bytes into the window. Bits of `value` above `size` are zero.
    fn write(&self, offset: u64, size: Size, value: u64);
}

/// A physical access hit nothing, or something that refuses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no memory or device answers at physical address {pa:#x}")]
pub struct BusError {
    /// Physical address of the access.
    pub pa: u64,
}

/// What a physical page is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// RAM; host address of its first byte, good for [`PAGE_SIZE`] bytes while the [`PhysMem`] lives.
    Ram(*mut u8),
    /// ROM; the same for reading.
    Rom(*const u8),
    /// At least one device has registers on the page.
    Mmio,
    /// A hole.
    None,
}

#[derive(Clone)]
enum Kind {
    /// Offset into the host mapping.
    Ram(usize),
    /// Offset into the host mapping.
    Rom(usize),
    Mmio(Arc<dyn MmioDevice>),
}

#[derive(Clone)]
struct Region {
    base: u64,
    /// Last address, so that a region may end the address space.
    last: u64,
    kind: Kind,
}

impl Region {
    fn what(&self) -> String {
        match &self.kind {
            Kind::Ram(_) => String::from("RAM"),
            Kind::Rom(_) => String::from("ROM"),
            Kind::Mmio(d) => format!("device {}", d.name()),
        }
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}..={:#x} {}", self.base, self.last, self.what())
    }
}

/// The physical address space, shared by vCPUs and devices. All accesses are little-endian.
///
/// ROM refuses writes with a [`BusError`]: a stray store to it then shows as an external abort in the guest.
#[derive(Debug)]
pub struct PhysMem {
    // The largest RAM region, tried first.
    main_base: u64,
    main_len: u64,
    main_offset: usize,
    memory: HostMemory,
    /// Sorted by base, disjoint.
    regions: Vec<Region>,
    ram_bytes: usize,
    /// Which RAM pages hold translated code or translation tables.
    watch: Watch,
    /// Held by a vCPU for an atomic access that the host's atomics cannot do, before any lock of a device.
    pub(crate) split: Mutex<()>,
}

impl PhysMem {
    /// A builder without regions.
    pub fn builder() -> PhysMemBuilder {
        PhysMemBuilder::default()
    }

    /// Bytes of RAM.
    pub fn ram_bytes(&self) -> u64 {
        self.ram_bytes as u64
    }

    /// RAM pages; [`PhysMem::ram_page`] is below it.
    pub(crate) fn ram_pages(&self) -> usize {
        self.ram_bytes >> PAGE_BITS
    }

    /// RAM: physical address and length in bytes of each piece.
    fn ram_ranges(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let ram = self.regions.iter().filter(|r| matches!(r.kind, Kind::Ram(_)));
        ram.map(|r| (r.base, r.last - r.base + 1))
    }

    #[inline]
    fn region(&self, pa: u64) -> Option<&Region> {
        let i = self.regions.partition_point(|r| r.base <= pa).checked_sub(1)?;
        self.regions.get(i).filter(|r| pa <= r.last)
    }

    /// Offset into the host mapping of a RAM address.
    #[inline]
    fn ram_offset(&self, pa: u64) -> Option<usize> {
        let off = pa.wrapping_sub(self.main_base);
        if off < self.main_len {
            return Some(self.main_offset + off as usize);
        }
        match self.region(pa)? {
            Region { base, kind: Kind::Ram(o), .. } => Some(o + (pa - base) as usize),
            _ => None,
        }
    }

    /// Dense number of the RAM page at `pa`.
    #[inline]
    pub(crate) fn ram_page(&self, pa: u64) -> Option<usize> {
        self.ram_offset(pa).map(|o| o >> PAGE_BITS)
    }

    /// What the page around `pa` is.
    #[inline]
    pub fn page(&self, pa: u64) -> Page {
        let pa = pa & PAGE_MASK;
        let off = pa.wrapping_sub(self.main_base);
        if off < self.main_len {
            return Page::Ram(self.host(self.main_offset + off as usize));
        }
        self.page_slow(pa)
    }

    #[cold]
    fn page_slow(&self, pa: u64) -> Page {
        match self.region(pa) {
            Some(Region { base, kind: Kind::Ram(o), .. }) => Page::Ram(self.host(o + (pa - base) as usize)),
            Some(Region { base, kind: Kind::Rom(o), .. }) => Page::Rom(self.host(o + (pa - base) as usize)),
            Some(Region { kind: Kind::Mmio(_), .. }) => Page::Mmio,
            None => {
                // A device may begin inside the page.
                let next = self.regions.partition_point(|r| r.base <= pa);
                match self.regions.get(next) {
                    Some(r) if r.base & PAGE_MASK == pa => Page::Mmio,
                    _ => Page::None,
                }
            }
        }
    }

    /// Host address of an offset into the mapping.
    #[inline(always)]
    fn host(&self, offset: usize) -> *mut u8 {
        // Offsets come from regions and are inside the mapping.
        self.memory.base().wrapping_add(offset)
    }

    /// Host address of `len` bytes of RAM at `pa`, if all of them are RAM of one region.
    ///
    /// Whoever writes through it, other than a vCPU, calls [`PhysMem::mark_written`] afterwards. Guest code and
    /// devices race on it as on real memory: use raw or atomic accesses, never references.
    #[inline]
    pub fn ram_ptr(&self, pa: u64, len: u64) -> Option<*mut u8> {
        let off = pa.wrapping_sub(self.main_base);
        if off < self.main_len && len <= self.main_len - off {
            return Some(self.host(self.main_offset + off as usize));
        }
        let r = self.region(pa)?;
        match r.kind {
            Kind::Ram(o) if len == 0 || len - 1 <= r.last - pa => Some(self.host(o + (pa - r.base) as usize)),
            _ => None,
        }
    }

    /// As [`PhysMem::ram_ptr`], for reading, ROM as well.
    #[inline]
    fn readable(&self, pa: u64, len: u64) -> Option<*const u8> {
        if let Some(p) = self.ram_ptr(pa, len) {
            return Some(p);
        }
        let r = self.region(pa)?;
        match r.kind {
            Kind::Rom(o) if len == 0 || len - 1 <= r.last - pa => Some(self.host(o + (pa - r.base) as usize)),
            _ => None,
        }
    }

    /// Reads at most 8 bytes, zero-extended. Any alignment; devices see naturally aligned pieces.
    ///
    /// # Errors
    /// [`BusError`] at a hole, for an access that passes the end of a device, and for [`Size::B16`].
    #[inline]
    pub fn read(&self, pa: u64, size: Size) -> Result<u64, BusError> {
        if size != Size::B16
            && let Some(p) = self.readable(pa, size.bytes())
        {
            // SAFETY: readable for the size.
            return Ok(unsafe { host::read(p, size) });
        }
        self.read_slow(pa, size)
    }

    fn read_slow(&self, pa: u64, size: Size) -> Result<u64, BusError> {
        let err = BusError { pa };
        let n = size.bytes();
        if n > 8 || pa.checked_add(n - 1).is_none() {
            return Err(err);
        }
        let Some((dev, offset)) = self.device(pa, n)? else {
            // Memory, but not all of one region.
            let mut v = 0;
            for i in 0..n {
                let p = self.readable(pa + i, 1).ok_or(err)?;
                // SAFETY: one readable byte.
                v |= u64::from(unsafe { p.read() }) << (8 * i);
            }
            return Ok(v);
        };
        let mut v = 0;
        for (at, piece) in pieces(offset, n) {
            let part = piece.width().zext(dev.read(offset + at, piece));
            v |= part << (8 * at);
        }
        Ok(v)
    }

    /// Writes the low bytes of `value`, at most 8. Any alignment; devices see naturally aligned pieces.
    ///
    /// For device models and loaders: a write to a page that holds translated code is noted as by
    /// [`PhysMem::mark_written`].
    ///
    /// # Errors
    /// [`BusError`] at a hole, for ROM, for an access that passes the end of a device, and for [`Size::B16`].
    #[inline]
    pub fn write(&self, pa: u64, size: Size, value: u64) -> Result<(), BusError> {
        if size != Size::B16
            && let Some(p) = self.ram_ptr(pa, size.bytes())
        {
            // SAFETY: writable for the size.
            unsafe { host::write(p, size, value) };
            self.mark_written(pa, size.bytes());
            return Ok(());
        }
        self.write_slow(pa, size, value)
    }

    fn write_slow(&self, pa: u64, size: Size, value: u64) -> Result<(), BusError> {
        let err = BusError { pa };
        let n = size.bytes();
        if n > 8 || pa.checked_add(n - 1).is_none() {
            return Err(err);
        }
        let Some((dev, offset)) = self.device(pa, n)? else {
            // Nothing is written unless all of it can be.
            let mut ptrs = [std::ptr::null_mut::<u8>(); 8];
            for (i, p) in (0..n).zip(&mut ptrs) {
                *p = self.ram_ptr(pa + i, 1).ok_or(err)?;
            }
            for (i, p) in (0..n).zip(ptrs) {
                // SAFETY: one writable byte of RAM each.
                unsafe { p.write((value >> (8 * i)) as u8) };
            }
            self.mark_written(pa, n);
            return Ok(());
        };
        for (at, piece) in pieces(offset, n) {
            dev.write(offset + at, piece, piece.width().zext(value >> (8 * at)));
        }
        Ok(())
    }

    /// The device at `pa` and the offset into it. Fails where `len` bytes pass its end; `None` for what is no
    /// device.
    fn device(&self, pa: u64, len: u64) -> Result<Option<(&dyn MmioDevice, u64)>, BusError> {
        match self.region(pa) {
            Some(Region { base, last, kind: Kind::Mmio(d) }) => {
                if len - 1 > last - pa {
                    return Err(BusError { pa });
                }
                Ok(Some((d.as_ref(), pa - base)))
            }
            _ => Ok(None),
        }
    }

    /// An 8-byte read for table walkers and the like: RAM and ROM only, single-copy atomic when aligned.
    ///
    /// # Errors
    /// [`BusError`] where there is no memory.
    #[inline]
    pub fn read_word(&self, pa: u64) -> Result<u64, BusError> {
        let p = self.readable(pa, 8).ok_or(BusError { pa })?;
        if pa & 7 == 0 {
            // SAFETY: readable; the mapping is page-aligned, so the host address is as aligned as `pa`.
            let a = unsafe { AtomicU64::from_ptr(p.cast_mut().cast()) };
            return Ok(u64::from_le(a.load(Ordering::Acquire)));
        }
        // SAFETY: readable for 8 bytes.
        Ok(unsafe { host::read(p, Size::B8) })
    }

    /// Atomic compare-and-swap of at most 8 bytes of RAM, naturally aligned, for what table walkers change in tables:
    /// accessed and dirty flags, which nobody has to be told of who keeps translations; the old value, zero-extended.
    /// `None` where there is no RAM. Stores to translated code are noted as by [`PhysMem::write`].
    pub fn compare_exchange(&self, pa: u64, size: Size, expected: u64, new: u64) -> Option<u64> {
        let size = size.min(Size::B8);
        let p = self.ram_ptr(pa, size.bytes()).filter(|_| pa & (size.bytes() - 1) == 0)?;
        // SAFETY: RAM, valid for the size; the mapping is page-aligned, so the host address is as aligned as `pa`.
        let old = unsafe { host::cas(p, size, expected, new) };
        if old == size.width().zext(expected)
            && let Some(n) = self.ram_page(pa)
        {
            self.watch.code_written(n, pa, size.bytes());
        }
        Some(old)
    }

    /// Copies guest RAM or ROM into `buf`.
    ///
    /// # Errors
    /// [`BusError`] with the first address that is no memory; `buf` may then be partly filled.
    pub fn read_bytes(&self, pa: u64, buf: &mut [u8]) -> Result<(), BusError> {
        let mut pa = pa;
        let mut rest = buf;
        while !rest.is_empty() {
            let n = rest.len().min((PAGE_SIZE - (pa & !PAGE_MASK)) as usize);
            let p = self.readable(pa, n as u64).ok_or(BusError { pa })?;
            let (now, later) = rest.split_at_mut(n);
            // SAFETY: `n` readable bytes; a host buffer never overlaps guest memory.
            unsafe { p.copy_to_nonoverlapping(now.as_mut_ptr(), n) };
            rest = later;
            pa = pa.wrapping_add(n as u64);
        }
        Ok(())
    }

    /// Copies `buf` into guest RAM, as a loader or a device's DMA does.
    ///
    /// # Errors
    /// [`BusError`] with the first address that is not RAM; what lies below it is then already written.
    pub fn write_bytes(&self, pa: u64, buf: &[u8]) -> Result<(), BusError> {
        let mut pa = pa;
        let mut rest = buf;
        while !rest.is_empty() {
            let n = rest.len().min((PAGE_SIZE - (pa & !PAGE_MASK)) as usize);
            let p = self.ram_ptr(pa, n as u64).ok_or(BusError { pa })?;
            let (now, later) = rest.split_at(n);
            // SAFETY: `n` writable bytes; a host buffer never overlaps guest memory.
            unsafe { p.copy_from_nonoverlapping(now.as_ptr(), n) };
            self.mark_written(pa, n as u64);
            rest = later;
            pa = pa.wrapping_add(n as u64);
        }
        Ok(())
    }
}

/// Splits `len` (1 to 8) bytes at `offset` into naturally aligned accesses: (distance from `offset`, size).
fn pieces(offset: u64, len: u64) -> impl Iterator<Item = (u64, Size)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let left = len - at;
        if left == 0 {
            return None;
        }
        let align = (offset + at).trailing_zeros().min(3);
        let size = Size::from_log2(align.min(left.ilog2()));
        let r = (at, size);
        at += size.bytes();
        Some(r)
    })
}
