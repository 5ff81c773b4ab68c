//! VMSAv8-64 stage 1 (Arm ARM D8).
//!
//! Not advertised and so not here: hardware management of the Access flag and dirty state (FEAT_HAFDBS),
//! hierarchical permission disables (FEAT_HPDS), 52-bit addresses (FEAT_LPA, FEAT_LVA, FEAT_LPA2), small
//! translation tables (FEAT_TTST).

use lyrebird_isa::Size;

use super::path::Path;
use crate::mmu::{AccessKind, MemType, Rights};
use crate::shadow::{Root, SpaceDesc};

/// Translation granule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Granule {
    /// 4 KiB.
    K4,
    /// 16 KiB.
    K16,
    /// 64 KiB.
    K64,
}

impl Granule {
    /// log2 of the size in bytes.
    pub const fn bits(self) -> u32 {
        match self {
            Granule::K4 => 12,
            Granule::K16 => 14,
            Granule::K64 => 16,
        }
    }

    /// From TCR_ELx.TG0; the reserved value counts as 4 KiB.
    pub const fn from_tg0(tg0: u64) -> Granule {
        match tg0 & 3 {
            1 => Granule::K64,
            2 => Granule::K16,
            _ => Granule::K4,
        }
    }

    /// From TCR_ELx.TG1; the reserved value counts as 4 KiB.
    pub const fn from_tg1(tg1: u64) -> Granule {
        match tg1 & 3 {
            1 => Granule::K16,
            3 => Granule::K64,
            _ => Granule::K4,
        }
    }

    /// log2 of how many leaves at `level` the Contiguous bit joins; `None` where no leaf may be (Arm ARM D8.3,
    /// descriptor formats and "The Contiguous bit").
    const fn leaf(self, level: u32) -> Option<u32> {
        match (self, level) {
            (Granule::K4, 1..=3) => Some(4),
            (Granule::K16, 2) => Some(5),
            (Granule::K16, 3) => Some(7),
            (Granule::K64, 2..=3) => Some(5),
            _ => None,
        }
    }
}

/// One half of the virtual address space: a TTBR and its fields of TCR_ELx.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Half {
    /// TTBRn_ELx; the ASID field is ignored.
    pub ttbr: u64,
    /// TnSZ: 64 minus the size of the half in address bits.
    pub tsz: u8,
    /// TGn.
    pub granule: Granule,
    /// TBIn: bits 63 to 56 of addresses are not looked at.
    pub tbi: bool,
    /// EPDn: no walks.
    pub epd: bool,
}

impl Half {
    /// Where its walks begin: bits of input address, level, and log2 of the size of the table in bytes. `None`: there are
    /// no walks. A size out of range may be clamped or fault (Arm ARM D8.2); a fault shows the mistake.
    fn start(&self) -> Option<(u32, u32, u32)> {
        if self.epd || self.tsz < 16 || self.tsz > 39 {
            return None;
        }
        let ia_bits = 64 - u32::from(self.tsz);
        let stride = self.granule.bits() - 3;
        let level = 4 - (ia_bits - 4) / stride;
        Some((ia_bits, level, ia_bits - ((3 - level) * stride + self.granule.bits()) + 3))
    }

    /// The table that walks begin at, of `size_bits`.
    fn table(&self, size_bits: u32) -> u64 {
        self.ttbr & ((1 << 48) - 1) & (u64::MAX << size_bits)
    }

    /// The same for shadow tables. `high`: of the upper half.
    pub fn root(&self, high: bool) -> Option<Root> {
        let (ia_bits, level, size_bits) = self.start()?;
        let stride = self.granule.bits() - 3;
        Some(Root {
            table: self.table(size_bits),
            bits: (size_bits - 3) as u8,
            shift: ((3 - level) * stride + self.granule.bits()) as u8,
            size: Size::B8,
            low: (1 << ia_bits) - 1,
            ignored: if self.tbi { 0xff << 56 } else { 0 },
            top: if high { u64::MAX << ia_bits } else { 0 },
        })
    }
}

/// A stage 1 regime as its system registers set it up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Params {
    /// Addresses with bit 55 clear.
    pub lower: Half,
    /// Addresses with bit 55 set. `None`: a regime with one address range and one privilege (EL2 without
    /// FEAT_VHE, EL3), where AP\[1\], PXN and nG mean nothing.
    pub upper: Option<Half>,
    /// TCR_ELx.IPS or PS; values above 5 count as 5 (48 bits).
    pub ps: u8,
    /// MAIR_ELx.
    pub mair: u64,
    /// SCTLR_ELx.WXN: writable memory is not executable.
    pub wxn: bool,
}

impl Params {
    /// The address space for shadow tables; `more` is whatever else decides about translations.
    pub fn space(&self, more: u8) -> SpaceDesc {
        let half = |h: &Half| u64::from(h.tsz) | (h.granule.bits() as u64) << 8;
        let one = self.upper.is_none();
        let upper = self.upper.as_ref().map_or(0, half);
        let flags = u64::from(self.wxn) | u64::from(one) << 1 | u64::from(more) << 8;
        SpaceDesc {
            meaning: [self.mair, half(&self.lower) | upper << 16 | u64::from(self.ps) << 32 | flags << 40],
            split: (55, 1),
            roots: [self.lower.root(false), self.upper.and_then(|h| h.root(true)), None, None],
        }
    }
}

/// The access that is translated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// What it does.
    pub kind: AccessKind,
    /// Made with EL0's privilege.
    pub el0: bool,
    /// PSTATE.PAN as it applies to the access.
    pub pan: bool,
}

/// A successful walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Walked {
    /// Output address of the byte.
    pub pa: u64,
    /// log2 of the size of what the walk found: page or block, or a contiguous run of them.
    pub page_bits: u8,
    /// Level of the leaf.
    pub level: u8,
    /// May be read with the access's privilege, PAN applied.
    pub read: bool,
    /// May be written, likewise.
    pub write: bool,
    /// May be executed.
    pub exec: bool,
    /// Not tagged with an ASID.
    pub global: bool,
    /// The MAIR_ELx byte.
    pub attr: u8,
    /// Shareability as PAR_EL1.SH shows it: 0b10 for Device and for Normal Non-cacheable memory.
    pub sh: u8,
    /// Memory type of `attr`.
    pub mem: MemType,
}

/// Kinds of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WalkFaultKind {
    /// Translation fault.
    Translation,
    /// Access flag fault.
    AccessFlag,
    /// Permission fault.
    Permission,
    /// Address size fault.
    AddressSize,
    /// Synchronous External abort on a translation table walk.
    External,
}

/// A failed walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WalkFault {
    /// Why.
    pub kind: WalkFaultKind,
    /// At which level, as the fault status code has it.
    pub level: u8,
}

impl WalkFault {
    const fn new(kind: WalkFaultKind, level: u32) -> WalkFault {
        WalkFault { kind, level: level as u8 }
    }
}

/// Address bits of a PARange, IPS or PS value (ID_AA64MMFR0_EL1.PARange, TCR_EL1.IPS).
pub const fn pa_bits(ps: u8) -> u32 {
    match ps {
        0 => 32,
        1 => 36,
        2 => 40,
        3 => 42,
        4 => 44,
        _ => 48,
    }
}

/// Memory type of a MAIR_ELx byte: Device if its high half is zero.
pub const fn mem_type(attr: u8) -> MemType {
    if attr >> 4 == 0 { MemType::Device } else { MemType::Normal }
}

const OA: u64 = 0x0000_ffff_ffff_f000;

/// What a descriptor lets through ([`super::path::Step::flags`]): for EL0 to access, to write, to execute at EL0 and
/// above, being global, and from bit 5 the index into MAIR_ELx.
mod lets {
    pub const EL0: u16 = 1;
    pub const WRITE: u16 = 2;
    pub const EL0_EXEC: u16 = 4;
    pub const EXEC: u16 = 8;
    pub const GLOBAL: u16 = 16;
    pub const ATTR: u32 = 5;
}

fn flag(on: bool, f: u16) -> u16 {
    if on { f } else { 0 }
}

/// The hierarchical bits of a table descriptor (Arm ARM D8.4).
fn table_lets(desc: u64) -> u16 {
    flag(desc & 1 << 61 == 0, lets::EL0)
        | flag(desc & 1 << 62 == 0, lets::WRITE)
        | flag(desc & 1 << 60 == 0, lets::EL0_EXEC)
        | flag(desc & 1 << 59 == 0, lets::EXEC)
        | lets::GLOBAL
        | 7 << lets::ATTR
}

fn leaf_lets(desc: u64) -> u16 {
    flag(desc & 1 << 6 != 0, lets::EL0)
        | flag(desc & 1 << 7 == 0, lets::WRITE)
        | flag(desc & 1 << 54 == 0, lets::EL0_EXEC)
        | flag(desc & 1 << 53 == 0, lets::EXEC)
        | flag(desc & 1 << 11 == 0, lets::GLOBAL)
        | ((desc >> 2 & 7) as u16) << lets::ATTR
}

/// What a page may be used for, from the flags of its path.
pub fn rights(p: &Params, flags: u16, el0: bool, pan: bool) -> Rights {
    let has = |f: u16| flags & f != 0;
    let read_only = !has(lets::WRITE);
    let (read, write, exec) = if p.upper.is_none() {
        // One privilege: AP[1] is RES1 and bit 54 is XN.
        (true, !read_only, has(lets::EL0_EXEC) && (read_only || !p.wxn))
    } else {
        let el0_data = has(lets::EL0);
        let el0_write = el0_data && !read_only;
        if el0 {
            (el0_data, el0_write, has(lets::EL0_EXEC) && !(p.wxn && el0_write))
        } else {
            let data = !(pan && el0_data);
            // What EL0 can write, EL1 never executes (Arm ARM D8.4).
            (data, data && !read_only, has(lets::EXEC) && !(el0_write || p.wxn && !read_only))
        }
    };
    Rights {
        read,
        write,
        exec,
        mem: mem_type(attr(p, flags)),
        global: p.upper.is_none() || has(lets::GLOBAL),
    }
}

/// The MAIR_ELx byte.
fn attr(p: &Params, flags: u16) -> u8 {
    (p.mair >> (8 * (flags >> lets::ATTR & 7))) as u8
}

/// Translates `va`. `read_phys` reads a descriptor at a physical address; `None` is an External abort.
///
/// # Errors
/// The highest-priority fault (Arm ARM D8, "MMU fault prioritization").
pub fn walk(
    p: &Params,
    va: u64,
    access: Access,
    read_phys: impl FnMut(u64) -> Option<u64>,
) -> Result<Walked, WalkFault> {
    walk_path(p, va, access, read_phys, &mut Path::default())
}

/// As [`walk`], and writes down the way to the leaf.
///
/// # Errors
/// As [`walk`].
pub fn walk_path(
    p: &Params,
    va: u64,
    access: Access,
    mut read_phys: impl FnMut(u64) -> Option<u64>,
    path: &mut Path,
) -> Result<Walked, WalkFault> {
    use WalkFaultKind::{AccessFlag, AddressSize, External, Permission, Translation};
    let fault = WalkFault::new;

    let high = va & 1 << 55 != 0;
    let half = match (&p.upper, high) {
        (_, false) => &p.lower,
        (Some(h), true) => h,
        (None, true) => return Err(fault(Translation, 0)),
    };
    let (ia_bits, start, start_bits) = half.start().ok_or(fault(Translation, 0))?;
    let checked = if half.tbi { (1 << 56) - 1 } else { u64::MAX };
    let above = checked >> ia_bits << ia_bits;
    if va & above != if high { above } else { 0 } {
        return Err(fault(Translation, 0));
    }

    let out_of_range = |pa: u64| pa >> pa_bits(p.ps) != 0;
    let gbits = half.granule.bits();
    let stride = gbits - 3;
    let mut table = half.table(start_bits);
    if out_of_range(half.ttbr & ((1 << 48) - 2)) {
        return Err(fault(AddressSize, 0));
    }

    path.clear();
    let mut flags = u16::MAX;
    let mut level = start;
    let (desc, shift) = loop {
        let shift = (3 - level) * stride + gbits;
        let bits = if level == start { start_bits - 3 } else { stride };
        let index = va >> shift & ((1 << bits) - 1);
        let at = table + index * 8;
        let desc = read_phys(at).ok_or(fault(External, level))?;
        let leaf = match (desc & 3, level) {
            (3, 3) => true,
            (3, _) => false,
            (1, 0..=2) if half.granule.leaf(level).is_some() => true,
            _ => return Err(fault(Translation, level)),
        };
        let through = if leaf { leaf_lets(desc) } else { table_lets(desc) };
        path.push(at, index, (bits, shift, Size::B8), through);
        flags &= through;
        if leaf {
            break (desc, shift);
        }
        table = desc & OA & (u64::MAX << gbits);
        if out_of_range(table) {
            return Err(fault(AddressSize, level));
        }
        level += 1;
    };

    let base = desc & OA & (u64::MAX << shift);
    if out_of_range(base) {
        return Err(fault(AddressSize, level));
    }
    if desc & 1 << 10 == 0 {
        return Err(fault(AccessFlag, level));
    }

    let Rights { read, write, exec, mem, global } = rights(p, flags, access.el0, access.pan);
    let allowed = match access.kind {
        AccessKind::Read => read,
        AccessKind::Write => write,
        AccessKind::Exec => exec,
    };
    if !allowed {
        return Err(fault(Permission, level));
    }

    let run = if desc & 1 << 52 != 0 { half.granule.leaf(level).unwrap_or(0) } else { 0 };
    let attr = attr(p, flags);
    let sh = if mem == MemType::Device || attr == 0x44 { 0b10 } else { (desc >> 8 & 3) as u8 };
    Ok(Walked {
        pa: base | va & ((1 << shift) - 1),
        page_bits: (shift + run) as u8,
        level: level as u8,
        read,
        write,
        exec,
        global,
        attr,
        sh,
        mem,
    })
}
