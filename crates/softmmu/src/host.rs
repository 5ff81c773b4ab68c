//! What depends on the host: the anonymous mapping behind guest memory, and atomics on it.

use std::ptr::NonNull;
use std::sync::atomic::{
    AtomicI8, AtomicI16, AtomicI32, AtomicI64, AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering,
};
use std::sync::{Mutex, PoisonError};

use lyrebird_isa::{Rmw, Size};
use memmap2::{MmapMut, MmapOptions};

pub(crate) use lyrebird_isa::mem::{read, write};

/// A zeroed, page-aligned, lazily populated anonymous mapping.
#[derive(Debug)]
pub(crate) struct HostMemory {
    base: NonNull<u8>,
    // Owns the pages; never dereferenced after `base` was taken from it.
    _map: Option<MmapMut>,
}

// SAFETY: the mapping is plain memory that belongs to no thread. All access goes through raw pointers, with
// host atomics or with the racing plain accesses that a guest program itself performs.
unsafe impl Send for HostMemory {}
// SAFETY: as for `Send`.
unsafe impl Sync for HostMemory {}

impl HostMemory {
    /// Maps `len` bytes. The host commits them as they are touched.
    pub(crate) fn new(len: usize) -> std::io::Result<HostMemory> {
        if len == 0 {
            return Ok(HostMemory { base: NonNull::dangling(), _map: None });
        }
        let mut map = MmapOptions::new().len(len).map_anon()?;
        #[cfg(target_os = "linux")]
        // Only a hint: a kernel without transparent huge pages refuses, and nothing depends on it.
        let _ = map.advise(memmap2::Advice::HugePage);
        let base = NonNull::new(map.as_mut_ptr()).ok_or_else(|| std::io::Error::other("mapped at 0"))?;
        Ok(HostMemory { base, _map: Some(map) })
    }

    /// Host address of the first byte.
    #[inline(always)]
    pub(crate) fn base(&self) -> *mut u8 {
        self.base.as_ptr()
    }
}

macro_rules! rmw_as {
    ($u:ident, $i:ident, $int:ty, $sint:ty, $p:expr, $op:expr, $v:expr) => {{
        let (p, v) = ($p, $v as $int);
        // SAFETY: valid, aligned and shared only as atomics or guest data, by the contract of `rmw`.
        let a = unsafe { $u::from_ptr(p.cast()) };
        let old = match $op {
            Rmw::Swp => a.swap(v, Ordering::SeqCst),
            Rmw::Add => a.fetch_add(v, Ordering::SeqCst),
            Rmw::Clr => a.fetch_and(!v, Ordering::SeqCst),
            Rmw::Eor => a.fetch_xor(v, Ordering::SeqCst),
            Rmw::Set => a.fetch_or(v, Ordering::SeqCst),
            Rmw::Umax => a.fetch_max(v, Ordering::SeqCst),
            Rmw::Umin => a.fetch_min(v, Ordering::SeqCst),
            Rmw::Smax | Rmw::Smin => {
                // SAFETY: as above; the signed type has the same size and alignment.
                let s = unsafe { $i::from_ptr(p.cast()) };
                if $op == Rmw::Smax {
                    s.fetch_max(v as $sint, Ordering::SeqCst) as $int
                } else {
                    s.fetch_min(v as $sint, Ordering::SeqCst) as $int
                }
            }
        };
        old as u64
    }};
}

/// Atomic read-modify-write of at most 8 bytes; the old value, zero-extended. Guest memory is little-endian and
/// so must the host be for arithmetic on it (checked when the crate is built).
///
/// # Safety
/// `p` is valid for reads and writes of the size, and naturally aligned.
pub(crate) unsafe fn rmw(op: Rmw, p: *mut u8, size: Size, v: u64) -> u64 {
    match size {
        Size::B1 => rmw_as!(AtomicU8, AtomicI8, u8, i8, p, op, v),
        Size::B2 => rmw_as!(AtomicU16, AtomicI16, u16, i16, p, op, v),
        Size::B4 => rmw_as!(AtomicU32, AtomicI32, u32, i32, p, op, v),
        Size::B8 | Size::B16 => rmw_as!(AtomicU64, AtomicI64, u64, i64, p, op, v),
    }
}

const _: () = assert!(cfg!(target_endian = "little"), "guest atomics assume a little-endian host");

macro_rules! cas_as {
    ($u:ident, $int:ty, $p:expr, $old:expr, $new:expr) => {{
        // SAFETY: valid and aligned by the contract of `cas`.
        let a = unsafe { $u::from_ptr($p.cast()) };
        match a.compare_exchange($old as $int, $new as $int, Ordering::SeqCst, Ordering::SeqCst) {
            Ok(v) | Err(v) => v as u64,
        }
    }};
}

/// Atomic compare-and-swap of at most 8 bytes; the old value, zero-extended.
///
/// # Safety
/// `p` is valid for reads and writes of the size, and naturally aligned.
pub(crate) unsafe fn cas(p: *mut u8, size: Size, expected: u64, new: u64) -> u64 {
    match size {
        Size::B1 => cas_as!(AtomicU8, u8, p, expected, new),
        Size::B2 => cas_as!(AtomicU16, u16, p, expected, new),
        Size::B4 => cas_as!(AtomicU32, u32, p, expected, new),
        Size::B8 | Size::B16 => cas_as!(AtomicU64, u64, p, expected, new),
    }
}

/// Atomic 16-byte compare-and-swap; the old value.
///
/// On hosts without a 16-byte compare-and-swap it is atomic only against other 16-byte compare-and-swaps: each
/// half is then written separately under a lock.
///
/// # Safety
/// `p` is valid for reads and writes of 16 bytes, and 16-byte aligned.
pub(crate) unsafe fn cas128(p: *mut u8, expected: u128, new: u128) -> u128 {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("cmpxchg16b") {
        // SAFETY: the feature was just detected; pointer by contract.
        return unsafe { cmpxchg16b(p, expected, new) };
    }
    // SAFETY: by contract.
    unsafe { cas128_locked(p, expected, new) }
}

/// # Safety
/// As for [`cas128`], on a host with `cmpxchg16b`.
#[cfg(target_arch = "x86_64")]
unsafe fn cmpxchg16b(p: *mut u8, expected: u128, new: u128) -> u128 {
    let (mut lo, mut hi) = (expected as u64, (expected >> 64) as u64);
    // The intrinsic in `core::arch` becomes a library call that is not there in unoptimised builds.
    // SAFETY: valid, aligned memory by contract. RBX, which LLVM keeps for itself, is restored.
    unsafe {
        std::arch::asm!(
            "xchg {new_lo}, rbx",
            "lock cmpxchg16b xmmword ptr [rdi]",
            "mov rbx, {new_lo}",
            new_lo = inout(reg) new as u64 => _,
            in("rdi") p,
            inout("rax") lo,
            inout("rdx") hi,
            in("rcx") (new >> 64) as u64,
            options(nostack),
        );
    }
    u128::from(lo) | u128::from(hi) << 64
}

/// # Safety
/// As for [`cas128`].
unsafe fn cas128_locked(p: *mut u8, expected: u128, new: u128) -> u128 {
    static LOCK: Mutex<()> = Mutex::new(());
    let _guard = LOCK.lock().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: both halves lie in the 16 valid, aligned bytes.
    let (lo, hi) = unsafe { (AtomicU64::from_ptr(p.cast()), AtomicU64::from_ptr(p.cast::<u64>().add(1))) };
    let old = u128::from(lo.load(Ordering::SeqCst)) | u128::from(hi.load(Ordering::SeqCst)) << 64;
    if old == expected {
        lo.store(new as u64, Ordering::SeqCst);
        hi.store((new >> 64) as u64, Ordering::SeqCst);
    }
    old
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rmw_agrees_with_the_definition_of_the_operations() {
        let values = [0u64, 1, 0x7f, 0x80, 0xff, 0x8000, 0x7fff_ffff, 0x8000_0000, 1 << 63, u64::MAX];
        for op in Rmw::ALL {
            for size in [Size::B1, Size::B2, Size::B4, Size::B8] {
                let w = size.width();
                for a in values {
                    for b in values {
                        let mut cell = [a, 0x5555_5555_5555_5555];
                        // SAFETY: an aligned local.
                        let old = unsafe { rmw(op, cell.as_mut_ptr().cast(), size, b) };
                        assert_eq!(old, w.zext(a), "{op:?} {size:?} old");
                        let new = w.zext(op.eval(w, a, b));
                        assert_eq!(w.zext(cell[0]), new, "{op:?} {size:?} {a:#x} {b:#x}");
                        if size != Size::B8 {
                            let above = u64::MAX << (size.bytes() * 8);
                            assert_eq!(cell[0] & above, a & above, "neighbours untouched");
                        }
                        assert_eq!(cell[1], 0x5555_5555_5555_5555);
                    }
                }
            }
        }
    }

    #[test]
    fn cas128_and_its_fallback_agree() {
        #[repr(align(16))]
        struct Cell([u64; 2]);
        for f in [cas128 as unsafe fn(*mut u8, u128, u128) -> u128, cas128_locked] {
            let mut c = Cell([1, 2]);
            let p = c.0.as_mut_ptr().cast();
            let v = 1 | 2u128 << 64;
            // SAFETY: an aligned local.
            unsafe {
                assert_eq!(f(p, v + 1, 9), v);
                assert_eq!(f(p, v, 7 | 8u128 << 64), v);
            }
            assert_eq!(c.0, [7, 8]);
        }
    }
}
