//! The slow paths of verify mode: they answer from T0's log.

use lyrebird_isa::logged::{Access, Kind, SYS_OP};
use lyrebird_isa::{Core, MemOp, Rmw};

use crate::t1::SlowPaths;

/// What the compiled code's accesses are answered from. [`Core::engine`] points at it.
#[derive(Debug, Default)]
pub struct Replay {
    pub log: Vec<Access>,
    /// How many of it have been asked for.
    pub at: usize,
    pub mismatch: Option<String>,
}

impl Replay {
    fn next(
        &mut self,
        kind: Kind,
        va: u64,
        op: MemOp,
        with: [u64; 2],
        stored: Option<u128>,
    ) -> Option<Access> {
        if self.mismatch.is_some() {
            return None;
        }
        let got = self.log.get(self.at).copied();
        self.at += 1;
        let same = got.is_some_and(|a| {
            a.kind == kind
                && a.va == va
                && a.op == op
                && a.with == with
                && (a.fault || stored.is_none_or(|v| v == a.value))
        });
        if !same {
            self.mismatch = Some(format!(
                "memory access {} differs:\n  T0 {got:x?}\n  T1 {kind:?} va={va:#x} {op:?} with={with:x?} stored={stored:x?}",
                self.at - 1
            ));
            return None;
        }
        got
    }
}

/// Answers one access of compiled code.
#[inline]
fn answer(core: *mut Core, kind: Kind, va: u64, m: u64, with: [u64; 2], stored: Option<u128>) -> u128 {
    // SAFETY: compiled code passes the `Core` it was entered with, and `Verifier::run` has set `engine`.
    let (core, replay) = unsafe { (&mut *core, &mut *(*core).engine.cast::<Replay>()) };
    match replay.next(kind, va, MemOp::unpack(m), with, stored) {
        Some(a) if !a.fault => a.value,
        _ => {
            core.fault = 1;
            0
        }
    }
}

/// Leaves two words for compiled code.
fn put(out: *mut u64, v: [u64; 2]) {
    // SAFETY: compiled code passes room for two words.
    unsafe { out.cast::<[u64; 2]>().write_unaligned(v) };
}

fn faulted(core: *mut Core) -> bool {
    // SAFETY: as in `answer`.
    unsafe { (*core).fault != 0 }
}

fn narrow(m: u64, v: u64) -> u64 {
    MemOp::unpack(m).size.width().zext(v)
}

extern "C" fn load(core: *mut Core, va: u64, m: u64) -> u64 {
    answer(core, Kind::Load, va, m, [0; 2], None) as u64
}
extern "C" fn store(core: *mut Core, va: u64, m: u64, v: u64) {
    answer(core, Kind::Store, va, m, [0; 2], Some(narrow(m, v).into()));
}
extern "C" fn load_pair(core: *mut Core, va: u64, m: u64, out: *mut u64) {
    let lo = load(core, va, m);
    if !faulted(core) {
        let hi = load(core, va.wrapping_add(MemOp::unpack(m).size.bytes()), m);
        put(out, [lo, hi]);
    }
}
extern "C" fn store_pair(core: *mut Core, va: u64, m: u64, lo: u64, hi: u64) {
    store(core, va, m, lo);
    if !faulted(core) {
        store(core, va.wrapping_add(MemOp::unpack(m).size.bytes()), m, hi);
    }
}
extern "C" fn load128(core: *mut Core, va: u64, m: u64, out: *mut u64) {
    let v = answer(core, Kind::Load, va, m, [0; 2], None);
    put(out, [v as u64, (v >> 64) as u64]);
}
extern "C" fn store128(core: *mut Core, va: u64, m: u64, lo: u64, hi: u64) {
    answer(core, Kind::Store, va, m, [0; 2], Some(lo as u128 | (hi as u128) << 64));
}
extern "C" fn rmw(core: *mut Core, va: u64, m: u64, v: u64, op: u64) -> u64 {
    let op = Rmw::ALL.get(op as usize).copied().unwrap_or(Rmw::Swp);
    answer(core, Kind::Rmw(op), va, m, [narrow(m, v), 0], None) as u64
}
extern "C" fn cas(core: *mut Core, va: u64, m: u64, expected: u64, new: u64) -> u64 {
    answer(core, Kind::Cas, va, m, [narrow(m, expected), narrow(m, new)], None) as u64
}

extern "C" fn sys(core: *mut Core, a0: u64, a1: u64, a2: u64) -> u64 {
    answer(core, Kind::Sys, a0, SYS_OP.pack(), [a1, a2], None) as u64
}

/// Regions compiled for verify mode leave in front of what would ask.
extern "C" fn look(_: *mut Core, _: u64, _: u64, _: u64) -> u64 {
    1
}

/// The slow paths that answer from the log.
pub fn slow_paths() -> SlowPaths {
    SlowPaths { load, store, load_pair, store_pair, load128, store128, rmw, cas, look, sys: Some(sys) }
}
