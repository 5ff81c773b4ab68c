//! Random guests that edit their translation tables in every way there is, against walks without any cache.
//!
//! What the inline TLB of the current contexts would let guest code do without a slow path has to be what the tables say, or
//! have said since the architecture last required it to be forgotten. With shadow tables it has to be what they say now,
//! unless another agent stored to them.

#[allow(dead_code, reason = "not all of it is of use here")]
mod common;
#[path = "shadow/guest.rs"]
mod guest;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use common::{Rng, inline_host, inline_tags};
use guest::{Flat, Format, Frozen, Guest};
use lyrebird_isa::state::code_ctx_mask;
use lyrebird_isa::{Core, MemOp, Size};
use lyrebird_softmmu::walk::path::Path;
use lyrebird_softmmu::walk::x86::pae::Pdptes;
use lyrebird_softmmu::{AccessKind, ClassMask, ContextKey, MmuConfig, MmuMode, MmuStats, PhysMem};
use lyrebird_softmmu::{MemFault, Mmu};

const RAM: u64 = 0x40_0000;
const PAGES: u64 = 48;
const SPACES: usize = 4;
const KINDS: [AccessKind; 3] = [AccessKind::Read, AccessKind::Write, AccessKind::Exec];

fn page(n: u64) -> u64 {
    RAM + n * 0x1000
}

/// What is translated: address space, privilege of the context, address, kind.
type What = (usize, usize, u64, usize);

struct Cpu {
    core: Box<Core>,
    mmu: Mmu,
    space: usize,
    user: bool,
    flat: bool,
    /// What may be used without a walk: all that the tables said since it last had to be forgotten.
    allowed: HashMap<What, HashSet<u64>>,
    /// Another agent stored to tables, and no maintenance was done.
    behind: bool,
    fetched: HashMap<(u64, u64), u64>,
}

impl Cpu {
    /// Write tags of a CPU are not withdrawn yet when a page becomes a table of another's: as if it had no such tag.
    fn untag(&mut self, pa: u64) {
        self.mmu.watch_code(pa);
        self.mmu.unwatch_code(pa);
    }
}

struct World {
    rng: Rng,
    format: Format,
    mode: MmuMode,
    phys: Arc<PhysMem>,
    spaces: Vec<Guest>,
    addresses: Vec<u64>,
    cpus: Vec<Cpu>,
    hits: u64,
}

impl World {
    fn new(seed: u64, format: Format, mode: MmuMode, cpus: usize) -> World {
        let mut rng = Rng(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let phys = PhysMem::builder().ram(RAM, PAGES * 0x1000).build().unwrap();
        let addresses: Vec<u64> = (0..14).map(|_| format.address(&mut rng)).collect();
        let spaces: Vec<Guest> = (0..SPACES as u64)
            .map(|i| Guest {
                format,
                roots: [page(i), page(SPACES as u64 + i % 2)],
                pdptes: Pdptes::default(),
                user: false,
                guarded: i % 2 == 1,
            })
            .collect();
        let config = MmuConfig { mode, spaces: 2 + seed as usize % 4, entries: 1 << 16 };
        let cpus = (0..cpus)
            .map(|_| {
                let mut core = Box::new(Core::new());
                let mut mmu = Mmu::new(phys.clone(), &mut core);
                mmu.configure(&mut core, &config);
                Cpu {
                    core,
                    mmu,
                    space: 0,
                    user: false,
                    flat: false,
                    allowed: HashMap::new(),
                    behind: false,
                    fetched: HashMap::new(),
                }
            })
            .collect();
        let mut w = World { rng, format, mode, phys, spaces, addresses, cpus, hits: 0 };
        for i in 0..600 {
            let at = w.entry_address(0);
            let e = w.entry();
            let _ = (i, w.phys.write(at, format.entry_size(), e));
        }
        for space in 0..SPACES {
            w.load_pdptes(space);
        }
        for c in 0..w.cpus.len() {
            w.enter(c, 0, false);
        }
        w
    }

    /// An entry that an address of CPU `c`'s address space goes through; or any.
    fn entry_address(&mut self, c: usize) -> u64 {
        if self.rng.chance(60) && !self.cpus.is_empty() {
            let (va, mut path) = (self.rng.of(&self.addresses), Path::default());
            let frozen = Frozen::new(&self.phys);
            let g = self.guest(self.cpus[c].space, false);
            let _ = g.look(&self.phys, &frozen, va, AccessKind::Read, false, &mut path);
            let steps: Vec<u64> = path.steps().iter().map(|s| s.at).collect();
            if !steps.is_empty() {
                let at = self.rng.of(&steps);
                if (RAM..page(PAGES)).contains(&at) {
                    return at;
                }
            }
        }
        let i = self.rng.of(self.format.indices());
        page(self.rng.below(PAGES)) + (i << self.format.entry_size() as u32)
    }

    fn entry(&mut self) -> u64 {
        let to = page(self.rng.below(PAGES));
        let global = self.mode == MmuMode::Shadow;
        self.format.entry(&mut self.rng, to, global)
    }

    /// PDPTEs are loaded with CR3 and then do not follow memory.
    fn load_pdptes(&mut self, space: usize) {
        if self.format == Format::Pae {
            let e = [0; 4].map(|_| page(self.rng.below(PAGES)) | u64::from(self.rng.chance(80)));
            self.spaces[space].pdptes = Pdptes(e);
        }
    }

    /// The regime of a space with the privilege of a context: 0 and 1 ordinary accesses, 2 the other ones.
    fn guest(&self, space: usize, user: bool) -> Guest {
        Guest { user, ..self.spaces[space] }
    }

    fn all(&self) -> Vec<What> {
        let mut all = Vec::new();
        for s in 0..SPACES {
            for p in 0..3 {
                for va in &self.addresses {
                    all.extend((0..3).map(|k| (s, p, *va, k)));
                }
            }
        }
        all
    }

    fn legal(&self, (s, p, va, k): What) -> Option<u64> {
        self.guest(s, p == 1).legal(&self.phys, va, KINDS[k], p == 2)
    }

    /// The tables changed: what they say now may be used as well.
    fn changed(&mut self) {
        for what in self.all() {
            if let Some(pa) = self.legal(what) {
                for c in &mut self.cpus {
                    c.allowed.entry(what).or_default().insert(pa);
                }
            }
        }
    }

    /// Maintenance: what this holds for is to be what the tables say now.
    fn forget(&mut self, c: usize, which: impl Fn(&World, What) -> bool) {
        let these: Vec<What> = self.all().into_iter().filter(|w| which(self, *w)).collect();
        for what in these {
            let now = self.legal(what).into_iter().collect();
            self.cpus[c].allowed.insert(what, now);
        }
    }

    fn switch(&mut self, c: usize) {
        let asid = self.cpus[c].space as u16 + 1;
        let space = self.spaces[self.cpus[c].space];
        let desc = space.space();
        let cpu = &mut self.cpus[c];
        if cpu.flat {
            let asid = cpu.mmu.enter(&mut cpu.core, None, 0);
            let key = ContextKey { asid, class: 7 };
            cpu.mmu.switch(&mut cpu.core, key, key, 7);
            return;
        }
        let asid = cpu.mmu.enter(&mut cpu.core, Some(&desc), asid);
        // PSTATE.PAN, unlike CR4.SMAP, is nothing that the tables' meaning depends on.
        let pan = if space.format == Format::V8 && space.guarded { 8 } else { 0 };
        let key = |class: u8| ContextKey { asid, class: class + pan };
        // User, supervisor, and the other one.
        let (cur, unpriv) = (key(cpu.user.into()), key(2));
        cpu.mmu.switch(&mut cpu.core, cur, unpriv, cpu.user.into());
        if self.mode == MmuMode::Shadow {
            cpu.behind = false;
        }
    }

    fn enter(&mut self, c: usize, space: usize, user: bool) {
        self.cpus[c].space = space;
        self.cpus[c].user = user;
        self.cpus[c].flat = false;
        self.switch(c);
        if !self.cpus[c].behind {
            self.forget_if_exact(c);
        }
    }

    fn forget_if_exact(&mut self, c: usize) {
        if self.mode == MmuMode::Shadow && !self.cpus[c].behind {
            self.forget(c, |_, _| true);
        }
    }

    /// The guest stores to physical memory: as its kernel, through the TLB if that lets it.
    fn store(&mut self, c: usize, pa: u64, size: Size, v: u64) {
        let flat = std::mem::replace(&mut self.cpus[c].flat, true);
        self.switch(c);
        let alone = self.cpus.len() == 1;
        let cpu = &mut self.cpus[c];
        if alone && inline_tags(cpu.core.tlb, pa).1 {
            write(inline_host(cpu.core.tlb, pa), size, v);
        } else {
            cpu.untag(pa);
            cpu.mmu.store(&mut cpu.core, &Flat, pa, MemOp::new(size), v).unwrap();
        }
        self.stored(c);
        self.cpus[c].flat = flat;
        self.switch(c);
    }

    fn stored(&mut self, c: usize) {
        self.changed();
        for other in (0..self.cpus.len()).filter(|o| *o != c) {
            self.cpus[other].behind = true;
        }
        self.forget_if_exact(c);
    }

    /// The guest stores through one of its addresses, whatever is there.
    fn store_somewhere(&mut self, c: usize) {
        let va = self.rng.of(&self.addresses) + self.rng.of(self.format.indices()) * 8;
        let (v, m) = (self.entry(), MemOp::new(self.format.entry_size()));
        let g = self.guest(self.cpus[c].space, self.cpus[c].user);
        let alone = self.cpus.len() == 1;
        let cpu = &mut self.cpus[c];
        if alone && inline_tags(cpu.core.tlb, va).1 {
            write(inline_host(cpu.core.tlb, va), m.size, v);
        } else {
            if let Ok(t) = cpu.mmu.probe(&mut cpu.core, &g, va, AccessKind::Write, false) {
                cpu.untag(t.pa);
            }
            if cpu.mmu.store(&mut cpu.core, &g, va, m, v).is_err() {
                return;
            }
        }
        self.stored(c);
        // Code contexts follow at the next look.
        self.switch(c);
    }

    fn edit(&mut self, c: usize) {
        let at = self.entry_address(c);
        let size = self.format.entry_size();
        let old = self.phys.read(at, size).unwrap();
        let flip: &[u64] = match self.format {
            Format::V8 => &[1 << 10, 1 << 6, 1 << 7, 1 << 11, 1, 1 << 53, 1 << 54, 1 << 52, 2, 1 << 2],
            _ => &[0x20, 0x40, 0x20, 0x40, 2, 4, 1, 0x80],
        };
        let new = match self.rng.below(10) {
            0..=3 => old ^ self.rng.of(flip),
            4 => old & !0x60,
            _ => self.entry(),
        };
        match self.rng.below(12) {
            0 => {
                self.phys.write(at, size, new).unwrap();
                for cpu in &mut self.cpus {
                    cpu.behind = true;
                }
                self.changed();
            }
            // Some of the bytes.
            1 => {
                let at = at + self.rng.below(4);
                self.store(c, at, Size::B1, new & 0xff);
            }
            _ => self.store(c, at, size, new),
        }
    }

    /// Maps an address of the present address space, with what is there of tables.
    fn map(&mut self, c: usize) {
        let va = self.rng.of(&self.addresses);
        let size = self.format.entry_size();
        let mut table = self.guest(self.cpus[c].space, false).root(va);
        for shift in self.format.shifts() {
            let bits = 12 - size as u32;
            let at = table + ((va >> shift & ((1 << bits) - 1)) << size as u32);
            if !(RAM..page(PAGES)).contains(&at) {
                return;
            }
            let old = self.phys.read(at, size).unwrap();
            table = old & 0xffff_f000;
            if old & 1 == 0 || *shift == 12 || !(RAM..page(PAGES)).contains(&table) {
                table = page(self.rng.below(PAGES));
                self.store(c, at, size, self.format.good(table, *shift == 12));
            }
        }
    }

    /// A page is freed and filled with something else.
    fn reuse(&mut self, c: usize) {
        let p = page(self.rng.below(PAGES));
        let (keep, alone) = (self.rng.chance(50), self.cpus.len() == 1);
        for i in 0..200u64 {
            let v = if keep { self.entry() } else { i };
            let flat = std::mem::replace(&mut self.cpus[c].flat, true);
            if !flat {
                self.switch(c);
            }
            let cpu = &mut self.cpus[c];
            let pa = p + i * 8 % 0x1000;
            if self.phys.read(pa, Size::B8).unwrap() == v {
                continue;
            }
            if !alone {
                cpu.untag(pa);
            }
            cpu.mmu.store(&mut cpu.core, &Flat, pa, MemOp::new(Size::B8), v).unwrap();
        }
        self.stored(c);
        self.cpus[c].flat = false;
        self.switch(c);
    }

    fn invalidate(&mut self, c: usize) {
        let va = self.rng.of(&self.addresses);
        let space = self.cpus[c].space;
        let how = self.rng.below(3);
        let cpu = &mut self.cpus[c];
        match how {
            0 => cpu.mmu.flush_va(&mut cpu.core, va, Some(space as u16 + 1), ClassMask::ALL),
            1 => cpu.mmu.flush_asid(&mut cpu.core, space as u16 + 1, ClassMask::ALL),
            _ => cpu.mmu.flush_all(&mut cpu.core, ClassMask::ALL),
        }
        cpu.behind &= self.mode != MmuMode::Shadow;
        match how {
            // Of what leaves that were there before have mapped nothing is known here but the address.
            0 => self.forget(c, |_, w| w.0 == space && w.2 == va),
            1 => self.forget(c, |_, w| w.0 == space),
            _ => self.forget(c, |_, _| true),
        }
        self.forget_if_exact(c);
    }

    fn access(&mut self, c: usize) {
        let va = self.rng.of(&self.addresses);
        let unpriv = self.rng.chance(20);
        let k = self.rng.below(if unpriv { 2 } else { 3 }) as usize;
        let (space, user) = (self.cpus[c].space, self.cpus[c].user);
        let g = self.guest(space, user);
        let before = g.look(&self.phys, &Frozen::new(&self.phys), va, KINDS[k], unpriv, &mut Path::default());
        let what = (space, if unpriv { 2 } else { usize::from(user) }, va, k);
        let cpu = &mut self.cpus[c];
        let got = cpu.mmu.probe(&mut cpu.core, &g, va, KINDS[k], unpriv);
        // The walk may have set flags.
        self.changed();
        match got {
            Ok(t) => {
                let pa = t.pa & !0xfff;
                let now = before.ok().map(|t| t.pa & !0xfff);
                let stale = self.cpus[c].allowed.get(&what).is_some_and(|s| s.contains(&pa));
                assert!(now == Some(pa) || stale, "{what:x?}: {pa:#x}, tables say {now:x?}");
            }
            Err(e) => {
                assert_eq!(e.fault, MemFault::Translation(()));
                assert!(before.is_err(), "{what:x?}: a fault, but tables say {before:x?}");
            }
        }
        self.forget_if_exact(c);
        if KINDS[k] == AccessKind::Exec && got.is_ok() {
            self.fetch(c, va);
        }
    }

    fn fetch(&mut self, c: usize, va: u64) {
        let g = self.guest(self.cpus[c].space, self.cpus[c].user);
        let cpu = &mut self.cpus[c];
        let Ok(code) = cpu.mmu.fetch(&mut cpu.core, &g, va) else { return };
        let ctx = cpu.core.code_ctx & code_ctx_mask(va);
        let old = cpu.fetched.insert((ctx, va), code.pa);
        // Without shadow tables a page may be found elsewhere while maintenance is due.
        let same = self.mode != MmuMode::Shadow || old.is_none_or(|old| old == code.pa);
        assert!(same, "{va:#x} was {old:x?}, is {:#x} in one context", code.pa);
        if self.rng.chance(10) {
            cpu.mmu.watch_code(code.pa);
        }
        if self.rng.chance(10) {
            cpu.mmu.unwatch_code(code.pa);
        }
        while cpu.mmu.take_dirty_code().is_some() {}
        self.changed();
        self.forget_if_exact(c);
    }

    /// What guest code would find inline, and what links it would follow.
    fn check(&mut self, c: usize) {
        let cpu = &self.cpus[c];
        if cpu.flat {
            return;
        }
        let base = self.phys.ram_ptr(RAM, 1).unwrap() as u64;
        let mut hits = 0;
        for va in &self.addresses {
            for (table, p) in [(cpu.core.tlb, usize::from(cpu.user)), (cpu.core.tlb_unpriv, 2)] {
                let tags = inline_tags(table, *va);
                for (k, tag) in [tags.0, tags.1, tags.2].into_iter().enumerate() {
                    let what = (cpu.space, p, *va, k);
                    if !tag || p == 2 && k == 2 {
                        continue;
                    }
                    hits += 1;
                    let pa = (inline_host(table, *va).wrapping_sub(base) + RAM) & !0xfff;
                    if k == 2 && !(RAM..RAM + PAGES * 0x1000).contains(&pa) {
                        // Holes are executed, too, but have no host address.
                        continue;
                    }
                    let ok = cpu.allowed.get(&what).is_some_and(|s| s.contains(&pa));
                    assert!(
                        ok,
                        "CPU {c}: {what:x?} leads to {pa:#x}, tables say {:x?}, allowed {:x?}",
                        self.legal(what),
                        cpu.allowed.get(&what)
                    );
                }
            }
        }
        // Code contexts are up to date after a slow path.
        if self.mode == MmuMode::Shadow && !cpu.behind {
            for va in &self.addresses {
                let key = (cpu.core.code_ctx & code_ctx_mask(*va), *va);
                if let Some(pa) = cpu.fetched.get(&key) {
                    let now = self.legal((cpu.space, usize::from(cpu.user), *va, 2));
                    assert_eq!(now, Some(*pa), "code at {va:#x} under {:#x}", cpu.core.code_ctx);
                }
            }
        }
        self.hits += hits;
    }

    fn step(&mut self) {
        let c = self.rng.below(self.cpus.len() as u64) as usize;
        let op = self.rng.below(100);
        match op {
            0..=9 => self.edit(c),
            10 | 11 => self.map(c),
            12..=14 => self.store_somewhere(c),
            15 => {
                if self.rng.chance(12) {
                    self.reuse(c);
                }
            }
            16..=27 => {
                let (space, user) = (self.rng.below(SPACES as u64) as usize, self.rng.chance(50));
                self.enter(c, space, user);
            }
            28 | 29 => self.invalidate(c),
            32 if self.rng.chance(20) => {
                // Other tables: no ASID is used for them without maintenance.
                let space = self.rng.below(SPACES as u64) as usize;
                self.spaces[space].roots[0] = page(self.rng.below(PAGES));
                self.load_pdptes(space);
                for c in 0..self.cpus.len() {
                    self.switch(c);
                    let cpu = &mut self.cpus[c];
                    cpu.mmu.flush_asid(&mut cpu.core, space as u16 + 1, ClassMask::ALL);
                    self.forget(c, |_, w| w.0 == space);
                    self.cpus[c].behind &= self.mode != MmuMode::Shadow;
                    self.forget_if_exact(c);
                }
            }
            _ => self.access(c),
        }
        self.check(c);
    }
}

fn write(host: u64, size: Size, v: u64) {
    // SAFETY: the tag vouches for the page, and entries are aligned.
    unsafe {
        match size {
            Size::B1 => (host as *mut u8).write(v as u8),
            Size::B4 => (host as *mut u32).write_unaligned(v as u32),
            _ => (host as *mut u64).write_unaligned(v),
        }
    }
}

fn run(format: Format, mode: MmuMode, cpus: usize, seeds: u64, steps: u64) -> MmuStats {
    let mut sum = MmuStats::default();
    for seed in 1..=seeds {
        let mut w = World::new(seed, format, mode, cpus);
        w.changed();
        for _ in 0..steps {
            w.step();
        }
        for c in &w.cpus {
            let s = c.mmu.stats();
            sum.walks += s.walks;
            sum.refills += s.refills;
            sum.inherited += s.inherited;
            sum.shadow_fills += s.shadow_fills;
            sum.table_drops += s.table_drops;
            sum.untracked += s.untracked;
            sum.spaces_evicted += s.spaces_evicted;
            sum.loose += s.loose;
        }
        assert!(w.hits > 100, "the inline TLB was of use: {} hits", w.hits);
    }
    sum
}

fn shadow(format: Format) {
    let s = run(format, MmuMode::Shadow, 1, 3, 3000);
    assert!(
        s.refills > 100
            && (s.inherited > 0 || format != Format::V8)
            && s.table_drops > 100
            && s.untracked > 0
            && s.spaces_evicted > 10,
        "{s:?}"
    );
    assert!(s.loose < s.walks / 10, "{s:?}");
    run(format, MmuMode::Shadow, 2, 2, 2000);
}

/// More address spaces than are kept, each with a page of its own at the same address.
#[test]
fn thousands_of_address_spaces_stay_correct_and_bounded() {
    const SPACES: u64 = 4000;
    let ram = 0x4000 * SPACES + 0x10_0000;
    let phys = PhysMem::builder().ram(RAM, ram).build().unwrap();
    let put = |at: u64, to: u64| phys.write(at, Size::B8, to | 0x67).unwrap();
    let table = |i: u64, n: u64| RAM + i * 0x4000 + n * 0x1000;
    for i in 0..SPACES {
        put(table(i, 0), table(i, 1));
        put(table(i, 1), table(i, 2));
        put(table(i, 2), table(i, 3));
        // The table is the page.
        put(table(i, 3), table(i, 3));
    }
    let mut core = Box::new(Core::new());
    let mut mmu = Mmu::new(phys.clone(), &mut core);
    let config = MmuConfig { mode: MmuMode::Shadow, spaces: 100, entries: 1 << 17 };
    mmu.configure(&mut core, &config);
    let mut rng = Rng(99);
    for n in 0..3 * SPACES {
        let i = if n < SPACES { n } else { rng.below(SPACES) };
        let format = Format::X4;
        let g =
            Guest { format, roots: [table(i, 0), 0], pdptes: Pdptes::default(), user: false, guarded: false };
        let asid = mmu.enter(&mut core, Some(&g.space()), 0);
        let key = ContextKey { asid, class: 0 };
        mmu.switch(&mut core, key, key, 0);
        let m = MemOp::new(Size::B8);
        assert_eq!(mmu.load(&mut core, &g, 0, m).map(|v| v & !0xfff), Ok(table(i, 3)), "space {i}");
        assert!(mmu.stats().tracked <= 4 * 100, "{:?}", mmu.stats());
    }
    let s = mmu.stats();
    assert!(s.spaces_evicted > SPACES, "{s:?}");
    assert!(s.loose == 0, "{s:?}");
}

/// Two processes with one kernel: what was found of it under one is there under the other, and is one code.
#[test]
fn a_kernel_is_shadowed_once() {
    const KERNEL: u64 = 0xffff_8000_0000_0000;
    let phys = PhysMem::builder().ram(RAM, PAGES * 0x1000).build().unwrap();
    let put = |at: u64, to: u64| phys.write(at, Size::B8, to | 0x63).unwrap();
    // Roots 0 and 1, the kernel's tables, its page.
    for root in [0, 1] {
        put(page(root) + 256 * 8, page(2));
    }
    put(page(2), page(3));
    put(page(3), page(4));
    put(page(4), page(5));
    put(page(4) + 8, page(6));
    let mut core = Box::new(Core::new());
    let mut mmu = Mmu::new(phys.clone(), &mut core);
    mmu.configure(&mut core, &MmuConfig::of(MmuMode::Shadow));
    let guest = |root: u64| Guest {
        format: Format::X4,
        roots: [page(root), 0],
        pdptes: Pdptes::default(),
        user: false,
        guarded: false,
    };
    let enter = |mmu: &mut Mmu, core: &mut Core, root: u64| {
        let asid = mmu.enter(core, Some(&guest(root).space()), 0);
        let key = ContextKey { asid, class: 0 };
        mmu.switch(core, key, key, 0);
    };
    let m = MemOp::new(Size::B8);
    enter(&mut mmu, &mut core, 0);
    mmu.load(&mut core, &guest(0), KERNEL, m).unwrap();
    mmu.fetch(&mut core, &guest(0), KERNEL + 0x1000).unwrap();
    let found = core.code_ctx & code_ctx_mask(KERNEL);
    enter(&mut mmu, &mut core, 1);
    assert!(inline_tags(core.tlb, KERNEL).0 && inline_tags(core.tlb, KERNEL + 0x1000).0, "taken over");
    assert!(inline_tags(core.tlb, KERNEL + 0x1000).2, "and its code");
    assert_eq!(core.code_ctx & code_ctx_mask(KERNEL), found);
    assert_ne!(core.code_ctx & code_ctx_mask(0), 0);
    assert_eq!(mmu.stats().walks, 2);
    // One store to the common table is seen in both; the code is another one.
    put(page(4) + 8, page(7));
    mmu.flush_va(&mut core, KERNEL + 0x1000, None, ClassMask::ALL);
    assert!(!inline_tags(core.tlb, KERNEL + 0x1000).0);
    assert_ne!(core.code_ctx & code_ctx_mask(KERNEL), found);
    let second = core.code_ctx & code_ctx_mask(KERNEL);
    enter(&mut mmu, &mut core, 0);
    assert!(!inline_tags(core.tlb, KERNEL + 0x1000).0);
    assert_eq!(core.code_ctx & code_ctx_mask(KERNEL), second, "they still have it in common");
    assert_eq!(mmu.fetch(&mut core, &guest(0), KERNEL + 0x1000).map(|c| c.pa), Ok(page(7)));
    // A kernel of its own.
    put(page(1) + 256 * 8, page(8));
    mmu.flush_all(&mut core, ClassMask::ALL);
    enter(&mut mmu, &mut core, 1);
    assert_ne!(core.code_ctx & code_ctx_mask(KERNEL), second);
    assert!(mmu.load(&mut core, &guest(1), KERNEL, m).is_err());
    // A new process whose root is where the old one's was has the common kernel, and finds its code.
    put(page(1) + 256 * 8, page(2));
    mmu.flush_all(&mut core, ClassMask::ALL);
    enter(&mut mmu, &mut core, 0);
    assert_eq!(mmu.fetch(&mut core, &guest(0), KERNEL + 0x1000).map(|c| c.pa), Ok(page(7)));
    let third = core.code_ctx & code_ctx_mask(KERNEL);
    enter(&mut mmu, &mut core, 1);
    assert_eq!(core.code_ctx & code_ctx_mask(KERNEL), third);
    assert!(inline_tags(core.tlb, KERNEL + 0x1000).2, "taken over with its code");
    assert_eq!(mmu.fetch(&mut core, &guest(1), KERNEL + 0x1000).map(|c| c.pa), Ok(page(7)));
    // Other code in the lower half changes nothing for the kernel's.
    for (table, below) in [(1, 9), (9, 10), (10, 11)] {
        put(page(table), page(below));
    }
    for code in [12, 13] {
        put(page(11) + 2 * 8, page(code));
        mmu.flush_va(&mut core, 0x2000, None, ClassMask::ALL);
        assert_eq!(mmu.fetch(&mut core, &guest(1), 0x2000).map(|c| c.pa), Ok(page(code)));
        assert_eq!(core.code_ctx & code_ctx_mask(KERNEL), third);
        assert!(inline_tags(core.tlb, KERNEL + 0x1000).2 && inline_tags(core.tlb, 0x2000).2);
    }
}

#[test]
fn shadows_of_vmsa64_are_exact() {
    shadow(Format::V8);
}

#[test]
fn shadows_of_4_level_paging_are_exact() {
    shadow(Format::X4);
}

#[test]
fn shadows_of_pae_paging_are_exact() {
    shadow(Format::Pae);
}

#[test]
fn shadows_of_2_level_paging_are_exact() {
    shadow(Format::X2);
}

#[test]
fn without_shadows_stale_translations_are_those_the_architecture_allows() {
    for format in Format::ALL {
        for mode in [MmuMode::Walk, MmuMode::Flush] {
            run(format, mode, 1, 1, 2500);
        }
    }
}
