//! A guest made for these tests: 8-byte instructions `[group, sub, d, n, m, x, imm, imm]`, each a thin wrapper around one
//! method of `Emit`, and a CPU with a few pages of flat memory.

use lyrebird_isa::cpu::{CodePage, Event};
use lyrebird_isa::interp::{Interp, Next};
use lyrebird_isa::state::{
    JUMP_ENTRIES, JumpEntry, PAGE_MASK, PAGE_SIZE, REG_SINK, REG_ZERO, TAG_NONE, TLB_ENTRIES, TlbEntry,
    tlb_index,
};
use lyrebird_isa::{
    Bin, Cc, Cond, Core, Cpu, Emit, FlagOp, Helper, JumpKind, Lane, MemOp, Order, Reg, Rmw, Sem, Size, Term,
    Un, V128, VBin, Visitor, Width,
};

/// Bytes of an instruction.
pub const LEN: usize = 8;

/// Where guest memory starts. Page 0 and 1: read and write; 2: stores go slow; 3: everything goes slow. Beyond: faults.
pub const MEM: u64 = 0xffff_8000_4000_0000;
/// Pages of guest memory.
pub const PAGES: u64 = 4;

pub const BINS: [Bin; 15] = [
    Bin::Add,
    Bin::Sub,
    Bin::Mul,
    Bin::Umulh,
    Bin::Smulh,
    Bin::Udiv,
    Bin::Sdiv,
    Bin::And,
    Bin::Or,
    Bin::Xor,
    Bin::Bic,
    Bin::Shl,
    Bin::Shr,
    Bin::Sar,
    Bin::Ror,
];
pub const UNS: [Un; 7] = [Un::Not, Un::Neg, Un::Clz, Un::Ctz, Un::Popcnt, Un::Rbit, Un::Bswap];
pub const CCS: [Cc; 6] = [Cc::Eq, Cc::Ne, Cc::Ult, Cc::Ule, Cc::Slt, Cc::Sle];
pub const WIDTHS: [Width; 4] = [Width::W8, Width::W16, Width::W32, Width::W64];
pub const LANES: [Lane; 4] = [Lane::B, Lane::H, Lane::S, Lane::D];
pub const VBINS: [VBin; 15] = [
    VBin::And,
    VBin::Or,
    VBin::Xor,
    VBin::Bic,
    VBin::Add,
    VBin::Sub,
    VBin::CmpEq,
    VBin::CmpGt,
    VBin::CmpGe,
    VBin::CmpHi,
    VBin::CmpHs,
    VBin::Smax,
    VBin::Smin,
    VBin::Umax,
    VBin::Umin,
];
/// Constants for `MOVI`, and operands for the tests of single operations.
pub const VALUES: [u64; 14] = [
    0,
    1,
    2,
    0x7f,
    0x80,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x1_0000_0000,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    u64::MAX,
    0x0123_4567_89ab_cdef,
];

pub mod group {
    pub const BIN: u8 = 0;
    pub const UN: u8 = 1;
    pub const MOVI: u8 = 2;
    pub const FLAGS: u8 = 3;
    pub const CCMP: u8 = 4;
    pub const CSEL: u8 = 5;
    pub const GET_NZCV: u8 = 6;
    pub const SET_NZCV: u8 = 7;
    pub const LOAD: u8 = 8;
    pub const STORE: u8 = 9;
    pub const LOAD_PAIR: u8 = 10;
    pub const STORE_PAIR: u8 = 11;
    pub const VLOAD: u8 = 12;
    pub const VSTORE: u8 = 13;
    pub const VBIN: u8 = 14;
    pub const VMOVE: u8 = 15;
    pub const RMW: u8 = 16;
    pub const CAS: u8 = 17;
    pub const CALL: u8 = 18;
    pub const EXTEND: u8 = 19;
    pub const COMPARE: u8 = 20;
    pub const FENCE: u8 = 21;
    pub const BIN_IMM: u8 = 22;
    /// Writes a register and then faults, which `Emit` forbids.
    pub const ROGUE: u8 = 23;
    /// Reads a counter that never stands still. Where `sub` is 0 its helper says that it is pure, which is a lie.
    pub const COUNTER: u8 = 24;

    pub const BCOND: u8 = 32;
    pub const CBZ: u8 = 33;
    pub const JUMP: u8 = 34;
    pub const JUMP_REG: u8 = 35;
    pub const SYNC: u8 = 36;
}

/// An instruction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Insn {
    pub group: u8,
    pub sub: u8,
    pub d: u8,
    pub n: u8,
    pub m: u8,
    pub x: u8,
    pub imm: i16,
}

impl Insn {
    pub fn bytes(self) -> [u8; LEN] {
        let i = self.imm.to_le_bytes();
        [self.group, self.sub, self.d, self.n, self.m, self.x, i[0], i[1]]
    }

    fn from_bytes(b: [u8; LEN]) -> Insn {
        let imm = i16::from_le_bytes([b[6], b[7]]);
        Insn { group: b[0], sub: b[1], d: b[2], n: b[3], m: b[4], x: b[5], imm }
    }

    /// How it accesses memory: size in `sub`; in `x` bit 0 alignment, bit 1 privilege, bits 3 to 2 ordering.
    fn memop(self) -> MemOp {
        let mut m = MemOp::new(Size::from_log2(self.sub as u32));
        if self.x & 1 != 0 {
            m = m.aligned();
        }
        if self.x & 2 != 0 {
            m = m.unpriv();
        }
        m.order(match self.x >> 2 & 3 {
            0 => Order::Relaxed,
            1 => Order::Acquire,
            2 => Order::Release,
            _ => Order::AcqRel,
        })
    }

    fn target(self, pc: u64) -> u64 {
        pc.wrapping_add((self.imm as i64 * LEN as i64) as u64)
    }
}

/// A source register; number 31 reads 0.
fn src(r: u8) -> Reg {
    if r & 31 == 31 { REG_ZERO } else { Reg(r & 31) }
}

/// A destination register; number 31 is lost.
fn dst(r: u8) -> Reg {
    if r & 31 == 31 { REG_SINK } else { Reg(r & 31) }
}

#[derive(Clone, Copy, Debug)]
struct Plain(Insn);

#[derive(Clone, Copy, Debug)]
struct Branch {
    i: Insn,
    target: u64,
}

#[derive(Clone, Copy, Debug)]
struct Indirect(Insn);

#[derive(Clone, Copy, Debug)]
struct Sync;

extern "C" fn pure(_: &mut TestCpu, a: u64, b: u64, c: u64) -> u64 {
    a.rotate_left(7) ^ b.wrapping_mul(3) ^ c
}

extern "C" fn fp(cpu: &mut TestCpu, a: u64, b: u64, r: u64) -> u64 {
    let v = &mut cpu.core.vregs[(r & 31) as usize];
    v.0[0] = v.0[0].wrapping_add(a);
    v.0[1] ^= b;
    v.0[0] ^ v.0[1]
}

/// Changes registers and flags; faults where the low four bits of `a` are all set.
extern "C" fn system(cpu: &mut TestCpu, a: u64, b: u64, r: u64) -> u64 {
    if a & 15 == 15 {
        cpu.core.fault = 7;
        return 0;
    }
    let sum = cpu.core.regs.iter().take(31).fold(0u64, |s, v| s.rotate_left(1) ^ v);
    let x = &mut cpu.core.regs[(r % 31) as usize];
    *x = x.wrapping_add(b) ^ 1;
    let nzcv = cpu.core.nzcv();
    if a & 16 != 0 {
        cpu.core.set_nzcv(nzcv ^ 0xa000_0000);
    }
    sum
}

extern "C" fn counter(cpu: &mut TestCpu, _: u64, _: u64, _: u64) -> u64 {
    cpu.ticks += 1;
    cpu.ticks
}

impl Sem<TestCpu> for Plain {
    fn sem<E: Emit<Cpu = TestCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let i = self.0;
        let w = WIDTHS[(i.x & 3) as usize];
        match i.group {
            group::BIN => {
                let (a, b) = (e.reg(src(i.n)), e.reg(src(i.m)));
                let r = e.bin(BINS[i.sub as usize % BINS.len()], w, a, b);
                e.set_reg(dst(i.d), r);
            }
            group::BIN_IMM => {
                let a = e.reg(src(i.n));
                let b = e.imm(VALUES[i.m as usize % VALUES.len()]);
                let (a, b) = if i.imm & 1 == 0 { (a, b) } else { (b, a) };
                let r = e.bin(BINS[i.sub as usize % BINS.len()], w, a, b);
                e.set_reg(dst(i.d), r);
            }
            group::UN => {
                let a = e.reg(src(i.n));
                let r = e.un(UNS[i.sub as usize % UNS.len()], w, a);
                e.set_reg(dst(i.d), r);
            }
            group::MOVI => {
                let v = e.imm(VALUES[i.sub as usize % VALUES.len()].wrapping_add(i.imm as u64));
                e.set_reg(dst(i.d), v);
            }
            group::FLAGS => {
                let a = e.reg(src(i.n));
                let b = if i.sub == 2 { e.imm(0) } else { e.reg(src(i.m)) };
                let op = if i.sub == 0 { FlagOp::Sub } else { FlagOp::Add };
                let r = e.bin(if i.sub == 0 { Bin::Sub } else { Bin::Add }, w, a, b);
                e.set_flags(op, w, a, b);
                e.set_reg(dst(i.d), r);
            }
            group::CCMP => {
                let (a, b) = (e.reg(src(i.n)), e.reg(src(i.m)));
                let c = e.cond(Cond::from_bits(i.sub as u32));
                let op = if i.d & 1 == 0 { FlagOp::Sub } else { FlagOp::Add };
                e.set_flags_if(c, op, w, a, b, ((i.imm as u32) & 15) << 28);
            }
            group::CSEL => {
                let (a, b) = (e.reg(src(i.n)), e.reg(src(i.m)));
                let c = e.cond(Cond::from_bits(i.sub as u32));
                let r = e.select(c, a, b);
                e.set_reg(dst(i.d), r);
            }
            group::GET_NZCV => {
                let v = e.nzcv();
                e.set_reg(dst(i.d), v);
            }
            group::SET_NZCV => {
                let v = e.reg(src(i.n));
                e.set_nzcv(v);
            }
            group::LOAD => {
                // With write-back where `imm` is odd.
                let base = e.reg(src(i.n));
                let va = e.add_imm(base, i.imm as i64 as u64);
                let v = e.load(i.memop(), va)?;
                if i.imm & 1 != 0 {
                    e.set_reg(dst(i.n), va);
                }
                e.set_reg(dst(i.d), v);
            }
            group::STORE => {
                let base = e.reg(src(i.n));
                let va = e.add_imm(base, i.imm as i64 as u64);
                let v = e.reg(src(i.d));
                e.store(i.memop(), va, v)?;
            }
            group::LOAD_PAIR => {
                let base = e.reg(src(i.n));
                let va = e.add_imm(base, i.imm as i64 as u64);
                let (lo, hi) = e.load_pair(i.memop(), va)?;
                e.set_reg(dst(i.d), lo);
                e.set_reg(dst(i.m), hi);
            }
            group::STORE_PAIR => {
                let base = e.reg(src(i.n));
                let va = e.add_imm(base, i.imm as i64 as u64);
                let (lo, hi) = (e.reg(src(i.d)), e.reg(src(i.m)));
                e.store_pair(i.memop(), va, lo, hi)?;
            }
            group::VLOAD => {
                let base = e.reg(src(i.n));
                let va = e.add_imm(base, i.imm as i64 as u64);
                let v = e.vload(i.memop(), va)?;
                e.set_vreg(i.d, v);
            }
            group::VSTORE => {
                let base = e.reg(src(i.n));
                let va = e.add_imm(base, i.imm as i64 as u64);
                let v = e.vreg(i.d);
                e.vstore(i.memop(), va, v)?;
            }
            group::VBIN => {
                let (a, b) = (e.vreg(i.n), e.vreg(i.m));
                let r = e.vbin(VBINS[i.sub as usize % VBINS.len()], LANES[(i.x & 3) as usize], a, b);
                e.set_vreg(i.d, r);
            }
            group::VMOVE => match i.sub & 3 {
                0 => {
                    let (lo, hi) = (e.reg(src(i.n)), e.reg(src(i.m)));
                    let v = e.vec(lo, hi);
                    e.set_vreg(i.d, v);
                }
                1 => {
                    let v = e.vreg(i.n);
                    let r = e.vec_lo(v);
                    e.set_reg(dst(i.d), r);
                }
                2 => {
                    let v = e.vreg(i.n);
                    let r = e.vec_hi(v);
                    e.set_reg(dst(i.d), r);
                }
                _ => {
                    let v = e.reg(src(i.n));
                    let v = e.vsplat(LANES[(i.x & 3) as usize], v);
                    e.set_vreg(i.d, v);
                }
            },
            group::RMW => {
                let (va, v) = (e.reg(src(i.n)), e.reg(src(i.m)));
                let m = MemOp::new(Size::from_log2((i.x & 3) as u32)).order(Order::AcqRel);
                let old = e.rmw(Rmw::ALL[i.sub as usize % 9], m, va, v)?;
                e.set_reg(dst(i.d), old);
            }
            group::CAS => {
                let (va, old, new) = (e.reg(src(i.n)), e.reg(src(i.d)), e.reg(src(i.m)));
                let got = e.cas(MemOp::new(Size::from_log2((i.x & 3) as u32)), va, old, new)?;
                e.set_reg(dst(i.d), got);
            }
            group::CALL => {
                let h = match i.sub % 3 {
                    0 => Helper::pure("pure", pure),
                    1 => Helper::fp("fp", fp),
                    _ => Helper::cpu("system", system),
                };
                let (a, b, c) = (e.reg(src(i.n)), e.reg(src(i.m)), e.imm(i.imm as u64));
                let r = e.call(h, [a, b, c])?;
                e.set_reg(dst(i.d), r);
            }
            group::EXTEND => {
                let a = e.reg(src(i.n));
                let r = if i.sub & 1 == 0 { e.zext(w, a) } else { e.sext(w, a) };
                e.set_reg(dst(i.d), r);
            }
            group::COMPARE => {
                let (a, b) = (e.reg(src(i.n)), e.reg(src(i.m)));
                let c = e.cmp(CCS[i.sub as usize % CCS.len()], w, a, b);
                let v = e.bool_val(c);
                e.set_reg(dst(i.d), v);
            }
            group::COUNTER => {
                let h = if i.sub == 0 {
                    Helper::pure("counter", counter)
                } else {
                    Helper::sys("counter", counter)
                };
                let zero = e.imm(0);
                let r = e.call(h, [zero, zero, zero])?;
                e.set_reg(dst(i.d), r);
            }
            group::FENCE => e.fence(),
            group::ROGUE => {
                let a = e.reg(src(i.n));
                e.set_reg(dst(i.d), a);
                e.load(MemOp::new(Size::B8), a)?;
            }
            _ => {}
        }
        Ok(())
    }
}

impl Sem<TestCpu> for Branch {
    const TERM: Term = Term::Branch;

    fn sem<E: Emit<Cpu = TestCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let i = self.i;
        match i.group {
            group::BCOND => {
                let c = e.cond(Cond::from_bits(i.sub as u32));
                e.branch(c, self.target);
            }
            group::CBZ => {
                let v = e.reg(src(i.n));
                let zero = e.imm(0);
                let c =
                    e.cmp(if i.sub & 1 == 0 { Cc::Eq } else { Cc::Ne }, WIDTHS[(i.x & 3) as usize], v, zero);
                e.branch(c, self.target);
            }
            _ => e.jump(self.target, JumpKind::Jump),
        }
        Ok(())
    }
}

impl Sem<TestCpu> for Indirect {
    const TERM: Term = Term::Indirect;

    fn sem<E: Emit<Cpu = TestCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let t = e.reg(src(self.0.n));
        let k = e.imm(3);
        let t = e.bin(Bin::Bic, Width::W64, t, k);
        e.jump_reg(t, JumpKind::Ret);
        Ok(())
    }
}

impl Sem<TestCpu> for Sync {
    const TERM: Term = Term::Sync;

    fn sem<E: Emit<Cpu = TestCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let v = e.reg(Reg(0));
        let v = e.add_imm(v, 1);
        e.set_reg(Reg(0), v);
        e.sync_next();
        Ok(())
    }
}

/// An access that went the slow way: address, then `pc` and `budget` as it found them.
pub type Slow = (u64, u64, i64);

/// The CPU.
#[derive(Debug)]
#[repr(C)]
pub struct TestCpu {
    pub core: Core,
    pub mem: Box<[u8]>,
    tlb: Box<[TlbEntry]>,
    tlb_unpriv: Box<[TlbEntry]>,
    pub jump: Box<[JumpEntry]>,
    pub log: Vec<Slow>,
    /// See [`group::COUNTER`].
    pub ticks: u64,
    /// Slices left.
    pub slices: u64,
}

impl TestCpu {
    pub fn new() -> TestCpu {
        let mem = vec![0u8; (PAGES * PAGE_SIZE) as usize].into_boxed_slice();
        let empty = || vec![TlbEntry::EMPTY; TLB_ENTRIES].into_boxed_slice();
        let mut cpu = TestCpu {
            core: Core::new(),
            mem,
            tlb: empty(),
            tlb_unpriv: empty(),
            jump: vec![JumpEntry::EMPTY; JUMP_ENTRIES].into_boxed_slice(),
            log: Vec::new(),
            ticks: 0,
            slices: 0,
        };
        cpu.core.budget = 1 << 40;
        cpu.fill_tlb();
        cpu
    }

    fn fill_tlb(&mut self) {
        let addend = (self.mem.as_mut_ptr() as u64).wrapping_sub(MEM);
        for page in 0..3 {
            let va = MEM + page * PAGE_SIZE;
            let write = if page < 2 { va } else { TAG_NONE };
            self.tlb[tlb_index(va)] = TlbEntry { read: va, write, exec: TAG_NONE, addend };
            if page == 0 {
                self.tlb_unpriv[tlb_index(va)] = TlbEntry { read: va, write, exec: TAG_NONE, addend };
            }
        }
        self.core.jump_cache = self.jump.as_mut_ptr();
        self.core.tlb = self.tlb.as_mut_ptr();
        self.core.tlb_unpriv = self.tlb_unpriv.as_mut_ptr();
    }

    /// A second CPU in the same state.
    pub fn twin(&self) -> TestCpu {
        let mut t = TestCpu::new();
        t.mem.copy_from_slice(&self.mem);
        let c = &self.core;
        t.core = Core {
            regs: c.regs,
            vregs: c.vregs,
            pc: c.pc,
            flag_op: c.flag_op,
            flag_a: c.flag_a,
            flag_b: c.flag_b,
            budget: c.budget,
            ..Core::new()
        };
        t.fill_tlb();
        t
    }

    /// Panics with `what` at the first difference in guest state.
    pub fn assert_same(&self, other: &TestCpu, what: &str) {
        let (a, b) = (&self.core, &other.core);
        assert_eq!(a.pc, b.pc, "pc: {what}");
        assert_eq!(a.budget, b.budget, "budget: {what}");
        assert_eq!(a.fault, b.fault, "fault: {what}");
        for r in 0..62 {
            assert_eq!(a.regs[r], b.regs[r], "register {r}: {what}");
        }
        assert_eq!((a.flag_op, a.flag_a, a.flag_b), (b.flag_op, b.flag_a, b.flag_b), "flags: {what}");
        assert_eq!(a.vregs, b.vregs, "vector registers: {what}");
        assert!(self.mem == other.mem, "memory: {what}");
        assert_eq!(self.log, other.log, "slow accesses: {what}");
    }

    /// Bytes at `va`, if all of them exist and alignment is as required.
    fn at(&mut self, va: u64, bytes: u64, m: MemOp) -> Option<&mut [u8]> {
        self.log.push((va, self.core.pc, self.core.budget));
        let o = va.wrapping_sub(MEM);
        let misaligned = m.aligned && va & (m.align.bytes() - 1) != 0;
        if misaligned || o >= PAGES * PAGE_SIZE || o + bytes > PAGES * PAGE_SIZE {
            self.core.fault = 1 + misaligned as u64;
            return None;
        }
        self.mem.get_mut(o as usize..(o + bytes) as usize)
    }

    /// An atomic access, which is a slow one only where the inline TLB does not allow it.
    fn atomic(&mut self, va: u64, m: MemOp, new: impl FnOnce(u64) -> Option<u64>) -> u64 {
        let aligned = va & (m.size.bytes() - 1) == 0;
        let inline = aligned && self.tlb[tlb_index(va)].write == va & PAGE_MASK;
        let accesses = self.log.len();
        let old = self.load_slow(va, m);
        if self.core.fault == 0
            && let Some(new) = new(old)
        {
            self.store_slow(va, m, new);
        }
        if inline {
            self.log.truncate(accesses);
        }
        old
    }

    /// Interprets one instruction with `pc` exact; `false` where it faulted and nothing has changed.
    pub fn step(&mut self, insn: Insn) -> bool {
        let pc = self.core.pc;
        let (ok, next, target) = {
            struct Exec<'a>(&'a mut TestCpu);
            impl Visitor<TestCpu> for Exec<'_> {
                type Out = (bool, Next, u64);
                fn visit<S: Sem<TestCpu>>(self, s: S) -> Self::Out {
                    let mut e = Interp::new(self.0);
                    let ok = s.sem(&mut e).is_ok();
                    (ok, e.next, e.target)
                }
            }
            TestCpu::decode(&insn.bytes(), pc, 0, Exec(self)).0
        };
        if !ok {
            return false;
        }
        self.core.pc = match next {
            Next::Taken | Next::Indirect => target,
            _ => pc + LEN as u64,
        };
        self.core.budget -= 1;
        true
    }
}

// SAFETY: the pointers in the jump cache lead to regions that the test owns.
unsafe impl Send for TestCpu {}

// SAFETY: `repr(C)` with `core` first.
unsafe impl Cpu for TestCpu {
    fn core(&self) -> &Core {
        &self.core
    }
    fn core_mut(&mut self) -> &mut Core {
        &mut self.core
    }
    fn mode(&self) -> u64 {
        0
    }
    fn decode<V: Visitor<Self>>(bytes: &[u8], pc: u64, _mode: u64, v: V) -> (V::Out, usize) {
        let Some(b) = bytes.first_chunk() else { return (v.visit(Sync), LEN) };
        let i = Insn::from_bytes(*b);
        let out = match i.group {
            group::BCOND..=group::JUMP => v.visit(Branch { i, target: i.target(pc) }),
            group::JUMP_REG => v.visit(Indirect(i)),
            group::SYNC => v.visit(Sync),
            _ => v.visit(Plain(i)),
        };
        (out, LEN)
    }
    fn disassemble(bytes: &[u8], _pc: u64) -> String {
        match bytes.first_chunk() {
            Some(b) => format!("{:?}", Insn::from_bytes(*b)),
            None => String::from("(truncated)"),
        }
    }
    fn fetch(&mut self, va: u64) -> Option<CodePage> {
        let pa = va.wrapping_sub(MEM) & PAGE_MASK;
        let page = self.mem.get(pa as usize..)?;
        Some(CodePage { pa, host: page.as_ptr() })
    }
    fn take_fault(&mut self, _pc: u64) {}
    fn poll(&mut self, _retired: u64) -> Event {
        match self.slices.checked_sub(1) {
            Some(n) => {
                self.slices = n;
                Event::Run
            }
            None => Event::Stop,
        }
    }
    fn after_sync(&mut self) -> bool {
        self.core.regs[0] & 1 != 0
    }
    fn has_dirty_code(&self) -> bool {
        false
    }
    fn wait(&mut self) {}
    fn watch_code(&mut self, _pa: u64) {}
    fn unwatch_code(&mut self, _pa: u64) {}
    fn take_dirty_code(&mut self) -> Option<(u64, u64)> {
        None
    }
    fn load_slow(&mut self, va: u64, m: MemOp) -> u64 {
        let n = m.size.bytes() as usize;
        let mut b = [0; 8];
        if let Some(p) = self.at(va, n as u64, m) {
            b[..n].copy_from_slice(p);
        }
        u64::from_le_bytes(b)
    }
    fn store_slow(&mut self, va: u64, m: MemOp, v: u64) {
        let n = m.size.bytes() as usize;
        if let Some(p) = self.at(va, n as u64, m) {
            p.copy_from_slice(&v.to_le_bytes()[..n]);
        }
    }
    fn load128_slow(&mut self, va: u64, m: MemOp) -> V128 {
        let mut b = [0; 16];
        if let Some(p) = self.at(va, 16, m) {
            b.copy_from_slice(p);
        }
        V128::from_bytes(b)
    }
    fn store128_slow(&mut self, va: u64, m: MemOp, v: V128) {
        if let Some(p) = self.at(va, 16, m) {
            p.copy_from_slice(&v.to_bytes());
        }
    }
    fn rmw(&mut self, op: Rmw, va: u64, m: MemOp, v: u64) -> u64 {
        self.atomic(va, m, |old| Some(op.eval(m.size.width(), old, v)))
    }
    fn cas(&mut self, va: u64, m: MemOp, expected: u64, new: u64) -> u64 {
        self.atomic(va, m, |old| (old == m.size.width().zext(expected)).then_some(new))
    }
}
