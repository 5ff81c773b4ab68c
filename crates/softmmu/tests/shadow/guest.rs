//! A guest CPU's translation registers in each format, and what random entries of its tables look like.

use lyrebird_isa::Size;
use lyrebird_isa::state::TLB_ENTRIES;
use lyrebird_softmmu::walk::path::Path;
use lyrebird_softmmu::walk::vmsa64::{self, Granule, Half, Params};
use lyrebird_softmmu::walk::x86::{
    self, Access, Control, Privilege, Tables, four_level, pae, rights_of, two_level,
};
use lyrebird_softmmu::{AccessKind, MemType, PhysMem, Regime, Rights, SpaceDesc, Translation};

use crate::common::Rng;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    V8,
    X4,
    Pae,
    X2,
}

/// Physical memory that walks do not change; they find out whether they would have.
pub struct Frozen<'a> {
    phys: &'a PhysMem,
    pub changes: std::cell::Cell<bool>,
}

impl<'a> Frozen<'a> {
    pub fn new(phys: &'a PhysMem) -> Frozen<'a> {
        Frozen { phys, changes: false.into() }
    }
}

impl Tables for Frozen<'_> {
    fn read(&self, pa: u64, size: Size) -> u64 {
        Tables::read(self.phys, pa, size)
    }
    fn replace(&self, _: u64, _: Size, _: u64, _: u64) -> bool {
        self.changes.set(true);
        true
    }
}

/// An address space and the privilege that accesses have.
#[derive(Clone, Copy, Debug)]
pub struct Guest {
    pub format: Format,
    /// CR3 or TTBR0, and TTBR1.
    pub roots: [u64; 2],
    pub pdptes: pae::Pdptes,
    pub user: bool,
    /// SMAP or PAN is in force.
    pub guarded: bool,
}

impl Guest {
    fn control(&self) -> Control {
        Control {
            wp: true,
            pse: true,
            pge: true,
            smep: true,
            smap: self.guarded,
            nxe: self.format != Format::X2,
            max_phy_addr: 40,
            pat: true,
            gib_pages: true,
        }
    }

    fn params(&self) -> Params {
        let half = |ttbr, tbi| Half { ttbr, tsz: 16, granule: Granule::K4, tbi, epd: false };
        let upper = Some(half(self.roots[1], false));
        Params { lower: half(self.roots[0], true), upper, ps: 2, mair: 0xff_04ff_4400, wxn: false }
    }

    pub fn space(&self) -> SpaceDesc {
        let c = self.control();
        match self.format {
            Format::V8 => self.params().space(1),
            Format::X4 => four_level::space(&c, self.roots[0]),
            Format::Pae => pae::space(&c, &self.pdptes),
            Format::X2 => two_level::space(&c, self.roots[0]),
        }
    }

    /// The table that walks of an address begin at.
    pub fn root(&self, va: u64) -> u64 {
        match self.format {
            Format::V8 => self.roots[(va >> 55) as usize & 1],
            Format::Pae => self.pdptes.0[(va >> 30) as usize & 3] & !0xfff,
            _ => self.roots[0],
        }
    }

    fn el0(&self, unpriv: bool) -> bool {
        self.user || unpriv && self.format == Format::V8
    }

    fn privilege(&self, unpriv: bool) -> Privilege {
        match (unpriv, self.user) {
            (true, _) => Privilege::Implicit,
            (_, true) => Privilege::User,
            _ => Privilege::Supervisor { ac: false },
        }
    }

    /// Walks tables in `tables`, or those of VMSAv8-64 in `phys`.
    pub fn look(
        &self,
        phys: &PhysMem,
        tables: &impl Tables,
        va: u64,
        kind: AccessKind,
        unpriv: bool,
        path: &mut Path,
    ) -> Result<Translation, ()> {
        let c = self.control();
        let access = Access { kind, privilege: self.privilege(unpriv) };
        let r: Result<Translation, x86::PageFault> = match self.format {
            Format::V8 => {
                let el0 = self.el0(unpriv);
                let access = vmsa64::Access { kind, el0, pan: self.guarded && !el0 };
                let read = |pa| phys.read_word(pa).ok();
                let w = vmsa64::walk_path(&self.params(), va, access, read, path).map_err(|_| ())?;
                return Ok(Translation {
                    pa: w.pa,
                    page_bits: w.page_bits,
                    read: w.read,
                    write: w.write,
                    exec: w.exec,
                    mem: w.mem,
                    global: w.global,
                });
            }
            Format::X4 if (va as i64) << 16 >> 16 != va as i64 => return Err(()),
            Format::X4 => four_level::translate(tables, &c, self.roots[0], va, access, path),
            Format::Pae => pae::translate(tables, &c, &self.pdptes, va & 0xffff_ffff, access, path),
            Format::X2 => two_level::translate(tables, &c, self.roots[0], va & 0xffff_ffff, access, path),
        };
        r.map_err(|_| ())
    }

    /// What an access may use without a walk, as the tables are: the physical page.
    pub fn legal(&self, phys: &PhysMem, va: u64, kind: AccessKind, unpriv: bool) -> Option<u64> {
        let frozen = Frozen::new(phys);
        let t = self.look(phys, &frozen, va, kind, unpriv, &mut Path::default()).ok()?;
        (!frozen.changes.get()).then_some(t.pa & !0xfff)
    }
}

impl Regime for Guest {
    type Fault = ();
    const OPEN_BUS: bool = true;

    fn walk(
        &self,
        phys: &PhysMem,
        va: u64,
        kind: AccessKind,
        unpriv: bool,
        path: &mut Path,
    ) -> Result<Translation, ()> {
        self.look(phys, phys, va, kind, unpriv, path)
    }

    fn rights(&self, flags: u16, unpriv: bool) -> Rights {
        let el0 = self.el0(unpriv);
        match self.format {
            Format::V8 => vmsa64::rights(&self.params(), flags, el0, self.guarded && !el0),
            _ => rights_of(&self.control(), self.privilege(unpriv), flags),
        }
    }
}

/// No paging: how the guest's kernel reaches all memory here.
#[derive(Clone, Copy, Debug)]
pub struct Flat;

impl Regime for Flat {
    type Fault = ();
    const OPEN_BUS: bool = true;

    fn walk(&self, _: &PhysMem, va: u64, _: AccessKind, _: bool, _: &mut Path) -> Result<Translation, ()> {
        let mem = MemType::Normal;
        Ok(Translation { pa: va, page_bits: 12, read: true, write: true, exec: true, mem, global: true })
    }
}

impl Format {
    pub const ALL: [Format; 4] = [Format::V8, Format::X4, Format::Pae, Format::X2];

    pub fn entry_size(self) -> Size {
        if self == Format::X2 { Size::B4 } else { Size::B8 }
    }

    /// Indices that addresses use, of all levels.
    pub fn indices(self) -> &'static [u64] {
        // Pages whose upper indices are so far apart meet in one place of the TLB.
        const APART: u64 = TLB_ENTRIES as u64 >> 10;
        if self == Format::X2 { &[0, APART, 1, 1023] } else { &[0, 1, 2, 256, 511] }
    }

    /// An address whose indices are such.
    pub fn address(self, rng: &mut Rng) -> u64 {
        let mut i = |n: usize| rng.of(&self.indices()[..n]);
        match self {
            Format::X2 => i(4) << 22 | i(4) << 12,
            Format::Pae => (i(3) & 3) << 30 | i(3) << 21 | i(4) << 12,
            Format::X4 => (((i(5) << 39 | i(2) << 30 | i(2) << 21 | i(4) << 12) as i64) << 16 >> 16) as u64,
            Format::V8 => {
                let va = i(2) << 39 | i(2) << 30 | i(2) << 21 | i(4) << 12;
                match rng.below(5) {
                    0 | 1 => va,
                    2 => va | 0x5a << 56,
                    _ => va | 0xffff << 48,
                }
            }
        }
    }

    /// log2 of what an entry of each level stands for.
    pub fn shifts(self) -> &'static [u32] {
        match self {
            Format::X2 => &[22, 12],
            Format::Pae => &[21, 12],
            Format::V8 | Format::X4 => &[39, 30, 21, 12],
        }
    }

    /// An entry that leads to `pa` and allows everything.
    pub fn good(self, pa: u64, leaf: bool) -> u64 {
        pa | match (self, leaf) {
            (Format::V8, false) => 3,
            (Format::V8, true) => 3 | 1 << 10 | 1 << 6 | 1 << 2 | 1 << 11,
            _ => 7,
        }
    }

    /// A random entry that leads to `pa`, or is nothing much. `global`: global leaves may be made.
    pub fn entry(self, rng: &mut Rng, pa: u64, global: bool) -> u64 {
        if rng.chance(6) {
            return 0;
        }
        let mut bit = |percent: u64, b: u64| if rng.chance(percent) { b } else { 0 };
        if self == Format::V8 {
            let e = pa
                | bit(99, 1)
                | bit(93, 2)
                | bit(96, 1 << 10)
                | bit(80, 1 << 6)
                | bit(20, 1 << 7)
                | bit(60, 1 << 2)
                | bit(if global { 60 } else { 100 }, 1 << 11)
                | bit(10, 1 << 52)
                | bit(15, 1 << 53)
                | bit(15, 1 << 54)
                | bit(2, 1 << 59)
                | bit(2, 1 << 60)
                | bit(2, 1 << 61)
                | bit(2, 1 << 62);
            return e;
        }
        let xd = if self == Format::X2 { 0 } else { 1 << 63 };
        pa | bit(98, 1)
            | bit(90, 2)
            | bit(90, 4)
            | bit(50, 0x20)
            | bit(50, 0x40)
            | bit(5, 0x80)
            | bit(if global { 30 } else { 0 }, 0x100)
            | bit(4, xd)
    }
}
