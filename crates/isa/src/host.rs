//! The host's floating-point unit: arithmetic that leaves its exceptions in the host's status, and that status.
//!
//! Rust's own operators will not do: the compiler may fold, move or drop them, and takes the status for nobody's. All
//! operations here are single instructions that it neither knows nor moves.
//!
//! The host's control word stays what it is at rest. What the instructions raise is the guest's once it is collected
//! ([`Status`]); Rust code that computes on the way goes through [`quiet`].

#[cfg(target_arch = "x86_64")]
pub use x86::*;

#[cfg(not(target_arch = "x86_64"))]
pub use none::*;

/// Bits of a status as [`Status`] has them, which are MXCSR's.
pub mod flag {
    /// Invalid operation.
    pub const IE: u32 = 1 << 0;
    /// Denormal operand.
    pub const DE: u32 = 1 << 1;
    /// Division by zero.
    pub const ZE: u32 = 1 << 2;
    /// Overflow.
    pub const OE: u32 = 1 << 3;
    /// Underflow: tiny after rounding, and inexact.
    pub const UE: u32 = 1 << 4;
    /// Inexact.
    pub const PE: u32 = 1 << 5;
    /// All of them.
    pub const ALL: u32 = 0x3f;
}

/// Whose the host's status is. While guest code runs, what it holds is the guest's, and a part of what the guest's
/// own register has to show.
#[derive(Clone, Copy, Debug, Default)]
pub struct Status {
    open: bool,
}

impl Status {
    /// Guest code is about to run on this thread, and has raised `so_far`. False if it is running already.
    #[inline]
    pub fn enter(&mut self, so_far: u32) -> bool {
        if self.open {
            return false;
        }
        self.open = true;
        // Flags that it has anyway need not be cleared, which takes longer than looking.
        if read_status() & !so_far != 0 {
            clear_status();
        }
        true
    }

    /// What guest code has raised since it was entered or the status was cleared. Nothing, where none is running.
    #[inline]
    pub fn raised(&self) -> u32 {
        if self.open { read_status() } else { 0 }
    }

    /// The guest has cleared flags: nothing is raised.
    #[inline]
    pub fn clear(&self) {
        if self.open && read_status() != 0 {
            clear_status();
        }
    }

    /// Guest code has returned, and [`Status::raised`] been collected.
    #[inline]
    pub fn leave(&mut self) {
        self.open = false;
    }
}

/// Calls `f`, whose own arithmetic leaves no trace in the host's status.
#[inline(always)]
pub fn quiet<R>(f: impl FnOnce() -> R) -> R {
    let before = read_status();
    // The result exists before the status is looked at again.
    let r = std::hint::black_box(f());
    restore_status(before);
    r
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::asm;
    use std::arch::x86_64::__m128d;
    use std::mem::transmute;

    use super::flag;
    use crate::float::{FBin, FCc, FUn, Float, Part, Relation, Rounding};

    /// MXCSR at rest: round to nearest, all exceptions masked, no flag.
    const AT_REST: u32 = 0x1f80;

    #[inline(always)]
    fn mxcsr() -> u32 {
        let mut v = 0u32;
        // SAFETY: stores MXCSR to `v`.
        unsafe { asm!("stmxcsr [{}]", in(reg) &raw mut v, options(nostack, preserves_flags)) };
        v
    }

    #[inline(always)]
    fn set_mxcsr(v: u32) {
        // SAFETY: loads MXCSR with a value that differs from the one at rest in status flags alone.
        unsafe { asm!("ldmxcsr [{}]", in(reg) &raw const v, options(nostack)) };
    }

    /// The status flags.
    #[inline(always)]
    pub fn read_status() -> u32 {
        mxcsr() & flag::ALL
    }

    /// Clears the status flags.
    #[inline(always)]
    pub fn clear_status() {
        set_mxcsr(AT_REST);
    }

    /// Makes the status flags `flags` again, of which none has been cleared meanwhile.
    #[inline(always)]
    pub fn restore_status(flags: u32) {
        if read_status() != flags {
            set_mxcsr(AT_REST | flags);
        }
    }

    /// Whether [`fma`] may be used.
    #[inline]
    pub fn has_fma() -> bool {
        std::arch::is_x86_feature_detected!("fma")
    }

    /// Whether [`fun`] rounds to integral values.
    #[inline]
    pub fn has_rounding() -> bool {
        std::arch::is_x86_feature_detected!("sse4.1")
    }

    #[inline(always)]
    fn pd(v: u128) -> __m128d {
        // SAFETY: both are 128 bits without invalid patterns.
        unsafe { transmute::<u128, __m128d>(v) }
    }

    #[inline(always)]
    fn from_pd(v: __m128d) -> u128 {
        // SAFETY: both are 128 bits without invalid patterns.
        unsafe { transmute::<__m128d, u128>(v) }
    }

    /// `dst op src` of two vectors, the low lanes for a scalar instruction; what of the text comes behind them.
    macro_rules! two {
        ($insn:literal, $a:expr, $b:expr $(, $imm:literal)?) => {{
            let mut r = pd($a);
            // SAFETY: a register-to-register instruction of SSE2, or of an extension that is there by its caller's contract.
            unsafe {
                asm!(concat!($insn, " {r}, {b}" $(, $imm)?), r = inout(xmm_reg) r, b = in(xmm_reg) pd($b),
                    options(nomem, nostack))
            };
            from_pd(r)
        }};
    }

    /// The low lane of `v`, zeros above.
    #[inline(always)]
    fn low(f: Float, v: u128) -> u128 {
        match f {
            Float::S => v & 0xffff_ffff,
            Float::D => v as u64 as u128,
        }
    }

    /// The lanes in `p`, zeros above.
    #[inline(always)]
    fn lanes(f: Float, p: Part, v: u128) -> u128 {
        if p == Part::Low { low(f, v) } else { v }
    }

    macro_rules! by_shape {
        ($f:expr, $p:expr, $a:expr, $b:expr; $ss:literal $sd:literal $ps:literal $pd:literal $(; $imm:literal)?) => {
            match ($f, $p) {
                (Float::S, Part::Low) => low(Float::S, two!($ss, $a, $b $(, $imm)?)),
                (Float::D, Part::Low) => low(Float::D, two!($sd, $a, $b $(, $imm)?)),
                (Float::S, Part::All) => two!($ps, $a, $b $(, $imm)?),
                (Float::D, Part::All) => two!($pd, $a, $b $(, $imm)?),
            }
        };
    }

    /// Two-operand arithmetic.
    #[inline(always)]
    pub fn fbin(op: FBin, f: Float, p: Part, a: u128, b: u128) -> u128 {
        match op {
            FBin::Add => by_shape!(f, p, a, b; "addss" "addsd" "addps" "addpd"),
            FBin::Sub => by_shape!(f, p, a, b; "subss" "subsd" "subps" "subpd"),
            FBin::Mul => by_shape!(f, p, a, b; "mulss" "mulsd" "mulps" "mulpd"),
            FBin::Div => by_shape!(f, p, a, b; "divss" "divsd" "divps" "divpd"),
            FBin::Min => by_shape!(f, p, a, b; "minss" "minsd" "minps" "minpd"),
            FBin::Max => by_shape!(f, p, a, b; "maxss" "maxsd" "maxps" "maxpd"),
            FBin::Minimum | FBin::Maximum => {
                // A quiet NaN must not get there; the second is what zeros come to.
                let ordered = fcmp(FCc::Or, f, p, a, b);
                let (x, y) = (a & ordered, b & ordered);
                let r = if op == FBin::Minimum {
                    by_shape!(f, p, x, y; "minss" "minsd" "minps" "minpd")
                        | by_shape!(f, p, y, x; "minss" "minsd" "minps" "minpd")
                } else {
                    by_shape!(f, p, x, y; "maxss" "maxsd" "maxps" "maxpd")
                        & by_shape!(f, p, y, x; "maxss" "maxsd" "maxps" "maxpd")
                };
                r | lanes(f, p, !ordered)
            }
        }
    }

    /// To integral values. Only where [`has_rounding`].
    #[inline(always)]
    fn round(to: Rounding, exact: bool, f: Float, p: Part, a: u128) -> u128 {
        debug_assert!(has_rounding());
        macro_rules! by {
            ($imm:literal) => {
                by_shape!(f, p, 0, a; "roundss" "roundsd" "roundps" "roundpd"; $imm)
            };
        }
        match (to, exact) {
            (Rounding::Nearest, true) => by!(", 0"),
            (Rounding::Down, true) => by!(", 1"),
            (Rounding::Up, true) => by!(", 2"),
            (Rounding::Zero, true) => by!(", 3"),
            // Bit 3 keeps the precision exception away.
            (Rounding::Nearest, false) => by!(", 8"),
            (Rounding::Down, false) => by!(", 9"),
            (Rounding::Up, false) => by!(", 10"),
            (Rounding::Zero, false) => by!(", 11"),
        }
    }

    /// One-operand arithmetic.
    #[inline(always)]
    pub fn fun(op: FUn, f: Float, p: Part, a: u128) -> u128 {
        match (op, f, p) {
            (FUn::Sqrt, ..) => by_shape!(f, p, 0, a; "sqrtss" "sqrtsd" "sqrtps" "sqrtpd"),
            (FUn::Convert, Float::D, Part::Low) => low(f, two!("cvtss2sd", 0, a)),
            (FUn::Convert, Float::D, Part::All) => two!("cvtps2pd", 0, a),
            (FUn::Convert, Float::S, Part::Low) => low(f, two!("cvtsd2ss", 0, a)),
            (FUn::Convert, Float::S, Part::All) => two!("cvtpd2ps", 0, a),
            (FUn::FromInt32, Float::D, Part::All) => two!("cvtdq2pd", 0, a),
            (FUn::FromInt32, Float::S, Part::All) => two!("cvtdq2ps", 0, a),
            (FUn::FromInt32, Float::D, Part::Low) => low(f, two!("cvtdq2pd", 0, a as u32 as u128)),
            (FUn::FromInt32, Float::S, Part::Low) => low(f, two!("cvtdq2ps", 0, a as u32 as u128)),
            (FUn::ToInt32, Float::S, _) => two!("cvttps2dq", 0, lanes(f, p, a)),
            (FUn::ToInt32, Float::D, _) => two!("cvttpd2dq", 0, lanes(f, p, a)),
            (FUn::Round(to, exact), ..) => round(to, exact, f, p, a),
            (FUn::Neg, ..) => lanes(f, p, a) ^ f.signs(p),
            (FUn::Abs, ..) => lanes(f, p, a) & !f.signs(p),
        }
    }

    /// `a * b + c` with one rounding. Only where [`has_fma`].
    #[inline(always)]
    pub fn fma(f: Float, p: Part, a: u128, b: u128, c: u128) -> u128 {
        macro_rules! three {
            ($insn:literal) => {{
                let mut r = pd(a);
                // SAFETY: a register-to-register instruction, of an extension that is there by the contract above.
                unsafe {
                    asm!(concat!($insn, " {r}, {b}, {c}"), r = inout(xmm_reg) r, b = in(xmm_reg) pd(b),
                        c = in(xmm_reg) pd(c), options(nomem, nostack))
                };
                from_pd(r)
            }};
        }
        debug_assert!(has_fma());
        match (f, p) {
            (Float::S, Part::Low) => low(f, three!("vfmadd213ss")),
            (Float::D, Part::Low) => low(f, three!("vfmadd213sd")),
            (Float::S, Part::All) => three!("vfmadd213ps"),
            (Float::D, Part::All) => three!("vfmadd213pd"),
        }
    }

    /// All ones in the lanes where the relation holds; of the low lane alone, the rest is zero.
    #[inline(always)]
    pub fn fcmp(cc: FCc, f: Float, p: Part, a: u128, b: u128) -> u128 {
        match cc {
            FCc::Eq => by_shape!(f, p, a, b; "cmpeqss" "cmpeqsd" "cmpeqps" "cmpeqpd"),
            FCc::Lt => by_shape!(f, p, a, b; "cmpltss" "cmpltsd" "cmpltps" "cmpltpd"),
            FCc::Le => by_shape!(f, p, a, b; "cmpless" "cmplesd" "cmpleps" "cmplepd"),
            FCc::Un => by_shape!(f, p, a, b; "cmpunordss" "cmpunordsd" "cmpunordps" "cmpunordpd"),
            FCc::Ne => by_shape!(f, p, a, b; "cmpneqss" "cmpneqsd" "cmpneqps" "cmpneqpd"),
            FCc::Nlt => by_shape!(f, p, a, b; "cmpnltss" "cmpnltsd" "cmpnltps" "cmpnltpd"),
            FCc::Nle => by_shape!(f, p, a, b; "cmpnless" "cmpnlesd" "cmpnleps" "cmpnlepd"),
            FCc::Or => by_shape!(f, p, a, b; "cmpordss" "cmpordsd" "cmpordps" "cmpordpd"),
        }
    }

    /// Compares the low lanes; a quiet NaN is not invalid.
    #[inline(always)]
    pub fn relate(f: Float, a: u128, b: u128) -> Relation {
        let (parity, zero, carry): (u8, u8, u8);
        macro_rules! ucomis {
            ($insn:literal) => {
                // SAFETY: a register-to-register instruction of SSE2, and copies of flags.
                unsafe {
                    asm!(concat!($insn, " {a}, {b}"), "setp {p}", "sete {z}", "setb {c}",
                        a = in(xmm_reg) pd(a), b = in(xmm_reg) pd(b),
                        p = out(reg_byte) parity, z = out(reg_byte) zero, c = out(reg_byte) carry,
                        options(nomem, nostack))
                }
            };
        }
        match f {
            Float::S => ucomis!("ucomiss"),
            Float::D => ucomis!("ucomisd"),
        }
        match () {
            () if parity != 0 => Relation::Unordered,
            () if zero != 0 => Relation::Equal,
            () if carry != 0 => Relation::Less,
            () => Relation::Greater,
        }
    }

    /// A signed integer of 64 bits in the low lane.
    #[inline(always)]
    pub fn from_int(f: Float, v: i64) -> u128 {
        let mut r = pd(0);
        // SAFETY: instructions of SSE2 on registers.
        unsafe {
            match f {
                Float::S => {
                    asm!("cvtsi2ss {r}, {v}", r = inout(xmm_reg) r, v = in(reg) v, options(nomem, nostack))
                }
                Float::D => {
                    asm!("cvtsi2sd {r}, {v}", r = inout(xmm_reg) r, v = in(reg) v, options(nomem, nostack))
                }
            }
        }
        from_pd(r)
    }

    /// The low lane truncated to a signed integer of `wide`: 64, else 32 bits, zero-extended. It must fit.
    #[inline(always)]
    pub fn truncate(f: Float, wide: bool, v: u128) -> u64 {
        let (a, r): (__m128d, u64);
        a = pd(v);
        // SAFETY: instructions of SSE2 on registers.
        unsafe {
            match (f, wide) {
                (Float::S, false) => {
                    asm!("cvttss2si {r:e}, {a}", r = out(reg) r, a = in(xmm_reg) a, options(nomem, nostack))
                }
                (Float::D, false) => {
                    asm!("cvttsd2si {r:e}, {a}", r = out(reg) r, a = in(xmm_reg) a, options(nomem, nostack))
                }
                (Float::S, true) => {
                    asm!("cvttss2si {r}, {a}", r = out(reg) r, a = in(xmm_reg) a, options(nomem, nostack))
                }
                (Float::D, true) => {
                    asm!("cvttsd2si {r}, {a}", r = out(reg) r, a = in(xmm_reg) a, options(nomem, nostack))
                }
            }
        }
        r
    }
}

#[cfg(not(target_arch = "x86_64"))]
#[expect(missing_docs, reason = "stand-ins that nothing calls")]
mod none {
    //! No operations: [`crate::float::AVAILABLE`] is false, and front ends compute in software.

    use crate::float::{FBin, FCc, FUn, Float, Part, Relation};

    pub fn read_status() -> u32 {
        0
    }
    pub fn clear_status() {}
    pub fn restore_status(_: u32) {}
    pub fn has_fma() -> bool {
        false
    }
    pub fn has_rounding() -> bool {
        false
    }
    pub fn fbin(_: FBin, _: Float, _: Part, a: u128, _: u128) -> u128 {
        a
    }
    pub fn fun(_: FUn, _: Float, _: Part, a: u128) -> u128 {
        a
    }
    pub fn fma(_: Float, _: Part, a: u128, _: u128, _: u128) -> u128 {
        a
    }
    pub fn fcmp(_: FCc, _: Float, _: Part, a: u128, _: u128) -> u128 {
        a
    }
    pub fn relate(_: Float, _: u128, _: u128) -> Relation {
        Relation::Unordered
    }
    pub fn from_int(_: Float, v: i64) -> u128 {
        v as u128
    }
    pub fn truncate(_: Float, _: bool, v: u128) -> u64 {
        v as u64
    }
}
