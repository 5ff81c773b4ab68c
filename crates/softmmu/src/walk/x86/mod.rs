//! x86 paging (Intel SDM Vol. 3A chapter 4): what the formats share. Each is a file of its own: [`two_level`],
//! [`pae`], [`four_level`].
//!
//! A walk sets the accessed flag of the entries it goes through as it goes, and accessed and dirty flags of the
//! leaf if the access is allowed (SDM 4.8). What it returns is writable only while the dirty flag is set, so that
//! the first write to a page comes here even if it was read before.
//!
//! Not advertised and so not here: protection keys, shadow stacks, 5-level paging. Memory types (PAT, PCD, PWT) are
//! not looked at: no cache is modelled.

pub mod four_level;
pub mod pae;
pub mod two_level;

use std::ops::ControlFlow;

use lyrebird_isa::Size;

use super::path::Path;
use crate::mmu::{self, AccessKind, MemType, Translation};
use crate::phys::{Page, PhysMem};
use crate::shadow::{Root, SpaceDesc};

/// The state and the features that decide how tables are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Control {
    /// CR0.WP: supervisor writes respect read-only pages.
    pub wp: bool,
    /// CR4.PSE: 4 MiB pages of 32-bit paging.
    pub pse: bool,
    /// CR4.PGE: the G flag counts.
    pub pge: bool,
    /// CR4.SMEP: no supervisor fetches from user pages.
    pub smep: bool,
    /// CR4.SMAP: no supervisor data accesses to user pages, but see [`Privilege::Supervisor`].
    pub smap: bool,
    /// IA32_EFER.NXE: the XD flag counts. Has to be clear with 32-bit paging.
    pub nxe: bool,
    /// MAXPHYADDR, 32 to 52; what is out of range counts as the nearer end. 32 also means no PSE-36.
    pub max_phy_addr: u8,
    /// CPUID.PAT: the PAT flag of entries is not reserved.
    pub pat: bool,
    /// CPUID.Page1GB.
    pub gib_pages: bool,
}

impl Control {
    /// Physical address bits.
    fn pa_bits(&self) -> u32 {
        u32::from(self.max_phy_addr).clamp(32, 52)
    }

    /// The physical address that an entry of 8 bytes or CR3 holds above bit 11.
    fn frame(&self, entry: u64) -> u64 {
        entry & bits(self.pa_bits() - 1, 12)
    }
}

impl Control {
    /// For [`SpaceDesc::meaning`]; `format` is a number of the paging mode.
    fn meaning(&self, format: u64) -> [u64; 2] {
        let on = [self.wp, self.pse, self.pge, self.smep, self.smap, self.nxe, self.pat, self.gib_pages];
        let flags = on.iter().fold(0, |m, b| m << 1 | u64::from(*b));
        [format << 16 | flags << 8 | u64::from(self.max_phy_addr), 0]
    }
}

/// With whose privilege an access is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privilege {
    /// An access while CPL is 3, unless it is implicit.
    User,
    /// An explicit access while CPL is below 3.
    Supervisor {
        /// EFLAGS.AC: the access overrides SMAP.
        ac: bool,
    },
    /// To a descriptor table or a TSS on behalf of an instruction, an exception or an interrupt, whatever CPL is.
    Implicit,
}

/// The access that is translated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// What it does. A read that is to be followed by a write of the same operand is a write.
    pub kind: AccessKind,
    /// With whose privilege.
    pub privilege: Privilege,
}

/// A page fault; CR2 is the address that was translated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageFault {
    /// The error code: bits of [`code`].
    pub code: u32,
}

/// Bits of a page fault's error code (SDM 4.7).
pub mod code {
    /// The page is present: rights or reserved bits are the reason.
    pub const P: u32 = 1 << 0;
    /// The access is a write.
    pub const WR: u32 = 1 << 1;
    /// The access is a user-mode access.
    pub const US: u32 = 1 << 2;
    /// A reserved bit is set in an entry.
    pub const RSVD: u32 = 1 << 3;
    /// The access is an instruction fetch.
    pub const ID: u32 = 1 << 4;
}

/// The memory that tables are in.
pub trait Tables {
    /// Reads the naturally aligned entry of `size` (4 or 8 bytes) at `pa`, zero-extended; all ones where there is
    /// no memory.
    fn read(&self, pa: u64, size: Size) -> u64;

    /// Replaces the entry by `new` if it is still `old`, atomically; whether it was. Where there is no RAM the
    /// write is lost, and that is success.
    fn replace(&self, pa: u64, size: Size, old: u64, new: u64) -> bool;
}

impl Tables for PhysMem {
    fn read(&self, pa: u64, size: Size) -> u64 {
        let ones = size.width().mask();
        match self.page(pa) {
            Page::Ram(_) | Page::Rom(_) => PhysMem::read(self, pa, size).unwrap_or(ones),
            Page::Mmio | Page::None => ones,
        }
    }

    fn replace(&self, pa: u64, size: Size, old: u64, new: u64) -> bool {
        self.compare_exchange(pa, size, old, new).is_none_or(|was| was == old)
    }
}

// Flags that all formats have in the same place.
const P: u64 = 1 << 0;
const RW: u64 = 1 << 1;
const US: u64 = 1 << 2;
const A: u64 = 1 << 5;
const D: u64 = 1 << 6;
const PS: u64 = 1 << 7;
const G: u64 = 1 << 8;
const XD: u64 = 1 << 63;

/// The bits `high` to `low`.
const fn bits(high: u32, low: u32) -> u64 {
    u64::MAX >> (63 - high) & u64::MAX << low
}

/// What a present entry says.
enum Entry {
    /// The physical address of the next table.
    Table(u64),
    /// The physical address of a page.
    Page(u64),
    /// A reserved bit is set.
    Reserved,
}

/// A format, and where a walk of it begins.
struct Format {
    /// Physical address of the first table.
    root: u64,
    /// Lowest address bit that the first table's index is made of; the last table's is bit 12.
    shift: u32,
    /// log2 of the number of entries of a table.
    stride: u32,
    /// Size of an entry.
    size: Size,
}

/// Walks from the first table to a page. `decode` gets an entry and the `shift` of its table.
fn walk(
    tables: &impl Tables,
    c: &Control,
    f: &Format,
    va: u64,
    access: Access,
    path: &mut Path,
    decode: impl Fn(u64, u32) -> Entry,
) -> Result<Translation, PageFault> {
    loop {
        // An entry that someone else changed meanwhile may say something else now.
        if let ControlFlow::Break(r) = attempt(tables, c, f, va, access, path, &decode) {
            return r;
        }
    }
}

fn attempt(
    tables: &impl Tables,
    c: &Control,
    f: &Format,
    va: u64,
    access: Access,
    path: &mut Path,
    decode: impl Fn(u64, u32) -> Entry,
) -> ControlFlow<Result<Translation, PageFault>> {
    let fault = |why: u32| ControlFlow::Break(Err(PageFault { code: why | error_code(c, access) }));
    let (mut table, mut shift) = (f.root, f.shift);
    path.clear();
    let mut flags = u16::MAX;
    loop {
        let index = va >> shift & ((1 << f.stride) - 1);
        let at = table + (index << f.size as u32);
        let entry = tables.read(at, f.size);
        if entry & P == 0 {
            return fault(0);
        }
        let meaning = decode(entry, shift);
        if let Entry::Reserved = meaning {
            return fault(code::P | code::RSVD);
        }
        let mut used = entry | A;
        let leaf = matches!(meaning, Entry::Page(_));
        let rights = Rights::new(c, access.privilege, flags & lets_through(entry, leaf));
        if leaf {
            if !rights.allow(access.kind) {
                return fault(code::P);
            }
            if access.kind == AccessKind::Write {
                used |= D;
            }
        }
        if used != entry && !tables.replace(at, f.size, entry, used) {
            return ControlFlow::Continue(());
        }
        let through = lets_through(used, leaf);
        path.push(at, index, (f.stride, shift, f.size), through);
        flags &= through;
        match meaning {
            Entry::Page(base) => {
                let r = rights_of(c, access.privilege, flags);
                return ControlFlow::Break(Ok(Translation {
                    pa: base | va & bits(shift - 1, 0),
                    page_bits: shift as u8,
                    read: r.read,
                    write: r.write,
                    exec: r.exec,
                    mem: r.mem,
                    global: r.global,
                }));
            }
            Entry::Table(next) => table = next,
            Entry::Reserved => return fault(code::P | code::RSVD),
        }
        shift -= f.stride;
    }
}

/// The bits of the error code that the access decides (SDM 4.7).
fn error_code(c: &Control, access: Access) -> u32 {
    let user = if access.privilege == Privilege::User { code::US } else { 0 };
    user | match access.kind {
        AccessKind::Read => 0,
        AccessKind::Write => code::WR,
        AccessKind::Exec if c.nxe || c.smep => code::ID,
        AccessKind::Exec => 0,
    }
}

/// What may be done with a page.
struct Rights {
    read: bool,
    write: bool,
    exec: bool,
}

/// What an entry lets through ([`super::path::Step::flags`]): user accesses, writes, execution, writes without setting
/// the dirty flag, being global.
mod lets {
    pub const USER: u16 = 1;
    pub const WRITE: u16 = 2;
    pub const EXEC: u16 = 4;
    pub const DIRTY: u16 = 8;
    pub const GLOBAL: u16 = 16;
}

fn lets_through(entry: u64, leaf: bool) -> u16 {
    let flag = |on: bool, f: u16| if on { f } else { 0 };
    flag(entry & US != 0, lets::USER)
        | flag(entry & RW != 0, lets::WRITE)
        | flag(entry & XD == 0, lets::EXEC)
        | flag(!leaf || entry & D != 0, lets::DIRTY)
        | flag(!leaf || entry & G != 0, lets::GLOBAL)
}

/// What a page may be used for at once, from the flags of its path.
pub fn rights_of(c: &Control, who: Privilege, flags: u16) -> mmu::Rights {
    let r = Rights::new(c, who, flags);
    mmu::Rights {
        read: r.read,
        write: r.write && flags & lets::DIRTY != 0,
        exec: r.exec,
        mem: MemType::Normal,
        global: c.pge && flags & lets::GLOBAL != 0,
    }
}

impl Rights {
    /// From the flags of all entries together (SDM 4.6.1).
    fn new(c: &Control, who: Privilege, flags: u16) -> Rights {
        let [us, rw, exec] = [lets::USER, lets::WRITE, lets::EXEC].map(|f| flags & f != 0);
        let exec = exec || !c.nxe;
        if who == Privilege::User {
            return Rights { read: us, write: us && rw, exec: us && exec };
        }
        let data = !(us && c.smap) || who == Privilege::Supervisor { ac: true };
        Rights { read: data, write: data && (rw || !c.wp), exec: exec && !(us && c.smep) }
    }

    fn allow(&self, kind: AccessKind) -> bool {
        match kind {
            AccessKind::Read => self.read,
            AccessKind::Write => self.write,
            AccessKind::Exec => self.exec,
        }
    }
}

/// Entry formats of PAE and 4-level paging, which differ in the bits above the address: `high` are reserved.
/// Reserved in each: XD without NXE, the address bits that a large page leaves, PAT without that feature, and PS
/// where no large page may be.
fn decode_wide(c: &Control, entry: u64, shift: u32, high: u64) -> Entry {
    let mut reserved = high | if c.nxe { 0 } else { XD };
    let no_pat = |bit: u32| if c.pat { 0 } else { 1u64 << bit };
    let large = shift > 12 && entry & PS != 0;
    match shift {
        12 => reserved |= no_pat(7),
        21 if large => reserved |= bits(20, 13) | no_pat(12),
        30 if large && c.gib_pages => reserved |= bits(29, 13) | no_pat(12),
        _ if large => reserved |= PS,
        _ => {}
    }
    if entry & reserved != 0 {
        Entry::Reserved
    } else if large || shift == 12 {
        Entry::Page(c.frame(entry) & u64::MAX << shift)
    } else {
        Entry::Table(c.frame(entry))
    }
}
