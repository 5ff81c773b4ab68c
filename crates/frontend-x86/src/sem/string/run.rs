//! Runs: as many elements of a repeated instruction as lie in one page of each operand, in either direction, by the host's
//! means. What they leave in registers, flags and memory is what the elements one by one would.

use std::ptr::{read_unaligned, write_unaligned};

use lyrebird_isa::state::{PAGE_MASK, PAGE_SIZE};
use lyrebird_softmmu::{AccessKind, Touches};

use super::{Kind, What};
use crate::X86Cpu;
use crate::operand::size;
use crate::regs::{FLAGS, RAX, RCX, RDI, RSI, Seg, rflags};

/// An operand of a string instruction.
#[derive(Clone, Copy, Debug)]
struct Operand {
    seg: Seg,
    /// Of the next element.
    offset: u64,
    write: bool,
}

/// The elements of a run: how many, of how many bytes, and whether each is below the one before.
#[derive(Clone, Copy, Debug)]
struct Run {
    count: u64,
    n: u64,
    down: bool,
}

impl Run {
    fn bytes(self) -> u64 {
        self.count * self.n
    }

    /// Distance of the lowest byte from the first element.
    fn below(self) -> u64 {
        if self.down { self.bytes() - self.n } else { 0 }
    }

    /// The elements in order: distance from the lowest byte.
    fn places(self) -> impl Iterator<Item = usize> + Clone {
        let Run { count, n, down } = self;
        (0..count).map(move |i| (if down { count - 1 - i } else { i } * n) as usize)
    }
}

impl X86Cpu {
    /// Of at most `run.count` elements, as many as have offsets that do not wrap and lie in one page. The linear address
    /// of the first. `None` where the first would fault or crosses a page.
    fn run_of(&self, what: What, o: Operand, run: &mut Run) -> Option<u64> {
        let n = run.n;
        let va = self.segmented(o.seg, o.offset, n, o.write).ok()?;
        let in_page = va & !PAGE_MASK;
        if in_page + n > PAGE_SIZE {
            return None;
        }
        let (page, wrap) = if run.down {
            (in_page / n + 1, o.offset / n + 1)
        } else {
            ((PAGE_SIZE - in_page) / n, (what.mask() - o.offset).saturating_add(1) / n)
        };
        run.count = run.count.min(page).min(wrap);
        (run.count > 0).then_some(va)
    }

    /// Host address of the lowest byte of an operand. `None` where the elements have to be taken one by one: for a fault,
    /// a device, or code.
    fn run_at(&mut self, o: Operand, va: u64, run: Run) -> Option<*mut u8> {
        // Limits hold for all elements.
        self.segmented(o.seg, o.offset - run.below(), run.bytes(), o.write).ok()?;
        let (va, kind) = (va - run.below(), if o.write { AccessKind::Write } else { AccessKind::Read });
        if o.write && self.meets(va, run.bytes()) != Touches::default() {
            return None;
        }
        self.mmu.run(&mut self.core, &self.paging, (va, run.bytes()), kind, false).ok()?
    }

    /// Executes a run of at most `count` elements. How many there were, 0 if that is not possible here.
    pub(super) fn string_run(&mut self, what: What, count: u64) -> u64 {
        self.try_string_run(what, count).unwrap_or(0)
    }

    fn try_string_run(&mut self, what: What, count: u64) -> Option<u64> {
        if matches!(what.kind, Kind::Ins | Kind::Outs) {
            return None;
        }
        let n = size(what.w).bytes();
        let mut run = Run { count, n, down: self.core.reg(FLAGS) & rflags::DF != 0 };
        let compares = matches!(what.kind, Kind::Cmps | Kind::Scas);
        let from = Operand { seg: what.seg, offset: self.core.reg(RSI) & what.mask(), write: false };
        let to = Operand { seg: Seg::Es, offset: self.core.reg(RDI) & what.mask(), write: !compares };
        let from_va = if what.reads_source() { self.run_of(what, from, &mut run)? } else { 0 };
        let to_va = if what.uses_destination() { self.run_of(what, to, &mut run)? } else { 0 };
        let null = std::ptr::null_mut();
        let source = if what.reads_source() { self.run_at(from, from_va, run)? } else { null };
        let target = if what.uses_destination() { self.run_at(to, to_va, run)? } else { null };
        // A walk for the second operand may have changed what the first is used for: a page of it that became a
        // translation table is read all the same, and nothing else can have happened to it.
        // SAFETY: `Mmu::run` vouches for so many bytes at each of the addresses that the kind of instruction has. Guest
        // RAM is shared, and the two may overlap: only raw accesses are made.
        let done = unsafe {
            match what.kind {
                Kind::Movs => {
                    copy(source, target, run);
                    run.count
                }
                Kind::Stos => {
                    fill(target, self.core.reg(RAX), n as usize, run.bytes() as usize);
                    run.count
                }
                Kind::Lods => {
                    let last = run.places().last()?;
                    let v = element(source.add(last), n);
                    self.set_accumulator(what, v);
                    run.count
                }
                Kind::Cmps => {
                    let operands = |i| (element(source.add(i), n), element(target.add(i), n));
                    self.compare(what, run, operands)?
                }
                Kind::Scas => {
                    let a = lyrebird_isa::ops::Width::zext(crate::operand::width(what.w), self.core.reg(RAX));
                    self.compare(what, run, |i| (a, element(target.add(i), n)))?
                }
                Kind::Ins | Kind::Outs => return None,
            }
        };
        self.string_advance(what, done);
        let rcx = what.moved(self.core.reg(RCX), done.wrapping_neg());
        self.core.set_reg(RCX, rcx);
        Some(done)
    }

    /// Compares the pairs of a run up to the one that ends the repetition, which is in the flags then as the last one
    /// would be. How many were compared.
    fn compare(&mut self, what: What, run: Run, pair: impl Fn(usize) -> (u64, u64)) -> Option<u64> {
        let goes_on = what.rep == 1;
        let mut places = run.places().zip(1..);
        let (last, done) = places.clone().last()?;
        let at = places.find_map(|(at, done)| {
            let (a, b) = pair(at);
            ((a == b) != goes_on).then_some((a, b, done))
        });
        let (a, b, done) = at.unwrap_or_else(|| {
            let (a, b) = pair(last);
            (a, b, done)
        });
        self.set_compared(what, a, b);
        Some(done)
    }
}

/// Loads an element, zero-extended.
///
/// # Safety
/// `p` is readable for `n` bytes: 1, 2, 4 or 8.
#[inline(always)]
unsafe fn element(p: *const u8, n: u64) -> u64 {
    // SAFETY: by contract.
    unsafe {
        match n {
            1 => u64::from(p.read()),
            2 => u64::from(u16::from_le(read_unaligned(p.cast::<u16>()))),
            4 => u64::from(u32::from_le(read_unaligned(p.cast::<u32>()))),
            _ => u64::from_le(read_unaligned(p.cast::<u64>())),
        }
    }
}

/// Copies the elements of a run in their order: where the target lies in what is yet to be read, they repeat.
///
/// # Safety
/// Both are accessible for the bytes of the run.
unsafe fn copy(from: *const u8, to: *mut u8, run: Run) {
    let (ahead, bytes) = ((to as u64).wrapping_sub(from as u64), run.bytes());
    let repeats =
        if run.down { ahead.wrapping_neg() < bytes && ahead != 0 } else { ahead < bytes && ahead != 0 };
    // SAFETY: by contract; `copy` allows overlaps, and reads everything before it is overwritten, as the elements do
    // where they do not repeat.
    unsafe {
        if !repeats {
            return std::ptr::copy(from, to, bytes as usize);
        }
        match run.n {
            1 => run.places().for_each(|i| to.add(i).write(from.add(i).read())),
            2 => run.places().for_each(|i| repeat::<u16>(from, to, i)),
            4 => run.places().for_each(|i| repeat::<u32>(from, to, i)),
            _ => run.places().for_each(|i| repeat::<u64>(from, to, i)),
        }
    }
}

/// Copies an element at a distance.
///
/// # Safety
/// Both are accessible there.
#[inline(always)]
unsafe fn repeat<T>(from: *const u8, to: *mut u8, i: usize) {
    // SAFETY: by contract.
    unsafe { write_unaligned(to.add(i).cast::<T>(), read_unaligned(from.add(i).cast::<T>())) }
}

/// Fills memory with the low `n` bytes of `v`.
///
/// # Safety
/// `p` is writable for `bytes` bytes, a multiple of `n`.
unsafe fn fill(p: *mut u8, v: u64, n: usize, bytes: usize) {
    let v = v.to_le_bytes();
    if v[..n].iter().all(|b| *b == v[0]) {
        // SAFETY: by contract.
        return unsafe { std::ptr::write_bytes(p, v[0], bytes) };
    }
    for at in (0..bytes).step_by(n) {
        // SAFETY: by contract; `n` is at most 8.
        unsafe { std::ptr::copy_nonoverlapping(v.as_ptr(), p.add(at), n) };
    }
}
