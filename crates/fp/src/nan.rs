//! NaN operands and NaN results.

use crate::env::{Env, Flags};
use crate::format::Format;
use crate::num::{Class, Num};

/// The default NaN as the result of an invalid operation.
#[cold]
pub(crate) fn invalid<F: Format>(env: &mut Env) -> F::Bits {
    env.raise(Flags::INVALID);
    F::default_nan()
}

/// A NaN operand as result: quieted, or replaced by the default NaN (`FPProcessNaN`).
#[cold]
pub(crate) fn process_nan<F: Format>(env: &mut Env, n: Num, v: F::Bits) -> F::Bits {
    if n.is_signalling() {
        env.raise(Flags::INVALID);
    }
    if env.policy.default_nan {
        return F::default_nan();
    }
    let (sign, exp, frac) = F::split(v);
    F::join(sign, exp, frac | F::QUIET)
}

/// The result of an operation with at least one NaN among its operands, which are given in order of
/// precedence (`FPProcessNaNs`, `FPProcessNaNs3`).
#[cold]
pub(crate) fn process_nans<F: Format, const N: usize>(env: &mut Env, ops: [(Num, F::Bits); N]) -> F::Bits {
    let first = |class| ops.iter().copied().find(|(n, _)| n.class == class);
    match first(Class::Signalling).or_else(|| first(Class::Quiet)) {
        Some((n, v)) => process_nan::<F>(env, n, v),
        None => F::default_nan(),
    }
}
