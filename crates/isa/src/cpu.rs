//! What the engine needs from a guest CPU.

use crate::emit::Emit;
use crate::mem::MemOp;
use crate::ops::Rmw;
use crate::state::{Core, V128};

/// A guest exception was recorded in the CPU while executing an instruction; details are in the CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuestFault;

/// How an instruction ends a block, known from its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Term {
    /// It does not: the next instruction follows.
    None,
    /// Direct branch, conditional or not ([`Emit::branch`], [`Emit::jump`]).
    Branch,
    /// Branch to a computed address ([`Emit::jump_reg`]).
    Indirect,
    /// The engine must look at the CPU again: mode, mappings, interrupts or the PC may have changed. The
    /// instruction ends with [`Emit::sync_next`] or [`Emit::sync_pc`].
    Sync,
}

/// The meaning of one decoded instruction: a small `Copy` type (at most 16 bytes) per form, its operands as
/// fields, what selects host code (width, operation, condition, size) as const generics.
///
/// Rule: no register or flag is written before the last thing that can fault.
pub trait Sem<C: Cpu>: Copy + Send + Sync + 'static {
    /// Whether and how it ends a block.
    const TERM: Term = Term::None;

    /// Executes or compiles the instruction, depending on `E`.
    fn sem<E: Emit<Cpu = C>>(&self, e: &mut E) -> Result<(), E::Fault>;
}

/// Receives the one [`Sem`] type that an instruction decodes to.
pub trait Visitor<C: Cpu> {
    /// What is made of it.
    type Out;
    /// Called exactly once per decoded instruction.
    fn visit<S: Sem<C>>(self, s: S) -> Self::Out;
}

/// A page of guest code as the host sees it.
#[derive(Clone, Copy, Debug)]
pub struct CodePage {
    /// Physical address of the page (4 KiB aligned).
    pub pa: u64,
    /// Host address of the page, readable for 4 KiB while the machine lives.
    pub host: *const u8,
}

/// What the CPU wants to do between blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Go on at [`Core::pc`].
    Run,
    /// Nothing to do until an interrupt (A64 `WFI`, x86 `HLT`).
    Idle,
    /// The machine is to be left: power-off, reset, or a debugger's stop. The board knows which.
    Stop,
}

/// A guest CPU: architecture, private state and MMU of one virtual processor.
///
/// # Safety
/// Implementors are `repr(C)` with a [`Core`] as first field, so that a pointer to either is a pointer to both.
pub unsafe trait Cpu: Send + Sized + 'static {
    /// The JIT-visible state.
    fn core(&self) -> &Core;
    /// The JIT-visible state.
    fn core_mut(&mut self) -> &mut Core;

    /// Mode bits that change the meaning of instruction bytes (privilege level, FP traps, address size, …).
    /// Blocks are keyed by them. Must agree with what [`Core::code_ctx`] distinguishes.
    fn mode(&self) -> u64;

    /// Decodes the instruction at virtual address `pc` (`bytes` start there and end at the page's end), and
    /// hands its meaning to `v`. Returns what `v` made of it and the length in bytes. Unallocated and
    /// unimplemented encodings decode to a `Sem` that raises the undefined-instruction exception.
    fn decode<V: Visitor<Self>>(bytes: &[u8], pc: u64, mode: u64, v: V) -> (V::Out, usize);

    /// Disassembly of the instruction at `pc`, for dumps: mnemonic and raw bytes at least.
    fn disassemble(bytes: &[u8], pc: u64) -> String;

    /// Translates `va`, which is [`Core::pc`], for instruction fetch. On failure the fault is recorded and
    /// [`Core::fault`] set. Either way [`Core::pc`] may be brought into its canonical form (A64 tagged addresses).
    fn fetch(&mut self, va: u64) -> Option<CodePage>;

    /// Takes the recorded fault of the instruction at `pc`: changes mode and [`Core::pc`], clears
    /// [`Core::fault`].
    fn take_fault(&mut self, pc: u64);

    /// Called by the dispatcher between slices with [`Core::pc`] exact and `retired` instructions executed
    /// since the last call: lets time pass, takes a pending interrupt if it is enabled.
    fn poll(&mut self, retired: u64) -> Event;

    /// Whether there is nothing to do until [`Cpu::poll`] has been asked, though no instruction ended its block to say so:
    /// the engine asks behind [`Cpu::take_fault`].
    fn waits(&self) -> bool {
        false
    }

    /// Called behind an instruction that ends with [`crate::Term::Sync`]. Whether [`Cpu::poll`] has to be asked before the
    /// CPU goes on, because it waits, or an interrupt or a request to stop does; if not, it is asked at the end of the
    /// slice. Asking twice does not change the answer.
    fn after_sync(&mut self) -> bool {
        true
    }

    /// Whether the engine has to look at the CPU before it goes on behind a synchronising instruction: else compiled code
    /// and the interpreter go straight to what the jump cache knows.
    #[inline]
    fn wants_look(&mut self) -> bool {
        self.has_dirty_code() || self.fetches_anew() || self.after_sync()
    }

    /// Whether [`Cpu::fetch`] must be asked even for code that has been found before under the present
    /// [`Core::code_ctx`].
    fn fetches_anew(&self) -> bool {
        false
    }

    /// Blocks until something may have changed for an idle CPU (interrupt, timer, stop request).
    fn wait(&mut self);

    /// Marks the physical page `pa` as holding translated code: later stores to it must be reported by
    /// [`Cpu::take_dirty_code`].
    fn watch_code(&mut self, pa: u64);

    /// No translated code is left on the physical page.
    fn unwatch_code(&mut self, pa: u64);

    /// Whether [`Cpu::take_dirty_code`] has something to say. The engine asks behind every [`crate::Term::Sync`].
    fn has_dirty_code(&self) -> bool {
        true
    }

    /// The next guest store (physical address, length in bytes) that hit a watched page since the last call.
    fn take_dirty_code(&mut self) -> Option<(u64, u64)>;

    /// State outside [`Core`] that helpers with [`crate::Effects::Fp`] read and write (floating-point control and
    /// status), for engines that run code twice and compare.
    fn aux_state(&self) -> [u64; 2] {
        [0; 2]
    }
    /// Sets what [`Cpu::aux_state`] returns.
    fn set_aux_state(&mut self, v: [u64; 2]) {
        let _ = v;
    }

    /// Guest code is about to run on this thread: what the host's floating-point unit holds from now on is the guest's
    /// ([`crate::host`]). False, and nothing is done, if it is running already; who got true calls
    /// [`Cpu::leave_guest`].
    fn enter_guest(&mut self) -> bool {
        false
    }
    /// Guest code has returned, which [`Cpu::enter_guest`] announced: the guest's status is exact again.
    fn leave_guest(&mut self) {}
    /// Makes the guest's floating-point status exact while guest code runs.
    fn collect_status(&mut self) {}

    /// A load that missed the inline TLB or needs care. Zero-extended. On a fault sets [`Core::fault`].
    ///
    /// This and what follows may change the inline TLB under the caller: a walk makes pages translation tables, and takes
    /// the write tags of those away. What was read of an entry before is not to be used for stores behind it.
    fn load_slow(&mut self, va: u64, m: MemOp) -> u64;
    /// A store that missed the inline TLB or needs care. On a fault sets [`Core::fault`].
    fn store_slow(&mut self, va: u64, m: MemOp, v: u64);
    /// A 16-byte load that missed the inline TLB.
    fn load128_slow(&mut self, va: u64, m: MemOp) -> V128;
    /// A 16-byte store that missed the inline TLB.
    fn store128_slow(&mut self, va: u64, m: MemOp, v: V128);
    /// Atomic read-modify-write; returns the old value. Atomic against other vCPUs and device threads.
    fn rmw(&mut self, op: Rmw, va: u64, m: MemOp, v: u64) -> u64;
    /// Atomic compare-and-swap; returns the old value.
    fn cas(&mut self, va: u64, m: MemOp, expected: u64, new: u64) -> u64;
}
