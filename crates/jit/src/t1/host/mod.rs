//! What the code arena and the compile thread need from the host's operating system.

use std::fs::File;
use std::io;
use std::time::Duration;

/// An unlinked file to back the two mappings of the arena: anonymous memory on Linux.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub fn memory_file(len: u64) -> io::Result<File> {
    use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
    let fd = memfd_create("lyrebird-code", MemfdFlags::CLOEXEC)?;
    ftruncate(&fd, len)?;
    Ok(File::from(fd))
}

/// Elsewhere a file in the temporary directory, unlinked at once. It needs a file system that is not mounted
/// `noexec`; hosts that forbid executable file mappings (macOS with hardened runtime) have no T1.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub fn memory_file(len: u64) -> io::Result<File> {
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

/// The processor time that a thread has had since a point; where that cannot be told, the time that has passed. A busy
/// host stretches the latter at will.
#[derive(Clone, Copy, Debug)]
pub struct ThreadClock {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    start: Duration,
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    start: std::time::Instant,
}

#[cfg(any(target_os = "linux", target_os = "android"))]
impl ThreadClock {
    fn now() -> Duration {
        let t = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Duration::new(t.tv_sec.unsigned_abs(), t.tv_nsec.unsigned_abs() as u32)
    }

    /// Begins with what the calling thread has had.
    pub fn start() -> ThreadClock {
        ThreadClock { start: Self::now() }
    }

    /// What has gone by; the thread that asks is the one that started it.
    pub fn elapsed(&self) -> Duration {
        Self::now().saturating_sub(self.start)
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
impl ThreadClock {
    /// Begins now.
    pub fn start() -> ThreadClock {
        ThreadClock { start: std::time::Instant::now() }
    }

    /// What has gone by.
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }
}

/// The pieces of machine code that Cranelift cannot express.
#[cfg(target_arch = "x86_64")]
mod x86_64;
#[cfg(target_arch = "x86_64")]
pub use x86_64::{
    CHECKED, Check, FRONT, STAMP, ShapeError, enter, exit, exit_with, front, jump, stamp, strip,
};
