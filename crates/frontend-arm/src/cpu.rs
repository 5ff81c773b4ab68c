//! [`ArmCpu`]: one ARM vCPU.

use lyrebird_isa::cpu::CodePage;
use lyrebird_isa::cpu::Event;
use lyrebird_isa::{Core, Cpu, MemOp, Rmw, V128, Visitor};

use crate::a64::decode;
use crate::a64::table::Feature;
use crate::a64::word::Word;

/// Bits of the CPU's state that change what an instruction word means; blocks are keyed by them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode(pub u64);

impl Mode {
    /// Exception level, bits 1 to 0.
    pub fn el(self) -> u8 {
        (self.0 & 3) as u8
    }

    /// FP and SIMD instructions trap, bit 2.
    pub fn fp_trapped(self) -> bool {
        self.0 & 4 != 0
    }

    /// Whether the CPU model has a feature; mask in bits 16 and up.
    pub fn has(self, f: Feature) -> bool {
        self.0 >> 16 & 1 << f as u8 != 0
    }
}

/// Floating-point control and status.
#[derive(Clone, Copy, Debug, Default)]
pub struct FpState {
    /// FPCR.
    pub fpcr: u64,
    /// FPSR.
    pub fpsr: u64,
}

/// One ARM vCPU.
#[derive(Debug)]
#[repr(C)]
pub struct ArmCpu {
    /// JIT-visible state.
    pub core: Core,
    /// FPCR and FPSR.
    pub fp: FpState,
}

impl ArmCpu {
    /// Records the undefined-instruction exception for `word`. `known`: the encoding has a row in the table but
    /// no semantics; it is counted by name.
    pub fn undefined_instruction(&mut self, word: u32, known: bool) {
        let _ = (word, known);
        self.core.fault = 1;
    }

    /// Records the FP access trap.
    pub fn fp_access_trap(&mut self) {
        self.core.fault = 1;
    }
}

// SAFETY: `repr(C)` with `core` first.
unsafe impl Cpu for ArmCpu {
    fn core(&self) -> &Core {
        &self.core
    }
    fn core_mut(&mut self) -> &mut Core {
        &mut self.core
    }
    fn mode(&self) -> u64 {
        0
    }
    fn decode<V: Visitor<Self>>(bytes: &[u8], pc: u64, mode: u64, v: V) -> (V::Out, usize) {
        let w = match bytes.first_chunk() {
            Some(b) => Word(u32::from_le_bytes(*b)),
            None => Word(0),
        };
        (decode::decode(w, pc, Mode(mode), v), 4)
    }
    fn disassemble(bytes: &[u8], _pc: u64) -> String {
        match bytes.first_chunk() {
            Some(b) => decode::disassemble(Word(u32::from_le_bytes(*b))),
            None => String::from("(truncated)"),
        }
    }
    fn fetch(&mut self, _va: u64) -> Option<CodePage> {
        None
    }
    fn take_fault(&mut self, _pc: u64) {}
    fn poll(&mut self, _retired: u64) -> Event {
        Event::Stop
    }
    fn wait(&mut self) {}
    fn watch_code(&mut self, _pa: u64) {}
    fn unwatch_code(&mut self, _pa: u64) {}
    fn take_dirty_code(&mut self) -> Option<(u64, u64)> {
        None
    }
    fn load_slow(&mut self, _va: u64, _m: MemOp) -> u64 {
        0
    }
    fn store_slow(&mut self, _va: u64, _m: MemOp, _v: u64) {}
    fn load128_slow(&mut self, _va: u64, _m: MemOp) -> V128 {
        V128::default()
    }
    fn store128_slow(&mut self, _va: u64, _m: MemOp, _v: V128) {}
    fn rmw(&mut self, _op: Rmw, _va: u64, _m: MemOp, _v: u64) -> u64 {
        0
    }
    fn cas(&mut self, _va: u64, _m: MemOp, _expected: u64, _new: u64) -> u64 {
        0
    }
}
