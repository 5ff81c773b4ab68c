//! [`Logged`]: executes like [`Interp`] and writes down every guest memory access, for engines that run code twice and
//! compare.

use crate::cpu::{Cpu, GuestFault};
use crate::emit::{Emit, JumpKind};
use crate::flags::{Cond, FlagOp};
use crate::float::{FBin, FCc, FUn, FlagStyle, Float, Part, Sound};
use crate::helper::{Effects, Helper};
use crate::interp::Interp;
use crate::mem::{MemOp, Size};
use crate::ops::{Bin, Cc, Lane, Rmw, Un, VBin, Width};
use crate::state::Reg;
use crate::vector::{Bytes, VPair, VShift, VUn};

/// What kind of access was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Load; the value is what was loaded.
    Load,
    /// Store; the value is what was stored.
    Store,
    /// Read-modify-write; the value is the old one, the operand in `with`.
    Rmw(Rmw),
    /// Compare-and-swap; the value is the old one, `with` holds expected and new.
    Cas,
    /// Call of a helper with [`crate::Effects::Sys`]; the value is its result, its arguments are in `va` and `with`.
    Sys,
}

/// One guest memory access, or call that takes its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// Kind.
    pub kind: Kind,
    /// Virtual address.
    pub va: u64,
    /// Size and the rest.
    pub op: MemOp,
    /// Value, see [`Kind`].
    pub value: u128,
    /// Operands, see [`Kind`].
    pub with: [u64; 2],
    /// The access raised a guest fault.
    pub fault: bool,
}

/// [`Access::op`] of a [`Kind::Sys`].
pub const SYS_OP: MemOp = MemOp::new(Size::B8);

/// Executes and logs.
#[derive(Debug)]
pub struct Logged<'a, C: Cpu> {
    /// Executes.
    pub interp: Interp<'a, C>,
    /// Accesses in program order.
    pub log: &'a mut Vec<Access>,
}

impl<C: Cpu> Logged<'_, C> {
    #[inline]
    fn note(&mut self, kind: Kind, va: u64, op: MemOp, value: Result<u128, GuestFault>, with: [u64; 2]) {
        let fault = value.is_err();
        self.log.push(Access { kind, va, op, value: value.unwrap_or(0), with, fault });
    }
}

fn low(op: MemOp, v: u64) -> u128 {
    op.size.width().zext(v) as u128
}

impl<C: Cpu> Emit for Logged<'_, C> {
    type Cpu = C;
    type Val = u64;
    type Bool = bool;
    type Vec = u128;
    type Fault = GuestFault;

    #[inline(always)]
    fn imm(&mut self, v: u64) -> u64 {
        v
    }
    #[inline(always)]
    fn reg(&mut self, r: Reg) -> u64 {
        self.interp.reg(r)
    }
    #[inline(always)]
    fn set_reg(&mut self, r: Reg, v: u64) {
        self.interp.set_reg(r, v);
    }
    #[inline(always)]
    fn bin(&mut self, op: Bin, w: Width, a: u64, b: u64) -> u64 {
        self.interp.bin(op, w, a, b)
    }
    #[inline(always)]
    fn un(&mut self, op: Un, w: Width, a: u64) -> u64 {
        self.interp.un(op, w, a)
    }
    #[inline(always)]
    fn zext(&mut self, from: Width, a: u64) -> u64 {
        self.interp.zext(from, a)
    }
    #[inline(always)]
    fn sext(&mut self, from: Width, a: u64) -> u64 {
        self.interp.sext(from, a)
    }
    #[inline(always)]
    fn cmp(&mut self, cc: Cc, w: Width, a: u64, b: u64) -> bool {
        self.interp.cmp(cc, w, a, b)
    }
    #[inline(always)]
    fn select(&mut self, c: bool, a: u64, b: u64) -> u64 {
        self.interp.select(c, a, b)
    }
    #[inline(always)]
    fn bool_val(&mut self, c: bool) -> u64 {
        self.interp.bool_val(c)
    }
    #[inline(always)]
    fn set_flags(&mut self, op: FlagOp, w: Width, a: u64, b: u64) {
        self.interp.set_flags(op, w, a, b);
    }
    #[inline(always)]
    fn set_flags_if(&mut self, c: bool, op: FlagOp, w: Width, a: u64, b: u64, nzcv: u32) {
        self.interp.set_flags_if(c, op, w, a, b, nzcv);
    }
    #[inline(always)]
    fn set_flags_unless(&mut self, same: bool, op: FlagOp, w: Width, a: u64, b: u64) {
        self.interp.set_flags_unless(same, op, w, a, b);
    }
    #[inline(always)]
    fn set_nzcv(&mut self, v: u64) {
        self.interp.set_nzcv(v);
    }
    #[inline(always)]
    fn nzcv(&mut self) -> u64 {
        self.interp.nzcv()
    }
    #[inline(always)]
    fn aux_flags(&mut self) -> u64 {
        self.interp.aux_flags()
    }
    #[inline(always)]
    fn cond(&mut self, c: Cond) -> bool {
        self.interp.cond(c)
    }
    #[inline(always)]
    fn load(&mut self, m: MemOp, va: u64) -> Result<u64, GuestFault> {
        let r = self.interp.load(m, va);
        self.note(Kind::Load, va, m, r.map(u128::from), [0; 2]);
        r
    }
    #[inline(always)]
    fn store(&mut self, m: MemOp, va: u64, v: u64) -> Result<(), GuestFault> {
        let r = self.interp.store(m, va, v);
        self.note(Kind::Store, va, m, r.map(|()| low(m, v)), [0; 2]);
        r
    }
    #[inline(always)]
    fn vload(&mut self, m: MemOp, va: u64) -> Result<u128, GuestFault> {
        let r = self.interp.vload(m, va);
        self.note(Kind::Load, va, m, r, [0; 2]);
        r
    }
    #[inline(always)]
    fn vstore(&mut self, m: MemOp, va: u64, v: u128) -> Result<(), GuestFault> {
        let r = self.interp.vstore(m, va, v);
        let value = if m.size == Size::B16 { v } else { low(m, v as u64) };
        self.note(Kind::Store, va, m, r.map(|()| value), [0; 2]);
        r
    }
    #[inline(always)]
    fn rmw(&mut self, op: Rmw, m: MemOp, va: u64, v: u64) -> Result<u64, GuestFault> {
        let r = self.interp.rmw(op, m, va, v);
        self.note(Kind::Rmw(op), va, m, r.map(u128::from), [m.size.width().zext(v), 0]);
        r
    }
    #[inline(always)]
    fn cas(&mut self, m: MemOp, va: u64, expected: u64, new: u64) -> Result<u64, GuestFault> {
        let r = self.interp.cas(m, va, expected, new);
        let w = m.size.width();
        self.note(Kind::Cas, va, m, r.map(u128::from), [w.zext(expected), w.zext(new)]);
        r
    }
    #[inline(always)]
    fn fence(&mut self) {
        self.interp.fence();
    }
    #[inline(always)]
    fn vreg(&mut self, r: u8) -> u128 {
        self.interp.vreg(r)
    }
    #[inline(always)]
    fn set_vreg(&mut self, r: u8, v: u128) {
        self.interp.set_vreg(r, v);
    }
    #[inline(always)]
    fn vec(&mut self, lo: u64, hi: u64) -> u128 {
        self.interp.vec(lo, hi)
    }
    #[inline(always)]
    fn vec_lo(&mut self, v: u128) -> u64 {
        self.interp.vec_lo(v)
    }
    #[inline(always)]
    fn vec_hi(&mut self, v: u128) -> u64 {
        self.interp.vec_hi(v)
    }
    #[inline(always)]
    fn vbin(&mut self, op: VBin, lane: Lane, a: u128, b: u128) -> u128 {
        self.interp.vbin(op, lane, a, b)
    }
    #[inline(always)]
    fn vsplat(&mut self, lane: Lane, v: u64) -> u128 {
        self.interp.vsplat(lane, v)
    }
    #[inline(always)]
    fn vmerge(&mut self, lane: Lane, a: u128, b: u128) -> u128 {
        self.interp.vmerge(lane, a, b)
    }
    #[inline(always)]
    fn vdup(&mut self, lane: Lane, v: u128, index: u8) -> u128 {
        self.interp.vdup(lane, v, index)
    }
    #[inline(always)]
    fn vshift(&mut self, op: VShift, lane: Lane, v: u128, n: u8) -> u128 {
        self.interp.vshift(op, lane, v, n)
    }
    #[inline(always)]
    fn vun(&mut self, op: VUn, lane: Lane, v: u128) -> u128 {
        self.interp.vun(op, lane, v)
    }
    #[inline(always)]
    fn vpair(&mut self, op: VPair, lane: Lane, a: u128, b: u128) -> u128 {
        self.interp.vpair(op, lane, a, b)
    }
    #[inline(always)]
    fn vshuffle(&mut self, a: u128, b: u128, p: &Bytes) -> u128 {
        self.interp.vshuffle(a, b, p)
    }
    #[inline(always)]
    fn vlookup(&mut self, table: u128, index: u128) -> u128 {
        self.interp.vlookup(table, index)
    }
    #[inline(always)]
    fn vhigh_bits(&mut self, lane: Lane, v: u128) -> u64 {
        self.interp.vhigh_bits(lane, v)
    }
    #[inline(always)]
    fn vextract(&mut self, lane: Lane, v: u128, index: u8) -> u64 {
        self.interp.vextract(lane, v, index)
    }
    #[inline(always)]
    fn vinsert(&mut self, lane: Lane, v: u128, index: u8, x: u64) -> u128 {
        self.interp.vinsert(lane, v, index, x)
    }
    #[inline(always)]
    fn fbin(&mut self, op: FBin, f: Float, p: Part, a: u128, b: u128) -> u128 {
        self.interp.fbin(op, f, p, a, b)
    }
    #[inline(always)]
    fn fun(&mut self, op: FUn, f: Float, p: Part, a: u128) -> u128 {
        self.interp.fun(op, f, p, a)
    }
    #[inline(always)]
    fn fma(&mut self, f: Float, p: Part, a: u128, b: u128, c: u128) -> u128 {
        self.interp.fma(f, p, a, b, c)
    }
    #[inline(always)]
    fn fcmp(&mut self, cc: FCc, f: Float, p: Part, a: u128, b: u128) -> u128 {
        self.interp.fcmp(cc, f, p, a, b)
    }
    #[inline(always)]
    fn ffrom_int(&mut self, f: Float, v: u64) -> u128 {
        self.interp.ffrom_int(f, v)
    }
    #[inline(always)]
    fn ftruncate(&mut self, f: Float, w: Width, v: u128) -> u64 {
        self.interp.ftruncate(f, w, v)
    }
    #[inline(always)]
    fn ffits(&mut self, f: Float, w: Width, v: u128) -> bool {
        self.interp.ffits(f, w, v)
    }
    #[inline(always)]
    fn fsound(&mut self, s: Sound, f: Float, p: Part, v: u128) -> bool {
        self.interp.fsound(s, f, p, v)
    }
    #[inline(always)]
    fn set_fflags(
        &mut self,
        style: FlagStyle,
        f: Float,
        a: u128,
        b: u128,
        unordered: Option<(Helper<C>, [u64; 3])>,
    ) -> Result<(), GuestFault> {
        self.interp.set_fflags(style, f, a, b, unordered)
    }
    #[inline(always)]
    fn set_vreg_or(
        &mut self,
        ok: bool,
        r: u8,
        v: u128,
        h: Helper<C>,
        args: [u64; 3],
    ) -> Result<(), GuestFault> {
        self.interp.set_vreg_or(ok, r, v, h, args)
    }
    #[inline(always)]
    fn val_or(&mut self, ok: bool, v: u64, h: Helper<C>, args: [u64; 3]) -> Result<u64, GuestFault> {
        self.interp.val_or(ok, v, h, args)
    }
    #[inline(always)]
    fn call(&mut self, h: Helper<C>, args: [u64; 3]) -> Result<u64, GuestFault> {
        let r = self.interp.call(h, args);
        if h.effects == Effects::Sys {
            self.note(Kind::Sys, args[0], SYS_OP, r.map(u128::from), [args[1], args[2]]);
        }
        r
    }
    #[inline(always)]
    fn ensure(&mut self, ok: bool, h: Helper<C>, args: [u64; 3]) -> Result<(), GuestFault> {
        self.interp.ensure(ok, h, args)
    }
    #[inline(always)]
    fn branch(&mut self, c: bool, taken: u64) {
        self.interp.branch(c, taken);
    }
    #[inline(always)]
    fn jump(&mut self, target: u64, k: JumpKind) {
        self.interp.jump(target, k);
    }
    #[inline(always)]
    fn jump_reg(&mut self, target: u64, k: JumpKind) {
        self.interp.jump_reg(target, k);
    }
    #[inline(always)]
    fn sync_next(&mut self) {
        self.interp.sync_next();
    }
    #[inline(always)]
    fn sync_pc(&mut self) {
        self.interp.sync_pc();
    }
}
