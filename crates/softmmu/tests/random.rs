//! Random guests against a model without a TLB: whatever is mapped, switched and invalidated in whatever order,
//! no access may see a translation that architecture-conforming maintenance has removed.

#[allow(dead_code, reason = "not all of it is of use here")]
mod common;

use std::collections::HashMap;

use common::{Leaf, Refused, Rng, Spaces, inline_load, inline_tags};
use lyrebird_isa::state::{PAGE_BITS, TLB_ENTRIES};
use lyrebird_isa::{Core, MemOp, Size};
use lyrebird_softmmu::{AccessKind, ClassMask, ContextKey, MemFault, Mmu, PhysMem};

const RAM: u64 = 0x4000_0000;
const RAM_LEN: u64 = 0x80_0000;
const ASIDS: u64 = 24;
const B8: MemOp = MemOp::new(Size::B8);

/// Addresses so far apart have the same TLB index.
const SPAN: u64 = (TLB_ENTRIES as u64) << PAGE_BITS;

/// Where leaves may be: (address, log2 of the size). Many share TLB indices.
fn slots() -> Vec<(u64, u8)> {
    let mut s: Vec<(u64, u8)> = (0..12).map(|i| (0x10_0000 + i % 3 * 0x1000 + i / 3 * SPAN, 12)).collect();
    s.extend([(0x2000_0000, 16), (0x2000_0000 + SPAN, 16), (0x3000_0000, 21), (0x3020_0000, 21)]);
    s.push((0x40_0000_0000, 30));
    s
}

const HIGH: u64 = 0xffff_0000_0000_0000;

struct Model {
    rng: Rng,
    spaces: Spaces,
    slots: Vec<(u64, u8)>,
    cur: ContextKey,
    unpriv: ContextKey,
    core: Box<Core>,
    mmu: Mmu,
    /// Everything ever fetched: (code context, address) gives one physical page for good.
    fetched: HashMap<(u64, u64), u64>,
    /// The addresses of the present code context among them.
    watched: HashMap<u64, bool>,
}

impl Model {
    fn new(seed: u64) -> Model {
        let phys = PhysMem::builder().ram(RAM, RAM_LEN).build().unwrap();
        for pa in (RAM..RAM + RAM_LEN).step_by(0x1000) {
            phys.write(pa, Size::B8, pa).unwrap();
        }
        let mut core = Box::new(Core::new());
        let mut mmu = Mmu::new(phys, &mut core);
        let cur = ContextKey { asid: 0, class: 0 };
        mmu.switch(&mut core, cur, cur, 0);
        Model {
            rng: Rng(seed),
            spaces: Spaces::default(),
            slots: slots(),
            cur,
            unpriv: cur,
            core,
            mmu,
            fetched: HashMap::new(),
            watched: HashMap::new(),
        }
    }

    fn asid(&mut self) -> u16 {
        self.rng.below(ASIDS) as u16
    }

    fn slot(&mut self) -> (u64, u8, bool) {
        let i = self.rng.below(self.slots.len() as u64) as usize;
        let (va, bits) = self.slots[i];
        let global = self.rng.chance(40);
        (if global { va | HIGH } else { va }, bits, global)
    }

    fn address(&mut self) -> u64 {
        let (va, bits, _) = self.slot();
        // Most of a 1 GiB block lies behind the RAM; take what does not.
        let span = (1u64 << bits).min(RAM_LEN) >> 12;
        va + (self.rng.below(span) << 12)
    }

    /// Changes one leaf, by the book: remove, invalidate, then perhaps put another.
    fn remap(&mut self) {
        let (va, bits, global) = self.slot();
        let asid = self.asid();
        let leaves =
            if global { &mut self.spaces.global } else { self.spaces.private.entry(asid).or_default() };
        leaves.retain(|l| l.va != va);
        let by = va + (self.rng.below(1 << (bits - 12)) << 12) + self.rng.below(0x1000);
        match self.rng.below(10) {
            0 => self.mmu.flush_all(&mut self.core, ClassMask::ALL),
            1 if !global => self.mmu.flush_asid(&mut self.core, asid, ClassMask::ALL),
            2 => self.mmu.flush_va(&mut self.core, by, None, ClassMask::ALL),
            _ => self.mmu.flush_va(&mut self.core, by, Some(asid), ClassMask::of(0).with(1).with(2)),
        }
        if self.rng.chance(80) {
            let align = (1u64 << bits).min(RAM_LEN);
            let pa = RAM + self.rng.below(RAM_LEN / align) * align;
            let l = Leaf {
                bits,
                global,
                write: self.rng.chance(70),
                exec: self.rng.chance(70),
                user: self.rng.chance(60),
                ..Leaf::page(va, pa)
            };
            if global {
                self.spaces.global.push(l);
            } else {
                self.spaces.private.entry(asid).or_default().push(l);
            }
        }
    }

    fn switch(&mut self) {
        let asid = self.asid();
        self.cur = ContextKey { asid, class: self.rng.below(3) as u8 };
        self.unpriv = ContextKey { asid, class: 1 };
        self.mmu.switch(&mut self.core, self.cur, self.unpriv, self.cur.class.into());
    }

    fn key(&self, unpriv: bool) -> ContextKey {
        if unpriv { self.unpriv } else { self.cur }
    }

    fn want(&self, va: u64, kind: AccessKind, unpriv: bool) -> Result<u64, Refused> {
        self.spaces.translate(self.key(unpriv), va, kind).map(|t| t.pa)
    }

    /// What guest code would see inline must be what the tables say now.
    fn check_inline(&self, va: u64) {
        for unpriv in [false, true] {
            let table = if unpriv { self.core.tlb_unpriv } else { self.core.tlb };
            if let Some(v) = inline_load(table, va) {
                assert_eq!(self.want(va, AccessKind::Read, unpriv), Ok(v), "stale read entry {va:#x}");
            }
            let (_, write, exec) = inline_tags(table, va);
            if write {
                let pa = self.want(va, AccessKind::Write, unpriv).expect("stale write tag");
                assert!(!self.watched.get(&pa).copied().unwrap_or(false), "write tag on a watched page");
            }
            if exec {
                assert!(self.want(va, AccessKind::Exec, unpriv).is_ok(), "stale exec tag");
            }
        }
    }

    fn access(&mut self) {
        let va = self.address();
        self.check_inline(va);
        let unpriv = self.rng.chance(30);
        let m = if unpriv { B8.unpriv() } else { B8 };
        let space = self.spaces.of(self.cur, self.unpriv);
        match self.rng.below(3) {
            0 => {
                let want = self.want(va, AccessKind::Read, unpriv);
                let got = self.mmu.load(&mut self.core, &space, va, m);
                match (want, got) {
                    (Ok(pa), Ok(v)) => assert_eq!(v, pa),
                    (Err(f), Err(e)) => assert_eq!(e.fault, MemFault::Translation(f)),
                    (w, g) => panic!("{va:#x}: {w:x?} but {g:x?}"),
                }
            }
            1 => {
                let want = self.want(va, AccessKind::Write, unpriv);
                let value = self.rng.next();
                let got = self.mmu.store(&mut self.core, &space, va + 8, m, value);
                match (want, got) {
                    (Ok(pa), Ok(())) => {
                        assert_eq!(self.mmu.phys().read(pa + 8, Size::B8), Ok(value));
                        let dirty = self.mmu.take_dirty_code();
                        let watched = self.watched.get(&pa).copied().unwrap_or(false);
                        assert_eq!(dirty, watched.then_some((pa + 8, 8)));
                    }
                    (Err(f), Err(e)) => assert_eq!(e.fault, MemFault::Translation(f)),
                    (w, g) => panic!("{va:#x}: {w:x?} but {g:x?}"),
                }
            }
            _ => {
                let want = self.want(va, AccessKind::Exec, false);
                let got = self.mmu.fetch(&mut self.core, &space, va).map(|c| c.pa);
                match (want, got) {
                    (Ok(pa), Ok(got)) => {
                        assert_eq!(got, pa);
                        self.fetched.insert((self.core.code_ctx, va), pa);
                        if self.rng.chance(20) {
                            self.mmu.watch_code(pa);
                            self.watched.insert(pa, true);
                        }
                    }
                    (Err(f), Err(e)) => assert_eq!(e.fault, MemFault::Translation(f)),
                    (w, g) => panic!("{va:#x}: {w:x?} but {g:x?}"),
                }
            }
        }
        self.check_inline(va);
    }

    /// What was found under the present code context is still so.
    fn check_code(&self) {
        for (&(ctx, va), &pa) in &self.fetched {
            if ctx == self.core.code_ctx {
                assert_eq!(self.want(va, AccessKind::Exec, false), Ok(pa), "code context {ctx:#x}, {va:#x}");
            }
        }
    }

    fn unwatch(&mut self) {
        let pages: Vec<u64> = self.watched.iter().filter(|w| *w.1).map(|w| *w.0).collect();
        if !pages.is_empty() {
            let pa = pages[self.rng.below(pages.len() as u64) as usize];
            self.mmu.unwatch_code(pa);
            self.watched.insert(pa, false);
        }
    }
}

#[test]
fn a_random_guest_never_sees_a_stale_translation() {
    for seed in 1..=4u64 {
        let mut m = Model::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        // Start with something mapped.
        for _ in 0..400 {
            m.remap();
        }
        for step in 0..30_000 {
            match m.rng.below(100) {
                0..=4 => m.remap(),
                5..=9 => m.switch(),
                10 => m.unwatch(),
                _ => m.access(),
            }
            if step % 50 == 0 {
                m.check_code();
                let now = m.core.code_ctx;
                if m.fetched.len() > 5000 {
                    m.fetched.retain(|k, _| k.0 == now);
                }
            }
        }
        let s = m.mmu.stats();
        assert!(s.walks < s.misses, "the TLB is of use at all");
        assert!(s.context_misses > 100, "the pool was short: {s:?}");
        assert!(s.code_writes > 20, "{s:?}");
    }
}
