//! The oracle: this host's CPU. A child process executes the tests, one instruction or a few at a time.
//!
//! It lives in a signal handler, as the oracle for A64 does: a test ends in a signal, be it that of the INT3 behind
//! it; the handler sends the interrupted context out, reads the next test, puts its registers into the context and
//! returns from the signal into it. What a test may reach is two pages of data and one of code; system calls are
//! refused by the kernel (seccomp), but for those of the handler.

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
compile_error!("the oracle of `difftest x86` is an x86-64 Linux host");

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process::Process;
use crate::state::{After, BEFORE, CODE, CODE_BYTES, CODE_LEN, State, WINDOW, WINDOW_LEN, changes, window};

/// Argument that makes this program the child.
pub const CHILD: &str = "--oracle-child";

/// Longest test in bytes.
pub const MAX_CODE: usize = 64;

/// A test as the child gets it.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Question {
    /// The registers before. `rip` is ignored.
    pub state: State,
    /// 1 where the window may change: it is then sent back and restored.
    pub stores: u32,
    /// Bits of the code: 32 or 64.
    pub bits: u32,
    /// Length of `code` in bytes.
    pub len: u32,
    /// Instructions; INT3 stands around them.
    pub code: [u8; MAX_CODE],
}

impl Question {
    /// The instructions.
    pub fn code(&self) -> &[u8] {
        &self.code[..self.len as usize]
    }
}

impl std::fmt::Debug for Question {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:02x?}, {} bits", self.code(), self.bits)
    }
}

/// What is behind a result where stores were announced: the window.
type Window = [u8; WINDOW_LEN];

fn bytes_of<T>(v: &T) -> &[u8] {
    // SAFETY: any `repr(C)` value of plain integers may be looked at as bytes; both types used have no padding that
    // matters, since they are only written to a pipe and read back by the same program.
    unsafe { std::slice::from_raw_parts((&raw const *v).cast(), size_of::<T>()) }
}

/// A running oracle.
#[derive(Debug)]
pub struct Oracle {
    process: Process,
    pristine: Vec<u8>,
}

impl Oracle {
    /// Starts the child.
    pub fn start() -> Result<Oracle> {
        let process = Process::start(Command::new(std::env::current_exe()?).arg(CHILD));
        Ok(Oracle { process: process.context("the oracle")?, pristine: window() })
    }

    /// Sends tests; their answers are read one by one with [`Oracle::answer`].
    pub fn ask<'a>(&mut self, batch: impl Iterator<Item = &'a Question>) {
        self.process.ask(batch.flat_map(|q| bytes_of(q).to_vec()).collect());
    }

    /// The answer to the next question sent, which was `q`.
    pub fn answer(&mut self, q: &Question) -> Result<After> {
        let mut r = vec![0; size_of::<State>() + if q.stores != 0 { WINDOW_LEN } else { 0 }];
        self.process.answer(&mut r, || format!("{q:?}"))?;
        let (state, window) = r.split_at(size_of::<State>());
        // SAFETY: `State` is `repr(C)`, made of integers only, and `state` is as long.
        let mut state = unsafe { state.as_ptr().cast::<State>().read_unaligned() };
        if state.vector != PAGE_FAULT {
            // What the last one left.
            state.cr2 = 0;
        }
        let stores = if q.stores != 0 { changes(&self.pristine, window) } else { Vec::new() };
        Ok(After { state, stores })
    }
}

/// Vector of page faults.
const PAGE_FAULT: u64 = 14;

/// The child's memory outside the tested pages, reached through a pointer in a static because a signal handler has
/// nothing else.
struct Inner {
    question: Question,
    result: State,
    started: bool,
    /// The host has YMM registers, and so has the signal frame.
    avx: bool,
    pristine: Window,
}

static INNER: std::sync::atomic::AtomicPtr<Inner> = std::sync::atomic::AtomicPtr::new(std::ptr::null_mut());

/// Reads or writes all of it; ends the process at the end of the pipe.
///
/// # Safety
/// `p` is good for `len` bytes.
unsafe fn transfer(read: bool, p: *mut u8, len: usize) {
    let mut done = 0;
    while done < len {
        // SAFETY: by contract.
        let n = unsafe {
            if read {
                libc::read(0, p.add(done).cast(), len - done)
            } else {
                libc::write(1, p.add(done).cast(), len - done)
            }
        };
        if n <= 0 {
            // SAFETY: always.
            unsafe { libc::_exit(0) };
        }
        done += n as usize;
    }
}

/// Offset of the upper halves of the YMM registers in the signal frame's XSAVE area (CPUID.(0DH,2):EBX).
const YMM_HIGH: usize = 576;
/// Offset in the code page of the selector of data segments.
const SELECTOR: usize = CODE_BYTES - 2;
/// Offset of XSTATE_BV.
const XSTATE_BV: usize = 512;
/// Bytes of the legacy area that are registers; the kernel's own notes follow.
const LEGACY: usize = 416;

extern "C" fn handler(_: i32, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    use libc::{
        REG_CR2, REG_CSGSFS, REG_EFL, REG_ERR, REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14,
        REG_R15, REG_RAX, REG_RBP, REG_RBX, REG_RCX, REG_RDI, REG_RDX, REG_RIP, REG_RSI, REG_RSP, REG_TRAPNO,
    };
    const GPR: [i32; 16] = [
        REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI, REG_R8, REG_R9, REG_R10,
        REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
    ];
    // SAFETY: the kernel passes a `ucontext_t` whose `fpregs` points at an XSAVE area, with AVX state where `avx` says so; `INNER` was set
    // before the first signal, and there is one thread. The pages are mapped for reading and writing.
    unsafe {
        let uc = &mut *context.cast::<libc::ucontext_t>();
        let g = &mut uc.uc_mcontext.gregs;
        let fp = uc.uc_mcontext.fpregs.cast::<u8>();
        let inner = &mut *INNER.load(std::sync::atomic::Ordering::Relaxed);
        let window = WINDOW as *mut Window;
        if inner.started {
            let r = &mut inner.result;
            for (to, from) in r.gpr.iter_mut().zip(GPR) {
                *to = g[from as usize] as u64;
            }
            r.rip = g[REG_RIP as usize] as u64;
            r.rflags = g[REG_EFL as usize] as u64;
            r.vector = g[REG_TRAPNO as usize] as u64;
            r.error = g[REG_ERR as usize] as u64;
            r.cr2 = g[REG_CR2 as usize] as u64;
            std::ptr::copy_nonoverlapping(fp, r.fx.as_mut_ptr(), LEGACY);
            if inner.avx {
                std::ptr::copy_nonoverlapping(fp.add(YMM_HIGH), r.ymm_high.as_mut_ptr().cast(), 256);
            } else {
                r.ymm_high = inner.question.state.ymm_high;
            }
            transfer(false, (&raw mut *r).cast(), size_of::<State>());
            if inner.question.stores != 0 {
                transfer(false, window.cast(), WINDOW_LEN);
                *window = inner.pristine;
            }
        }
        inner.started = true;
        transfer(true, (&raw mut inner.question).cast(), size_of::<Question>());
        let q = &inner.question;
        let code = CODE as *mut u8;
        std::ptr::write_bytes(code, 0xcc, CODE_BYTES);
        std::ptr::copy_nonoverlapping(q.code.as_ptr(), code.add(BEFORE), q.len as usize);
        for (from, to) in q.state.gpr.iter().zip(GPR) {
            g[to as usize] = *from as i64;
        }
        let mut entry = BEFORE;
        if q.bits == 32 {
            // 64-bit processes have no data segments, and not every kernel keeps them through a signal: they are
            // loaded right before the test, through CS and without a register.
            let load = |at: usize, modrm: u8| {
                let [a, b, c, d] = ((CODE as usize + SELECTOR) as u32).to_le_bytes();
                code.add(at).cast::<[u8; 7]>().write_unaligned([0x2e, 0x8e, modrm, a, b, c, d]);
            };
            entry = BEFORE - 14;
            load(entry, 0x1d);
            load(entry + 7, 0x05);
            code.add(SELECTOR).cast::<u16>().write_unaligned(0x2b);
        }
        g[REG_RIP as usize] = (CODE + entry as u64) as i64;
        g[REG_EFL as usize] = q.state.rflags as i64;
        if q.bits == 64 {
            // Signals leave them as the last test did.
            std::arch::asm!("mov ds, {0:e}", "mov es, {0:e}", in(reg) 0);
        }
        let cs = if q.bits == 32 { 0x23 } else { 0x33 };
        g[REG_CSGSFS as usize] = g[REG_CSGSFS as usize] & !0xffff | cs;
        std::ptr::copy_nonoverlapping(q.state.fx.as_ptr(), fp, LEGACY);
        if inner.avx {
            std::ptr::copy_nonoverlapping(q.state.ymm_high.as_ptr().cast(), fp.add(YMM_HIGH), 256);
            *fp.add(XSTATE_BV) |= 7;
        }
    }
}

/// Maps memory at a fixed address.
fn map(at: u64, len: usize, prot: i32) -> Result<()> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE;
    // SAFETY: with NOREPLACE nothing that exists is touched.
    let p = unsafe { libc::mmap(at as *mut _, len, prot, flags, -1, 0) };
    if p != at as *mut _ {
        bail!("cannot map {len:#x} bytes at {at:#x}: {}", std::io::Error::last_os_error());
    }
    Ok(())
}

/// Becomes the oracle.
pub fn child() -> Result<()> {
    map(WINDOW, WINDOW_LEN, libc::PROT_READ | libc::PROT_WRITE)?;
    map(CODE, CODE_LEN, libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC)?;
    let mut pristine = [0; WINDOW_LEN];
    pristine.copy_from_slice(&window());
    let question = Question { state: State::default(), stores: 0, bits: 64, len: 0, code: [0; MAX_CODE] };
    let avx = std::arch::is_x86_feature_detected!("avx");
    let inner = Box::new(Inner { question, result: State::default(), started: false, avx, pristine });
    INNER.store(Box::into_raw(inner), std::sync::atomic::Ordering::Relaxed);
    const STACK: usize = 1 << 18;
    let stack = Box::leak(vec![0u8; STACK].into_boxed_slice());
    // SAFETY: the window is mapped; the stack lives for ever; the handler fits SA_SIGINFO.
    unsafe {
        std::ptr::copy_nonoverlapping(window().as_ptr(), WINDOW as *mut u8, WINDOW_LEN);
        let ss = libc::stack_t { ss_sp: stack.as_mut_ptr().cast(), ss_flags: 0, ss_size: STACK };
        libc::sigaltstack(&ss, std::ptr::null_mut());
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
        for signal in [libc::SIGILL, libc::SIGTRAP, libc::SIGBUS, libc::SIGFPE, libc::SIGSEGV] {
            libc::sigaction(signal, &action, std::ptr::null_mut());
        }
        // A test that never ends ends the process.
        let limit = libc::rlimit { rlim_cur: 3600, rlim_max: 3600 };
        libc::setrlimit(libc::RLIMIT_CPU, &limit);
        let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        libc::setrlimit(libc::RLIMIT_CORE, &none);
        // From here on: read, write, _exit and the return from signals.
        libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_STRICT);
        std::arch::asm!("int3");
    }
    bail!("the signal handler returned");
}
