//! The helpers that apply an operation to registers, and the one `Sem` type that calls them.

use lyrebird_fp::{Env, Round};
use lyrebird_isa::host::quiet;
use lyrebird_isa::{Emit, Helper, Sem, V128};

use super::ops::{Arg, Elem, FpOp};
use crate::ArmCpu;

/// Register numbers and constants of an instruction, packed into one helper argument: Vd, Vn, Vm and the
/// addend's register in a byte each, then the number of lanes, the index of Vm's element (0xff: the lane's own),
/// and [`Arg`].
#[derive(Clone, Copy, Debug)]
pub struct Operands(pub u64);

impl Operands {
    /// One lane of up to two registers.
    pub const fn new(d: u32, n: u32, m: u32) -> Operands {
        Operands(d as u64 | (n as u64) << 8 | (m as u64) << 16).lanes(1).element(0xff)
    }

    /// With an addend.
    pub const fn addend(self, c: u32) -> Operands {
        Operands(self.0 | (c as u64) << 24)
    }

    /// With a number of lanes.
    pub const fn lanes(self, n: u32) -> Operands {
        Operands(self.0 & !(0xff << 32) | (n as u64) << 32)
    }

    /// With one element of Vm for all lanes.
    pub const fn element(self, i: u32) -> Operands {
        Operands(self.0 & !(0xff << 40) | (i as u64) << 40)
    }

    /// With a constant.
    pub const fn arg(self, a: Arg) -> Operands {
        Operands(self.0 | (a.0 as u64) << 48)
    }

    #[inline(always)]
    pub(super) fn byte(self, i: u32) -> usize {
        (self.0 >> (8 * i)) as usize & 0xff
    }

    #[inline(always)]
    fn reg(self, i: u32) -> usize {
        self.byte(i) & 31
    }

    /// The constant.
    #[inline(always)]
    pub fn get_arg(self) -> Arg {
        Arg((self.0 >> 48) as u16)
    }

    /// The index of Vm's element.
    #[inline(always)]
    pub fn element_index(self) -> Option<u8> {
        let i = self.byte(5) as u8;
        (i != 0xff).then_some(i)
    }

    /// Vd.
    #[inline(always)]
    pub fn d(self) -> usize {
        self.reg(0)
    }

    /// Vn.
    #[inline(always)]
    pub fn n(self) -> usize {
        self.reg(1)
    }

    /// Vm.
    #[inline(always)]
    pub fn m(self) -> usize {
        self.reg(2)
    }

    /// The addend.
    #[inline(always)]
    pub fn c(self) -> usize {
        self.reg(3)
    }
}

impl ArmCpu {
    /// The environment that FPCR and FPSR describe.
    #[inline(always)]
    pub(crate) fn fp_env(&self) -> Env {
        // What the host holds of FPSR does not matter here: exceptions are added.
        Env::arm(self.fp.fpcr, self.fp.fpsr)
    }

    /// Accumulates exceptions in FPSR.
    #[inline(always)]
    pub(crate) fn fp_raise(&mut self, env: Env) {
        self.fp.fpsr |= env.flags.0 as u64;
    }
}

/// Element `i`, which wraps at the register's end.
#[inline(always)]
fn get<F: Elem>(v: V128, i: usize) -> F::Bits {
    let bit = i * F::BITS as usize;
    F::of(v.0[bit >> 6 & 1] >> (bit & 63))
}

/// Ors element `i` into a zero lane.
#[inline(always)]
fn put<F: Elem>(v: &mut V128, i: usize, e: F::Bits) {
    let bit = i * F::BITS as usize;
    v.0[bit >> 6 & 1] |= F::raw(e) << (bit & 63);
}

extern "C" fn scalar<F: Elem, O: FpOp>(cpu: &mut ArmCpu, p: u64, _: u64, _: u64) -> u64 {
    let p = Operands(p);
    let v = &cpu.core.vregs;
    let [a, b, c] = [p.n(), p.m(), p.c()].map(|r| F::of(v[r].0[0]));
    let mut env = cpu.fp_env();
    let r = quiet(|| O::run::<F>(&mut env, a, b, c, p.get_arg()));
    cpu.core.vregs[p.d()] = V128([F::raw(r), 0]);
    cpu.fp_raise(env);
    0
}

extern "C" fn lanes<F: Elem, O: FpOp>(cpu: &mut ArmCpu, p: u64, _: u64, _: u64) -> u64 {
    let p = Operands(p);
    let v = &cpu.core.vregs;
    let (n, m, c) = (v[p.n()], v[p.m()], v[p.c()]);
    let (count, element) = (p.byte(4), p.byte(5));
    let mut env = cpu.fp_env();
    let out = quiet(|| {
        let mut out = V128::default();
        for i in 0..count {
            let b = get::<F>(m, if element == 0xff { i } else { element });
            let r = O::run::<F>(&mut env, get::<F>(n, i), b, get::<F>(c, i), p.get_arg());
            put::<F>(&mut out, i, r);
        }
        out
    });
    cpu.core.vregs[p.d()] = out;
    cpu.fp_raise(env);
    0
}

/// Adjacent elements of Vm:Vn.
extern "C" fn pairs<F: Elem, O: FpOp>(cpu: &mut ArmCpu, p: u64, _: u64, _: u64) -> u64 {
    let p = Operands(p);
    let (n, m) = (cpu.core.vregs[p.n()], cpu.core.vregs[p.m()]);
    let count = p.byte(4);
    let mut env = cpu.fp_env();
    let out = quiet(|| {
        let mut out = V128::default();
        for i in 0..count {
            let (v, at) = if 2 * i < count { (n, 2 * i) } else { (m, 2 * i - count) };
            let r = O::run::<F>(&mut env, get::<F>(v, at), get::<F>(v, at + 1), F::zero(false), p.get_arg());
            put::<F>(&mut out, i, r);
        }
        out
    });
    cpu.core.vregs[p.d()] = out;
    cpu.fp_raise(env);
    0
}

/// The two or four elements of Vn, reduced pairwise (`Reduce`).
extern "C" fn reduce<F: Elem, O: FpOp>(cpu: &mut ArmCpu, p: u64, _: u64, _: u64) -> u64 {
    let p = Operands(p);
    let n = cpu.core.vregs[p.n()];
    let mut env = cpu.fp_env();
    let r = quiet(|| {
        let mut pair = |a, b| O::run::<F>(&mut env, a, b, F::zero(false), Arg::NONE);
        let lo = pair(get::<F>(n, 0), get::<F>(n, 1));
        if p.byte(4) == 4 {
            let hi = pair(get::<F>(n, 2), get::<F>(n, 3));
            pair(lo, hi)
        } else {
            lo
        }
    });
    cpu.core.vregs[p.d()] = V128([F::raw(r), 0]);
    cpu.fp_raise(env);
    0
}

/// Elements of `S` from Vn (from its upper half where the element index is 1) to as many of `D`, or of `D` to
/// the lower or upper half of Vd; `ODD`: rounded to odd.
extern "C" fn convert<S: Elem, D: Elem, const ODD: bool>(cpu: &mut ArmCpu, p: u64, _: u64, _: u64) -> u64 {
    let p = Operands(p);
    let n = cpu.core.vregs[p.n()];
    let (count, half) = (p.byte(4), p.byte(5) == 1);
    let mut env = cpu.fp_env();
    let mode = if ODD { Round::Odd } else { env.policy.round };
    let first = if half && S::BITS < D::BITS { count } else { 0 };
    let mut out = quiet(|| {
        let mut out = V128::default();
        for i in 0..count {
            let r = lyrebird_fp::convert::<S, D>(&mut env, get::<S>(n, first + i), mode);
            put::<D>(&mut out, i, r);
        }
        out
    });
    if half && S::BITS > D::BITS {
        out = V128([cpu.core.vregs[p.d()].0[0], out.0[0]]);
    }
    cpu.core.vregs[p.d()] = out;
    cpu.fp_raise(env);
    0
}

/// `O` on the lowest element, the rest of Vd zero.
pub const fn scalar_helper<F: Elem, O: FpOp>() -> &'static Helper<ArmCpu> {
    const { &Helper::fp(O::NAME, scalar::<F, O>) }
}

/// `O` lane by lane.
pub const fn lanes_helper<F: Elem, O: FpOp>() -> &'static Helper<ArmCpu> {
    const { &Helper::fp(O::NAME, lanes::<F, O>) }
}

/// `O` on adjacent elements.
pub const fn pairs_helper<F: Elem, O: FpOp>() -> &'static Helper<ArmCpu> {
    const { &Helper::fp(O::NAME, pairs::<F, O>) }
}

/// `O` over all elements.
pub const fn reduce_helper<F: Elem, O: FpOp>() -> &'static Helper<ArmCpu> {
    const { &Helper::fp(O::NAME, reduce::<F, O>) }
}

/// Conversion between formats.
pub const fn convert_helper<S: Elem, D: Elem, const ODD: bool>() -> &'static Helper<ArmCpu> {
    const { &Helper::fp(if ODD { "fcvtxn" } else { "fcvt" }, convert::<S, D, ODD>) }
}

/// An instruction that takes and leaves everything in vector registers and FPSR.
#[derive(Clone, Copy, Debug)]
pub struct FpCall {
    helper: &'static Helper<ArmCpu>,
    operands: u64,
}

impl FpCall {
    /// A call.
    pub const fn new(helper: &'static Helper<ArmCpu>, p: Operands) -> FpCall {
        FpCall { helper, operands: p.0 }
    }
}

impl Sem<ArmCpu> for FpCall {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let (p, z) = (e.imm(self.operands), e.imm(0));
        e.call(*self.helper, [p, z, z])?;
        Ok(())
    }
}
