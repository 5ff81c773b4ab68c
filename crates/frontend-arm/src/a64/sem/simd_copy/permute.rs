//! EXT, ZIP, UZP, TRN, TBL, TBX: C7.2.43, C7.2.359 to C7.2.363, C7.2.391, C7.2.392, C7.2.403, C7.2.404.

use lyrebird_isa::{Bin, Emit, Helper, Sem, Visitor, Width};

use crate::ArmCpu;
use crate::a64::sem::simd_lane::{Ops, call, get, set};
use crate::a64::sem::undefined;
use crate::a64::word::Word;

/// EXT: bytes `index` and up of the concatenation `m:n`.
#[derive(Clone, Copy, Debug)]
pub struct Ext<const Q: bool> {
    d: u8,
    n: u8,
    m: u8,
    index: u8,
}

/// The doubleword `shift` bits up in `hi:lo`; `shift` is below 64.
#[inline(always)]
fn funnel<E: Emit>(e: &mut E, lo: E::Val, hi: E::Val, shift: u64) -> E::Val {
    if shift == 0 {
        return lo;
    }
    let (r, l) = (e.imm(shift), e.imm(64 - shift));
    let lo = e.bin(Bin::Shr, Width::W64, lo, r);
    let hi = e.bin(Bin::Shl, Width::W64, hi, l);
    e.bin(Bin::Or, Width::W64, lo, hi)
}

impl<const Q: bool> Sem<ArmCpu> for Ext<Q> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let (n, m) = (e.vreg(self.n), e.vreg(self.m));
        let (n0, m0) = (e.vec_lo(n), e.vec_lo(m));
        let shift = 8 * (self.index as u64 & 7);
        let r = if Q {
            let (n1, m1) = (e.vec_hi(n), e.vec_hi(m));
            let (a, b, c) = if self.index < 8 { (n0, n1, m0) } else { (n1, m0, m1) };
            let (lo, hi) = (funnel(e, a, b, shift), funnel(e, b, c, shift));
            e.vec(lo, hi)
        } else {
            let (lo, z) = (funnel(e, n0, m0, shift), e.imm(0));
            e.vec(lo, z)
        };
        e.set_vreg(self.d, r);
        Ok(())
    }
}

/// Constructor of EXT.
pub fn ext<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    let (d, n, m, index) = (w.d() as u8, w.n() as u8, w.m() as u8, w.bits(11, 4) as u8);
    match (w.bit(30), index) {
        (true, _) => v.visit(Ext::<true> { d, n, m, index }),
        (false, 0..=7) => v.visit(Ext::<false> { d, n, m, index }),
        _ => undefined::unallocated(w, pc, v),
    }
}

/// Builds the result lane by lane: `pick` gives, for a result lane and the number of lanes, the register
/// (false for Rn) and lane it comes from.
#[inline(always)]
fn shuffle<const SIZE: usize>(cpu: &mut ArmCpu, ops: Ops, pick: impl Fn(usize, usize) -> (bool, usize)) {
    let (n, m) = (get(cpu, ops.n()).to_le_bytes(), get(cpu, ops.m()).to_le_bytes());
    let mut r = [0u8; 16];
    let lanes = ops.bytes() as usize / SIZE;
    for i in 0..lanes {
        let (from_m, lane) = pick(i, lanes);
        let from = if from_m { &m } else { &n };
        r[i * SIZE..][..SIZE].copy_from_slice(&from[lane * SIZE..][..SIZE]);
    }
    set(cpu, ops.d(), u128::from_le_bytes(r));
}

extern "C" fn zip_lanes<const SIZE: usize>(cpu: &mut ArmCpu, ops: u64, part: u64, _: u64) -> u64 {
    shuffle::<SIZE>(cpu, Ops(ops), |i, lanes| (i % 2 == 1, i / 2 + (part as usize & 1) * lanes / 2));
    0
}

extern "C" fn uzp_lanes<const SIZE: usize>(cpu: &mut ArmCpu, ops: u64, part: u64, _: u64) -> u64 {
    shuffle::<SIZE>(cpu, Ops(ops), |i, lanes| {
        let from = 2 * i + (part as usize & 1);
        (from >= lanes, from % lanes)
    });
    0
}

extern "C" fn trn_lanes<const SIZE: usize>(cpu: &mut ArmCpu, ops: u64, part: u64, _: u64) -> u64 {
    shuffle::<SIZE>(cpu, Ops(ops), |i, _| (i % 2 == 1, (i & !1) + (part as usize & 1)));
    0
}

/// Declares a constructor that picks the helper for the element size; bit 14 is the part (1 or 2).
macro_rules! permute {
    ($ctor:ident, $doc:literal, $helper:ident) => {
        #[doc = $doc]
        pub fn $ctor<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
            let len = if w.bit(30) { 16 } else { 8 };
            let helper = match w.bits(22, 2) {
                0 => const { &Helper::fp(concat!(stringify!($ctor), "_b"), $helper::<1>) },
                1 => const { &Helper::fp(concat!(stringify!($ctor), "_h"), $helper::<2>) },
                2 => const { &Helper::fp(concat!(stringify!($ctor), "_s"), $helper::<4>) },
                _ if !w.bit(30) => return undefined::unallocated(w, pc, v),
                _ => const { &Helper::fp(concat!(stringify!($ctor), "_d"), $helper::<8>) },
            };
            call(v, helper, w, len, w.bits(14, 1))
        }
    };
}
permute!(zip, "Constructor of ZIP1 and ZIP2.", zip_lanes);
permute!(uzp, "Constructor of UZP1 and UZP2.", uzp_lanes);
permute!(trn, "Constructor of TRN1 and TRN2.", trn_lanes);

/// Table lookup in `regs` registers from Rn on. Out of range gives 0, or with `KEEP` leaves the byte.
extern "C" fn lookup<const KEEP: bool>(cpu: &mut ArmCpu, ops: u64, regs: u64, _: u64) -> u64 {
    let ops = Ops(ops);
    let mut table = [0u8; 64];
    let regs = (regs as usize).clamp(1, 4);
    for (i, t) in table.chunks_exact_mut(16).enumerate().take(regs) {
        t.copy_from_slice(&get(cpu, ops.n() + i).to_le_bytes());
    }
    let index = get(cpu, ops.m()).to_le_bytes();
    let mut r = if KEEP { get(cpu, ops.d()).to_le_bytes() } else { [0; 16] };
    for (r, &i) in r.iter_mut().zip(&index) {
        if (i as usize) < 16 * regs {
            *r = table[i as usize & 63];
        }
    }
    set(cpu, ops.d(), u128::from_le_bytes(r) & ops.mask());
    0
}

/// Constructor of TBL.
pub fn tbl<V: Visitor<ArmCpu>>(w: Word, _pc: u64, v: V) -> V::Out {
    let helper = const { &Helper::fp("tbl", lookup::<false>) };
    call(v, helper, w, if w.bit(30) { 16 } else { 8 }, w.bits(13, 2) + 1)
}

/// Constructor of TBX.
pub fn tbx<V: Visitor<ArmCpu>>(w: Word, _pc: u64, v: V) -> V::Out {
    let helper = const { &Helper::fp("tbx", lookup::<true>) };
    call(v, helper, w, if w.bit(30) { 16 } else { 8 }, w.bits(13, 2) + 1)
}
