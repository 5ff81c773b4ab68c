//! NaN operands and NaN results (SDM Vol. 1, table 4-7).

use super::env::Env;
use crate::format::Format;
use crate::num::Num;
use crate::x86::Exceptions;

/// The QNaN floating-point indefinite.
#[inline(always)]
pub(super) fn indefinite<F: Format>() -> F::Bits {
    F::join(true, F::EXP_MAX, F::QUIET)
}

/// The indefinite as the result of an invalid operation.
#[cold]
pub(super) fn invalid<F: Format>(env: &mut Env) -> F::Bits {
    env.raise(Exceptions::IE);
    indefinite::<F>()
}

/// The first NaN among the operands, quieted. Any signalling one is invalid.
#[cold]
pub(super) fn propagate<F: Format, const N: usize>(env: &mut Env, ops: [(Num, F::Bits); N]) -> F::Bits {
    if ops.iter().any(|(n, _)| n.is_signalling()) {
        env.raise(Exceptions::IE);
    }
    match ops.iter().find(|(n, _)| n.is_nan()) {
        Some((n, _)) => F::join(n.sign, F::EXP_MAX, n.sig | F::QUIET),
        None => indefinite::<F>(),
    }
}
