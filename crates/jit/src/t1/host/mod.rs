//! What the code arena and the compile thread need from the host's operating system.

use std::fs::File;
use std::io;
use std::ptr::NonNull;
use std::time::{Duration, Instant};

use memmap2::{Mmap, MmapMut, MmapOptions};

/// Memory for compiled code: written at one address and executed at the same or another one.
#[derive(Debug)]
pub struct CodeMemory {
    rw: MmapMut,
    /// Where it is executed, if not where it is written.
    rx: Option<Mmap>,
}

impl CodeMemory {
    /// Maps `len` bytes, which the host commits as they are written.
    ///
    /// # Errors
    /// The host's.
    pub fn new(len: usize) -> io::Result<CodeMemory> {
        match map_once(len) {
            Ok(rw) => Ok(CodeMemory { rw, rx: None }),
            Err(_) => CodeMemory::twice(len),
        }
    }

    /// Maps `len` bytes at two addresses.
    fn twice(len: usize) -> io::Result<CodeMemory> {
        let file = memory_file(len as u64)?;
        // SAFETY: the file is ours alone and unlinked; nobody truncates it.
        let rw = unsafe { MmapOptions::new().len(len).map_mut(&file) }?;
        // SAFETY: as above. Its bytes are looked at through `rw` alone, and executed.
        let rx = unsafe { MmapOptions::new().len(len).map_exec(&file) }?;
        Ok(CodeMemory { rw, rx: Some(rx) })
    }

    /// Its size in bytes.
    pub fn len(&self) -> usize {
        self.rw.len()
    }

    /// What has been written.
    pub fn bytes(&self) -> &[u8] {
        &self.rw
    }

    /// To write it.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.rw
    }

    /// The address at which the first byte is executed.
    pub fn entry(&self) -> *const u8 {
        match &self.rx {
            Some(rx) => rx.as_ptr(),
            None => self.rw.as_ptr(),
        }
    }

    /// How many bytes to leave alone at the beginning so that the rest can lie in large pages.
    pub fn lead(&self) -> usize {
        let lead = (self.entry() as usize).wrapping_neg() & (LARGE_PAGE - 1);
        if self.rx.is_none() && self.len() >= 4 * LARGE_PAGE { lead } else { 0 }
    }
}

/// Asks for memory in large pages.
pub fn advise_large_pages(at: NonNull<u8>, len: usize) {
    // Only a hint.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    // SAFETY: it changes nothing that can be seen of the memory, whatever is there.
    let _ = unsafe { rustix::mm::madvise(at.as_ptr().cast(), len, rustix::mm::Advice::LinuxHugepage) };
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = (at, len);
}

/// The size of the host's large pages in bytes: those of x86-64.
pub const LARGE_PAGE: usize = 2 << 20;

/// Memory that is written and executed at one address, in large pages where the host has them to give: code that is run
/// once and then not for long waits for translations of its addresses more than for anything else, and files have no large
/// pages on most hosts. Where the host refuses such memory, as with SELinux's `execmem`, it is mapped twice.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn map_once(len: usize) -> io::Result<MmapMut> {
    use rustix::mm::{MprotectFlags, mprotect};
    let mut map = MmapOptions::new().len(len).map_anon()?;
    if let Some(at) = NonNull::new(map.as_mut_ptr()) {
        advise_large_pages(at, len);
    }
    let all = MprotectFlags::READ | MprotectFlags::WRITE | MprotectFlags::EXEC;
    // SAFETY: the range is the mapping's, and what it may be accessed for only grows.
    unsafe { mprotect(map.as_mut_ptr().cast(), len, all) }?;
    Ok(map)
}

/// Elsewhere it takes other calls than these.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn map_once(_: usize) -> io::Result<MmapMut> {
    Err(io::ErrorKind::Unsupported.into())
}

/// An unlinked file to back the two mappings of the arena: anonymous memory on Linux.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn memory_file(len: u64) -> io::Result<File> {
    use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
    let fd = memfd_create("lyrebird-code", MemfdFlags::CLOEXEC)?;
    ftruncate(&fd, len)?;
    Ok(File::from(fd))
}

/// Elsewhere a file in the temporary directory, unlinked at once. It needs a file system that is not mounted
/// `noexec`; hosts that forbid executable file mappings (macOS with hardened runtime) have no T1.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn memory_file(len: u64) -> io::Result<File> {
    let path = std::env::temp_dir().join(format!("lyrebird-code-{}-{len:x}", std::process::id()));
    let file = File::options().read(true).write(true).create_new(true).open(&path)?;
    std::fs::remove_file(&path)?;
    file.set_len(len)?;
    Ok(file)
}

/// Makes code just written through the writable mapping visible to instruction fetch at `at`.
///
/// x86 keeps instruction and data caches coherent across aliases; a core that has not executed there before needs
/// nothing more. Other hosts would need cache maintenance here, and have no T1 until it stands here.
#[inline]
pub fn flush_icache(at: *const u8, len: usize) {
    let _ = (at, len);
}

/// Whether [`flush_icache`] does what this host needs.
pub const ICACHE_COHERENT: bool = cfg!(any(target_arch = "x86_64", target_arch = "x86"));

/// Makes the calling thread yield a little to the vCPU threads: enough that they win a core that both want, not so much
/// that it starves on a busy host, where T0 would go on with what is hot. Failure is of no consequence.
pub fn lower_thread_priority() {
    // On Linux a nice value belongs to the thread, elsewhere to the process: there it is left alone.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let _ = rustix::process::nice(2);
}

/// The processor time that the calling thread has had, where that can be told.
fn thread_time() -> Option<Duration> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        let t = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Some(Duration::new(t.tv_sec.unsigned_abs(), t.tv_nsec.unsigned_abs() as u32))
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    None
}

/// The processor time that a thread has had since a point; where that cannot be told, the time that has passed. A busy
/// host stretches the latter at will.
#[derive(Clone, Copy, Debug)]
pub struct ThreadClock {
    passed: Instant,
    had: Option<Duration>,
}

impl ThreadClock {
    /// Begins with what the calling thread has had.
    pub fn start() -> ThreadClock {
        ThreadClock { passed: Instant::now(), had: thread_time() }
    }

    /// What has gone by; the thread that asks is the one that started it.
    pub fn elapsed(&self) -> Duration {
        match (self.had, thread_time()) {
            (Some(then), Some(now)) => now.saturating_sub(then),
            _ => self.passed.elapsed(),
        }
    }
}

/// The pieces of machine code that Cranelift cannot express.
#[cfg(target_arch = "x86_64")]
mod squeeze;
#[cfg(target_arch = "x86_64")]
mod x86_64;
#[cfg(target_arch = "x86_64")]
pub use squeeze::{Moved, squeeze};
#[cfg(target_arch = "x86_64")]
pub use x86_64::{
    CHECKED, Check, GUARD, LEAD, RECHECK, STAMP, ShapeError, enter, exit, exit_at, front, guard, jump,
    link_stub, recheck, silence, stamp, strip,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn code_runs_from_either_memory() {
        for memory in [CodeMemory::new(1 << 16), CodeMemory::twice(1 << 16)] {
            let mut memory = memory.expect("memory");
            // mov eax, 42; ret
            memory.bytes_mut()[..6].copy_from_slice(&[0xb8, 42, 0, 0, 0, 0xc3]);
            assert_eq!((memory.len(), memory.bytes()[5]), (1 << 16, 0xc3));
            // SAFETY: the bytes above are such a function.
            let f = unsafe { std::mem::transmute::<*const u8, extern "C" fn() -> u32>(memory.entry()) };
            assert_eq!(f(), 42);
        }
        assert_eq!(CodeMemory::twice(16 << 20).expect("memory").lead(), 0);
    }
}
