//! Random instructions of a row, and registers that make them do something.

use lyrebird_frontend_arm::a64::table::{self, Group, Row};
use lyrebird_frontend_arm::a64::word::Word;
use lyrebird_frontend_arm::sys;

use crate::skip;
use crate::state::{CODE, Rng, State, WINDOW, WINDOW_LEN};

/// A run of equal field characters in a row's bit string: character, lowest bit, length.
type Field = (u8, u32, u32);

/// A row with its fields.
#[derive(Clone, Debug)]
pub struct Shape {
    /// The row.
    pub row: &'static Row,
    fields: Vec<Field>,
}

impl Shape {
    /// Of a row.
    pub fn of(row: &'static Row) -> Shape {
        let b = row.bits.as_bytes();
        let mut fields = Vec::new();
        let mut i = 0;
        while i < 32 {
            let start = i;
            while i < 32 && b[i] == b[start] {
                i += 1;
            }
            if b[start] != b'0' && b[start] != b'1' {
                fields.push((b[start], 32 - i as u32, (i - start) as u32));
            }
        }
        Shape { row, fields }
    }

    /// Whether it accesses memory.
    pub fn memory(&self) -> bool {
        matches!(self.row.group, Group::Ldst | Group::LdstAtomic | Group::LdstSimd)
            || matches!(self.row.name, "SYS")
    }

    /// A random word that only this row matches. `pc`: where it will stand.
    pub fn word(&self, r: &mut Rng, pc: u64) -> Word {
        loop {
            let w = Word(self.try_word(r, pc));
            if table::lookup(w).is_some_and(|hit| std::ptr::eq(hit, self.row)) {
                return w;
            }
        }
    }

    fn try_word(&self, r: &mut Rng, pc: u64) -> u32 {
        let mut w = self.row.value;
        let mut last_register = None;
        for &(name, lo, len) in &self.fields {
            let ones = (1u32 << len) - 1;
            let register = len == 5 && lo != 19 && b"dnmatus".contains(&name);
            let v = if register {
                // Operands coincide now and then, and register 31 is common enough to meet all its meanings.
                let v = match (r.below(12), last_register) {
                    (0, Some(v)) => v,
                    (1, _) => 31,
                    _ => r.below(32) as u32,
                };
                last_register = Some(v);
                v
            } else {
                match r.below(8) {
                    0 => 0,
                    1 => ones,
                    2 => 1 << r.below(len as u64),
                    3 => r.below(4) as u32,
                    4 if len > 2 => ones << (len - 1),
                    _ => r.next() as u32,
                }
            };
            w |= (v & ones) << lo;
        }
        self.fix(r, w, pc)
    }

    /// Makes memory operands hit the window and CASP registers even, mostly; picks system registers of ours.
    fn fix(&self, r: &mut Rng, mut w: u32, pc: u64) -> u32 {
        let op0 = if matches!(self.row.name, "SYS" | "SYSL") { 1 } else { w >> 19 & 1 | 2 };
        let mut set = |lo: u32, len: u32, v: u32| {
            let mask = ((1u32 << len) - 1) << lo;
            w = w & !mask | v << lo & mask;
        };
        let row = self.row;
        match row.group {
            Group::Ldst | Group::LdstSimd
                if row.bits.as_bytes()[2..8] == *b"011000" || row.bits.as_bytes()[2..8] == *b"011100" =>
            {
                let target = WINDOW + r.below(WINDOW_LEN as u64 - 16);
                set(5, 19, (target.wrapping_sub(pc) >> 2) as u32);
            }
            Group::Ldst | Group::LdstAtomic | Group::LdstSimd => {
                if r.below(16) != 0 {
                    // X14 to X27 and SP are the registers that hold addresses.
                    set(5, 5, if r.one_in(8) { 31 } else { 14 + r.below(14) as u32 });
                    let has_index = self.fields.iter().any(|&(n, lo, len)| n == b'm' && (lo, len) == (16, 5));
                    if has_index {
                        set(16, 5, if r.one_in(8) { 31 } else { r.below(14) as u32 });
                    }
                    // Transfer registers and status away from the base.
                    let t = r.below(14) as u32;
                    set(0, 5, if r.one_in(10) { 31 } else { t });
                    if self.fields.iter().any(|&(n, lo, len)| n == b'u' && (lo, len) == (10, 5)) {
                        set(10, 5, (t + 1 + r.below(8) as u32) % 14);
                    }
                    if self.fields.iter().any(|&(n, lo, len)| n == b's' && (lo, len) == (16, 5)) {
                        set(16, 5, (t + 9 + r.below(4) as u32) % 14);
                    }
                }
                if row.name == "CASP" && r.below(16) != 0 {
                    set(0, 1, 0);
                    set(16, 1, 0);
                }
            }
            Group::System if matches!(row.name, "MRS" | "MSR_reg" | "SYS" | "SYSL") => {
                // Half of them registers that EL0 may use.
                let all: Vec<_> = sys::all()
                    .filter(|s| s.enc.fields()[0] == op0 && (s.enc.fields()[1] == 3 || r.one_in(4)))
                    .collect();
                if !all.is_empty() {
                    set(5, 16, r.pick(&all).enc.0 as u32);
                }
            }
            _ => {}
        }
        w
    }
}

/// Changes `s` so that `w` does something sensible: addresses in the window, offsets that stay there, values that
/// compare equal, operands that are alike.
pub fn operands(r: &mut Rng, row: &Row, w: Word, s: &mut State, pristine: &[u8]) {
    match row.group {
        Group::Ldst | Group::LdstAtomic | Group::LdstSimd => memory_operands(r, row, w, s, pristine),
        Group::System => {
            if matches!(row.name, "SYS") {
                s.x[w.d() as usize % 31] = WINDOW + r.below(WINDOW_LEN as u64);
            } else if row.name == "MSR_reg" && w.bits(5, 16) == sys::Enc::new(3, 3, 4, 4, 0).0 as u32 {
                // FZ16 and the trap enables are other extensions'.
                s.x[w.d() as usize % 31] &= !0xf83f_ffff;
            } else if row.name == "MSR_reg" && w.bits(5, 16) == sys::Enc::new(3, 3, 4, 4, 1).0 as u32 {
                // N, Z, C, V are there with AArch32 only.
                s.x[w.d() as usize % 31] &= !0xf000_0000;
            }
        }
        Group::Branch if matches!(row.name, "BR" | "BLR" | "RET") && r.one_in(2) => {
            s.x[w.n() as usize % 31] = CODE.wrapping_add(4 * (1 + r.below(100)));
        }
        Group::Fp | Group::SimdFp => {
            // Operands of one size and like magnitude, so that sums cancel and quotients are exact now and then.
            let (exp, frac) = r.pick(&[(11, 52), (8, 23)]);
            let base = r.float(exp, frac);
            for reg in [w.n(), w.m(), w.a(), w.d()] {
                if r.below(3) == 0 {
                    let near = base ^ (r.below(4) << r.below(frac as u64)) ^ (r.below(2) << (exp + frac));
                    s.v[reg as usize & 31].0[0] =
                        if exp == 8 { near & 0xffff_ffff | near << 32 } else { near };
                }
            }
        }
        _ => {}
    }
}

fn memory_operands(r: &mut Rng, row: &Row, w: Word, s: &mut State, pristine: &[u8]) {
    let n = w.n() as usize;
    let atomic = row.group == Group::LdstAtomic;
    let mut at = WINDOW + 0x500 + r.below(0x1600);
    if r.one_in(8) {
        // Across the boundary of two pages.
        at = WINDOW + 0x1000 - r.below(32);
    }
    if (atomic && r.below(8) != 0) || r.one_in(2) {
        at &= !15;
    }
    if r.one_in(40) {
        // Out of the window.
        at = r.pick(&[
            0,
            WINDOW - 0x4000,
            WINDOW + 0x1_0000,
            0x7f_ffff_f000,
            0xffff_0000_0000_0000,
            0x0010_0000_0000_0000,
        ]);
    } else if r.one_in(40) {
        // The top byte does not count.
        at |= r.next() << 56;
    }
    let mut base = at;
    let bits = row.bits.as_bytes();
    if row.name.ends_with("_imm") || row.name.ends_with("_uimm") {
        let scale = if w.bit(26) && w.bit(23) { 4 } else { w.bits(30, 2) };
        base = base.wrapping_sub((w.bits(10, 12) as u64) << scale);
    }
    // Register offset: bits 21 and 11, and an index in 20 to 16.
    if bits[11..16] == *b"mmmmm" && !atomic && w.m() != w.n() && w.m() != 31 {
        let index = if r.one_in(2) { r.below(64) } else { r.below(64).wrapping_neg() };
        let m = w.m() as usize;
        s.x[m] = index;
        if w.bits(13, 3) & 1 == 0 && r.one_in(2) {
            // A 32-bit index: what is above does not count.
            s.x[m] = index & 0xffff_ffff | r.next() << 32;
        }
        if w.bits(13, 3) == 2 && index >> 63 != 0 {
            // UXTW: four gigabytes further.
            s.x[m] = 64 - (index.wrapping_neg() & 63);
        }
    }
    s.x[n] = base;
    if atomic
        && at.wrapping_sub(WINDOW) < WINDOW_LEN as u64 - 16
        && r.one_in(2)
        && row.name.starts_with("CAS")
    {
        let offset = (at - WINDOW) as usize;
        let word = |o: usize| pristine[o..o + 8].iter().rev().fold(0u64, |v, &b| v << 8 | b as u64);
        let rs = w.bits(16, 5) as usize;
        if rs != n && rs < 31 {
            s.x[rs] = word(offset);
            if row.name == "CASP" && rs + 1 < 31 && rs + 1 != n {
                if w.bit(30) {
                    s.x[rs + 1] = word(offset + 8);
                } else {
                    s.x[rs + 1] = s.x[rs] >> 32;
                }
            }
        }
    }
}

/// The rows to test: implemented, not skipped, the name containing `filter`.
pub fn rows(filter: Option<&str>) -> (Vec<Shape>, Vec<(&'static Row, &'static str)>) {
    let mut tested = Vec::new();
    let mut skipped = Vec::new();
    for row in table::all().filter(|r| r.implemented) {
        if filter.is_some_and(|f| !row.name.contains(f)) {
            continue;
        }
        match skip::row(row) {
            Some(why) => skipped.push((row, why)),
            None => tested.push(Shape::of(row)),
        }
    }
    (tested, skipped)
}
