//! [`Dump`]: a compiled region for people, and for those who count.

use std::fmt;
use std::ops::Range;

use cranelift_codegen::Context;
use cranelift_codegen::ir::{Function, SourceLoc, Value};
use lyrebird_isa::Cpu;

use super::flow::Region;
use super::host::Moved;
use super::region::RegionRequest;

/// Set in the source location of what is emitted into a cold block. The other bits are the number of a guest
/// instruction in the region, from 1; 0 for what belongs to none.
const COLD: u32 = 1 << 31;

/// Set where a rounding to an integral value must not raise the precision exception, which there is no CLIF for:
/// [`super::host::silence`] sees to it afterwards. It is set in no other source location but the default.
const QUIET: u32 = 1 << 30;

/// A guest instruction of a region.
#[derive(Clone, Debug)]
pub struct GuestInsn {
    /// Its address.
    pub pc: u64,
    /// Its disassembly.
    pub text: String,
    /// It begins a block.
    pub leads: bool,
}

/// A stretch of host code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Its bytes, counted from the start of [`super::Code::bytes`].
    pub range: Range<usize>,
    /// Index in [`Dump::guest`] of the instruction it is for; `None` for entry, exits and the code between.
    pub insn: Option<usize>,
    /// It is on no path that regular execution takes: slow paths of accesses, faults.
    pub cold: bool,
}

/// A region in all its forms.
#[derive(Clone, Debug, Default)]
pub struct Dump {
    /// The guest's instructions in the order in which they were compiled.
    pub guest: Vec<GuestInsn>,
    /// The function as Cranelift was given it.
    pub clif: String,
    /// Instructions in it.
    pub clif_insns: u32,
    /// Host code with virtual names, as Cranelift shows it.
    pub vcode: String,
    /// The parts of the host code, in ascending order. Behind the last one are constants.
    pub pieces: Vec<Piece>,
    /// The host code: [`super::Code::bytes`].
    pub host: Vec<u8>,
    /// The address at which it was installed.
    pub base: u64,
}

/// Where the instruction with that index in the region is from.
pub(super) fn location(insn: usize) -> SourceLoc {
    SourceLoc::new(insn as u32 + 1)
}

/// Marks the instruction of a result as [`QUIET`].
pub(super) fn mark_quiet(func: &mut Function, r: Value) {
    let Some(i) = func.dfg.value_def(r).inst() else { return };
    let at = func.srcloc(i);
    let number = if at.is_default() { 0 } else { at.bits() };
    func.set_srcloc(i, SourceLoc::new(number | QUIET));
}

/// Whether what has that location is [`QUIET`].
pub(super) fn is_quiet(at: SourceLoc) -> bool {
    !at.is_default() && at.bits() & QUIET != 0
}

/// Marks what is in cold blocks as such.
pub(super) fn mark_cold(func: &mut Function) {
    let blocks: Vec<_> = func.layout.blocks().filter(|b| func.layout.is_cold(*b)).collect();
    for block in blocks {
        let insns: Vec<_> = func.layout.block_insts(block).collect();
        for i in insns {
            let at = func.srcloc(i);
            let number = if at.is_default() { 0 } else { at.bits() };
            func.set_srcloc(i, SourceLoc::new(number | COLD));
        }
    }
}

impl Dump {
    /// Of the function that was just compiled and installed, with its bytes `moved`.
    pub(super) fn of<C: Cpu>(
        context: &Context,
        region: &Region,
        request: &RegionRequest,
        moved: &Moved,
    ) -> Dump {
        let func = &context.func;
        let mut dump = Dump {
            clif: func.display().to_string(),
            clif_insns: func.layout.blocks().map(|b| func.layout.block_insts(b).count() as u32).sum(),
            ..Dump::default()
        };
        for b in &region.blocks {
            let bytes = &request.blocks[b.source].bytes;
            for (n, i) in b.insns.iter().enumerate() {
                let text = C::disassemble(&bytes[i.offset..], i.pc);
                dump.guest.push(GuestInsn { pc: i.pc, text, leads: n == 0 });
            }
        }
        let Some(code) = context.compiled_code() else { return dump };
        dump.vcode = code.vcode.clone().unwrap_or_default();
        // What has no location is entry and exits, which are hot.
        let mut end = 0;
        let mut add = |range: Range<usize>, at: u32| {
            let (insn, cold) = ((at & !(COLD | QUIET)) as usize, at & COLD != 0);
            let range = moved.to(range.start)..moved.to(range.end);
            if !range.is_empty() {
                dump.pieces.push(Piece { range, insn: insn.checked_sub(1), cold });
            }
        };
        for s in code.buffer.get_srclocs_sorted() {
            let (from, to) = (s.start as usize, s.end as usize);
            add(end..from, 0);
            add(from..to, if s.loc.is_default() { 0 } else { s.loc.bits() });
            end = to;
        }
        dump
    }
}

impl fmt::Display for Dump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for i in &self.guest {
            if i.leads {
                writeln!(f, ";")?;
            }
            writeln!(f, "; {:#018x}  {}", i.pc, i.text)?;
        }
        writeln!(f, ";\n{}{}", self.clif, self.vcode)
    }
}
