//! A translation regime made of lists of leaves, and guest code's view of the inline tables.

use std::collections::HashMap;

use lyrebird_isa::TlbEntry;
use lyrebird_isa::state::{PAGE_MASK, tlb_index};
use lyrebird_softmmu::walk::path::Path;
use lyrebird_softmmu::{AccessKind, ContextKey, MemType, PhysMem, Regime, Translation};

/// One leaf: page or block.
#[derive(Clone, Copy, Debug)]
pub struct Leaf {
    pub va: u64,
    pub bits: u8,
    pub pa: u64,
    pub read: bool,
    pub write: bool,
    pub exec: bool,
    pub user: bool,
    pub mem: MemType,
    pub global: bool,
}

impl Leaf {
    pub fn page(va: u64, pa: u64) -> Leaf {
        Leaf {
            va,
            bits: 12,
            pa,
            read: true,
            write: true,
            exec: true,
            user: true,
            mem: MemType::Normal,
            global: false,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    Unmapped,
    Permission,
}

/// The tables of all address spaces. Class 0 is privileged, 1 is not, 2 is privileged without access to what
/// is the user's.
#[derive(Clone, Debug, Default)]
pub struct Spaces {
    pub private: HashMap<u16, Vec<Leaf>>,
    pub global: Vec<Leaf>,
}

impl Spaces {
    pub fn of(&self, cur: ContextKey, unpriv: ContextKey) -> Space {
        Space { spaces: self.clone(), cur, unpriv }
    }

    pub fn translate(&self, key: ContextKey, va: u64, kind: AccessKind) -> Result<Translation, Refused> {
        let none = Vec::new();
        let l = self
            .private
            .get(&key.asid)
            .unwrap_or(&none)
            .iter()
            .chain(&self.global)
            .find(|l| (l.va ^ va) >> l.bits == 0)
            .ok_or(Refused::Unmapped)?;
        let ok = match key.class {
            0 => true,
            1 => l.user,
            _ => !l.user,
        };
        let t = Translation {
            pa: l.pa + (va - l.va),
            page_bits: l.bits,
            read: l.read && ok,
            write: l.write && ok,
            exec: l.exec && ok,
            mem: l.mem,
            global: l.global,
        };
        let granted = match kind {
            AccessKind::Read => t.read,
            AccessKind::Write => t.write,
            AccessKind::Exec => t.exec,
        };
        if granted { Ok(t) } else { Err(Refused::Permission) }
    }
}

/// The regime of a vCPU: tables and current contexts.
#[derive(Debug)]
pub struct Space {
    pub spaces: Spaces,
    pub cur: ContextKey,
    pub unpriv: ContextKey,
}

impl Regime for Space {
    type Fault = Refused;

    fn walk(
        &self,
        _: &PhysMem,
        va: u64,
        kind: AccessKind,
        unpriv: bool,
        _: &mut Path,
    ) -> Result<Translation, Refused> {
        self.spaces.translate(if unpriv { self.unpriv } else { self.cur }, va, kind)
    }
}

/// xorshift64*
pub struct Rng(pub u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
    pub fn below(&mut self, n: u64) -> u64 {
        (self.next() >> 32) % n
    }
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
    pub fn of<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}

/// The host address that an entry gives a virtual address, whatever its tags.
pub fn inline_host(table: *mut TlbEntry, va: u64) -> u64 {
    va.wrapping_add(entry(table, va).addend)
}

fn entry(table: *mut TlbEntry, va: u64) -> TlbEntry {
    // SAFETY: an attached table, and an index below its length.
    unsafe { *table.add(tlb_index(va)) }
}

/// Which tags (read, write, exec) of the table match `va`.
pub fn inline_tags(table: *mut TlbEntry, va: u64) -> (bool, bool, bool) {
    let e = entry(table, va);
    let page = va & PAGE_MASK;
    (e.read == page, e.write == page, e.exec == page)
}

/// An 8-byte load the way guest code does it, if the table allows it.
pub fn inline_load(table: *mut TlbEntry, va: u64) -> Option<u64> {
    let e = entry(table, va);
    if e.read != va.wrapping_add(7) & PAGE_MASK {
        return None;
    }
    // SAFETY: the tag vouches for the page.
    Some(unsafe { (va.wrapping_add(e.addend) as *const u64).read_unaligned() })
}
