//! FCOM, FUCOM, FTST and FXAM.

use super::env::Env;
use super::f80::F80;
use super::fast;
use super::num::{denormals, unpack};
use crate::compare::{Ordering, order};
use crate::num::Class;
use crate::x86::Exceptions;
use crate::x86::sse::outcome;

/// Compares. A quiet NaN is invalid only where `signalling` (FCOM, FCOMI and FTST are, FUCOM and FUCOMI are
/// not).
#[inline]
pub fn compare(env: &mut Env, a: F80, b: F80, signalling: bool) -> Ordering {
    let o = fast::compare(env, a, b).map(outcome);
    fast::or(env, o, |env| compare_soft(env, a, b, signalling))
}

pub(super) fn compare_soft(env: &mut Env, a: F80, b: F80, signalling: bool) -> Ordering {
    let (Some(x), Some(y)) = (unpack(a), unpack(b)) else {
        env.raise(Exceptions::IE);
        return Ordering::Unordered;
    };
    if x.is_nan() || y.is_nan() {
        if signalling || x.is_signalling() || y.is_signalling() {
            env.raise(Exceptions::IE);
        }
        return Ordering::Unordered;
    }
    denormals(env, [a, b]);
    outcome(order(x, y))
}

/// FXAM of a register that is not empty: C0 to C3 in their positions in the status word. (An empty one has
/// C3, C0 and the sign of what is in it.)
pub fn examine(a: F80) -> u16 {
    const C0: u16 = 1 << 8;
    const C2: u16 = 1 << 10;
    const C3: u16 = 1 << 14;
    let class = match unpack(a) {
        None => 0,
        Some(x) => match x.class {
            Class::Quiet | Class::Signalling => C0,
            Class::Inf => C2 | C0,
            Class::Zero => C3,
            Class::Finite if a.is_denormal() => C3 | C2,
            Class::Finite => C2,
        },
    };
    class | if a.sign() { Env::C1 } else { 0 }
}
