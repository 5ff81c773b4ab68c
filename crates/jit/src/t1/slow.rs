//! [`SlowPaths`]: the functions behind compiled code's inline TLB, exchangeable so that `--verify` can log and replay.

use lyrebird_isa::ops::Rmw;
use lyrebird_isa::{Core, Cpu, MemOp, V128};

/// Out-of-line guest memory accesses. `core` is the first field of the CPU; `memop` is [`MemOp::pack`]ed. A function
/// reports a guest fault through [`Core::fault`]; what it returns is then ignored.
///
/// When one of them runs, [`Core`] holds the exact guest state before the accessing instruction: registers, flags,
/// `pc` and `budget`. General registers and flags must be left alone.
#[derive(Clone, Copy, Debug)]
pub struct SlowPaths {
    /// Loads up to 8 bytes, zero-extended.
    pub load: extern "C" fn(core: *mut Core, va: u64, memop: u64) -> u64,
    /// Stores the low bytes of `v`.
    pub store: extern "C" fn(core: *mut Core, va: u64, memop: u64, v: u64),
    /// Loads two adjacent elements into `out[0]` and `out[1]`.
    pub load_pair: extern "C" fn(core: *mut Core, va: u64, memop: u64, out: *mut u64),
    /// Stores two adjacent elements.
    pub store_pair: extern "C" fn(core: *mut Core, va: u64, memop: u64, lo: u64, hi: u64),
    /// Loads 16 bytes.
    pub load128: extern "C" fn(core: *mut Core, va: u64, memop: u64, out: *mut u64),
    /// Stores 16 bytes.
    pub store128: extern "C" fn(core: *mut Core, va: u64, memop: u64, lo: u64, hi: u64),
    /// Atomic read-modify-write; `op` is the discriminant of [`Rmw`]. Returns the old value.
    pub rmw: extern "C" fn(core: *mut Core, va: u64, memop: u64, v: u64, op: u64) -> u64,
    /// Atomic compare-and-swap. Returns the old value.
    pub cas: extern "C" fn(core: *mut Core, va: u64, memop: u64, expected: u64, new: u64) -> u64,
    /// [`lyrebird_isa::Cpu::wants_look`]; the other arguments mean nothing.
    pub look: extern "C" fn(core: *mut Core, _: u64, _: u64, _: u64) -> u64,
    /// Takes the place of every helper with [`lyrebird_isa::Effects::Sys`] in regions compiled for verify mode.
    pub sys: Option<extern "C" fn(core: *mut Core, a0: u64, a1: u64, a2: u64) -> u64>,
}

impl SlowPaths {
    /// The slow paths of `C`.
    pub fn of<C: Cpu>() -> SlowPaths {
        SlowPaths {
            load: load::<C>,
            store: store::<C>,
            load_pair: load_pair::<C>,
            store_pair: store_pair::<C>,
            load128: load128::<C>,
            store128: store128::<C>,
            rmw: rmw::<C>,
            cas: cas::<C>,
            look: look::<C>,
            sys: None,
        }
    }
}

/// The CPU whose first field is `core`.
fn cpu<'a, C: Cpu>(core: *mut Core) -> &'a mut C {
    // SAFETY: compiled code passes on the pointer it was entered with, which is one to a `C` (contract of `Cpu` and of
    // whoever enters a region), and nothing else refers to the CPU while it runs.
    unsafe { &mut *core.cast::<C>() }
}

/// Leaves two words for compiled code to pick up.
fn put(out: *mut u64, lo: u64, hi: u64) {
    // SAFETY: compiled code passes a pointer to two words of `Core::scratch`.
    unsafe {
        out.write(lo);
        out.add(1).write(hi);
    }
}

extern "C" fn load<C: Cpu>(core: *mut Core, va: u64, memop: u64) -> u64 {
    cpu::<C>(core).load_slow(va, MemOp::unpack(memop))
}

extern "C" fn store<C: Cpu>(core: *mut Core, va: u64, memop: u64, v: u64) {
    cpu::<C>(core).store_slow(va, MemOp::unpack(memop), v);
}

extern "C" fn load_pair<C: Cpu>(core: *mut Core, va: u64, memop: u64, out: *mut u64) {
    let m = MemOp::unpack(memop);
    let c = cpu::<C>(core);
    let lo = c.load_slow(va, m);
    if c.core().fault == 0 {
        let hi = c.load_slow(va.wrapping_add(m.size.bytes()), m);
        put(out, lo, hi);
    }
}

extern "C" fn store_pair<C: Cpu>(core: *mut Core, va: u64, memop: u64, lo: u64, hi: u64) {
    let m = MemOp::unpack(memop);
    let c = cpu::<C>(core);
    c.store_slow(va, m, lo);
    if c.core().fault == 0 {
        c.store_slow(va.wrapping_add(m.size.bytes()), m, hi);
    }
}

extern "C" fn load128<C: Cpu>(core: *mut Core, va: u64, memop: u64, out: *mut u64) {
    let V128([lo, hi]) = cpu::<C>(core).load128_slow(va, MemOp::unpack(memop));
    put(out, lo, hi);
}

extern "C" fn store128<C: Cpu>(core: *mut Core, va: u64, memop: u64, lo: u64, hi: u64) {
    cpu::<C>(core).store128_slow(va, MemOp::unpack(memop), V128([lo, hi]));
}

extern "C" fn rmw<C: Cpu>(core: *mut Core, va: u64, memop: u64, v: u64, op: u64) -> u64 {
    let op = Rmw::ALL.get(op as usize).copied().unwrap_or(Rmw::Swp);
    cpu::<C>(core).rmw(op, va, MemOp::unpack(memop), v)
}

extern "C" fn cas<C: Cpu>(core: *mut Core, va: u64, memop: u64, expected: u64, new: u64) -> u64 {
    cpu::<C>(core).cas(va, MemOp::unpack(memop), expected, new)
}

extern "C" fn look<C: Cpu>(core: *mut Core, _: u64, _: u64, _: u64) -> u64 {
    u64::from(cpu::<C>(core).wants_look())
}
