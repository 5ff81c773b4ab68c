//! [`State`]: what the guest can see of a CPU, to keep, put back and compare.

use lyrebird_isa::state::{REG_SINK, REGS};
use lyrebird_isa::{Cpu, V128};

/// Guest-visible state. Vector registers are left alone where a region does not touch them.
#[derive(Clone, Debug)]
pub struct State {
    pub regs: [u64; REGS],
    pub pc: u64,
    flags: [u64; 3],
    excl: [u64; 3],
    aux: [u64; 2],
    vregs: [V128; 32],
}

impl Default for State {
    fn default() -> State {
        State {
            regs: [0; REGS],
            pc: 0,
            flags: [0; 3],
            excl: [0; 3],
            aux: [0; 2],
            vregs: [V128::default(); 32],
        }
    }
}

impl State {
    /// Takes the CPU's state.
    #[inline]
    pub fn take<C: Cpu>(&mut self, cpu: &C, vectors: bool) {
        let c = cpu.core();
        self.regs = c.regs;
        self.pc = c.pc;
        self.flags = [c.flag_op, c.flag_a, c.flag_b];
        self.excl = [c.excl_addr, c.excl_val[0], c.excl_val[1]];
        self.aux = cpu.aux_state();
        if vectors {
            self.vregs = c.vregs;
        }
    }

    /// Makes it the CPU's.
    #[inline]
    pub fn put<C: Cpu>(&self, cpu: &mut C, vectors: bool) {
        let c = cpu.core_mut();
        c.regs = self.regs;
        c.pc = self.pc;
        [c.flag_op, c.flag_a, c.flag_b] = self.flags;
        c.excl_addr = self.excl[0];
        c.excl_val = [self.excl[1], self.excl[2]];
        if vectors {
            c.vregs = self.vregs;
        }
        cpu.set_aux_state(self.aux);
    }

    fn nzcv(&self) -> u64 {
        let [op, a, b] = self.flags;
        lyrebird_isa::flags::materialise(op, a, b) | lyrebird_isa::flags::materialise_aux(op, a, b)
    }

    /// Whether the guest cannot tell them apart.
    #[inline]
    pub fn same(&self, other: &State, vectors: bool) -> bool {
        const { assert!(REG_SINK.0 as usize == REGS - 1) };
        self.pc == other.pc
            && self.regs[..REGS - 1] == other.regs[..REGS - 1]
            && (self.flags == other.flags || self.nzcv() == other.nzcv())
            && self.excl == other.excl
            && self.aux == other.aux
            && (!vectors || self.vregs == other.vregs)
    }

    /// What differs, one line each: name, T0, T1.
    pub fn differences(&self, other: &State, vectors: bool) -> Vec<String> {
        let mut out = Vec::new();
        let mut line = |name: &str, i: Option<usize>, a: u64, b: u64| {
            if a != b {
                let name = i.map_or(name.to_string(), |i| name.replace('#', &i.to_string()));
                out.push(format!("  {name:<8} T0 {a:#018x}  T1 {b:#018x}"));
            }
        };
        line("pc", None, self.pc, other.pc);
        line("nzcv", None, self.nzcv(), other.nzcv());
        for i in 0..REGS {
            if i != REG_SINK.0 as usize {
                line("r#", Some(i), self.regs[i], other.regs[i]);
            }
        }
        for i in 0..if vectors { 32 } else { 0 } {
            line("v#.lo", Some(i), self.vregs[i].0[0], other.vregs[i].0[0]);
            line("v#.hi", Some(i), self.vregs[i].0[1], other.vregs[i].0[1]);
        }
        for i in 0..3 {
            line("excl#", Some(i), self.excl[i], other.excl[i]);
        }
        for i in 0..2 {
            line("aux#", Some(i), self.aux[i], other.aux[i]);
        }
        out
    }
}
