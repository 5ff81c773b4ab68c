//! LD1 to LD4, ST1 to ST4 (multiple structures): C7.2.177 to C7.2.187, C7.2.321 to C7.2.327.

use lyrebird_isa::{Emit, Helper, MemOp, Reg, Sem, Size, V128, Visitor};

use super::{Post, access};
use crate::ArmCpu;
use crate::a64::sem::{flags, undefined};
use crate::a64::word::Word;

/// Register `t + i`, after 31 comes 0.
#[inline(always)]
const fn nth(t: u8, i: usize) -> u8 {
    (t + i as u8) & 31
}

/// Reads `N` registers' worth of memory from `va`.
#[inline(always)]
fn load_image<E: Emit, const N: usize>(e: &mut E, m: MemOp, va: E::Val) -> Result<[E::Vec; N], E::Fault> {
    let first = e.vload(m, va)?;
    let mut image = [first; N];
    for (i, v) in image.iter_mut().enumerate().skip(1) {
        let at = e.add_imm(va, i as u64 * m.size.bytes());
        *v = e.vload(m, at)?;
    }
    Ok(image)
}

/// The access to a register's worth of elements of `1 << size` bytes. Each is an access of its own (Mem[] in
/// the pseudocode), so that alignment is the element's.
#[inline(always)]
const fn elements(q: bool, size: u8) -> MemOp {
    access(if q { 4 } else { 3 }).elements(Size::from_log2(size as u32))
}

/// LD1 and ST1 of `N` registers, 16 bytes each where `Q`, else 8.
#[derive(Clone, Copy, Debug)]
pub struct Contiguous<const N: usize, const Q: bool, const LOAD: bool> {
    t: u8,
    n: Reg,
    post: Post,
    size: u8,
}

impl<const N: usize, const Q: bool, const LOAD: bool> Sem<ArmCpu> for Contiguous<N, Q, LOAD> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let m = elements(Q, self.size);
        let base = e.reg(self.n);
        if LOAD {
            let image = load_image::<E, N>(e, m, base)?;
            for (i, v) in image.into_iter().enumerate() {
                e.set_vreg(nth(self.t, i), v);
            }
        } else {
            for i in 0..N {
                let v = e.vreg(nth(self.t, i));
                let at = e.add_imm(base, i as u64 * m.size.bytes());
                e.vstore(m, at, v)?;
            }
        }
        self.post.write_back(e, self.n, base, N as u64 * m.size.bytes());
        Ok(())
    }
}

/// LD2 to LD4, ST2 to ST4.
#[derive(Clone, Copy, Debug)]
pub struct Interleaved<const N: usize, const Q: bool, const LOAD: bool> {
    t: u8,
    n: Reg,
    post: Post,
    size: u8,
}

impl<const N: usize, const Q: bool, const LOAD: bool> Sem<ArmCpu> for Interleaved<N, Q, LOAD> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let m = elements(Q, self.size);
        let base = e.reg(self.n);
        let shape = e.imm(shape(self.t, self.size, Q));
        let z = e.imm(0);
        if LOAD {
            let image = load_image::<E, N>(e, m, base)?;
            for (i, v) in image.into_iter().enumerate() {
                e.set_vreg(nth(self.t, i), v);
            }
            e.call(Helper::fp("ldn_deinterleave", deinterleave::<N>), [shape, z, z])?;
        } else {
            let words = if Q { 2 * N } else { N };
            for i in 0..words {
                let k = e.imm(i as u64);
                let v = e.call(Helper::fp("stn_interleave", interleave::<N>), [shape, k, z])?;
                let at = e.add_imm(base, i as u64 * 8);
                e.store(elements(false, self.size), at, v)?;
            }
        }
        self.post.write_back(e, self.n, base, N as u64 * m.size.bytes());
        Ok(())
    }
}

/// First register, log2 of the element length and Q in one word.
fn shape(t: u8, size: u8, q: bool) -> u64 {
    t as u64 | (size as u64) << 8 | (q as u64) << 16
}

/// Turns registers that hold consecutive memory into registers that hold one structure member each.
extern "C" fn deinterleave<const N: usize>(cpu: &mut ArmCpu, shape: u64, _: u64, _: u64) -> u64 {
    let (t, size, q) = (shape as u8 & 31, shape >> 8 & 3, shape >> 16 & 1);
    let (esize, len) = (1usize << size, 8usize << q);
    let mut image = [0u8; 64];
    for i in 0..N {
        let v = cpu.core.vregs[nth(t, i) as usize].to_bytes();
        image[i * len..][..len].copy_from_slice(&v[..len]);
    }
    for i in 0..N {
        let mut out = [0u8; 16];
        for (k, lane) in out[..len].chunks_exact_mut(esize).enumerate() {
            lane.copy_from_slice(&image[(k * N + i) * esize..][..esize]);
        }
        cpu.core.vregs[nth(t, i) as usize] = V128::from_bytes(out);
    }
    0
}

/// Doubleword `k` of the memory image of registers that hold one structure member each.
extern "C" fn interleave<const N: usize>(cpu: &mut ArmCpu, shape: u64, k: u64, _: u64) -> u64 {
    let (t, size) = (shape as u8 & 31, shape >> 8 & 3);
    let esize = 1usize << size;
    let mut out = [0u8; 8];
    for (i, e) in out.chunks_exact_mut(esize).enumerate() {
        let index = (k as usize & 7) * (8 / esize) + i;
        let from = cpu.core.vregs[nth(t, index % N) as usize].to_bytes();
        e.copy_from_slice(&from[(index / N % (16 / esize)) * esize..][..esize]);
    }
    u64::from_le_bytes(out)
}

/// LD1, ST1.
pub fn contiguous<const N: usize, V: Visitor<ArmCpu>>(w: Word, _pc: u64, v: V) -> V::Out {
    let (t, n, post, size) = (w.d() as u8, w.rn_sp(), Post::of(w), w.bits(10, 2) as u8);
    flags!(w.bit(30), w.bit(22) => |Q, LOAD| v.visit(Contiguous::<N, Q, LOAD> { t, n, post, size }))
}

/// LD2 to LD4, ST2 to ST4. One-element registers (`1D`) are reserved.
pub fn interleaved<const N: usize, V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    let (t, n, post, size) = (w.d() as u8, w.rn_sp(), Post::of(w), w.bits(10, 2) as u8);
    if size == 3 && !w.bit(30) {
        return undefined::unallocated(w, pc, v);
    }
    flags!(w.bit(30), w.bit(22) => |Q, LOAD| v.visit(Interleaved::<N, Q, LOAD> { t, n, post, size }))
}
