//! [`Interp`]: the instance of [`Emit`] that executes.
//!
//! It must dissolve into the handler that inlines it: slow paths take the CPU and never the `Interp`, so that
//! the optimiser can keep the handler's final call a jump.
//!
//! `Interp<C, true>` only tries: what would take a slow path (a TLB miss, an atomic, a helper that may fault)
//! stops it with [`GuestFault`] before anything is done, and the instruction is executed again by `Interp<C>`.
//! That is sound because an instruction writes no register and no flag before the last thing that can stop it;
//! a store that went to RAM before is repeated with the same value. Handlers made of it need no stack frame.

mod memory;

use std::sync::atomic::{Ordering, fence};

use crate::cpu::{Cpu, GuestFault};
use crate::emit::{Emit, JumpKind};
use crate::flags::{Cond, FlagOp, pack_op};
use crate::float::{FBin, FCc, FUn, FlagStyle, Float, Part, Relation, Sound};
use crate::helper::{Effects, Helper};
use crate::host;
use crate::mem::{MemOp, Size, read, write};
use crate::ops::{Bin, Cc, Lane, Rmw, Un, VBin, Width};
use crate::state::{REG_SINK, REG_ZERO, Reg, V128};
use crate::vector::{self, Bytes, VPair, VShift, VUn};
use memory::{after_load, after_store, before_store};

/// How an executed instruction went on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// To the following instruction.
    Fall,
    /// The branch was taken, to [`Interp::target`].
    Taken,
    /// The conditional branch was not taken.
    NotTaken,
    /// To the computed [`Interp::target`].
    Indirect,
    /// To the following instruction, through the dispatcher.
    SyncNext,
    /// To [`crate::Core::pc`], through the dispatcher.
    SyncPc,
}

/// Executes instructions on a CPU.
#[derive(Debug)]
pub struct Interp<'a, C: Cpu, const TRY: bool = false> {
    /// The CPU.
    pub cpu: &'a mut C,
    /// How the last instruction went on.
    pub next: Next,
    /// Target of a taken or computed branch.
    pub target: u64,
}

impl<'a, C: Cpu> Interp<'a, C> {
    /// An interpreter on `cpu`.
    #[inline(always)]
    pub fn new(cpu: &'a mut C) -> Self {
        Interp { cpu, next: Next::Fall, target: 0 }
    }
}

impl<'a, C: Cpu> Interp<'a, C, true> {
    /// An interpreter on `cpu` that stops where a slow path would be taken.
    #[inline(always)]
    pub fn attempt(cpu: &'a mut C) -> Self {
        Interp { cpu, next: Next::Fall, target: 0 }
    }
}

impl<C: Cpu, const TRY: bool> Interp<'_, C, TRY> {
    #[inline(always)]
    fn check(&mut self) -> Result<(), GuestFault> {
        if self.cpu.core().fault != 0 { Err(GuestFault) } else { Ok(()) }
    }

    /// Calls a helper that is seldom needed, and that a handler should have no frame for.
    #[inline(always)]
    fn rare(&mut self, h: Helper<C>, args: [u64; 3]) -> Result<u64, GuestFault> {
        if TRY {
            return Err(GuestFault);
        }
        Ok((h.f)(self.cpu, args[0], args[1], args[2]))
    }
}

impl<C: Cpu, const TRY: bool> Emit for Interp<'_, C, TRY> {
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
        debug_assert!(r != REG_SINK);
        self.cpu.core().reg(r)
    }

    #[inline(always)]
    fn set_reg(&mut self, r: Reg, v: u64) {
        debug_assert!(r != REG_ZERO);
        self.cpu.core_mut().set_reg(r, v);
    }

    #[inline(always)]
    fn bin(&mut self, op: Bin, w: Width, a: u64, b: u64) -> u64 {
        op.eval(w, a, b)
    }

    #[inline(always)]
    fn un(&mut self, op: Un, w: Width, a: u64) -> u64 {
        op.eval(w, a)
    }

    #[inline(always)]
    fn zext(&mut self, from: Width, a: u64) -> u64 {
        from.zext(a)
    }

    #[inline(always)]
    fn sext(&mut self, from: Width, a: u64) -> u64 {
        from.sext(a)
    }

    #[inline(always)]
    fn cmp(&mut self, cc: Cc, w: Width, a: u64, b: u64) -> bool {
        cc.eval(w, a, b)
    }

    #[inline(always)]
    fn select(&mut self, c: bool, a: u64, b: u64) -> u64 {
        if c { a } else { b }
    }

    #[inline(always)]
    fn bool_val(&mut self, c: bool) -> u64 {
        c as u64
    }

    #[inline(always)]
    fn set_flags(&mut self, op: FlagOp, w: Width, a: u64, b: u64) {
        let s = 64 - w.bits();
        let core = self.cpu.core_mut();
        core.flag_op = pack_op(op, w);
        core.flag_a = a << s;
        core.flag_b = b << s;
    }

    #[inline(always)]
    fn set_flags_if(&mut self, c: bool, op: FlagOp, w: Width, a: u64, b: u64, nzcv: u32) {
        if c {
            self.set_flags(op, w, a, b);
        } else {
            self.set_nzcv(nzcv as u64);
        }
    }

    #[inline(always)]
    fn set_flags_unless(&mut self, same: bool, op: FlagOp, w: Width, a: u64, b: u64) {
        if !same {
            self.set_flags(op, w, a, b);
        }
    }

    #[inline(always)]
    fn set_nzcv(&mut self, v: u64) {
        self.cpu.core_mut().set_nzcv(v);
    }

    #[inline(always)]
    fn nzcv(&mut self) -> u64 {
        self.cpu.core().nzcv()
    }

    #[inline(always)]
    fn aux_flags(&mut self) -> u64 {
        self.cpu.core().aux_flags()
    }

    #[inline(always)]
    fn cond(&mut self, c: Cond) -> bool {
        let core = self.cpu.core();
        c.eval(core.flag_op, core.flag_a, core.flag_b)
    }

    #[inline(always)]
    fn load(&mut self, m: MemOp, va: u64) -> Result<u64, GuestFault> {
        if let Some(p) = self.fast::<false>(m, va, m.size.bytes()) {
            // SAFETY: the TLB entry vouches for the page, and the access does not leave it.
            let v = unsafe { read(p, m.size) };
            after_load(m.order);
            return Ok(v);
        }
        if TRY {
            return Err(GuestFault);
        }
        let v = self.cpu.load_slow(va, m);
        self.check()?;
        after_load(m.order);
        Ok(v)
    }

    #[inline(always)]
    fn store(&mut self, m: MemOp, va: u64, v: u64) -> Result<(), GuestFault> {
        before_store(m.order);
        if let Some(p) = self.fast::<true>(m, va, m.size.bytes()) {
            // SAFETY: the TLB entry vouches for the page, and the access does not leave it.
            unsafe { write(p, m.size, v) };
            after_store(m.order);
            return Ok(());
        }
        if TRY {
            return Err(GuestFault);
        }
        self.cpu.store_slow(va, m, v);
        self.check()?;
        after_store(m.order);
        Ok(())
    }

    #[inline(always)]
    fn load_pair(&mut self, m: MemOp, va: u64) -> Result<(u64, u64), GuestFault> {
        let n = m.size.bytes();
        if let Some(p) = self.fast::<false>(m, va, 2 * n) {
            // SAFETY: the TLB entry vouches for the page, and both elements lie in it.
            return Ok(unsafe { (read(p, m.size), read(p.add(n as usize), m.size)) });
        }
        if TRY {
            return Err(GuestFault);
        }
        let lo = self.cpu.load_slow(va, m);
        self.check()?;
        let hi = self.cpu.load_slow(va.wrapping_add(n), m);
        self.check()?;
        Ok((lo, hi))
    }

    #[inline(always)]
    fn store_pair(&mut self, m: MemOp, va: u64, lo: u64, hi: u64) -> Result<(), GuestFault> {
        let n = m.size.bytes();
        if let Some(p) = self.fast::<true>(m, va, 2 * n) {
            // SAFETY: the TLB entry vouches for the page, and both elements lie in it.
            unsafe {
                write(p, m.size, lo);
                write(p.add(n as usize), m.size, hi);
            }
            return Ok(());
        }
        if TRY {
            return Err(GuestFault);
        }
        self.cpu.store_slow(va, m, lo);
        self.check()?;
        self.cpu.store_slow(va.wrapping_add(n), m, hi);
        self.check()
    }

    #[inline(always)]
    fn vload(&mut self, m: MemOp, va: u64) -> Result<u128, GuestFault> {
        if m.size != Size::B16 {
            return Ok(self.load(m, va)? as u128);
        }
        if let Some(p) = self.fast::<false>(m, va, 16) {
            // SAFETY: the TLB entry vouches for the page, and the access does not leave it.
            return Ok(u128::from_le(unsafe { p.cast::<u128>().read_unaligned() }));
        }
        if TRY {
            return Err(GuestFault);
        }
        let v = self.cpu.load128_slow(va, m);
        self.check()?;
        Ok(v.to_u128())
    }

    #[inline(always)]
    fn vstore(&mut self, m: MemOp, va: u64, v: u128) -> Result<(), GuestFault> {
        if m.size != Size::B16 {
            return self.store(m, va, v as u64);
        }
        if let Some(p) = self.fast::<true>(m, va, 16) {
            // SAFETY: the TLB entry vouches for the page, and the access does not leave it.
            unsafe { p.cast::<u128>().write_unaligned(v.to_le()) };
            return Ok(());
        }
        if TRY {
            return Err(GuestFault);
        }
        self.cpu.store128_slow(va, m, V128::from_u128(v));
        self.check()
    }

    #[inline(always)]
    fn rmw(&mut self, op: Rmw, m: MemOp, va: u64, v: u64) -> Result<u64, GuestFault> {
        if TRY {
            return Err(GuestFault);
        }
        let old = self.cpu.rmw(op, va, m, v);
        self.check()?;
        Ok(old)
    }

    #[inline(always)]
    fn cas(&mut self, m: MemOp, va: u64, expected: u64, new: u64) -> Result<u64, GuestFault> {
        if TRY {
            return Err(GuestFault);
        }
        let old = self.cpu.cas(va, m, expected, new);
        self.check()?;
        Ok(old)
    }

    #[inline(always)]
    fn fence(&mut self) {
        fence(Ordering::SeqCst);
    }

    #[inline(always)]
    fn vreg(&mut self, r: u8) -> u128 {
        self.cpu.core().vregs[(r & 31) as usize].to_u128()
    }

    #[inline(always)]
    fn set_vreg(&mut self, r: u8, v: u128) {
        self.cpu.core_mut().vregs[(r & 31) as usize] = V128::from_u128(v);
    }

    #[inline(always)]
    fn vec(&mut self, lo: u64, hi: u64) -> u128 {
        lo as u128 | (hi as u128) << 64
    }

    #[inline(always)]
    fn vec_lo(&mut self, v: u128) -> u64 {
        v as u64
    }

    #[inline(always)]
    fn vec_hi(&mut self, v: u128) -> u64 {
        (v >> 64) as u64
    }

    #[inline(always)]
    fn vbin(&mut self, op: VBin, lane: Lane, a: u128, b: u128) -> u128 {
        op.eval(lane, a, b)
    }

    #[inline(always)]
    fn vsplat(&mut self, lane: Lane, v: u64) -> u128 {
        let w = lane.width();
        let ones = u64::MAX / w.mask();
        let half = w.zext(v).wrapping_mul(ones) as u128;
        half | half << 64
    }

    #[inline(always)]
    fn vmerge(&mut self, lane: Lane, a: u128, b: u128) -> u128 {
        let m = lane.width().mask() as u128;
        a & !m | b & m
    }

    #[inline(always)]
    fn vdup(&mut self, lane: Lane, v: u128, index: u8) -> u128 {
        let bits = lane.width().bits();
        self.vsplat(lane, (v >> ((index as u32 * bits) & 127)) as u64)
    }

    #[inline(always)]
    fn vshift(&mut self, op: VShift, lane: Lane, v: u128, n: u8) -> u128 {
        op.eval(lane, v, n.into())
    }

    #[inline(always)]
    fn vun(&mut self, op: VUn, lane: Lane, v: u128) -> u128 {
        op.eval(lane, v)
    }

    #[inline(always)]
    fn vpair(&mut self, op: VPair, lane: Lane, a: u128, b: u128) -> u128 {
        op.eval(lane, a, b)
    }

    #[inline(always)]
    fn vshuffle(&mut self, a: u128, b: u128, p: &Bytes) -> u128 {
        vector::shuffle(a, b, p)
    }

    #[inline(always)]
    fn vlookup(&mut self, table: u128, index: u128) -> u128 {
        vector::lookup(table, index)
    }

    #[inline(always)]
    fn vhigh_bits(&mut self, lane: Lane, v: u128) -> u64 {
        vector::high_bits(lane, v)
    }

    #[inline(always)]
    fn vextract(&mut self, lane: Lane, v: u128, index: u8) -> u64 {
        lane.width().zext((v >> ((u32::from(index) * lane.width().bits()) & 127)) as u64)
    }

    #[inline(always)]
    fn vinsert(&mut self, lane: Lane, v: u128, index: u8, x: u64) -> u128 {
        let at = (u32::from(index) * lane.width().bits()) & 127;
        v & !(u128::from(lane.width().mask()) << at) | u128::from(lane.width().zext(x)) << at
    }

    #[inline(always)]
    fn fbin(&mut self, op: FBin, f: Float, p: Part, a: u128, b: u128) -> u128 {
        host::fbin(op, f, p, a, b)
    }

    #[inline(always)]
    fn fun(&mut self, op: FUn, f: Float, p: Part, a: u128) -> u128 {
        host::fun(op, f, p, a)
    }

    #[inline(always)]
    fn fma(&mut self, f: Float, p: Part, a: u128, b: u128, c: u128) -> u128 {
        host::fma(f, p, a, b, c)
    }

    #[inline(always)]
    fn fcmp(&mut self, cc: FCc, f: Float, p: Part, a: u128, b: u128) -> u128 {
        host::fcmp(cc, f, p, a, b)
    }

    #[inline(always)]
    fn ffrom_int(&mut self, f: Float, v: u64) -> u128 {
        host::from_int(f, v as i64)
    }

    #[inline(always)]
    fn ftruncate(&mut self, f: Float, w: Width, v: u128) -> u64 {
        host::truncate(f, w == Width::W64, v)
    }

    #[inline(always)]
    fn ffits(&mut self, f: Float, w: Width, v: u128) -> bool {
        f.truncates_into(w.bits(), v as u64)
    }

    #[inline(always)]
    fn fsound(&mut self, s: Sound, f: Float, p: Part, v: u128) -> bool {
        f.all_sound(s, p, v)
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
        let r = host::relate(f, a, b);
        if let (Relation::Unordered, Some((h, args))) = (r, unordered) {
            self.rare(h, args)?;
        }
        self.set_nzcv(style.word(r));
        Ok(())
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
        if ok {
            self.set_vreg(r, v);
        } else {
            self.rare(h, args)?;
        }
        Ok(())
    }

    #[inline(always)]
    fn val_or(&mut self, ok: bool, v: u64, h: Helper<C>, args: [u64; 3]) -> Result<u64, GuestFault> {
        if ok { Ok(v) } else { self.rare(h, args) }
    }

    #[inline(always)]
    fn call(&mut self, h: Helper<C>, args: [u64; 3]) -> Result<u64, GuestFault> {
        if TRY && h.effects == Effects::Cpu {
            return Err(GuestFault);
        }
        let r = (h.f)(self.cpu, args[0], args[1], args[2]);
        if h.effects == Effects::Cpu {
            self.check()?;
        }
        Ok(r)
    }

    #[inline(always)]
    fn ensure(&mut self, ok: bool, h: Helper<C>, args: [u64; 3]) -> Result<(), GuestFault> {
        if ok { Ok(()) } else { self.call(h, args).map(drop) }
    }

    #[inline(always)]
    fn branch(&mut self, c: bool, taken: u64) {
        self.next = if c { Next::Taken } else { Next::NotTaken };
        self.target = taken;
    }

    #[inline(always)]
    fn jump(&mut self, target: u64, _k: JumpKind) {
        self.next = Next::Taken;
        self.target = target;
    }

    #[inline(always)]
    fn jump_reg(&mut self, target: u64, _k: JumpKind) {
        self.next = Next::Indirect;
        self.target = target;
    }

    #[inline(always)]
    fn sync_next(&mut self) {
        self.next = Next::SyncNext;
    }

    #[inline(always)]
    fn sync_pc(&mut self) {
        self.next = Next::SyncPc;
    }
}
