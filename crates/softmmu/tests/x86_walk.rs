//! The x86 walkers against tables laid out here, with the rules as Intel SDM Vol. 3A 4.3 to 4.8 states them.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use lyrebird_isa::Size;
use lyrebird_softmmu::walk::path::Path;
use lyrebird_softmmu::walk::x86::pae::{Pdptes, ReservedPdpte};
use lyrebird_softmmu::walk::x86::{
    Access, Control, PageFault, Privilege, Tables, code, four_level, pae, two_level,
};
use lyrebird_softmmu::{AccessKind, PhysMem, Translation};

use AccessKind::{Exec, Read, Write};
use Privilege::{Implicit, Supervisor, User};

const P: u64 = 1;
const RW: u64 = 2;
const US: u64 = 4;
const A: u64 = 0x20;
const D: u64 = 0x40;
const PS: u64 = 0x80;
const G: u64 = 0x100;
const XD: u64 = 1 << 63;

/// Entries by address; all others are 0.
#[derive(Default)]
struct Mem {
    cells: RefCell<HashMap<u64, u64>>,
    replaced: Cell<u32>,
    /// What another CPU writes before the next attempt to replace an entry.
    race: Cell<Option<(u64, u64)>>,
}

impl Mem {
    fn get(&self, at: u64) -> u64 {
        self.cells.borrow().get(&at).copied().unwrap_or(0)
    }
    fn set(&self, at: u64, v: u64) {
        self.cells.borrow_mut().insert(at, v);
    }
}

impl Tables for Mem {
    fn read(&self, pa: u64, size: Size) -> u64 {
        assert_eq!(pa & (size.bytes() - 1), 0);
        self.get(pa) & size.width().mask()
    }
    fn replace(&self, pa: u64, size: Size, old: u64, new: u64) -> bool {
        assert_eq!((old | new) & !size.width().mask(), 0);
        if let Some((at, v)) = self.race.take() {
            self.set(at, v);
        }
        let same = self.get(pa) == old;
        if same {
            self.replaced.set(self.replaced.get() + 1);
            self.set(pa, new);
        }
        same
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    TwoLevel,
    Pae,
    FourLevel,
}
use Format::{FourLevel, Pae, TwoLevel};

/// Every format with every size of page, as log2.
const LEAVES: [(Format, u32); 7] =
    [(TwoLevel, 12), (TwoLevel, 22), (Pae, 12), (Pae, 21), (FourLevel, 12), (FourLevel, 21), (FourLevel, 30)];

impl Format {
    /// The lowest index bit of the tables in memory, from the first.
    fn shifts(self) -> &'static [u32] {
        match self {
            TwoLevel => &[22, 12],
            Pae => &[21, 12],
            FourLevel => &[39, 30, 21, 12],
        }
    }
    fn entry(self, table: u64, va: u64, shift: u32) -> u64 {
        if self == TwoLevel { table + 4 * (va >> shift & 0x3ff) } else { table + 8 * (va >> shift & 0x1ff) }
    }
}

const CR3: u64 = 0x1_0000;

struct Walk {
    mem: Mem,
    format: Format,
    c: Control,
    pdptes: Pdptes,
    /// By the entry that names them.
    tables: HashMap<u64, u64>,
}

const ON: Control = Control {
    wp: true,
    pse: true,
    pge: true,
    smep: false,
    smap: false,
    nxe: true,
    max_phy_addr: 40,
    pat: true,
    gib_pages: true,
};

impl Walk {
    fn new(format: Format, c: Control) -> Walk {
        Walk { mem: Mem::default(), format, c, pdptes: Pdptes([0; 4]), tables: HashMap::new() }
    }

    /// Lays tables for `va` down to the leaf of size `bits`; `flags` per table in memory, with P where wanted. The
    /// entries' addresses.
    fn map(&mut self, va: u64, bits: u32, pa: u64, flags: &[u64]) -> Vec<u64> {
        let mut table = CR3;
        if self.format == Pae {
            table = 0x2_0000 + 0x1000 * (va >> 30 & 3);
            self.pdptes.0[(va >> 30 & 3) as usize] = table | P;
        }
        let mut at = Vec::new();
        for (&shift, &f) in self.format.shifts().iter().zip(flags) {
            let e = self.format.entry(table, va, shift);
            at.push(e);
            if shift == bits {
                let ps = if bits > 12 { PS } else { 0 };
                self.mem.set(e, pa | f | ps);
                break;
            }
            let next = 0x10_0000 + 0x1000 * self.tables.len() as u64;
            table = *self.tables.entry(e).or_insert(next);
            self.mem.set(e, table | f);
        }
        at
    }

    fn go(&self, va: u64, kind: AccessKind, privilege: Privilege) -> Result<Translation, PageFault> {
        let a = Access { kind, privilege };
        match self.format {
            TwoLevel => two_level::translate(&self.mem, &self.c, CR3 | 0x18, va, a, &mut Path::default()),
            Pae => pae::translate(&self.mem, &self.c, &self.pdptes, va, a, &mut Path::default()),
            // With a PCID.
            FourLevel => four_level::translate(&self.mem, &self.c, CR3 | 0x123, va, a, &mut Path::default()),
        }
    }
}

const ALL: [u64; 4] = [P | RW | US; 4];
const SUP: Privilege = Supervisor { ac: false };

#[test]
fn every_size_of_page_translates_to_the_byte() {
    for (format, bits) in LEAVES {
        let vas: &[u64] = match format {
            FourLevel => &[0, 0x1234_5678_9abc, 0x7fff_ffff_ffff, 0xffff_8000_0000_0123, u64::MAX],
            _ => &[0, 0x1234_5678, 0x7fff_ffff, 0x8000_0000, 0xc012_3456, 0xffff_ffff],
        };
        for &va in vas {
            let below = (1u64 << bits) - 1;
            let base = match (format, bits) {
                (TwoLevel, 12) => 0xfedc_b000,
                _ => 0xab_fedc_b000 & !below,
            };
            // PSE-36: address bits 39:32 are in bits 20:13.
            let field =
                if (format, bits) == (TwoLevel, 22) { base & 0xffc0_0000 | base >> 32 << 13 } else { base };
            let mut w = Walk::new(format, ON);
            w.map(va, bits, field, &ALL);
            let t = w.go(va, Write, User).unwrap();
            assert_eq!((t.pa, u32::from(t.page_bits)), (base | va & below, bits), "{format:?} {va:#x}");
            assert!(t.read && t.write && t.exec && !t.global);
            // One page further there is nothing, unless that is in the same table entry's page by wrapping around.
            let next = va.wrapping_add(1 << bits) & if format == FourLevel { u64::MAX } else { 0xffff_ffff };
            assert_eq!(w.go(next, Read, SUP), Err(PageFault { code: 0 }), "{format:?} {bits} {next:#x}");
        }
    }
    // PS without CR4.PSE is ignored: the entry names a table, which is all zero here.
    let mut w = Walk::new(TwoLevel, Control { pse: false, ..ON });
    w.map(0x40_0000, 22, 0x80_0000, &ALL);
    assert_eq!(w.go(0x40_0000, Read, SUP), Err(PageFault { code: 0 }));
    w.mem.set(0x80_0000, 0x5000 | P);
    assert_eq!(w.go(0x40_0123, Read, SUP).unwrap().pa, 0x5123);
}

#[test]
fn formats_of_32_bit_addresses_ignore_what_is_above() {
    for format in [TwoLevel, Pae] {
        let mut w = Walk::new(format, ON);
        w.map(0, 12, 0x5000, &ALL);
        assert_eq!(w.go(0x1_0000_0004, Read, User).unwrap().pa, 0x5004);
    }
}

/// SDM 4.6.1, item by item.
fn allowed(c: &Control, kind: AccessKind, who: Privilege, user_address: bool, rw: bool, xd: bool) -> bool {
    let fetchable = !c.nxe || !xd;
    match (who, user_address) {
        (User, false) => false,
        (User, true) => match kind {
            Read => true,
            Write => rw,
            Exec => fetchable,
        },
        (_, false) => match kind {
            Read => true,
            Write if !c.wp => true,
            Write => rw,
            Exec => fetchable,
        },
        (who, true) => {
            let smap_lets = match (c.smap, who) {
                (false, _) | (true, Supervisor { ac: true }) => true,
                (true, _) => false,
            };
            match kind {
                Read => smap_lets,
                Write if !c.wp => smap_lets,
                Write => smap_lets && rw,
                Exec if c.smep => false,
                Exec => fetchable,
            }
        }
    }
}

#[test]
fn rights_are_those_of_all_entries_together() {
    let mut checked = 0;
    for (format, bits) in LEAVES {
        let levels = format.shifts().iter().position(|&s| s == bits).unwrap() + 1;
        // The level that lacks the right; `levels` means none does.
        for no_us in 0..=levels {
            for no_rw in 0..=levels {
                for xd in 0..=levels {
                    if format == TwoLevel && xd < levels {
                        continue;
                    }
                    for n in 0..16 {
                        let c = Control {
                            wp: n & 1 != 0,
                            smep: n & 2 != 0,
                            smap: n & 4 != 0,
                            nxe: xd < levels || n & 8 != 0,
                            ..ON
                        };
                        let flags: Vec<u64> = (0..levels)
                            .map(|l| {
                                let us = if l == no_us { 0 } else { US };
                                let rw = if l == no_rw { 0 } else { RW };
                                let leaf_dirty = if l + 1 == levels { D } else { 0 };
                                P | us | rw | leaf_dirty | if l == xd { XD } else { 0 }
                            })
                            .collect();
                        let va = 0x7654_3210;
                        let mut w = Walk::new(format, c);
                        w.map(va, bits, 0, &flags);
                        for who in [User, SUP, Supervisor { ac: true }, Implicit] {
                            let may = |k| allowed(&c, k, who, no_us == levels, no_rw == levels, xd < levels);
                            for kind in [Read, Write, Exec] {
                                let got = w.go(va, kind, who);
                                let at = (format, bits, kind, who, c, &flags);
                                match got {
                                    Ok(t) => {
                                        assert!(may(kind), "{at:x?}");
                                        assert_eq!(t.read, may(Read), "{at:x?}");
                                        assert_eq!(t.write, may(Write), "{at:x?}");
                                        assert_eq!(t.exec, may(Exec), "{at:x?}");
                                    }
                                    Err(f) => {
                                        assert!(!may(kind), "{at:x?}");
                                        // Rights, of a present page.
                                        assert_eq!(f.code, 1 | access_bits(format, &c, kind, who), "{at:x?}");
                                    }
                                }
                                checked += 1;
                            }
                        }
                    }
                }
            }
        }
    }
    assert!(checked > 50_000);
}

/// The W/R, U/S and I/D flags of SDM 4.7.
fn access_bits(format: Format, c: &Control, kind: AccessKind, who: Privilege) -> u32 {
    let wr = if kind == Write { 0b10 } else { 0 };
    let us = if who == User { 0b100 } else { 0 };
    // I/D: SMEP, or NXE with CR4.PAE.
    let id = if kind == Exec && (c.smep || c.nxe && format != TwoLevel) { 0b1_0000 } else { 0 };
    wr | us | id
}

#[test]
fn an_entry_that_is_not_present_gives_p_clear_whatever_else_it_has() {
    for (format, bits) in LEAVES {
        let levels = format.shifts().iter().position(|&s| s == bits).unwrap() + 1;
        for absent in 0..levels {
            for n in 0..4 {
                let c = Control { smep: n & 1 != 0, nxe: n & 2 != 0, ..ON };
                let mut w = Walk::new(format, c);
                let at = w.map(0x7654_3210, bits, 0, &ALL);
                let ones = if format == TwoLevel { 0xffff_fffe } else { u64::MAX - 1 };
                w.mem.set(at[absent], ones);
                for kind in [Read, Write, Exec] {
                    for who in [User, SUP, Implicit] {
                        let code = access_bits(format, &c, kind, who);
                        assert_eq!(w.go(0x7654_3210, kind, who), Err(PageFault { code }));
                    }
                }
                assert_eq!(w.mem.get(at[absent]), ones, "untouched");
            }
        }
    }
    // A PDPTE register.
    let mut w = Walk::new(Pae, ON);
    w.map(0, 12, 0x5000, &ALL);
    let not_present = PageFault { code: code::WR | code::US };
    assert_eq!(w.go(0x4000_0000, Write, User), Err(not_present));
}

#[test]
fn reserved_bits_are_those_of_the_manual() {
    /// (format, size of the leaf, level of the entry, what differs from `ON`, reserved bits as (high, low)).
    type Row = (Format, u32, usize, fn(&mut Control), &'static [(u32, u32)]);
    let none: fn(&mut Control) = |_| {};
    let rows: &[Row] = &[
        // 4.3: only with CR4.PSE.
        (TwoLevel, 12, 0, none, &[]),
        (TwoLevel, 12, 1, none, &[]),
        (TwoLevel, 22, 0, none, &[(21, 21)]),
        (TwoLevel, 22, 0, |c| c.max_phy_addr = 52, &[(21, 21)]),
        (TwoLevel, 22, 0, |c| c.max_phy_addr = 36, &[(21, 17)]),
        (TwoLevel, 22, 0, |c| c.max_phy_addr = 32, &[(21, 13)]),
        (TwoLevel, 22, 0, |c| c.pat = false, &[(21, 21), (12, 12)]),
        (TwoLevel, 12, 1, |c| c.pat = false, &[(7, 7)]),
        (TwoLevel, 12, 0, |c| c.pat = false, &[]),
        (
            TwoLevel,
            12,
            1,
            |c| {
                c.pat = false;
                c.pse = false;
            },
            &[],
        ),
        // 4.4.2.
        (Pae, 12, 0, none, &[(62, 40)]),
        (Pae, 12, 1, none, &[(62, 40)]),
        (Pae, 12, 1, |c| c.max_phy_addr = 36, &[(62, 36)]),
        (Pae, 12, 1, |c| c.pat = false, &[(62, 40), (7, 7)]),
        (Pae, 12, 1, |c| c.nxe = false, &[(63, 40)]),
        (Pae, 12, 0, |c| c.nxe = false, &[(63, 40)]),
        (Pae, 21, 0, none, &[(62, 40), (20, 13)]),
        (Pae, 21, 0, |c| c.pat = false, &[(62, 40), (20, 12)]),
        (Pae, 21, 0, |c| c.max_phy_addr = 52, &[(62, 52), (20, 13)]),
        // 4.5.
        (FourLevel, 12, 0, none, &[(51, 40), (7, 7)]),
        (FourLevel, 12, 1, none, &[(51, 40)]),
        (FourLevel, 12, 2, none, &[(51, 40)]),
        (FourLevel, 12, 3, none, &[(51, 40)]),
        (FourLevel, 12, 0, |c| c.nxe = false, &[(63, 63), (51, 40), (7, 7)]),
        (FourLevel, 12, 3, |c| c.nxe = false, &[(63, 63), (51, 40)]),
        (FourLevel, 12, 3, |c| c.max_phy_addr = 52, &[]),
        (FourLevel, 21, 2, none, &[(51, 40), (20, 13)]),
        (FourLevel, 30, 1, none, &[(51, 40), (29, 13)]),
        (FourLevel, 12, 1, |c| c.gib_pages = false, &[(51, 40), (7, 7)]),
    ];
    for &(format, bits, level, change, reserved) in rows {
        let mut c = ON;
        change(&mut c);
        let width = if format == TwoLevel { 32 } else { 64 };
        for bit in 1..width {
            let is_reserved = reserved.iter().any(|&(hi, lo)| (lo..=hi).contains(&bit));
            let table = bits != format.shifts()[level];
            if table && bit == 7 && !is_reserved {
                // PS makes it a large page.
                continue;
            }
            let mut w = Walk::new(format, c);
            let at = w.map(0, bits, 0, &ALL);
            let e = at[level];
            let old = w.mem.get(e);
            w.mem.set(e, old | 1 << bit);
            let got = w.go(0, Read, User);
            let row = (format, bits, level, bit, c);
            if is_reserved {
                let code = code::P | code::RSVD | code::US;
                assert_eq!(got, Err(PageFault { code }), "{row:?}");
                assert_eq!(w.mem.get(e), old | 1 << bit, "{row:?}");
                // With the rights of nobody, too.
                w.mem.set(e, (old | 1 << bit) & !(RW | US));
                let code = code::P | code::RSVD | code::WR;
                assert_eq!(w.go(0, Write, Implicit), Err(PageFault { code }), "{row:?}");
            } else if let Err(f) = got {
                // Another address, where there is nothing.
                assert_eq!(f.code & (code::P | code::RSVD), 0, "{row:?}");
                assert!(level + 1 < at.len(), "{row:?}");
            }
        }
    }
}

#[test]
fn only_the_leaf_and_cr4_pge_make_a_page_global() {
    for (format, bits) in LEAVES {
        let levels = format.shifts().iter().position(|&s| s == bits).unwrap() + 1;
        for pge in [false, true] {
            let mut w = Walk::new(format, Control { pge, ..ON });
            let mut flags = [P | G; 4];
            flags[levels - 1] = P;
            w.map(0, bits, 0, &flags);
            assert!(!w.go(0, Read, SUP).unwrap().global);
            flags = [P; 4];
            flags[levels - 1] = P | G;
            w.map(0, bits, 0, &flags);
            assert_eq!(w.go(0, Read, SUP).unwrap().global, pge);
        }
    }
}

#[test]
fn accessed_at_any_use_and_dirty_at_a_write() {
    for (format, bits) in LEAVES {
        let levels = format.shifts().iter().position(|&s| s == bits).unwrap() + 1;
        let fresh = || {
            let mut w = Walk::new(format, ON);
            let at = w.map(0x7654_3210, bits, 0, &ALL);
            (w, at)
        };
        let flags = |w: &Walk, at: &[u64]| at.iter().map(|&e| w.mem.get(e) & (A | D)).collect::<Vec<_>>();
        let mut upper = vec![A; levels];
        for kind in [Read, Exec] {
            let (w, at) = fresh();
            let t = w.go(0x7654_3210, kind, User).unwrap();
            assert!(t.read && t.exec && !t.write, "the first write has to come here");
            assert_eq!(flags(&w, &at), upper, "{format:?}");
        }
        let (w, at) = fresh();
        assert!(w.go(0x7654_3210, Write, User).unwrap().write);
        upper[levels - 1] = A | D;
        assert_eq!(flags(&w, &at), upper, "no D in what is not a leaf");
        // Nothing left to set.
        let before = w.mem.replaced.get();
        assert!(w.go(0x7654_3210, Read, User).unwrap().write, "D is set");
        assert!(w.go(0x7654_3210, Write, User).unwrap().write);
        assert_eq!(w.mem.replaced.get(), before);
        // A page that refuses is not used.
        let (mut w, _) = fresh();
        let mut read_only = [P | RW | US; 4];
        read_only[levels - 1] = P | US;
        let at = w.map(0x7654_3210, bits, 0, &read_only);
        assert_eq!(w.go(0x7654_3210, Write, User), Err(PageFault { code: code::P | code::WR | code::US }));
        upper[levels - 1] = 0;
        assert_eq!(flags(&w, &at), upper);
        assert!(!w.go(0x7654_3210, Read, User).unwrap().write);
    }
}

#[test]
fn an_entry_that_changes_under_the_walk_is_read_again() {
    for (format, bits) in LEAVES {
        let mut w = Walk::new(format, ON);
        let at = w.map(0, bits, 0, &ALL);
        let e = *at.last().unwrap();
        // The other CPU sets D: it is not lost.
        for &other in &at[..at.len() - 1] {
            w.mem.set(other, w.mem.get(other) | A);
        }
        w.mem.race.set(Some((e, w.mem.get(e) | A | D)));
        assert!(w.go(0, Read, User).unwrap().write);
        assert_eq!(w.mem.get(e) & (A | D), A | D);
        // It takes the page away.
        w.map(0, bits, 0, &ALL);
        w.mem.race.set(Some((e, 0)));
        assert_eq!(w.go(0, Write, User), Err(PageFault { code: code::WR | code::US }));
        assert_eq!(w.mem.get(e), 0);
    }
}

#[test]
fn pdptes_are_loaded_from_32_aligned_bytes_and_checked() {
    let mem = Mem::default();
    let cr3 = 0x1234_5678 & !0x1f;
    for i in 0..4 {
        mem.set(cr3 + 8 * i, (0x1000 * (i + 1)) | P | 0xe18);
    }
    let want = [0x1e19, 0x2e19, 0x3e19, 0x4e19];
    // PWT and PCD of CR3, and what is above bit 31.
    assert_eq!(Pdptes::load(&mem, &ON, cr3 | 0x18 | 1 << 32), Ok(Pdptes(want)));
    for bit in 1..64 {
        mem.set(cr3 + 24, P | 1 << bit);
        let reserved = matches!(bit, 1 | 2 | 5..=8 | 40..=63);
        let got = Pdptes::load(&mem, &ON, cr3);
        assert_eq!(got == Err(ReservedPdpte), reserved, "bit {bit}");
        // Not present: ignored.
        mem.set(cr3 + 24, 1 << bit);
        assert!(Pdptes::load(&mem, &ON, cr3).is_ok());
    }
    mem.set(cr3 + 24, P | 1 << 36);
    assert!(Pdptes::load(&mem, &Control { max_phy_addr: 36, ..ON }, cr3).is_err());
}

#[test]
fn tables_in_physical_memory() {
    let phys = PhysMem::builder().rom(0, &[0; 0x1000]).ram(0x1_0000, 0x1_0000).build().unwrap();
    let sup = |kind| Access { kind, privilege: SUP };
    let reserved = Err(PageFault { code: code::P | code::RSVD });
    // Where there is nothing, all ones are read, which has reserved bits.
    assert_eq!(four_level::translate(&*phys, &ON, 0x80_0000, 0, sup(Read), &mut Path::default()), reserved);
    assert_eq!(two_level::translate(&*phys, &ON, 0x80_0000, 0, sup(Read), &mut Path::default()), reserved);
    assert_eq!(Pdptes::load(&*phys, &ON, 0x80_0000), Err(ReservedPdpte));
    // Without CR4.PSE there are none: tables and page are at the top of memory.
    let c = Control { pse: false, ..ON };
    let t = two_level::translate(&*phys, &c, 0x80_0000, 0x123, sup(Write), &mut Path::default()).unwrap();
    assert_eq!((t.pa, t.global), (0xffff_f123, true));
    // 4-byte entries leave their neighbours alone.
    phys.write(0x1_0000, Size::B8, 0x1_1003 | 0x1_1003 << 32).unwrap();
    phys.write(0x1_1000, Size::B8, 0x7003 | 0x8003 << 32).unwrap();
    phys.watch_code(0x1_1000);
    let t = two_level::translate(&*phys, &ON, 0x1_0000, 0x1123, sup(Write), &mut Path::default()).unwrap();
    assert_eq!(t.pa, 0x8123);
    assert_eq!(phys.read(0x1_0000, Size::B8), Ok(0x1_1023 | 0x1_1003 << 32));
    assert_eq!(phys.read(0x1_1000, Size::B8), Ok(0x7003 | 0x8063 << 32));
    // The page with the entry holds code: the flags were a write to it.
    assert_eq!(phys.take_written_code(), Some((0x1_1004, 4)));
    // Tables in ROM cannot be marked, and work.
    let rom = (0x1000u64 | 3).to_le_bytes();
    let phys = PhysMem::builder().rom(0, &rom).ram(0x1000, 0x1000).build().unwrap();
    phys.write(0x1000, Size::B4, 0x9003).unwrap();
    let t = two_level::translate(&*phys, &ON, 0, 0x10, sup(Read), &mut Path::default()).unwrap();
    assert_eq!(t.pa, 0x9010);
    assert_eq!(phys.read(0, Size::B4), Ok(0x1003));
}
