//! [`Arena`]: executable memory, in pieces.

use std::collections::BTreeMap;
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lyrebird_isa::Core;

use super::host::{self, CodeMemory};

/// Size of the arena unless told otherwise, in bytes. Address space only: pages are committed when written.
pub const DEFAULT_LIMIT: usize = 256 << 20;

/// Functions start at multiples of this many bytes.
const ALIGN: usize = 32;

/// Why the arena could not be made or had no room.
#[derive(Debug, thiserror::Error)]
pub enum ArenaError {
    /// The host refused the memory.
    #[error("cannot map {len} bytes for compiled code: {source}")]
    Map {
        /// Bytes asked for.
        len: usize,
        /// The host's reason.
        source: io::Error,
    },
    /// This host has instruction caches that [`Arena`] does not maintain.
    #[error("compiled code is not supported on this host architecture")]
    Unsupported,
    /// No free piece is large enough: drop some [`Code`] and try again.
    #[error("the code arena is full: {used} of {limit} bytes in use, {wanted} wanted")]
    Full {
        /// Bytes in use.
        used: usize,
        /// Bytes there are.
        limit: usize,
        /// Bytes asked for.
        wanted: usize,
    },
}

/// Executable memory from which single functions are allocated and freed.
///
/// When it is full, [`Arena::install`] fails; the owner of the [`Code`] handles decides what to evict (it alone
/// knows what is cold and what no vCPU executes) by dropping them.
#[derive(Debug)]
pub struct Arena {
    /// Where the memory is executed.
    base: NonNull<u8>,
    limit: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    memory: CodeMemory,
    /// Free pieces: offset to length. Neighbours are merged.
    free: BTreeMap<usize, usize>,
    used: usize,
}

// SAFETY: `base` is an address in `inner`'s memory, which lives as long; it is never read or written through.
unsafe impl Send for Arena {}
// SAFETY: as above.
unsafe impl Sync for Arena {}

impl Arena {
    /// An arena of at most `limit` bytes.
    pub fn new(limit: usize) -> Result<Arc<Arena>, ArenaError> {
        if !host::ICACHE_COHERENT {
            return Err(ArenaError::Unsupported);
        }
        let len = limit.next_multiple_of(1 << 16).max(1 << 16);
        let fail = |source: io::Error| ArenaError::Map { len, source };
        let memory = CodeMemory::new(len).map_err(fail)?;
        let lead = memory.lead();
        let base =
            NonNull::new(memory.entry().cast_mut()).ok_or_else(|| fail(io::Error::other("mapped at 0")))?;
        let inner = Inner { memory, free: BTreeMap::from([(lead, len - lead)]), used: 0 };
        Ok(Arc::new(Arena { base, limit: len - lead, inner: Mutex::new(inner) }))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes in use.
    pub fn used(&self) -> usize {
        self.lock().used
    }

    /// Bytes there are.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Copies a position-independent function into the arena.
    pub fn install(self: &Arc<Self>, code: &[u8]) -> Result<Code, ArenaError> {
        self.install_with(code, |_, _| ())
    }

    /// Copies a function into the arena; `fix` sees the copy and the address at which it will execute.
    pub fn install_with(
        self: &Arc<Self>,
        code: &[u8],
        fix: impl FnOnce(&mut [u8], u64),
    ) -> Result<Code, ArenaError> {
        let size = code.len().next_multiple_of(ALIGN).max(ALIGN);
        let mut inner = self.lock();
        // First fit, lowest address: keeps the code that is in use together.
        let Some((&at, &len)) = inner.free.iter().find(|&(_, &len)| len >= size) else {
            return Err(ArenaError::Full { used: inner.used, limit: self.limit(), wanted: size });
        };
        inner.free.remove(&at);
        if len > size {
            inner.free.insert(at + size, len - size);
        }
        inner.used += size;
        // SAFETY: `at` is inside the memory, of which no reference is made.
        let entry = unsafe { self.base.add(at) };
        let copy = &mut inner.memory.bytes_mut()[at..at + code.len()];
        copy.copy_from_slice(code);
        fix(copy, entry.as_ptr() as u64);
        drop(inner);
        host::flush_icache(entry.as_ptr(), code.len());
        Ok(Code { arena: Arc::clone(self), at, size, len: code.len(), entry, calls: None, counts: None })
    }

    fn release(&self, at: usize, size: usize) {
        let mut inner = self.lock();
        inner.used -= size;
        // A stale jump into freed code shall trap rather than run what is left of it.
        inner.memory.bytes_mut()[at..at + size].fill(0xcc);
        let (mut at, mut size) = (at, size);
        if let Some((&before, &len)) = inner.free.range(..at).next_back()
            && before + len == at
        {
            inner.free.remove(&before);
            (at, size) = (before, len + size);
        }
        if let Some(len) = inner.free.remove(&(at + size)) {
            size += len;
        }
        inner.free.insert(at, size);
    }
}

/// The displacement at address `site` that leads to `to`. The arena is far smaller than what 32 bits reach.
pub fn displacement(site: u64, to: u64) -> u32 {
    to.wrapping_sub(site + 4) as u32
}

/// A function in the arena; dropping it frees the memory. Drop it only when no vCPU can be executing it.
#[derive(Debug)]
pub struct Code {
    arena: Arc<Arena>,
    at: usize,
    size: usize,
    len: usize,
    entry: NonNull<u8>,
    /// What this function calls.
    calls: Option<Arc<Vec<Code>>>,
    counts: Option<Arc<AtomicU32>>,
}

// SAFETY: the pointer leads into the arena's mapping, which the `Arc` keeps alive; it is never written through.
unsafe impl Send for Code {}
// SAFETY: as above.
unsafe impl Sync for Code {}

impl Code {
    /// Address of the first instruction, for as long as this handle lives.
    pub fn entry(&self) -> *const u8 {
        self.entry.as_ptr()
    }

    /// The function as compiled regions are called.
    pub fn as_region(&self) -> unsafe extern "C" fn(core: *mut Core) -> u64 {
        // SAFETY: a non-null code pointer; that it has this signature is what the caller of the (unsafe) result
        // vouches for.
        unsafe { std::mem::transmute::<*const u8, unsafe extern "C" fn(*mut Core) -> u64>(self.entry()) }
    }

    /// Makes a jump or call of the function lead elsewhere; `site` is where its 32-bit displacement is. Not to be called
    /// while a vCPU may be executing the function.
    pub fn patch(&self, site: usize, to: u64) {
        self.write(site, displacement(self.entry() as u64 + site as u64, to));
    }

    /// Changes the number in front of the region's function; as [`Code::patch`]. `page` is that of its head.
    pub fn stamp(&self, page: u64, number: u32) {
        self.write(host::LEAD - host::STAMP, host::stamp(page, number));
    }

    fn write(&self, site: usize, word: u32) {
        debug_assert!(site + 4 <= self.len, "the word is in the function");
        let at = self.at + site;
        self.arena.lock().memory.bytes_mut()[at..at + 4].copy_from_slice(&word.to_le_bytes());
        host::flush_icache(self.entry().wrapping_add(site), 4);
    }

    /// Keeps the functions that this one calls alive as long as it.
    pub fn keep(&mut self, calls: Arc<Vec<Code>>) {
        self.calls = Some(calls);
    }

    /// Keeps what it counts in alive as long as it.
    pub fn keep_count(&mut self, counts: Arc<AtomicU32>) {
        self.counts = Some(counts);
    }

    /// The machine code.
    pub fn bytes(&self) -> Vec<u8> {
        self.arena.lock().memory.bytes()[self.at..self.at + self.len].to_vec()
    }
}

impl Drop for Code {
    fn drop(&mut self) {
        self.arena.release(self.at, self.size);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_freed_merged_and_found_again() {
        let arena = Arena::new(1 << 16).expect("a small arena");
        let limit = arena.limit();
        let third = limit / 3 / ALIGN * ALIGN;
        let mut codes: Vec<Code> =
            (0..3).map(|i| arena.install(&vec![i as u8; third]).expect("fits")).collect();
        assert_eq!(codes[1].bytes()[third - 1], 1);
        assert!(matches!(arena.install(&vec![0; third]), Err(ArenaError::Full { .. })));
        codes.swap_remove(1);
        codes.remove(0);
        let both = arena.install(&vec![7; 2 * third]).expect("two neighbours make one free piece");
        assert_eq!(both.bytes().len(), 2 * third);
        drop((both, codes));
        assert_eq!(arena.used(), 0);
        assert!(arena.install(&vec![0; limit]).is_ok());
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn installed_code_runs() {
        let arena = Arena::new(1 << 16).expect("a small arena");
        // mov eax, 42; ret
        let code = arena.install(&[0xb8, 42, 0, 0, 0, 0xc3]).expect("fits");
        // SAFETY: the bytes above are a function of this type that touches no memory.
        let got = unsafe { code.as_region()(std::ptr::null_mut()) };
        assert_eq!(got, 42);
    }
}
