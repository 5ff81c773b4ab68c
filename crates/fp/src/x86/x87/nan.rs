//! NaN operands and NaN results (SDM Vol. 1, table 4-7).

use super::env::Env;
use super::f80::F80;
use super::num::unpack;
use crate::num::Num;
use crate::x86::Exceptions;

/// The indefinite as the result of an invalid operation.
#[cold]
pub(super) fn invalid(env: &mut Env) -> F80 {
    env.raise(Exceptions::IE);
    F80::INDEFINITE
}

/// An operand, or the result if it is unsupported or a NaN.
#[inline(always)]
pub(super) fn operand(env: &mut Env, a: F80) -> Result<Num, F80> {
    match unpack(a) {
        Some(x) if !x.is_nan() => Ok(x),
        x => Err(propagate(env, [x, x])),
    }
}

/// Two operands, or the result if one is unsupported or a NaN.
#[inline(always)]
pub(super) fn operands(env: &mut Env, a: F80, b: F80) -> Result<(Num, Num), F80> {
    match (unpack(a), unpack(b)) {
        (Some(x), Some(y)) if !x.is_nan() && !y.is_nan() => Ok((x, y)),
        (x, y) => Err(propagate(env, [x, y])),
    }
}

#[cold]
fn propagate(env: &mut Env, ops: [Option<Num>; 2]) -> F80 {
    let [Some(x), Some(y)] = ops else { return invalid(env) };
    if x.is_signalling() || y.is_signalling() {
        env.raise(Exceptions::IE);
    }
    let first = match (x.is_nan(), y.is_nan()) {
        (true, false) => true,
        (false, true) => false,
        // A quiet one wins over a signalling one, else the larger significand, else the positive one.
        _ if x.class != y.class => y.is_signalling(),
        _ => (x.sig, !x.sign) >= (y.sig, !y.sign),
    };
    let n = if first { x } else { y };
    F80::new(n.sign, F80::EXP_MAX, n.sig | F80::QUIET)
}
