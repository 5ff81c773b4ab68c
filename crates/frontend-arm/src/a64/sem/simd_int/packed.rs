//! Operations that are inlined by what a value says of them: multiplications, long and wide forms, shifts by an
//! immediate that keep the sign, permutations, sums across lanes. They are too many for a type each, and tier 0, which
//! looks at the value each time, runs them seldom.

use lyrebird_isa::vector::{Bytes, lanes};
use lyrebird_isa::{Emit, Lane, Sem, VBin, VPair, VShift, VUn, Visitor};

use super::lanewise::{by_element, vector, vector_element};
use super::{long, three_same};
use crate::ArmCpu;
use crate::a64::sem::simd_lane::{size, vector_ok};
use crate::a64::sem::undefined;
use crate::a64::word::Word;

/// What is done. Of long forms the lanes are those of the narrow sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// MUL.
    Mul,
    /// MLA.
    Mla,
    /// MLS.
    Mls,
    /// SMULL, UMULL, then SMLAL and SMLSL and their kin, by signedness.
    Mull(bool),
    /// SMLAL, UMLAL.
    Mlal(bool),
    /// SMLSL, UMLSL.
    Mlsl(bool),
    /// SADDL, UADDL.
    Addl(bool),
    /// SSUBL, USUBL.
    Subl(bool),
    /// SADDW, UADDW.
    Addw(bool),
    /// SSUBW, USUBW.
    Subw(bool),
    /// SSHLL, USHLL by `imm`.
    Shll(bool),
    /// SSHR by `imm`.
    Sshr,
    /// SSRA by `imm`.
    Ssra,
    /// USRA by `imm`.
    Usra,
    /// USHR by `imm`.
    Ushr,
    /// SHL by `imm`.
    Shl,
    /// XTN, SHRN by `imm` to lanes half as wide as those of the source; the lane is the narrow one.
    Shrn,
    /// ADDP, SMAXP, SMINP, UMAXP, UMINP.
    Pair(VBin),
    /// CNT.
    Cnt,
    /// ABS.
    Abs,
    /// Bytes, halfwords or words reversed in containers of `imm` bytes.
    Rev,
    /// ZIP1, ZIP2.
    Zip(u8),
    /// UZP1, UZP2.
    Uzp(u8),
    /// TRN1, TRN2.
    Trn(u8),
    /// EXT from byte `imm` on.
    Ext,
    /// TBL of one register.
    Table,
    /// ADDV, SMAXV, SMINV, UMAXV, UMINV.
    Fold(VBin),
}

/// No element: each lane has its own.
const NONE: u8 = 0xff;

/// An operation on vector registers.
#[derive(Clone, Copy, Debug)]
pub struct Packed {
    op: Op,
    lane: Lane,
    d: u8,
    n: u8,
    m: u8,
    /// Immediate, or the index of Rm's lane that all lanes are combined with.
    imm: u8,
    /// Q.
    q: bool,
}

impl Packed {
    fn new(op: Op, lane: Lane, w: Word) -> Packed {
        Packed { op, lane, d: w.d() as u8, n: w.n() as u8, m: w.m() as u8, imm: NONE, q: w.bit(30) }
    }

    fn imm(self, imm: u32) -> Packed {
        Packed { imm: imm as u8, ..self }
    }

    /// The permutation of Rn, whose bytes come first, and Rm.
    fn bytes(&self, op: Op) -> Bytes {
        let len: u8 = if self.q { 16 } else { 8 };
        let size = self.lane.width().bits() as u8 / 8;
        // Lanes that count, and the first of Rm.
        let (n, m) = (len / size, 16 / size);
        match op {
            Op::Zip(part) => lanes(self.lane, |i| (i & 1) * m + (part * (n / 2) + i / 2) % m),
            Op::Uzp(part) => lanes(self.lane, |i| match 2 * i + part {
                k if k < n => k,
                k => m + (k - n) % m,
            }),
            Op::Trn(part) => lanes(self.lane, |i| (i & 1) * m + (i & !1) + part),
            Op::Ext => std::array::from_fn(|i| match i as u8 + self.imm {
                k if k < len => k,
                k => 16 + (k - len) % 16,
            }),
            _ => lanes(self.lane, |i| i ^ (self.imm / size - 1)),
        }
    }

    /// The half of a register that a long form works on, in the low half.
    #[inline(always)]
    fn part<E: Emit>(&self, e: &mut E, v: E::Vec) -> E::Vec {
        if self.q { e.vdup(Lane::D, v, 1) } else { v }
    }

    /// Rm, or its element.
    #[inline(always)]
    fn second<E: Emit>(&self, e: &mut E) -> E::Vec {
        let m = e.vreg(self.m);
        if self.imm == NONE { m } else { e.vdup(self.lane, m, self.imm) }
    }

    /// Both sources of a long form.
    #[inline(always)]
    fn long<E: Emit>(&self, e: &mut E) -> (E::Vec, E::Vec) {
        let n = e.vreg(self.n);
        let n = self.part(e, n);
        let m = self.second(e);
        // An element is in all lanes.
        let m = if self.imm == NONE { self.part(e, m) } else { m };
        (n, m)
    }

    fn product<E: Emit>(&self, e: &mut E, signed: bool) -> E::Vec {
        let (n, m) = self.long(e);
        e.vpair(if signed { VPair::MulLongS } else { VPair::MulLongU }, self.lane, n, m)
    }

    fn compute<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> E::Vec {
        let lane = self.lane;
        let twice = match lane {
            Lane::B => Lane::H,
            Lane::H => Lane::S,
            _ => Lane::D,
        };
        let widen = |signed: bool| if signed { VUn::WidenS } else { VUn::WidenU };
        match self.op {
            Op::Mul | Op::Mla | Op::Mls => {
                let (n, m) = (e.vreg(self.n), self.second(e));
                let p = e.vpair(VPair::Mul, lane, n, m);
                let op = match self.op {
                    Op::Mul => return p,
                    Op::Mla => VBin::Add,
                    _ => VBin::Sub,
                };
                let d = e.vreg(self.d);
                e.vbin(op, lane, d, p)
            }
            Op::Mull(s) => self.product(e, s),
            Op::Mlal(s) | Op::Mlsl(s) => {
                let p = self.product(e, s);
                let d = e.vreg(self.d);
                e.vbin(if matches!(self.op, Op::Mlal(_)) { VBin::Add } else { VBin::Sub }, twice, d, p)
            }
            Op::Addl(s) | Op::Subl(s) => {
                let (n, m) = self.long(e);
                let (n, m) = (e.vun(widen(s), lane, n), e.vun(widen(s), lane, m));
                e.vbin(if matches!(self.op, Op::Addl(_)) { VBin::Add } else { VBin::Sub }, twice, n, m)
            }
            Op::Addw(s) | Op::Subw(s) => {
                let n = e.vreg(self.n);
                let m = e.vreg(self.m);
                let m = self.part(e, m);
                let m = e.vun(widen(s), lane, m);
                e.vbin(if matches!(self.op, Op::Addw(_)) { VBin::Add } else { VBin::Sub }, twice, n, m)
            }
            Op::Shll(s) => {
                let n = e.vreg(self.n);
                let n = self.part(e, n);
                let n = e.vun(widen(s), lane, n);
                e.vshift(VShift::Shl, twice, n, self.imm)
            }
            Op::Sshr | Op::Ssra => {
                let n = e.vreg(self.n);
                let r = e.vshift(VShift::Sar, lane, n, self.imm.min(lane.width().bits() as u8 - 1));
                if self.op == Op::Sshr {
                    return r;
                }
                let d = e.vreg(self.d);
                e.vbin(VBin::Add, lane, d, r)
            }
            Op::Ushr | Op::Usra => {
                let r = if u32::from(self.imm) >= lane.width().bits() {
                    zero(e)
                } else {
                    let n = e.vreg(self.n);
                    e.vshift(VShift::Shr, lane, n, self.imm)
                };
                if self.op == Op::Ushr {
                    return r;
                }
                let d = e.vreg(self.d);
                e.vbin(VBin::Add, lane, d, r)
            }
            Op::Shl => {
                let n = e.vreg(self.n);
                e.vshift(VShift::Shl, lane, n, self.imm)
            }
            Op::Shrn => {
                let n = e.vreg(self.n);
                let n = if self.imm == 0 { n } else { e.vshift(VShift::Shr, twice, n, self.imm) };
                // The even narrow lanes, behind the low half of Rd or before zeros.
                let even = lanes(lane, |i| 2 * i);
                let (below, p): (_, Bytes) = if self.q {
                    (e.vreg(self.d), std::array::from_fn(|i| if i < 8 { i as u8 } else { 16 + even[i - 8] }))
                } else {
                    (zero(e), std::array::from_fn(|i| if i < 8 { 16 + even[i] } else { 0 }))
                };
                e.vshuffle(below, n, &p)
            }
            Op::Pair(op) => {
                let (n, m) = (e.vreg(self.n), e.vreg(self.m));
                let even = e.vshuffle(n, m, &self.bytes(Op::Uzp(0)));
                let odd = e.vshuffle(n, m, &self.bytes(Op::Uzp(1)));
                e.vbin(op, lane, even, odd)
            }
            Op::Cnt | Op::Abs => {
                let n = e.vreg(self.n);
                e.vun(if self.op == Op::Cnt { VUn::Popcnt } else { VUn::Abs }, lane, n)
            }
            Op::Rev | Op::Zip(_) | Op::Uzp(_) | Op::Trn(_) | Op::Ext => {
                let (n, m) = (e.vreg(self.n), e.vreg(self.m));
                e.vshuffle(n, m, &self.bytes(self.op))
            }
            Op::Table => {
                let (n, m) = (e.vreg(self.n), e.vreg(self.m));
                // An index above 15 gets its bit 7.
                let bias = e.imm(0x70);
                let bias = e.vsplat(Lane::B, bias);
                let m = e.vpair(VPair::AddSatU, Lane::B, m, bias);
                e.vlookup(n, m)
            }
            Op::Fold(op) => {
                let mut r = e.vreg(self.n);
                let mut gap = if self.q { 8 } else { 4 };
                while gap >= lane.width().bits() as u8 / 8 {
                    let other = e.vshuffle(r, r, &std::array::from_fn(|i| i as u8 ^ gap));
                    r = e.vbin(op, lane, r, other);
                    gap /= 2;
                }
                let zero = zero(e);
                e.vmerge(lane, zero, r)
            }
        }
    }

    /// The result has 128 bits whatever Q is.
    fn is_long(&self) -> bool {
        matches!(
            self.op,
            Op::Mull(_)
                | Op::Mlal(_)
                | Op::Mlsl(_)
                | Op::Addl(_)
                | Op::Subl(_)
                | Op::Addw(_)
                | Op::Subw(_)
                | Op::Shll(_)
                | Op::Shrn
                | Op::Fold(_)
        )
    }
}

fn zero<E: Emit>(e: &mut E) -> E::Vec {
    let z = e.imm(0);
    e.vsplat(Lane::D, z)
}

impl Sem<ArmCpu> for Packed {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let mut r = self.compute(e);
        if !self.q && !self.is_long() {
            let z = zero(e);
            r = e.vmerge(Lane::D, z, r);
        }
        e.set_vreg(self.d, r);
        Ok(())
    }
}

fn lane(w: Word) -> Lane {
    Lane::from_size(size(w))
}

/// Bytes and doublewords have no multiplication of their own on the host.
fn multiplies(w: Word) -> bool {
    matches!(size(w), 1 | 2)
}

/// Constructors of MUL, MLA and MLS, vector and by element.
macro_rules! products {
    ($($name:ident $element:ident $op:ident $doc:literal;)*) => { $(
        #[doc = concat!("Constructor of ", $doc, ".")]
        pub fn $name<const SIZES: u8, V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
            if vector_ok(w, SIZES) && multiplies(w) {
                return v.visit(Packed::new(Op::$op, lane(w), w));
            }
            vector::<three_same::$op, SIZES, V>(w, pc, v)
        }

        #[doc = concat!("Constructor of ", $doc, " by element.")]
        pub fn $element<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
            match by_element(w) {
                Some((m, index)) => {
                    v.visit(Packed { m: m as u8, ..Packed::new(Op::$op, lane(w), w).imm(index) })
                }
                None => vector_element::<three_same::$op, V>(w, pc, v),
            }
        }
    )* };
}
products! {
    mul mul_element Mul "MUL";
    mla mla_element Mla "MLA";
    mls mls_element Mls "MLS";
}

/// Constructors of long forms; U, bit 29, makes the lanes unsigned.
macro_rules! longs {
    ($($name:ident $op:ident $doc:literal;)*) => { $(
        #[doc = concat!("Constructor of ", $doc, ".")]
        pub fn $name<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
            if size(w) == 3 {
                return undefined::unallocated(w, pc, v);
            }
            v.visit(Packed::new(Op::$op(!w.bit(29)), lane(w), w))
        }
    )* };
}
longs! {
    mull Mull "SMULL, UMULL";
    mlal Mlal "SMLAL, UMLAL";
    mlsl Mlsl "SMLSL, UMLSL";
    addl Addl "SADDL, UADDL";
    subl Subl "SSUBL, USUBL";
    addw Addw "SADDW, UADDW";
    subw Subw "SSUBW, USUBW";
}

/// Constructors of long forms by element.
macro_rules! long_elements {
    ($($name:ident $op:ident $doc:literal;)*) => { $(
        #[doc = concat!("Constructor of ", $doc, " by element.")]
        pub fn $name<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
            match by_element(w) {
                Some((m, index)) => v.visit(Packed {
                    m: m as u8,
                    ..Packed::new(Op::$op(!w.bit(29)), lane(w), w).imm(index)
                }),
                None => long::vector_element::<long::$op, V>(w, pc, v),
            }
        }
    )* };
}
long_elements! {
    mull_element Mull "SMULL, UMULL";
    mlal_element Mlal "SMLAL, UMLAL";
    mlsl_element Mlsl "SMLSL, UMLSL";
}

/// Shifts by an immediate: of lanes of `8 << size` bits by `n`; XTN and SHRN to such lanes.
pub fn shift<V: Visitor<ArmCpu>>(op: Op, size: u32, n: u32, w: Word, v: V) -> V::Out {
    v.visit(Packed::new(op, Lane::from_size(size), w).imm(n))
}

/// Constructor of ADDP.
pub fn addp<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    permute(Op::Pair(VBin::Add), w, pc, v)
}

fn pair<V: Visitor<ArmCpu>>(signed: VBin, unsigned: VBin, w: Word, pc: u64, v: V) -> V::Out {
    if size(w) == 3 {
        return undefined::unallocated(w, pc, v);
    }
    permute(Op::Pair(if w.bit(29) { unsigned } else { signed }), w, pc, v)
}

/// Constructor of SMAXP and UMAXP.
pub fn maxp<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    pair(VBin::Smax, VBin::Umax, w, pc, v)
}

/// Constructor of SMINP and UMINP.
pub fn minp<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    pair(VBin::Smin, VBin::Umin, w, pc, v)
}

/// Permutations of the lanes that the size field gives.
pub fn permute<V: Visitor<ArmCpu>>(op: Op, w: Word, pc: u64, v: V) -> V::Out {
    if size(w) == 3 && !w.bit(30) {
        return undefined::unallocated(w, pc, v);
    }
    v.visit(Packed::new(op, lane(w), w))
}

/// EXT, TBL of one register: bytes; `imm` is the first one.
pub fn bytes<V: Visitor<ArmCpu>>(op: Op, imm: u32, w: Word, v: V) -> V::Out {
    v.visit(Packed::new(op, Lane::B, w).imm(imm))
}

/// Constructor of CNT.
pub fn cnt<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    if size(w) != 0 {
        return undefined::unallocated(w, pc, v);
    }
    v.visit(Packed::new(Op::Cnt, Lane::B, w))
}

/// Constructor of ABS.
pub fn abs<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    permute(Op::Abs, w, pc, v)
}

/// Constructor of REV16, REV32, REV64.
pub fn rev<const CONTAINER: u32, V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    if 1 << size(w) >= CONTAINER {
        return undefined::unallocated(w, pc, v);
    }
    v.visit(Packed::new(Op::Rev, lane(w), w).imm(CONTAINER))
}

/// Constructors of what folds lanes of one width.
macro_rules! folds {
    ($($name:ident $op:ident $doc:literal;)*) => { $(
        #[doc = concat!("Constructor of ", $doc, ".")]
        pub fn $name<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
            // There is no pair of words to fold.
            if size(w) == 3 || size(w) == 2 && !w.bit(30) {
                return undefined::unallocated(w, pc, v);
            }
            v.visit(Packed::new(Op::Fold(VBin::$op), lane(w), w))
        }
    )* };
}
folds! {
    addv Add "ADDV";
    smaxv Smax "SMAXV";
    sminv Smin "SMINV";
    umaxv Umax "UMAXV";
    uminv Umin "UMINV";
}
