//! Arithmetic, comparison, rounding and estimates in single and double precision.

use lyrebird_fp::x86::sse::{self, Env};
use lyrebird_fp::{F32, F64, Ordering};
use lyrebird_isa::V128;

use super::lanes::{lane, make, map, with, zip};
use super::{Half, Row, flag_word, rows};

/// Packed and scalar forms of a function of two elements.
macro_rules! binary {
    ($($ps:ident $vps:ident $pd:ident $vpd:ident $ss:ident $vss:ident $sd:ident $vsd:ident $f:ident;)*; $($rest:tt)*) => {
        rows! {
            $(
                $ps $vps FpHalf |e, x| zip::<u32>(x.a, x.b, |a, b| sse::$f::<F32>(e, a, b));
                $pd $vpd FpHalf |e, x| zip::<u64>(x.a, x.b, |a, b| sse::$f::<F64>(e, a, b));
                $ss $vss FpHalf |e, x| with::<u32>(x.a, 0, sse::$f::<F32>(e, lane(x.a, 0), lane(x.b, 0)));
                $sd $vsd FpHalf |e, x| with::<u64>(x.a, 0, sse::$f::<F64>(e, x.a.0[0], x.b.0[0]));
            )*
            $($rest)*
        }
    };
}

pub(super) const ROWS: &[Row] = binary! {
    Addps Vaddps Addpd Vaddpd Addss Vaddss Addsd Vaddsd add;
    Subps Vsubps Subpd Vsubpd Subss Vsubss Subsd Vsubsd sub;
    Mulps Vmulps Mulpd Vmulpd Mulss Vmulss Mulsd Vmulsd mul;
    Divps Vdivps Divpd Vdivpd Divss Vdivss Divsd Vdivsd div;
    Minps Vminps Minpd Vminpd Minss Vminss Minsd Vminsd min;
    Maxps Vmaxps Maxpd Vmaxpd Maxss Vmaxss Maxsd Vmaxsd max;
    ;
    Sqrtps Vsqrtps FpHalf |e, x| map::<u32>(x.b, |v| sse::sqrt::<F32>(e, v));
    Sqrtpd Vsqrtpd FpHalf |e, x| map::<u64>(x.b, |v| sse::sqrt::<F64>(e, v));
    Sqrtss Vsqrtss FpHalf |e, x| with::<u32>(x.a, 0, sse::sqrt::<F32>(e, lane(x.b, 0)));
    Sqrtsd Vsqrtsd FpHalf |e, x| with::<u64>(x.a, 0, sse::sqrt::<F64>(e, x.b.0[0]));
    Rcpps Vrcpps Half |x| map::<u32>(x.b, sse::rcp);
    Rcpss Vrcpss Half |x| with::<u32>(x.a, 0, sse::rcp(lane(x.b, 0)));
    Rsqrtps Vrsqrtps Half |x| map::<u32>(x.b, sse::rsqrt);
    Rsqrtss Vrsqrtss Half |x| with::<u32>(x.a, 0, sse::rsqrt(lane(x.b, 0)));
    Cmpps Vcmpps FpHalf |e, x| zip::<u32>(x.a, x.b, |a, b| compared32(e, a, b, x.imm));
    Cmppd Vcmppd FpHalf |e, x| zip::<u64>(x.a, x.b, |a, b| compared64(e, a, b, x.imm));
    Cmpss Vcmpss FpHalf |e, x| with::<u32>(x.a, 0, compared32(e, lane(x.a, 0), lane(x.b, 0), x.imm));
    Cmpsd Vcmpsd FpHalf |e, x| with::<u64>(x.a, 0, compared64(e, x.a.0[0], x.b.0[0], x.imm));
    Comiss Vcomiss FpFlags |e, x| flags(sse::compare::<F32>(e, lane(x.a[0], 0), lane(x.b[0], 0), true));
    Ucomiss Vucomiss FpFlags |e, x| flags(sse::compare::<F32>(e, lane(x.a[0], 0), lane(x.b[0], 0), false));
    Comisd Vcomisd FpFlags |e, x| flags(sse::compare::<F64>(e, x.a[0].0[0], x.b[0].0[0], true));
    Ucomisd Vucomisd FpFlags |e, x| flags(sse::compare::<F64>(e, x.a[0].0[0], x.b[0].0[0], false));
    Roundps Vroundps FpHalf |e, x| map::<u32>(x.b, |v| sse::round_int::<F32>(e, v, x.imm));
    Roundpd Vroundpd FpHalf |e, x| map::<u64>(x.b, |v| sse::round_int::<F64>(e, v, x.imm));
    Roundss Vroundss FpHalf |e, x| with::<u32>(x.a, 0, sse::round_int::<F32>(e, lane(x.b, 0), x.imm));
    Roundsd Vroundsd FpHalf |e, x| with::<u64>(x.a, 0, sse::round_int::<F64>(e, x.b.0[0], x.imm));
    Haddps Vhaddps FpHalf |e, x| pairs32(x, |a, b| sse::add::<F32>(e, a, b));
    Haddpd Vhaddpd FpHalf |e, x| pairs64(x, |a, b| sse::add::<F64>(e, a, b));
    Hsubps Vhsubps FpHalf |e, x| pairs32(x, |a, b| sse::sub::<F32>(e, a, b));
    Hsubpd Vhsubpd FpHalf |e, x| pairs64(x, |a, b| sse::sub::<F64>(e, a, b));
    Addsubps Vaddsubps FpHalf |e, x| make::<u32>(|i| {
        let f = if i & 1 == 0 { sse::sub::<F32> } else { sse::add::<F32> };
        f(e, lane(x.a, i), lane(x.b, i))
    });
    Addsubpd Vaddsubpd FpHalf |e, x| {
        V128([sse::sub::<F64>(e, x.a.0[0], x.b.0[0]), sse::add::<F64>(e, x.a.0[1], x.b.0[1])])
    };
    Dpps Vdpps FpHalf dot32;
    Dppd Vdppd FpHalf dot64;
};

fn compared32(e: &mut Env, a: u32, b: u32, imm: u8) -> u32 {
    if sse::cmp::<F32>(e, a, b, imm) { !0 } else { 0 }
}

fn compared64(e: &mut Env, a: u64, b: u64, imm: u8) -> u64 {
    if sse::cmp::<F64>(e, a, b, imm) { !0 } else { 0 }
}

/// The flags of COMISS and its kin, and of FCOMI.
pub fn flags(o: Ordering) -> u64 {
    match o {
        Ordering::Unordered => flag_word(true, true, true),
        Ordering::Greater => flag_word(false, false, false),
        Ordering::Less => flag_word(false, false, true),
        Ordering::Equal => flag_word(true, false, false),
    }
}

fn pairs32(x: &Half, mut f: impl FnMut(u32, u32) -> u32) -> V128 {
    make::<u32>(|i| {
        let v = if i < 2 { x.a } else { x.b };
        f(lane(v, 2 * i), lane(v, 2 * i + 1))
    })
}

fn pairs64(x: &Half, mut f: impl FnMut(u64, u64) -> u64) -> V128 {
    V128([f(x.a.0[0], x.a.0[1]), f(x.b.0[0], x.b.0[1])])
}

/// Products that the immediate's upper bits choose, summed in pairs, to where its lower bits say. What is unmasked in
/// one step keeps the next from being taken, with its exceptions (SDM Vol. 2, DPPS).
fn dot32(e: &mut Env, x: &Half) -> V128 {
    let p: [u32; 4] = std::array::from_fn(|i| {
        if x.imm >> (4 + i) & 1 != 0 { sse::mul::<F32>(e, lane(x.a, i), lane(x.b, i)) } else { 0 }
    });
    if e.blocked() {
        return V128::default();
    }
    // Each element has sums of its own, which shows where there is more than one NaN.
    let pairs: [u32; 4] = std::array::from_fn(|i| sse::add::<F32>(e, p[i ^ 1], p[i]));
    if e.blocked() {
        return V128::default();
    }
    let sums: [u32; 4] = std::array::from_fn(|i| sse::add::<F32>(e, pairs[i], pairs[i ^ 2]));
    make::<u32>(|i| if x.imm >> i & 1 != 0 { sums[i] } else { 0 })
}

fn dot64(e: &mut Env, x: &Half) -> V128 {
    let p: [u64; 2] = std::array::from_fn(|i| {
        if x.imm >> (4 + i) & 1 != 0 { sse::mul::<F64>(e, x.a.0[i], x.b.0[i]) } else { 0 }
    });
    if e.blocked() {
        return V128::default();
    }
    let sums: [u64; 2] = std::array::from_fn(|i| sse::add::<F64>(e, p[i], p[i ^ 1]));
    make::<u64>(|i| if x.imm >> i & 1 != 0 { sums[i] } else { 0 })
}
