//! System registers and system instructions: the table, and who may use which row.
//!
//! A row says where a register lives, who may read and write it, and what a write does. Registers that kernels
//! touch at every turn live in [`lyrebird_isa::Core::regs`] (see [`crate::a64::regs`]); `MRS` of them is a move.

pub mod address;
mod control;
mod debug;
mod gic;
mod id;
mod ops;
pub mod regs;
#[cfg(test)]
mod tests;
mod timer;

use std::fmt;
use std::sync::LazyLock;

use lyrebird_isa::Reg;

use crate::ArmCpu;
use crate::a64::table::Feature;
use crate::a64::word::Word;
use crate::cpu::Mode;
use crate::exception::ec;
pub use regs::{SysRegs, sctlr, tcr};

/// Encoding of a system register or instruction: op0, op1, CRn, CRm, op2 from bit 15 down, as in bits 20 to 5
/// of the instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Enc(pub u16);

impl Enc {
    /// From the fields.
    pub const fn new(op0: u16, op1: u16, crn: u16, crm: u16, op2: u16) -> Enc {
        Enc(op0 << 14 | op1 << 11 | crn << 7 | crm << 3 | op2)
    }

    /// From the fields of an `MSR`, `MRS`, `SYS` or `SYSL`.
    pub const fn of(w: Word) -> Enc {
        Enc(w.bits(5, 16) as u16)
    }

    /// op0, op1, CRn, CRm, op2.
    pub const fn fields(self) -> [u32; 5] {
        let e = self.0 as u32;
        [e >> 14, e >> 11 & 7, e >> 7 & 15, e >> 3 & 15, e & 7]
    }

    /// ESR_ELx.ISS of a trapped access (Arm ARM D17.2.37, EC 0x18).
    pub const fn iss(self, t: u32, read: bool) -> u32 {
        let [op0, op1, crn, crm, op2] = self.fields();
        op0 << 20 | op2 << 17 | op1 << 14 | crn << 10 | t << 5 | crm << 1 | read as u32
    }

    /// The reserved part of the ID space, which reads as zero (Arm ARM D17.1.1).
    const fn is_reserved_id(self) -> bool {
        let [op0, op1, crn, crm, _] = self.fields();
        op0 == 3 && op1 == 0 && crn == 0 && crm >= 1 && crm <= 7
    }
}

impl fmt::Display for Enc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [op0, op1, crn, crm, op2] = self.fields();
        write!(f, "S{op0}_{op1}_C{crn}_C{crm}_{op2}")
    }
}

/// Where a field of [`SysRegs`] is.
pub type Field = fn(&mut SysRegs) -> &mut u64;

/// What a read gives.
#[derive(Clone, Copy, Debug)]
pub enum Read {
    /// Cannot be read.
    None,
    /// A register of [`lyrebird_isa::Core`].
    Reg(Reg),
    /// PSTATE.{N,Z,C,V}.
    Nzcv,
    /// CurrentEL, known from the mode.
    CurrentEl,
    /// SPSel, known from the mode.
    SpSel,
    /// Plain storage.
    Field(Field),
    /// Computed.
    Call(fn(&mut ArmCpu) -> u64),
    /// Computed, and may record an exception.
    MayFault(fn(&mut ArmCpu) -> u64),
}

/// What a write does.
#[derive(Clone, Copy, Debug)]
pub enum Write {
    /// Cannot be written.
    None,
    /// Accepted without effect.
    Nop,
    /// A register of [`lyrebird_isa::Core`], all bits.
    Reg(Reg),
    /// PSTATE.{N,Z,C,V}.
    Nzcv,
    /// PSTATE.{D,A,I,F}.
    Daif,
    /// Plain storage of the bits in the mask; the others keep their value.
    Field(Field, u64),
    /// A function that sees neither general registers nor memory.
    Call(fn(&mut ArmCpu, u64)),
    /// A function that may touch anything and record an exception.
    MayFault(fn(&mut ArmCpu, u64)),
}

/// Whether EL0 may make an access (`true`: a write); if not it traps to EL1.
pub type El0Check = fn(&ArmCpu, bool) -> bool;

/// No exception level.
const NOWHERE: u8 = 4;

/// One system register or instruction.
#[derive(Clone, Copy, Debug)]
pub struct SysReg {
    /// Its name in the Arm ARM.
    pub name: &'static str,
    /// Its encoding.
    pub enc: Enc,
    /// Extension it belongs to.
    pub feature: Feature,
    /// What a read gives.
    pub read: Read,
    /// What a write does.
    pub write: Write,
    /// After a write the engine looks at the CPU again.
    pub sync: bool,
    /// CPACR_EL1.FPEN traps it.
    pub fp: bool,
    read_el: u8,
    write_el: u8,
    el0: Option<El0Check>,
    exists: Option<fn(&ArmCpu) -> bool>,
    needs_spx: bool,
}

impl SysReg {
    /// A row that nobody may access yet.
    const fn new(name: &'static str, enc: [u16; 5]) -> SysReg {
        SysReg {
            name,
            enc: Enc::new(enc[0], enc[1], enc[2], enc[3], enc[4]),
            feature: Feature::Base,
            read: Read::None,
            write: Write::None,
            sync: false,
            fp: false,
            read_el: NOWHERE,
            write_el: NOWHERE,
            el0: None,
            exists: None,
            needs_spx: false,
        }
    }

    /// Readable from `el` up.
    const fn get(mut self, el: u8, read: Read) -> SysReg {
        self.read_el = el;
        self.read = read;
        self
    }

    /// Writable from `el` up.
    const fn set(mut self, el: u8, write: Write) -> SysReg {
        self.write_el = el;
        self.write = write;
        self
    }

    /// Kept in a register of [`lyrebird_isa::Core`], all bits.
    const fn reg(self, el: u8, r: Reg) -> SysReg {
        self.get(el, Read::Reg(r)).set(el, Write::Reg(r))
    }

    /// Plain storage.
    const fn field(self, el: u8, f: Field, mask: u64) -> SysReg {
        self.get(el, Read::Field(f)).set(el, Write::Field(f, mask))
    }

    /// Writes end the block.
    const fn sync(mut self) -> SysReg {
        self.sync = true;
        self
    }

    /// Belongs to an extension.
    const fn when(mut self, f: Feature) -> SysReg {
        self.feature = f;
        self
    }

    /// Exists where `f` holds.
    const fn exists(mut self, f: fn(&ArmCpu) -> bool) -> SysReg {
        self.exists = Some(f);
        self
    }

    /// EL0 traps unless `f` holds.
    const fn el0(mut self, f: El0Check) -> SysReg {
        self.el0 = Some(f);
        self
    }

    /// Trapped together with FP and Advanced SIMD.
    const fn fp(mut self) -> SysReg {
        self.fp = true;
        self
    }

    /// UNDEFINED while it is the stack pointer in use (SP_EL0 with PSTATE.SP 0).
    const fn needs_spx(mut self) -> SysReg {
        self.needs_spx = true;
        self
    }

    fn present(&self, mode: Mode) -> bool {
        mode.has(self.feature) && (!self.needs_spx || mode.sp_sel())
    }

    /// Whether reads are defined at the mode's level.
    pub fn readable(&self, mode: Mode) -> bool {
        mode.el() >= self.read_el && self.present(mode)
    }

    /// Whether writes are defined at the mode's level.
    pub fn writable(&self, mode: Mode) -> bool {
        mode.el() >= self.write_el && self.present(mode)
    }

    /// Whether an access has to ask the CPU first.
    pub fn checked(&self, mode: Mode) -> bool {
        self.exists.is_some() || mode.el() == 0 && self.el0.is_some()
    }

    /// Records the exception if the CPU refuses the access.
    fn refused(&self, cpu: &mut ArmCpu, t: u32, write: bool) -> bool {
        if self.exists.is_some_and(|f| !f(cpu)) {
            *cpu.counters.unknown_sysregs.entry(self.name.to_string()).or_insert(0) += 1;
            cpu.raise_undefined();
            return true;
        }
        if cpu.pstate.el == 0 && self.el0.is_some_and(|f| !f(cpu, write)) {
            cpu.raise_ec(ec::SYSREG, self.enc.iss(t, !write));
            return true;
        }
        false
    }
}

/// The rows, by subject. An id is the group in the high byte and the index in the low one.
static GROUPS: [&[SysReg]; 7] =
    [id::ROWS, control::ROWS, debug::ROWS, debug::POINTS, timer::ROWS, gic::ROWS, ops::ROWS];

static RESERVED_ID: SysReg = SysReg::new("ID_RES0", [3, 0, 0, 1, 0]).get(1, Read::Call(|_| 0));
const RESERVED_ID_ID: u16 = u16::MAX;

/// All rows.
pub fn all() -> impl Iterator<Item = &'static SysReg> {
    GROUPS.iter().flat_map(|g| g.iter())
}

static BY_ENC: LazyLock<Vec<(Enc, u16)>> = LazyLock::new(|| {
    let mut v: Vec<(Enc, u16)> = Vec::new();
    for (g, rows) in GROUPS.iter().enumerate() {
        for (i, r) in rows.iter().enumerate() {
            v.push((r.enc, (g << 8 | i) as u16));
        }
    }
    v.sort_unstable();
    v
});

fn by_id(id: u16) -> Option<&'static SysReg> {
    if id == RESERVED_ID_ID {
        return Some(&RESERVED_ID);
    }
    GROUPS.get((id >> 8) as usize)?.get((id & 0xff) as usize)
}

/// The row of an encoding and its id.
pub fn lookup(enc: Enc) -> Option<(u16, &'static SysReg)> {
    match BY_ENC.binary_search_by_key(&enc, |e| e.0) {
        Ok(i) => {
            let id = BY_ENC.get(i)?.1;
            Some((id, by_id(id)?))
        }
        Err(_) if enc.is_reserved_id() => Some((RESERVED_ID_ID, &RESERVED_ID)),
        Err(_) => None,
    }
}

/// Reads the register with that id, for `MRS Xt`; records an exception if the CPU refuses.
pub fn read(cpu: &mut ArmCpu, id: u16, t: u32) -> u64 {
    let Some(r) = by_id(id) else { return 0 };
    if r.refused(cpu, t, false) {
        return 0;
    }
    match r.read {
        Read::None => 0,
        Read::Reg(g) => cpu.core.reg(g),
        Read::Nzcv => cpu.core.nzcv(),
        Read::CurrentEl => (cpu.pstate.el as u64) << 2,
        Read::SpSel => cpu.pstate.sp_sel as u64,
        Read::Field(f) => *f(&mut cpu.sys),
        Read::Call(f) | Read::MayFault(f) => f(cpu),
    }
}

/// Writes the register with that id, for `MSR` from Xt; records an exception if the CPU refuses.
pub fn write(cpu: &mut ArmCpu, id: u16, value: u64, t: u32) {
    let Some(r) = by_id(id) else { return };
    if r.refused(cpu, t, true) {
        return;
    }
    match r.write {
        Write::None | Write::Nop => {}
        Write::Reg(g) => cpu.core.set_reg(g, value),
        Write::Nzcv => cpu.core.set_nzcv(value),
        Write::Daif => {
            cpu.core.set_reg(crate::a64::regs::DAIF, value & crate::cpu::pstate::spsr::DAIF);
        }
        Write::Field(f, mask) => {
            let p = f(&mut cpu.sys);
            *p = *p & !mask | value & mask;
        }
        Write::Call(f) | Write::MayFault(f) => f(cpu, value),
    }
}

impl ArmCpu {
    /// Records the exception of an access to a system register that does not exist or not at this level, and
    /// counts it if no row knows it.
    pub fn undefined_sysreg(&mut self, w: Word) {
        let enc = Enc::of(w);
        if lookup(enc).is_none() {
            *self.counters.unknown_sysregs.entry(enc.to_string()).or_insert(0) += 1;
        }
        self.raise_undefined();
    }

    /// Reads a system register by name, as its lowest privileged reader would; for debuggers and tests.
    pub fn sysreg(&mut self, name: &str) -> Option<u64> {
        let (id, _) = all().find(|r| r.name == name).and_then(|r| lookup(r.enc))?;
        let (r, el) = (by_id(id)?, self.pstate.el);
        if matches!(r.read, Read::None) || r.exists.is_some_and(|f| !f(self)) || el > 3 {
            return None;
        }
        Some(match r.read {
            Read::MayFault(_) => return None,
            Read::Call(f) => f(self),
            Read::Field(f) => *f(&mut self.sys),
            Read::Reg(g) => self.core.reg(g),
            Read::Nzcv => self.core.nzcv(),
            Read::CurrentEl => (el as u64) << 2,
            Read::SpSel => self.pstate.sp_sel as u64,
            Read::None => return None,
        })
    }
}
