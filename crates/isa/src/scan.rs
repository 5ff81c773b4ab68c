//! [`Scan`]: the instance of [`Emit`] that only looks: which registers and flags an instruction reads and
//! writes, whether it can fault, where it goes.

use std::convert::Infallible;
use std::marker::PhantomData;

use crate::cpu::Cpu;
use crate::emit::{Emit, JumpKind};
use crate::flags::{Cond, FlagOp};
use crate::float::{FBin, FCc, FUn, FlagStyle, Float, Part, Sound};
use crate::helper::{Effects, Helper};
use crate::mem::MemOp;
use crate::ops::{Bin, Cc, Lane, Rmw, Un, VBin, Width};
use crate::state::{REG_SINK, REG_ZERO, Reg};
use crate::vector::{Bytes, VPair, VShift, VUn};

/// Where control goes after an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// To the following instruction.
    Next,
    /// To `taken` or to the following instruction.
    Branch {
        /// Address where the condition holds.
        taken: u64,
    },
    /// To `target`.
    Jump {
        /// Address.
        target: u64,
        /// What the branch is.
        kind: JumpKind,
    },
    /// To a computed address.
    Indirect(JumpKind),
    /// To the following instruction, through the dispatcher.
    SyncNext,
    /// Where a helper decided, through the dispatcher.
    SyncPc,
}

/// What an instruction touches.
#[derive(Clone, Copy, Debug)]
pub struct Summary {
    /// Mask of registers read.
    pub uses: u64,
    /// Mask of registers written.
    pub defs: u64,
    /// Mask of vector registers read.
    pub vector_uses: u32,
    /// Mask of vector registers written.
    pub vector_defs: u32,
    /// Reads condition flags.
    pub reads_flags: bool,
    /// Writes all condition flags.
    pub writes_flags: bool,
    /// Has at least one guest memory access of its own (not inside a helper).
    pub memory: bool,
    /// May raise a guest fault.
    pub faults: bool,
    /// Strongest effects of the helpers it calls.
    pub helper: Option<Effects>,
    /// Calls a helper that may change any vector register.
    pub vector_helper: bool,
    /// Where control goes.
    pub flow: Flow,
}

/// Collects a [`Summary`].
#[derive(Debug)]
pub struct Scan<C> {
    /// What was seen so far.
    pub seen: Summary,
    cpu: PhantomData<fn() -> C>,
}

impl<C> Scan<C> {
    /// Nothing seen yet.
    pub fn new() -> Self {
        Scan {
            seen: Summary {
                uses: 0,
                defs: 0,
                vector_uses: 0,
                vector_defs: 0,
                reads_flags: false,
                writes_flags: false,
                memory: false,
                faults: false,
                helper: None,
                vector_helper: false,
                flow: Flow::Next,
            },
            cpu: PhantomData,
        }
    }

    fn access(&mut self) {
        self.seen.memory = true;
        self.seen.faults = true;
    }

    fn helper(&mut self, h: Helper<C>) {
        self.seen.helper = self.seen.helper.max(Some(h.effects));
        self.seen.faults |= h.effects == Effects::Cpu;
    }
}

impl<C> Default for Scan<C> {
    fn default() -> Self {
        Self::new()
    }
}

impl<C: Cpu> Emit for Scan<C> {
    type Cpu = C;
    type Val = ();
    type Bool = ();
    type Vec = ();
    type Fault = Infallible;

    fn imm(&mut self, _v: u64) {}
    fn reg(&mut self, r: Reg) {
        if r != REG_ZERO {
            self.seen.uses |= 1 << r.0;
        }
    }
    fn set_reg(&mut self, r: Reg, _v: ()) {
        if r != REG_SINK {
            self.seen.defs |= 1 << r.0;
        }
    }
    fn bin(&mut self, _op: Bin, _w: Width, _a: (), _b: ()) {}
    fn un(&mut self, _op: Un, _w: Width, _a: ()) {}
    fn zext(&mut self, _from: Width, _a: ()) {}
    fn sext(&mut self, _from: Width, _a: ()) {}
    fn cmp(&mut self, _cc: Cc, _w: Width, _a: (), _b: ()) {}
    fn select(&mut self, _c: (), _a: (), _b: ()) {}
    fn bool_val(&mut self, _c: ()) {}
    fn set_flags(&mut self, _op: FlagOp, _w: Width, _a: (), _b: ()) {
        self.seen.writes_flags = true;
    }
    fn set_flags_if(&mut self, _c: (), _op: FlagOp, _w: Width, _a: (), _b: (), _nzcv: u32) {
        self.seen.writes_flags = true;
    }
    fn set_flags_unless(&mut self, _same: (), _op: FlagOp, _w: Width, _a: (), _b: ()) {
        self.seen.reads_flags = true;
        self.seen.writes_flags = true;
    }
    fn set_nzcv(&mut self, _v: ()) {
        self.seen.writes_flags = true;
    }
    fn nzcv(&mut self) {
        self.seen.reads_flags = true;
    }
    fn aux_flags(&mut self) {
        self.seen.reads_flags = true;
    }
    fn cond(&mut self, _c: Cond) {
        self.seen.reads_flags = true;
    }
    fn load(&mut self, _m: MemOp, _va: ()) -> Result<(), Infallible> {
        self.access();
        Ok(())
    }
    fn store(&mut self, _m: MemOp, _va: (), _v: ()) -> Result<(), Infallible> {
        self.access();
        Ok(())
    }
    fn vload(&mut self, _m: MemOp, _va: ()) -> Result<(), Infallible> {
        self.access();
        Ok(())
    }
    fn vstore(&mut self, _m: MemOp, _va: (), _v: ()) -> Result<(), Infallible> {
        self.access();
        Ok(())
    }
    fn rmw(&mut self, _op: Rmw, _m: MemOp, _va: (), _v: ()) -> Result<(), Infallible> {
        self.access();
        Ok(())
    }
    fn cas(&mut self, _m: MemOp, _va: (), _e: (), _n: ()) -> Result<(), Infallible> {
        self.access();
        Ok(())
    }
    fn fence(&mut self) {}
    fn vreg(&mut self, r: u8) {
        self.seen.vector_uses |= 1 << (r & 31);
    }
    fn set_vreg(&mut self, r: u8, _v: ()) {
        self.seen.vector_defs |= 1 << (r & 31);
    }
    fn vec(&mut self, _lo: (), _hi: ()) {}
    fn vec_lo(&mut self, _v: ()) {}
    fn vec_hi(&mut self, _v: ()) {}
    fn vbin(&mut self, _op: VBin, _lane: Lane, _a: (), _b: ()) {}
    fn vsplat(&mut self, _lane: Lane, _v: ()) {}
    fn vmerge(&mut self, _lane: Lane, _a: (), _b: ()) {}
    fn vdup(&mut self, _lane: Lane, _v: (), _index: u8) {}
    fn vshift(&mut self, _op: VShift, _lane: Lane, _v: (), _n: u8) {}
    fn vun(&mut self, _op: VUn, _lane: Lane, _v: ()) {}
    fn vpair(&mut self, _op: VPair, _lane: Lane, _a: (), _b: ()) {}
    fn vshuffle(&mut self, _a: (), _b: (), _p: &Bytes) {}
    fn vlookup(&mut self, _table: (), _index: ()) {}
    fn vhigh_bits(&mut self, _lane: Lane, _v: ()) {}
    fn vextract(&mut self, _lane: Lane, _v: (), _index: u8) {}
    fn vinsert(&mut self, _lane: Lane, _v: (), _index: u8, _x: ()) {}
    fn fbin(&mut self, _op: FBin, _f: Float, _p: Part, _a: (), _b: ()) {}
    fn fun(&mut self, _op: FUn, _f: Float, _p: Part, _a: ()) {}
    fn fma(&mut self, _f: Float, _p: Part, _a: (), _b: (), _c: ()) {}
    fn fcmp(&mut self, _cc: FCc, _f: Float, _p: Part, _a: (), _b: ()) {}
    fn ffrom_int(&mut self, _f: Float, _v: ()) {}
    fn ftruncate(&mut self, _f: Float, _w: Width, _v: ()) {}
    fn ffits(&mut self, _f: Float, _w: Width, _v: ()) {}
    fn fsound(&mut self, _s: Sound, _f: Float, _p: Part, _v: ()) {}
    fn set_fflags(
        &mut self,
        _style: FlagStyle,
        _f: Float,
        _a: (),
        _b: (),
        unordered: Option<(Helper<C>, [(); 3])>,
    ) -> Result<(), Infallible> {
        self.seen.writes_flags = true;
        if let Some((h, _)) = unordered {
            self.helper(h);
        }
        Ok(())
    }
    fn set_vreg_or(&mut self, _ok: (), r: u8, v: (), h: Helper<C>, _args: [(); 3]) -> Result<(), Infallible> {
        self.set_vreg(r, v);
        self.helper(h);
        Ok(())
    }
    fn val_or(&mut self, _ok: (), _v: (), h: Helper<C>, _args: [(); 3]) -> Result<(), Infallible> {
        self.helper(h);
        Ok(())
    }
    fn call(&mut self, h: Helper<C>, _args: [(); 3]) -> Result<(), Infallible> {
        self.helper(h);
        self.seen.vector_helper |= matches!(h.effects, Effects::Fp | Effects::Cpu);
        Ok(())
    }
    fn ensure(&mut self, _ok: (), _h: Helper<C>, _args: [(); 3]) -> Result<(), Infallible> {
        self.seen.faults = true;
        Ok(())
    }
    fn branch(&mut self, _c: (), taken: u64) {
        self.seen.flow = Flow::Branch { taken };
    }
    fn jump(&mut self, target: u64, kind: JumpKind) {
        self.seen.flow = Flow::Jump { target, kind };
    }
    fn jump_reg(&mut self, _target: (), k: JumpKind) {
        self.seen.flow = Flow::Indirect(k);
    }
    fn sync_next(&mut self) {
        self.seen.flow = Flow::SyncNext;
    }
    fn sync_pc(&mut self) {
        self.seen.flow = Flow::SyncPc;
    }
}
