//! Operations, trailers, and how control passes between them.

use std::cell::Cell;
use std::marker::PhantomData;

use lyrebird_isa::{Core, Cpu};

/// Executes one operation and what follows it; returns the operation at which guest code was left
/// ([`Core::exit`] says why) or, in the unthreaded form, the next one.
pub type Handler<C> = unsafe fn(cpu: *mut C, op: *const Op<C>, budget: i64) -> *const Op<C>;

/// A decoded instruction: its handler and the fields of its `Sem`.
#[derive(Debug)]
#[repr(C)]
pub struct Op<C> {
    /// Executes it.
    pub handler: Handler<C>,
    /// The `Sem` value.
    pub payload: [u64; 2],
}

/// Why guest code returned to the dispatcher; the value of [`Core::exit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Exit {
    /// Still running (never seen by the dispatcher).
    None = 0,
    /// The operation returned raised a guest fault.
    Fault,
    /// Direct branch through trailer slot 0 that is not linked or ran out of budget; [`Core::pc`] is the target.
    Link0,
    /// The same through slot 1.
    Link1,
    /// Computed branch that the jump cache does not know; [`Core::pc`] is the target.
    Indirect,
    /// Compiled code found a page of code not mapped as it was; [`Core::pc`] is in it.
    Fetch,
    /// Computed branch out of a block that has just become hot; [`Core::pc`] is the target.
    HotIndirect,
    /// The block ended with an instruction after which the CPU must be looked at; go on at [`Core::pc`].
    Sync,
    /// As [`Exit::Sync`], out of a block that has just become hot.
    HotSync,
    /// Compiled code raised a guest fault at [`Core::pc`].
    RegionFault,
    /// The head of a region was reached in verify mode; it starts at [`Core::pc`].
    Verify,
    /// The link [`Core::link`] of compiled code may lead to the region at [`Core::pc`].
    RegionLink,
}

impl Exit {
    /// From [`Core::exit`].
    pub fn from_core(v: u64) -> Exit {
        const ALL: [Exit; 12] = [
            Exit::None,
            Exit::Fault,
            Exit::Link0,
            Exit::Link1,
            Exit::Indirect,
            Exit::Fetch,
            Exit::HotIndirect,
            Exit::Sync,
            Exit::HotSync,
            Exit::RegionFault,
            Exit::Verify,
            Exit::RegionLink,
        ];
        ALL.get(v as usize).copied().unwrap_or(Exit::None)
    }
}

/// A successor of a block.
#[derive(Debug)]
#[repr(C)]
pub struct Link<C> {
    /// Where to go on.
    pub op: Cell<*const Op<C>>,
    /// [`Core::code_ctx`] under which the link was made.
    pub ctx: Cell<u64>,
    /// The bits of it that count; 0 for a link inside one page, which no mapping change can break.
    pub mask: Cell<u64>,
}

impl<C> Link<C> {
    /// A link that is never followed: no code context is 0.
    pub fn none() -> Link<C> {
        Link { op: Cell::new(std::ptr::null()), ctx: Cell::new(0), mask: Cell::new(u64::MAX) }
    }

    /// Back to never being followed.
    pub fn clear(&self) {
        self.op.set(std::ptr::null());
        self.ctx.set(0);
        self.mask.set(u64::MAX);
    }
}

/// What stands behind a block's last operation.
#[derive(Debug)]
#[repr(C)]
pub struct Trailer<C> {
    // What each execution touches comes first.
    /// Guest instructions in the block.
    pub len: i64,
    /// Executions left until the block counts as hot.
    pub heat: Cell<u32>,
    /// The block's number in its cache.
    pub block: u32,
    /// Successors: the taken or only one, and the one where a condition fails.
    pub link: [Link<C>; 2],
    /// Their addresses; `target[1]` is also the address behind the block.
    pub target: [u64; 2],
    /// Where a computed branch went last.
    pub went: Cell<u64>,
    /// Enters the compiled region that starts here; its handler reads the payload as `*const RegionEntry`.
    pub enter: Op<C>,
    pub(crate) _cpu: PhantomData<C>,
}

/// Hands control to `next`.
///
/// # Safety
/// `next` points at an operation of a live block, or at a live trailer's `enter`.
macro_rules! goto {
    ($cpu:expr, $next:expr, $budget:expr) => {{
        let next = $next;
        #[cfg(threaded)]
        // SAFETY: by the macro's contract `next` is live, and its handler wants what this one was given.
        return unsafe { ((*next).handler)($cpu, next, $budget) };
        #[cfg(not(threaded))]
        {
            let _ = $budget;
            return next;
        }
    }};
}
pub(crate) use goto;

/// Leaves guest code.
#[inline(always)]
pub(crate) fn leave<C: Cpu>(core: &mut Core, op: *const Op<C>, budget: i64, why: Exit) -> *const Op<C> {
    core.budget = budget;
    core.exit = why as u64;
    op
}

/// Runs guest code from `op` until it leaves; returns the operation at which it did.
///
/// # Safety
/// `op` belongs to a live block (or is a live `enter`), decoded for the CPU's present mode and mapping. The CPU has its
/// TLB tables and a jump cache attached whose operations are live.
pub unsafe fn execute<C: Cpu>(cpu: &mut C, op: *const Op<C>) -> *const Op<C> {
    let cpu: *mut C = cpu;
    // SAFETY: `cpu` is a valid exclusive pointer throughout; the operations are live by contract.
    unsafe {
        (*cpu).core_mut().exit = Exit::None as u64;
        #[cfg(threaded)]
        {
            let budget = (*cpu).core().budget;
            ((*op).handler)(cpu, op, budget)
        }
        #[cfg(not(threaded))]
        {
            let mut op = op;
            loop {
                let budget = (*cpu).core().budget;
                op = ((*op).handler)(cpu, op, budget);
                if (*cpu).core().exit != Exit::None as u64 {
                    return op;
                }
            }
        }
    }
}
