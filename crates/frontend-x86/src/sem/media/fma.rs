//! Fused multiply-add.

use lyrebird_fp::x86::sse::{self, Env, Fma};
use lyrebird_fp::{F32, F64};
use lyrebird_isa::{Emit, FUn, Helper, MemOp, Part, Sem, Size, Sound, V128, Visitor, host};

use super::host::float;
use super::inline::{Reach, clear_upper};
use super::lanes::{lane, make, with};
use super::{Half, Op, Row, What, place, rows, run};
use crate::X86Cpu;
use crate::decode::Insn;
use crate::operand::{Gpr, Mem};
use crate::sem::Decoded;

/// `d`, `a` and `b` as the mnemonic orders them: first factor, second factor, addend.
const O132: [usize; 3] = [0, 2, 1];
const O213: [usize; 3] = [1, 0, 2];
const O231: [usize; 3] = [1, 2, 0];

fn one32(e: &mut Env, x: &Half, o: [usize; 3], k: Fma, i: usize) -> u32 {
    let v = [x.c, x.a, x.b].map(|v| lane::<u32>(v, i));
    sse::fma::<F32>(e, k, v[o[0]], v[o[1]], v[o[2]])
}

fn one64(e: &mut Env, x: &Half, o: [usize; 3], k: Fma, i: usize) -> u64 {
    let v = [x.c, x.a, x.b].map(|v| v.0[i]);
    sse::fma::<F64>(e, k, v[o[0]], v[o[1]], v[o[2]])
}

/// Even elements in the first way, odd ones in the second.
fn packed32(e: &mut Env, x: &Half, o: [usize; 3], k: [Fma; 2]) -> V128 {
    make::<u32>(|i| one32(e, x, o, k[i & 1], i))
}

fn packed64(e: &mut Env, x: &Half, o: [usize; 3], k: [Fma; 2]) -> V128 {
    make::<u64>(|i| one64(e, x, o, k[i & 1], i))
}

macro_rules! all {
    ([$($ps:ident $pd:ident $ss:ident $sd:ident $o:ident $k:ident;)*] [$($aps:ident $apd:ident $ao:ident $even:ident $odd:ident;)*]) => {
        rows! {
            $(
                INVALID $ps FpHalf |e, x| packed32(e, x, $o, [Fma::$k; 2]);
                INVALID $pd FpHalf |e, x| packed64(e, x, $o, [Fma::$k; 2]);
                INVALID $ss FpHalf |e, x| with::<u32>(x.c, 0, one32(e, x, $o, Fma::$k, 0));
                INVALID $sd FpHalf |e, x| with::<u64>(x.c, 0, one64(e, x, $o, Fma::$k, 0));
            )*
            $(
                INVALID $aps FpHalf |e, x| packed32(e, x, $ao, [Fma::$even, Fma::$odd]);
                INVALID $apd FpHalf |e, x| packed64(e, x, $ao, [Fma::$even, Fma::$odd]);
            )*
        }
    };
}

pub(super) const ROWS: &[Row] = all! {
    [
    Vfmadd132ps Vfmadd132pd Vfmadd132ss Vfmadd132sd O132 MADD;
    Vfmadd213ps Vfmadd213pd Vfmadd213ss Vfmadd213sd O213 MADD;
    Vfmadd231ps Vfmadd231pd Vfmadd231ss Vfmadd231sd O231 MADD;
    Vfmsub132ps Vfmsub132pd Vfmsub132ss Vfmsub132sd O132 MSUB;
    Vfmsub213ps Vfmsub213pd Vfmsub213ss Vfmsub213sd O213 MSUB;
    Vfmsub231ps Vfmsub231pd Vfmsub231ss Vfmsub231sd O231 MSUB;
    Vfnmadd132ps Vfnmadd132pd Vfnmadd132ss Vfnmadd132sd O132 NMADD;
    Vfnmadd213ps Vfnmadd213pd Vfnmadd213ss Vfnmadd213sd O213 NMADD;
    Vfnmadd231ps Vfnmadd231pd Vfnmadd231ss Vfnmadd231sd O231 NMADD;
    Vfnmsub132ps Vfnmsub132pd Vfnmsub132ss Vfnmsub132sd O132 NMSUB;
    Vfnmsub213ps Vfnmsub213pd Vfnmsub213ss Vfnmsub213sd O213 NMSUB;
    Vfnmsub231ps Vfnmsub231pd Vfnmsub231ss Vfnmsub231sd O231 NMSUB;
    ] [
    Vfmaddsub132ps Vfmaddsub132pd O132 MSUB MADD;
    Vfmaddsub213ps Vfmaddsub213pd O213 MSUB MADD;
    Vfmaddsub231ps Vfmaddsub231pd O231 MSUB MADD;
    Vfmsubadd132ps Vfmsubadd132pd O132 MADD MSUB;
    Vfmsubadd213ps Vfmsubadd213pd O213 MADD MSUB;
    Vfmsubadd231ps Vfmsubadd231pd O231 MADD MSUB;
    ]
};

/// What the first rows do, by their order: in threes of [`O132`], [`O213`] and [`O231`], of four forms each.
const KINDS: [Fma; 4] = [Fma::MADD, Fma::MSUB, Fma::NMADD, Fma::NMSUB];

/// One of [`KINDS`] on the host's unit; `op` is that of the row, which takes what the host leaves.
#[derive(Clone, Copy, Debug)]
struct Fused<const D: bool, const SCALAR: bool> {
    d: u8,
    a: u8,
    b: u8,
    op: Op,
    reach: Reach,
}

impl<const D: bool, const SCALAR: bool> Sem<X86Cpu> for Fused<D, SCALAR> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let b = e.vreg(self.b);
        let hi = (self.reach == Reach::Vex256).then(|| e.vreg(16 + self.b));
        fused::<D, SCALAR, E>(e, [self.d, self.a, self.b], [Some(b), hi], self.op)
    }
}

/// The same with the third source in memory. Destination and second source are the memory operand's registers.
#[derive(Clone, Copy, Debug)]
struct FusedMem<const D: bool, const SCALAR: bool> {
    m: Mem,
    op: Op,
    reach: Reach,
}

impl<const D: bool, const SCALAR: bool> Sem<X86Cpu> for FusedMem<D, SCALAR> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let size = match (SCALAR, D) {
            (true, false) => Size::B4,
            (true, true) => Size::B8,
            (false, _) => Size::B16,
        };
        let wide = self.reach == Reach::Vex256;
        let va = self.m.linear(e, if wide { 32 } else { size.bytes() }, false)?;
        let b = e.vload(MemOp::new(size), va)?;
        let hi = if wide {
            let va = e.add_imm(va, 16);
            Some(e.vload(MemOp::new(size), va)?)
        } else {
            None
        };
        fused::<D, SCALAR, E>(e, [self.m.reg.0, self.m.reg2.0, place::VALUE], [Some(b), hi], self.op)
    }
}

#[inline(always)]
fn fused<const D: bool, const SCALAR: bool, E: Emit<Cpu = X86Cpu>>(
    e: &mut E,
    [d, a, b]: [u8; 3],
    v: [Option<E::Vec>; 2],
    op: Op,
) -> Result<(), E::Fault> {
    let (f, part, row) = (float(D), if SCALAR { Part::Low } else { Part::All }, usize::from(op & 0xff));
    let (kind, order) = (KINDS[(row / 12) & 3], [O132, O213, O231][row / 4 % 3]);
    let one = |e: &mut E, n: u8, b: E::Vec| {
        let v = [e.vreg(n + d), e.vreg(n + a), b];
        let [x, mut y, mut z] = order.map(|i| v[i]);
        if kind.neg_product {
            y = e.fun(FUn::Neg, f, part, y);
        }
        if kind.neg_addend {
            z = e.fun(FUn::Neg, f, part, z);
        }
        // The host has form 213, in which the second operand comes first where there are several NaNs.
        let r = e.fma(f, part, y, x, z);
        (r, if SCALAR { e.vmerge(f.lane(), v[0], r) } else { r })
    };
    let [Some(lo), hi] = v else { return Ok(()) };
    let (r, merged) = one(e, 0, lo);
    if let Some(hi) = hi {
        let (_, hi) = one(e, 16, hi);
        e.set_vreg(d, merged);
        e.set_vreg(16 + d, hi);
        return Ok(());
    }
    if kind == Fma::MADD {
        e.set_vreg(d, merged);
    } else {
        // The instruction leaves a NaN its sign.
        let ok = e.fsound(Sound::Number, f, part, r);
        let w = What { d, a, b, imm: 0, flags: 0, op };
        let args = [e.imm(w.pack()), e.vec_lo(lo), e.vec_hi(lo)];
        e.set_vreg_or(ok, d, merged, Helper::fp("media", run), args)?;
    }
    clear_upper(e, d);
    Ok(())
}

/// Picks the `Sem` of an instruction of this file, if the host is to compute it.
pub(super) fn decode<V: Visitor<X86Cpu>>(x: &Insn<'_>, op: Op, v: V) -> Decoded<V> {
    let row = usize::from(op & 0xff);
    let ours = super::TABLES.get(usize::from(op >> 8)).is_some_and(|t| std::ptr::eq(*t, ROWS));
    if !ours || row >= 12 * KINDS.len() || !x.mode.sse_host() || !host::has_fma() {
        return Err(v);
    }
    let reach = if x.i.op_register(0).is_ymm() { Reach::Vex256 } else { Reach::Vex128 };
    if reach == Reach::Vex256 && row >= 12 {
        // Of two results the helper writes neither alone.
        return Err(v);
    }
    let (d, a) = (x.number(0), x.number(1));
    // PS, PD, SS, SD.
    super::host::flags!(row & 1 != 0, row & 2 != 0 => |D, S| if x.is_mem(2) {
        Ok(v.visit(FusedMem::<D, S> { m: x.mem().with(Gpr(d)).with2(Gpr(a)), op, reach }))
    } else {
        Ok(v.visit(Fused::<D, S> { d, a, b: x.number(2), op, reach }))
    })
}
