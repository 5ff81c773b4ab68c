//! Handlers: one per `Sem` type, instantiated from the same generic function.

use lyrebird_isa::interp::{Interp, Next};
use lyrebird_isa::scan::{Flow, Scan};
use lyrebird_isa::state::{code_ctx_mask, jump_index, trail_index};
use lyrebird_isa::{Core, Cpu, Emit, JumpKind, Sem, Term, Visitor, Work};

use crate::t1::RegionExit;

use super::op::{Exit, Handler, Op, Trailer, goto, leave};

/// The `Sem` in an operation's payload.
///
/// # Safety
/// `op` is live, and its payload holds an `S`.
#[inline(always)]
unsafe fn payload<C: Cpu, S: Sem<C>>(op: *const Op<C>) -> S {
    const {
        assert!(size_of::<S>() <= 16 && align_of::<S>() <= 8, "a Sem fits the payload of an Op");
    }
    // SAFETY: the payload was written as an `S` by `MakeOp`, and `S` is `Copy`.
    unsafe { (&raw const (*op).payload).cast::<S>().read() }
}

/// Executes `S` from the payload of `op`, then what follows. What needs a slow path is left to `run_slow`, so that
/// this function has no frame.
///
/// # Safety
/// As for [`super::op::execute`]; the payload of `op` holds an `S`.
pub unsafe fn run<C: Cpu, S: Sem<C>>(cpu: *mut C, op: *const Op<C>, budget: i64) -> *const Op<C> {
    if S::TERM == Term::Sync {
        // SAFETY: by the contract of this function.
        return unsafe { run_slow::<C, S>(cpu, op, budget) };
    }
    // SAFETY: by the contract of this function.
    let s = unsafe { payload::<C, S>(op) };
    // SAFETY: the vCPU thread owns the CPU, and no other reference to it is alive during a handler.
    let mut e = Interp::attempt(unsafe { &mut *cpu });
    let done = s.sem(&mut e);
    let (next, target) = (e.next, e.target);
    if done.is_err() {
        // SAFETY: by the contract of this function.
        return unsafe { run_slow::<C, S>(cpu, op, budget) };
    }
    // SAFETY: by the contract of this function.
    unsafe { go_on::<C, S>(cpu, op, budget, next, target) }
}

/// Executes `S` with its slow paths, then what follows.
///
/// # Safety
/// As for [`run`].
#[cold]
#[inline(never)]
unsafe fn run_slow<C: Cpu, S: Sem<C>>(cpu: *mut C, op: *const Op<C>, budget: i64) -> *const Op<C> {
    // SAFETY: by the contract of this function.
    let s = unsafe { payload::<C, S>(op) };
    // SAFETY: the vCPU thread owns the CPU, and no other reference to it is alive during a handler.
    let mut e = Interp::<C>::new(unsafe { &mut *cpu });
    let done = s.sem(&mut e);
    let (next, target) = (e.next, e.target);
    if done.is_err() {
        // SAFETY: as above; `e` is dead.
        return leave(unsafe { (*cpu).core_mut() }, op, budget, Exit::Fault);
    }
    // SAFETY: by the contract of this function.
    unsafe { go_on::<C, S>(cpu, op, budget, next, target) }
}

/// Goes on behind an executed instruction.
///
/// # Safety
/// As for [`run`].
#[inline(always)]
unsafe fn go_on<C: Cpu, S: Sem<C>>(
    cpu: *mut C,
    op: *const Op<C>,
    budget: i64,
    next: Next,
    target: u64,
) -> *const Op<C> {
    // SAFETY: the vCPU thread owns the CPU, and no other reference to it is alive here.
    let core = unsafe { (*cpu).core_mut() };
    match S::TERM {
        Term::None => {
            // SAFETY: an operation that is no terminator has a successor in the same array.
            let n = unsafe { op.add(1) };
            goto!(cpu, n, budget)
        }
        Term::Branch => {
            // SAFETY: a terminator is followed by its block's trailer.
            let t = unsafe { &*op.add(1).cast::<Trailer<C>>() };
            let slot = (next == Next::NotTaken) as usize;
            let budget = budget - t.len;
            core.trail[trail_index(budget)] = t.block;
            let heat = t.heat.get().wrapping_sub(1);
            t.heat.set(heat);
            let link = &t.link[slot];
            if (link.ctx.get() ^ core.code_ctx) & link.mask.get() == 0 && budget > 0 && heat != 0 {
                #[cfg(not(threaded))]
                {
                    core.budget = budget;
                }
                goto!(cpu, link.op.get(), budget)
            }
            core.pc = t.target[slot];
            let why = if slot == 0 { Exit::Link0 } else { Exit::Link1 };
            leave(core, op, budget, why)
        }
        Term::Indirect => {
            // SAFETY: as above.
            let t = unsafe { &*op.add(1).cast::<Trailer<C>>() };
            let budget = budget - t.len;
            core.trail[trail_index(budget)] = t.block;
            t.went.set(target);
            let heat = t.heat.get().wrapping_sub(1);
            t.heat.set(heat);
            if heat == 0 {
                core.pc = target;
                return leave(core, op, budget, Exit::HotIndirect);
            }
            // SAFETY: by the contract of this function.
            unsafe { computed(cpu, op, target, budget) }
        }
        Term::Sync => {
            // SAFETY: as above.
            let t = unsafe { &*op.add(1).cast::<Trailer<C>>() };
            let budget = budget - t.len;
            core.trail[trail_index(budget)] = t.block;
            if next != Next::SyncPc {
                core.pc = t.target[1];
            }
            let target = core.pc;
            let heat = t.heat.get().wrapping_sub(1);
            t.heat.set(heat);
            if heat == 0 {
                return leave(core, op, budget, Exit::HotSync);
            }
            // SAFETY: the vCPU thread owns the CPU; `core` is not used again before its next borrow.
            if unsafe { (*cpu).wants_look() } {
                // SAFETY: as above.
                return leave(unsafe { (*cpu).core_mut() }, op, budget, Exit::Sync);
            }
            // SAFETY: by the contract of this function.
            unsafe { computed(cpu, op, target, budget) }
        }
    }
}

/// Goes on at a computed address through the jump cache.
///
/// # Safety
/// As for [`super::op::execute`].
#[inline(always)]
unsafe fn computed<C: Cpu>(cpu: *mut C, op: *const Op<C>, target: u64, budget: i64) -> *const Op<C> {
    // SAFETY: the vCPU thread owns the CPU.
    let core = unsafe { (*cpu).core_mut() };
    // SAFETY: the engine attaches a table of JUMP_ENTRIES entries before it runs guest code.
    let j = unsafe { &*core.jump_cache.add(jump_index(target)) };
    if j.va == target && (j.ctx ^ core.code_ctx) & code_ctx_mask(target) == 0 && budget > 0 {
        #[cfg(not(threaded))]
        {
            core.budget = budget;
        }
        goto!(cpu, j.op.cast::<Op<C>>(), budget)
    }
    core.pc = target;
    leave(core, op, budget, Exit::Indirect)
}

/// A compiled region as the interpreter enters it.
#[derive(Debug)]
#[repr(C)]
pub struct RegionEntry {
    /// The compiled function; returns a [`RegionExit`].
    pub entry: unsafe extern "C" fn(core: *mut Core) -> u64,
    /// Instructions retired in it so far.
    pub retired: u64,
    /// The budget with which it was last entered, and the address where it was left.
    pub last: (i64, u64),
    /// What stands for it in [`Core::trail`].
    pub mark: u32,
    /// The region's number (the engine's business).
    pub id: u64,
}

impl RegionEntry {
    /// A function that has not been entered yet.
    pub fn new(entry: unsafe extern "C" fn(core: *mut Core) -> u64, id: u64, mark: u32) -> RegionEntry {
        RegionEntry { entry, retired: 0, last: (0, 0), mark, id }
    }
}

/// Handler of [`Trailer::enter`]: runs the compiled region, then goes on where it left.
///
/// # Safety
/// As for [`super::op::execute`]; the payload is a live `*mut RegionEntry` and the block's address.
pub unsafe fn enter_region<C: Cpu>(cpu: *mut C, op: *const Op<C>, budget: i64) -> *const Op<C> {
    // SAFETY: by contract.
    unsafe {
        let region = (*op).payload[0] as *mut RegionEntry;
        let core = (*cpu).core_mut();
        core.budget = budget;
        core.pc = (*op).payload[1];
        // `Core` is the first field of every CPU (contract of `Cpu`).
        (*cpu).core().activity.set(Work::T1);
        let why = ((*region).entry)(cpu.cast::<Core>());
        let core = (*cpu).core_mut();
        core.activity.set(Work::T0);
        let left = core.budget;
        (*region).retired = (*region).retired.wrapping_add((budget - left) as u64);
        (*region).last = (budget, core.pc);
        core.trail[trail_index(left)] = (*region).mark;
        match RegionExit::from_code(why) {
            Some(RegionExit::Fault) => leave(core, op, left, Exit::RegionFault),
            Some(RegionExit::Link) => leave(core, op, left, Exit::RegionLink),
            Some(RegionExit::Fetch) => leave(core, op, left, Exit::Fetch),
            Some(RegionExit::Sync) => leave(core, op, left, Exit::Sync),
            _ => {
                let target = core.pc;
                computed(cpu, op, target, left)
            }
        }
    }
}

/// Handler of [`Trailer::enter`] in verify mode: back to the dispatcher, which runs both tiers.
///
/// # Safety
/// As for [`super::op::execute`]; the payload is a live `*mut RegionEntry` and the block's address.
pub unsafe fn enter_verify<C: Cpu>(cpu: *mut C, op: *const Op<C>, budget: i64) -> *const Op<C> {
    // SAFETY: by contract; the vCPU thread owns the CPU.
    unsafe {
        let core = (*cpu).core_mut();
        core.pc = (*op).payload[1];
        leave(core, op, budget, Exit::Verify)
    }
}

/// The operation that ends a block which no instruction ends: on to the next address.
#[derive(Clone, Copy, Debug)]
pub struct Fallthrough {
    /// Address behind the block.
    pub target: u64,
}

impl<C: Cpu> Sem<C> for Fallthrough {
    const TERM: Term = Term::Branch;

    #[inline(always)]
    fn sem<E: Emit<Cpu = C>>(&self, e: &mut E) -> Result<(), E::Fault> {
        e.jump(self.target, JumpKind::Jump);
        Ok(())
    }
}

/// What a block builder learns about an instruction.
#[derive(Debug)]
pub struct Made<C> {
    /// Handler.
    pub handler: Handler<C>,
    /// Payload.
    pub payload: [u64; 2],
    /// How it ends a block.
    pub term: Term,
    /// Where it goes; [`Flow::Next`] where `term` is [`Term::None`].
    pub flow: Flow,
}

/// Turns a `Sem` into an operation.
#[derive(Clone, Copy, Debug)]
pub struct MakeOp;

impl<C: Cpu> Visitor<C> for MakeOp {
    type Out = Made<C>;

    fn visit<S: Sem<C>>(self, s: S) -> Made<C> {
        let mut payload = [0u64; 2];
        // SAFETY: `run` asserts at compile time that an `S` fits; `payload` is at least as aligned.
        unsafe { payload.as_mut_ptr().cast::<S>().write(s) };
        let flow = if S::TERM == Term::None {
            Flow::Next
        } else {
            let mut scan = Scan::<C>::new();
            let Ok(()) = s.sem(&mut scan);
            scan.seen.flow
        };
        Made { handler: run::<C, S>, payload, term: S::TERM, flow }
    }
}
