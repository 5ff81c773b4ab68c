//! LD1 to LD4, ST1 to ST4 (single structure), LD1R to LD4R: C7.2.178 to C7.2.187, C7.2.322 to C7.2.327.

use lyrebird_isa::{Emit, Lane, Reg, Sem, Visitor};

use super::{Post, access};
use crate::ArmCpu;
use crate::a64::sem::simd_lane::{element, extract, insert};
use crate::a64::sem::{flags, undefined};
use crate::a64::word::Word;

/// Loads one structure of `N` elements of `1 << S` bytes.
#[inline(always)]
fn load_structure<E: Emit, const N: usize, const S: u8>(
    e: &mut E,
    base: E::Val,
) -> Result<[E::Val; N], E::Fault> {
    let first = e.load(access(S), base)?;
    let mut x = [first; N];
    for (i, x) in x.iter_mut().enumerate().skip(1) {
        let at = e.add_imm(base, (i as u64) << S);
        *x = e.load(access(S), at)?;
    }
    Ok(x)
}

/// One structure of `N` elements of `1 << S` bytes, from or to lane `index` of `N` registers.
#[derive(Clone, Copy, Debug)]
pub struct OneLane<const N: usize, const S: u8, const LOAD: bool> {
    t: u8,
    n: Reg,
    post: Post,
    index: u8,
}

impl<const N: usize, const S: u8, const LOAD: bool> Sem<ArmCpu> for OneLane<N, S, LOAD> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let base = e.reg(self.n);
        if LOAD {
            let x = load_structure::<E, N, S>(e, base)?;
            for (i, x) in x.into_iter().enumerate() {
                let r = (self.t + i as u8) & 31;
                let v = e.vreg(r);
                let v = insert(e, S, v, self.index, x);
                e.set_vreg(r, v);
            }
        } else {
            for i in 0..N {
                let v = e.vreg((self.t + i as u8) & 31);
                let x = extract(e, S, v, self.index);
                let at = e.add_imm(base, (i as u64) << S);
                e.store(access(S), at, x)?;
            }
        }
        self.post.write_back(e, self.n, base, (N as u64) << S);
        Ok(())
    }
}

/// One structure of `N` elements, each to all lanes of its register.
#[derive(Clone, Copy, Debug)]
pub struct Replicate<const N: usize, const S: u8, const Q: bool> {
    t: u8,
    n: Reg,
    post: Post,
}

impl<const N: usize, const S: u8, const Q: bool> Sem<ArmCpu> for Replicate<N, S, Q> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let base = e.reg(self.n);
        let x = load_structure::<E, N, S>(e, base)?;
        for (i, x) in x.into_iter().enumerate() {
            let mut v = e.vsplat(Lane::from_size(S as u32), x);
            if !Q {
                let (lo, z) = (e.vec_lo(v), e.imm(0));
                v = e.vec(lo, z);
            }
            e.set_vreg((self.t + i as u8) & 31, v);
        }
        self.post.write_back(e, self.n, base, (N as u64) << S);
        Ok(())
    }
}

/// The lane forms. Element size and index share opcode<2:1>, Q, S and size.
pub fn lane<const N: usize, V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    // Q:S:size counts bytes.
    let at = w.bits(30, 1) << 3 | w.bits(10, 3);
    let (log2, index) = match (w.bits(14, 2), at & 3) {
        (0, _) => (0, at),
        (1, 0 | 2) => (1, at >> 1),
        (2, 0) => (2, at >> 2),
        (2, 1) if !w.bit(12) => (3, at >> 3),
        _ => return undefined::unallocated(w, pc, v),
    };
    let (t, n, post, index) = (w.d() as u8, w.rn_sp(), Post::of(w), index as u8);
    flags!(w.bit(22) => |LOAD|
        element!(log2 => |S| v.visit(OneLane::<N, S, LOAD> { t, n, post, index })))
}

/// The replicating forms.
pub fn replicate<const N: usize, V: Visitor<ArmCpu>>(w: Word, _pc: u64, v: V) -> V::Out {
    let (t, n, post) = (w.d() as u8, w.rn_sp(), Post::of(w));
    flags!(w.bit(30) => |Q|
        element!(w.bits(10, 2) => |S| v.visit(Replicate::<N, S, Q> { t, n, post })))
}
