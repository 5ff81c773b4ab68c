//! The VMSAv8-64 stage 1 walker against tables laid out here by the bit fields of Arm ARM D8.2 and D8.3.

use std::collections::HashMap;

use lyrebird_softmmu::walk::vmsa64::{
    Access, Granule, Half, Params, WalkFault, WalkFaultKind, Walked, mem_type, walk,
};
use lyrebird_softmmu::{AccessKind, MemType};

/// Index fields (high bit, low bit) by level; what a level resolves is the low bit.
fn fields(g: Granule) -> [Option<(u32, u32)>; 4] {
    match g {
        Granule::K4 => [Some((47, 39)), Some((38, 30)), Some((29, 21)), Some((20, 12))],
        Granule::K16 => [Some((47, 47)), Some((46, 36)), Some((35, 25)), Some((24, 14))],
        Granule::K64 => [None, Some((47, 42)), Some((41, 29)), Some((28, 16))],
    }
}

const GRANULES: [Granule; 3] = [Granule::K4, Granule::K16, Granule::K64];

/// Initial lookup level by TnSZ: the tables of Arm ARM D8.2.
fn initial_level(g: Granule, tsz: u8) -> usize {
    match (g, tsz) {
        (Granule::K4, 16..=24) => 0,
        (Granule::K4, 25..=33) => 1,
        (Granule::K4, 34..=39) => 2,
        (Granule::K16, 16) => 0,
        (Granule::K16, 17..=27) => 1,
        (Granule::K16, 28..=38) => 2,
        (Granule::K16, 39) => 3,
        (Granule::K64, 16..=21) => 1,
        (Granule::K64, 22..=34) => 2,
        (Granule::K64, 35..=39) => 3,
        _ => unreachable!(),
    }
}

const VALID: u64 = 1;
const TABLE: u64 = 3;
const PAGE: u64 = 3;
const BLOCK: u64 = 1;
const AF: u64 = 1 << 10;
const NG: u64 = 1 << 11;
const EL0: u64 = 1 << 6;
const RO: u64 = 1 << 7;
const PXN: u64 = 1 << 53;
const UXN: u64 = 1 << 54;
const CONT: u64 = 1 << 52;
const PXN_TABLE: u64 = 1 << 59;
const UXN_TABLE: u64 = 1 << 60;
const AP_TABLE_NO_EL0: u64 = 1 << 61;
const AP_TABLE_RO: u64 = 1 << 62;

const ROOT: u64 = 0x10_0000;

struct Mem {
    granule: Granule,
    tsz: u8,
    words: HashMap<u64, u64>,
    next: u64,
}

impl Mem {
    fn new(granule: Granule, tsz: u8) -> Mem {
        Mem { granule, tsz, words: HashMap::new(), next: 0x100_0000 }
    }

    /// Lays tables for `va` from the initial level to `level` and puts `desc` there; `attrs` goes into every
    /// table descriptor.
    fn map(&mut self, root: u64, va: u64, level: usize, desc: u64, attrs: u64) {
        let start = initial_level(self.granule, self.tsz);
        let mut table = root;
        for l in start..=level {
            let (hi, lo) = fields(self.granule)[l].unwrap();
            let hi = if l == start { 63 - u32::from(self.tsz) } else { hi };
            let index = (va >> lo) & ((1 << (hi - lo + 1)) - 1);
            let at = table + 8 * index;
            if l == level {
                self.words.insert(at, desc);
            } else {
                let next = *self.words.entry(at).or_insert_with(|| {
                    self.next += 0x1_0000;
                    self.next | TABLE | attrs
                });
                table = next & 0x0000_ffff_ffff_f000;
            }
        }
    }

    fn read(&self, pa: u64) -> Option<u64> {
        assert_eq!(pa & 7, 0);
        Some(*self.words.get(&pa).unwrap_or(&0))
    }
}

fn half(g: Granule, tsz: u8) -> Half {
    Half { ttbr: ROOT | 0x1234 << 48, tsz, granule: g, tbi: false, epd: false }
}

fn params(g: Granule, tsz: u8) -> Params {
    let upper = Half { ttbr: 2 * ROOT, ..half(g, tsz) };
    // Attr0 Device-nGnRnE, Attr1 Normal write-back, Attr2 Normal non-cacheable, Attr3 Device-nGnRE.
    Params { lower: half(g, tsz), upper: Some(upper), ps: 5, mair: 0x0000_0000_0444_ff00, wxn: false }
}

const fn el1(kind: AccessKind) -> Access {
    Access { kind, el0: false, pan: false }
}

const READ: Access = el1(AccessKind::Read);

fn fault(kind: WalkFaultKind, level: u8) -> Result<Walked, WalkFault> {
    Err(WalkFault { kind, level })
}

/// Top bits of an address in the upper range of a given size.
fn upper_bits(tsz: u8) -> u64 {
    u64::MAX << (64 - u32::from(tsz))
}

#[test]
fn every_granule_size_range_and_leaf_level_translates() {
    for g in GRANULES {
        for tsz in 16..=39 {
            let start = initial_level(g, tsz);
            for level in start..=3 {
                let legal_block =
                    matches!((g, level), (Granule::K4, 1 | 2) | (Granule::K16 | Granule::K64, 2));
                if level != 3 && !legal_block {
                    continue;
                }
                for high in [false, true] {
                    let p = params(g, tsz);
                    let ia_bits = 64 - u32::from(tsz);
                    let offset = 0x0000_9876_5432_1abc & ((1u64 << ia_bits) - 1);
                    let (va, root) = if high { (offset | upper_bits(tsz), 2 * ROOT) } else { (offset, ROOT) };
                    let shift = fields(g)[level].unwrap().1;
                    let oa = 0x0000_6000_0000_0000u64 | 0x8000_0000;
                    let oa = oa >> shift << shift;
                    let desc = oa | AF | 1 << 2 | 3 << 8 | if level == 3 { PAGE } else { BLOCK };
                    let mut m = Mem::new(g, tsz);
                    m.map(root, va, level, desc, 0);
                    let w = walk(&p, va, READ, |pa| m.read(pa)).unwrap();
                    let what = format!("{g:?} tsz {tsz} level {level} high {high}");
                    assert_eq!(w.pa, oa | va & ((1 << shift) - 1), "{what}");
                    assert_eq!((w.level, w.page_bits), (level as u8, shift as u8), "{what}");
                    assert_eq!((w.attr, w.sh, w.mem, w.global), (0xff, 3, MemType::Normal, true), "{what}");
                    // The neighbour is not mapped, and nothing of this leaf reaches it.
                    let other = va ^ 1 << shift;
                    assert_eq!(
                        walk(&p, other, READ, |pa| m.read(pa)),
                        if ia_bits == shift {
                            fault(WalkFaultKind::Translation, 0)
                        } else {
                            fault(WalkFaultKind::Translation, level as u8)
                        },
                        "{what}"
                    );
                }
            }
        }
    }
}

#[test]
fn descriptors_that_are_invalid_or_reserved_fault_at_their_level() {
    for g in GRANULES {
        let start = initial_level(g, 16);
        let p = params(g, 16);
        let va = 0x0000_1234_5678_9000;
        for level in start..=3 {
            for low in [0u64, 2] {
                let mut m = Mem::new(g, 16);
                m.map(ROOT, va, level, 0x8000_0000 | AF | low, 0);
                let r = walk(&p, va, READ, |pa| m.read(pa));
                assert_eq!(r, fault(WalkFaultKind::Translation, level as u8), "{g:?} {level} {low}");
            }
        }
        // Blocks where there are none, and the reserved encoding at level 3.
        let illegal: &[usize] = match g {
            Granule::K4 => &[0, 3],
            Granule::K16 => &[0, 1, 3],
            Granule::K64 => &[1, 3],
        };
        for &level in illegal {
            let mut m = Mem::new(g, 16);
            m.map(ROOT, va, level, AF | BLOCK, 0);
            let r = walk(&p, va, READ, |pa| m.read(pa));
            assert_eq!(r, fault(WalkFaultKind::Translation, level as u8), "{g:?} block at {level}");
        }
    }
}

#[test]
fn external_aborts_carry_the_level_of_the_failed_read() {
    for g in GRANULES {
        let start = initial_level(g, 16);
        let va = 0x0000_1234_5678_9000;
        let mut m = Mem::new(g, 16);
        m.map(ROOT, va, 3, AF | PAGE, 0);
        for fail in start..=3 {
            let mut left = fail - start;
            let r = walk(&params(g, 16), va, READ, |pa| {
                if left == 0 {
                    return None;
                }
                left -= 1;
                m.read(pa)
            });
            assert_eq!(r, fault(WalkFaultKind::External, fail as u8), "{g:?}");
        }
    }
}

#[test]
fn addresses_outside_both_ranges_fault_at_level_0() {
    for tsz in [16u8, 25, 39] {
        let g = Granule::K4;
        let mut m = Mem::new(g, tsz);
        m.map(ROOT, 0, 3, AF | PAGE, 0);
        m.map(2 * ROOT, 0, 3, AF | PAGE, 0);
        let p = params(g, tsz);
        let ia_bits = 64 - u32::from(tsz);
        assert!(walk(&p, 0, READ, |pa| m.read(pa)).is_ok());
        assert!(walk(&p, upper_bits(tsz), READ, |pa| m.read(pa)).is_ok());
        let none = fault(WalkFaultKind::Translation, 0);
        for bit in ia_bits..64 {
            assert_eq!(walk(&p, 1 << bit, READ, |pa| m.read(pa)), none, "tsz {tsz} bit {bit} set");
            let va = upper_bits(tsz) & !(1 << bit);
            assert_eq!(walk(&p, va, READ, |pa| m.read(pa)), none, "tsz {tsz} bit {bit} clear");
        }
        // With TBI the top byte does not matter, in each half on its own; bits 55 and below do.
        let mut tbi0 = p;
        tbi0.lower.tbi = true;
        let mut tbi1 = p;
        tbi1.upper = p.upper.map(|h| Half { tbi: true, ..h });
        for bit in 56..64 {
            assert!(walk(&tbi0, 1 << bit, READ, |pa| m.read(pa)).is_ok());
            assert_eq!(walk(&tbi1, 1 << bit, READ, |pa| m.read(pa)), none);
            let va = upper_bits(tsz) & !(1 << bit);
            assert!(walk(&tbi1, va, READ, |pa| m.read(pa)).is_ok());
            assert_eq!(walk(&tbi0, va, READ, |pa| m.read(pa)), none);
        }
        assert_eq!(walk(&tbi0, 1 << 54, READ, |pa| m.read(pa)), none);
        assert_eq!(walk(&tbi1, upper_bits(tsz) & !(1 << 54), READ, |pa| m.read(pa)), none);
    }
}

#[test]
fn disabled_walks_and_sizes_out_of_range_fault_at_level_0() {
    let g = Granule::K4;
    let mut m = Mem::new(g, 16);
    m.map(ROOT, 0, 3, AF | PAGE, 0);
    m.map(2 * ROOT, 0, 3, AF | PAGE, 0);
    let none = fault(WalkFaultKind::Translation, 0);
    let high = upper_bits(16);
    let mut p = params(g, 16);
    p.lower.epd = true;
    assert_eq!(walk(&p, 0, READ, |pa| m.read(pa)), none);
    assert!(walk(&p, high, READ, |pa| m.read(pa)).is_ok());
    let mut p = params(g, 16);
    p.upper = p.upper.map(|h| Half { epd: true, ..h });
    assert_eq!(walk(&p, high, READ, |pa| m.read(pa)), none);
    assert!(walk(&p, 0, READ, |pa| m.read(pa)).is_ok());
    for tsz in (0..16).chain(40..64) {
        for g in GRANULES {
            assert_eq!(walk(&params(g, tsz), 0, READ, |_| panic!("no walk")), none, "{tsz}");
        }
    }
}

#[test]
fn output_addresses_are_checked_against_the_physical_size() {
    let sizes = [(0u8, 32u32), (1, 36), (2, 40), (3, 42), (4, 44)];
    let va = 0x0000_0012_3456_7000;
    for (ps, bits) in sizes {
        let mut p = params(Granule::K4, 16);
        p.ps = ps;
        for level in 0..=3usize {
            let mut m = Mem::new(Granule::K4, 16);
            let desc = 1 << bits | AF | if level == 3 { PAGE } else { TABLE };
            m.map(ROOT, va, level, desc, 0);
            let r = walk(&p, va, READ, |pa| m.read(pa));
            assert_eq!(r, fault(WalkFaultKind::AddressSize, level as u8), "ps {ps} level {level}");
        }
        let mut m = Mem::new(Granule::K4, 16);
        m.map(ROOT, va, 3, 1 << (bits - 1) | AF | PAGE, 0);
        assert_eq!(walk(&p, va, READ, |pa| m.read(pa)).unwrap().pa, 1 << (bits - 1));
        // In the TTBR it is reported for level 0, whatever the initial level.
        p.lower = Half { ttbr: 1 << bits, tsz: 39, ..p.lower };
        assert_eq!(walk(&p, 0x1000, READ, |pa| m.read(pa)), fault(WalkFaultKind::AddressSize, 0));
    }
    // The size is checked before the Access flag (Arm ARM D8, fault priority).
    let mut p = params(Granule::K4, 16);
    p.ps = 0;
    let mut m = Mem::new(Granule::K4, 16);
    m.map(ROOT, va, 3, 1 << 32 | PAGE, 0);
    assert_eq!(walk(&p, va, READ, |pa| m.read(pa)), fault(WalkFaultKind::AddressSize, 3));
}

#[test]
fn a_clear_access_flag_faults_before_permissions() {
    for (level, low) in [(1, BLOCK), (2, BLOCK), (3, PAGE)] {
        let va = 0x4000_0000;
        let mut m = Mem::new(Granule::K4, 16);
        m.map(ROOT, va, level, low | RO, 0);
        for kind in [AccessKind::Read, AccessKind::Write, AccessKind::Exec] {
            for el0 in [false, true] {
                let r = walk(&params(Granule::K4, 16), va, Access { kind, el0, pan: true }, |pa| m.read(pa));
                assert_eq!(r, fault(WalkFaultKind::AccessFlag, level as u8));
            }
        }
    }
}

/// Permissions as "EL1/EL0" strings by (AP\[2:1\], WXN), with PXN and UXN clear: the stage 1 EL1&0 tables of Arm
/// ARM D8.4.
const EL10: [(u64, bool, &str, &str); 8] = [
    (0b00, false, "rwx", "--x"),
    (0b01, false, "rw-", "rwx"),
    (0b10, false, "r-x", "--x"),
    (0b11, false, "r-x", "r-x"),
    (0b00, true, "rw-", "--x"),
    (0b01, true, "rw-", "rw-"),
    (0b10, true, "r-x", "--x"),
    (0b11, true, "r-x", "r-x"),
];

/// What a walk grants, checked by asking for each kind on its own.
fn granted(p: &Params, va: u64, el0: bool, pan: bool, m: &Mem) -> String {
    let mut s = String::new();
    let kinds = [(AccessKind::Read, 'r'), (AccessKind::Write, 'w'), (AccessKind::Exec, 'x')];
    let mut seen = Vec::new();
    for (kind, c) in kinds {
        match walk(p, va, Access { kind, el0, pan }, |pa| m.read(pa)) {
            Ok(w) => {
                s.push(c);
                seen.push((w.read, w.write, w.exec));
            }
            Err(f) => {
                assert_eq!(f, WalkFault { kind: WalkFaultKind::Permission, level: 3 });
                s.push('-');
            }
        }
    }
    for (r, w, x) in seen {
        let told: String =
            [(r, 'r'), (w, 'w'), (x, 'x')].iter().map(|&(on, c)| if on { c } else { '-' }).collect();
        assert_eq!(told, s, "the flags returned agree with what is granted");
    }
    s
}

fn without(s: &str, gone: &[char]) -> String {
    s.chars().map(|c| if gone.contains(&c) { '-' } else { c }).collect()
}

#[test]
fn permissions_of_two_privileges() {
    let va = 0x1000;
    for (ap, wxn, el1, el0) in EL10 {
        for xn in 0..4u64 {
            let (pxn, uxn) = (xn & 1 != 0, xn & 2 != 0);
            let desc = AF | PAGE | ap << 6 | if pxn { PXN } else { 0 } | if uxn { UXN } else { 0 };
            let mut m = Mem::new(Granule::K4, 16);
            m.map(ROOT, va, 3, desc, 0);
            let p = Params { wxn, ..params(Granule::K4, 16) };
            let what = format!("AP {ap:02b} WXN {wxn} PXN {pxn} UXN {uxn}");
            let el1 = if pxn { without(el1, &['x']) } else { el1.into() };
            let el0 = if uxn { without(el0, &['x']) } else { el0.into() };
            assert_eq!(granted(&p, va, false, false, &m), el1, "EL1 {what}");
            assert_eq!(granted(&p, va, true, false, &m), el0, "EL0 {what}");
            // PAN takes data accesses from EL1 where EL0 has them, and nothing else.
            let pan = if ap & 1 != 0 { without(&el1, &['r', 'w']) } else { el1 };
            assert_eq!(granted(&p, va, false, true, &m), pan, "EL1 PAN {what}");
            assert_eq!(granted(&p, va, true, true, &m), el0, "EL0 PAN {what}");
        }
    }
}

#[test]
fn permissions_of_one_privilege() {
    let va = 0x1000;
    for (ro, xn, wxn, want) in [
        (false, false, false, "rwx"),
        (false, false, true, "rw-"),
        (false, true, false, "rw-"),
        (true, false, false, "r-x"),
        (true, false, true, "r-x"),
        (true, true, false, "r--"),
    ] {
        for ap1 in [0, EL0] {
            let desc = AF | PAGE | ap1 | NG | PXN | if ro { RO } else { 0 } | if xn { UXN } else { 0 };
            let mut m = Mem::new(Granule::K4, 16);
            m.map(ROOT, va, 3, desc, AP_TABLE_NO_EL0 | PXN_TABLE);
            let p = Params { upper: None, wxn, ..params(Granule::K4, 16) };
            assert_eq!(granted(&p, va, false, false, &m), want, "ro {ro} xn {xn} wxn {wxn}");
            assert!(walk(&p, va, READ, |pa| m.read(pa)).unwrap().global, "nG means nothing");
            assert_eq!(
                walk(&p, upper_bits(16) | va, READ, |_| panic!("no upper range")),
                fault(WalkFaultKind::Translation, 0)
            );
        }
    }
    let mut m = Mem::new(Granule::K4, 16);
    m.map(ROOT, va, 3, AF | PAGE, UXN_TABLE | AP_TABLE_RO);
    let p = Params { upper: None, ..params(Granule::K4, 16) };
    assert_eq!(granted(&p, va, false, false, &m), "r--", "XNTable and APTable[1]");
}

#[test]
fn hierarchical_bits_of_any_table_restrict() {
    let va = 0x0000_1234_5678_9000;
    let p = params(Granule::K4, 16);
    // Leaf: EL0 and EL1 read-write, or EL1 only; executable as far as that goes.
    for (leaf, attrs, el1, el0) in [
        (EL0, 0, "rw-", "rwx"),
        (EL0, AP_TABLE_NO_EL0, "rwx", "--x"),
        (EL0, AP_TABLE_RO, "r-x", "r-x"),
        (EL0, AP_TABLE_RO | AP_TABLE_NO_EL0, "r-x", "--x"),
        (EL0, UXN_TABLE, "rw-", "rw-"),
        (EL0 | RO, PXN_TABLE, "r--", "r-x"),
        (0, PXN_TABLE, "rw-", "--x"),
        (0, UXN_TABLE, "rwx", "---"),
    ] {
        for at in 0..3 {
            let mut m = Mem::new(Granule::K4, 16);
            m.map(ROOT, va, 3, AF | PAGE | leaf, 0);
            // One table descriptor, at one level, carries the bits.
            let mut seen = Vec::new();
            let _ = walk(&p, va, READ, |pa| {
                seen.push(pa);
                m.read(pa)
            });
            *m.words.get_mut(&seen[at]).unwrap() |= attrs;
            assert_eq!(granted(&p, va, false, false, &m), el1, "EL1 {leaf:#x} {attrs:#x} at {at}");
            assert_eq!(granted(&p, va, true, false, &m), el0, "EL0 {leaf:#x} {attrs:#x} at {at}");
        }
    }
}

#[test]
fn contiguous_runs_keep_their_own_address_and_widen_the_leaf() {
    // log2 of the run: Arm ARM D8, "The Contiguous bit".
    for (g, level, leaf_bits, run) in [
        (Granule::K4, 1, 30, 34u8),
        (Granule::K4, 2, 21, 25),
        (Granule::K4, 3, 12, 16),
        (Granule::K16, 2, 25, 30),
        (Granule::K16, 3, 14, 21),
        (Granule::K64, 2, 29, 34),
        (Granule::K64, 3, 16, 21),
    ] {
        let mut m = Mem::new(g, 16);
        let va = 3u64 << leaf_bits;
        let low = if level == 3 { PAGE } else { BLOCK };
        m.map(ROOT, va, level, 7 << leaf_bits | CONT | AF | low, 0);
        let w = walk(&params(g, 16), va + 0x123, READ, |pa| m.read(pa)).unwrap();
        assert_eq!((w.pa, w.page_bits), ((7 << leaf_bits) + 0x123, run), "{g:?} {level}");
    }
}

#[test]
fn attributes_shareability_and_ng() {
    let p = params(Granule::K4, 16);
    for (index, sh, attr, want_sh, mem) in [
        (0u64, 3u64, 0x00u8, 2u8, MemType::Device),
        (1, 3, 0xff, 3, MemType::Normal),
        (1, 0, 0xff, 0, MemType::Normal),
        (2, 3, 0x44, 2, MemType::Normal),
        (3, 0, 0x04, 2, MemType::Device),
    ] {
        for ng in [0, NG] {
            let mut m = Mem::new(Granule::K4, 16);
            m.map(ROOT, 0, 3, AF | PAGE | VALID | index << 2 | sh << 8 | ng, 0);
            let w = walk(&p, 0, READ, |pa| m.read(pa)).unwrap();
            assert_eq!((w.attr, w.sh, w.mem, w.global), (attr, want_sh, mem, ng == 0));
        }
    }
    for (attr, mem) in [(0x0c, MemType::Device), (0x08, MemType::Device), (0xbb, MemType::Normal)] {
        assert_eq!(mem_type(attr), mem);
    }
}
