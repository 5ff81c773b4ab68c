//! How an [`Mmu`] uses shadow page tables: refills of the inline TLB from them, fills by walks, and everything that must
//! leave the TLB because of what was stored to tables.

use lyrebird_isa::Core;

use super::{Dropped, MmuConfig, MmuMode, NO_SPACE, Shadow, SpaceDesc};
use crate::mmu::{AccessKind, Mmu, Regime, Translation};
use crate::tlb::ContextKey;
use crate::walk::path::Path;

/// Walks after which translations are not kept exact if the tables on the way still were not tracked: someone else
/// keeps changing them.
const TRIES: u32 = 4;

impl Mmu {
    /// Sets how translations are kept, and forgets all there are.
    pub fn configure(&mut self, core: &mut Core, config: &MmuConfig) {
        for i in 0..self.contexts.len() {
            self.forget_context(i);
        }
        self.shadow = (config.mode == MmuMode::Shadow)
            .then(|| Box::new(Shadow::new(std::sync::Arc::clone(&self.phys), config)));
        self.mode_of_keeping = config.mode;
        self.entered = None;
        self.publish(core);
    }

    /// How translations are kept.
    pub fn keeping(&self) -> MmuMode {
        self.mode_of_keeping
    }

    /// Makes an address space the current one: to be called when a register changes that names its tables or decides
    /// their meaning. `None`: nothing is translated by tables. Returns what stands for the address space as the ASID in
    /// [`ContextKey`], until the next call.
    ///
    /// Without shadow tables this is `asid`.
    pub fn enter(&mut self, core: &mut Core, desc: Option<&SpaceDesc>, asid: u16) -> u16 {
        let now = desc.map(|d| (*d, asid));
        let other = self.entered != now;
        if other {
            self.stats.space_switches += 1;
            self.entered = now;
        }
        let Some(shadow) = &mut self.shadow else {
            if other && self.mode_of_keeping == MmuMode::Flush {
                for i in 0..self.contexts.len() {
                    self.clear_context(i);
                }
                self.publish(core);
            }
            return asid;
        };
        let (id, rejoined) = desc.map_or((NO_SPACE, false), |d| shadow.enter(d, &mut self.generations));
        self.follow();
        if rejoined {
            // Its root was made anew, and what the TLB had of it is gone.
            for i in 0..self.contexts.len() {
                if self.contexts[i].key.asid == id {
                    self.inherit(i);
                }
            }
        }
        if self.unpublished {
            self.publish(core);
        }
        id
    }

    /// Follows what other agents wrote to tables, and carries out all that stores to tables have had as a consequence.
    pub(crate) fn follow(&mut self) {
        if let Some(shadow) = &mut self.shadow {
            shadow.follow_others();
            if shadow.has_news() {
                self.settle();
            }
        }
    }

    /// Carries out what shadow tables ask for.
    pub(crate) fn settle(&mut self) {
        let Some(mut shadow) = self.shadow.take() else { return };
        while let Some(id) = shadow.take_dead() {
            for i in 0..self.contexts.len() {
                if self.contexts[i].key.asid == id {
                    self.forget_context(i);
                }
            }
        }
        while let Some(d) = shadow.take_drops() {
            self.drop_range(&d);
            if d.fetched {
                let upper = d.va & lyrebird_isa::state::UPPER_HALF != 0;
                shadow.renew_code(d.owners, upper, &mut self.generations);
                self.unpublished = true;
            }
        }
        while let Some(pa) = shadow.take_fresh_tables() {
            self.withdraw_write_tags(pa);
        }
        self.shadow = Some(shadow);
    }

    fn drop_range(&mut self, d: &Dropped) {
        let phys = &self.phys;
        for c in self.contexts.iter_mut().filter(|c| d.owners.has(c.key.asid)) {
            if d.leaf {
                c.drop_va(d.va, false, &mut self.tags, |pa| phys.ram_page(pa));
            } else {
                c.drop_range(d.va, d.bits, &mut self.tags, |pa| phys.ram_page(pa));
            }
        }
    }

    /// Fills a context that is new, or has lost what it had of the kernel, with what the latest one of its class has of
    /// tables that both address spaces share: the kernel. Where both have a number for its code in common, what code
    /// was fetched through there, it was fetched through here.
    pub(crate) fn inherit(&mut self, to: usize) {
        let Some(mut shadow) = self.shadow.take() else { return };
        let key = self.contexts[to].key;
        let from = (0..self.contexts.len())
            .filter(|i| {
                let c = &self.contexts[*i];
                *i != to && c.key.class == key.class && c.key.asid != NO_SPACE && !c.is_loose()
            })
            .max_by_key(|i| self.stamps[*i]);
        if let Some(from) = from
            && key.asid != NO_SPACE
        {
            let donor = self.contexts[from].key.asid;
            let mut shared = shadow.shared(key.asid, donor);
            let entries: Vec<_> =
                self.contexts[from].recent().filter(|e| shadow.shares(&mut shared, e.0.va())).collect();
            self.stats.inherited += entries.len() as u64;
            let upper = |id: u16| shadow.code_of(id).map(|c| c.1);
            let code = upper(key.asid)
                .filter(|n| Some(*n) == upper(donor) && *n == self.contexts[from].fetched_under.1);
            let phys = &self.phys;
            let c = &mut self.contexts[to];
            if let Some(n) = code
                && std::mem::replace(&mut c.fetched_under.1, n) != n
            {
                c.forget_fetches([false, true]);
            }
            for e in entries {
                c.adopt(e, code.is_some(), &mut self.tags, |pa| phys.ram_page(pa));
            }
        }
        self.shadow = Some(shadow);
        // New roots may have been tracked.
        self.settle();
    }

    /// Follows a store of this vCPU to a page that may hold tables.
    pub(crate) fn table_stored(&mut self, pa: u64, len: u64) {
        let Some(shadow) = &mut self.shadow else {
            self.phys.tell_table_written(pa, len, 0);
            return;
        };
        self.phys.tell_table_written(pa, len, shadow.tracks(pa).into());
        shadow.written(pa, len);
        if shadow.has_news() {
            self.settle();
        }
    }

    /// What the shadow tables know of the page of `va`.
    #[inline]
    pub(crate) fn shadowed<R: Regime>(
        &self,
        regime: &R,
        key: ContextKey,
        va: u64,
        unpriv: bool,
    ) -> Option<Translation> {
        let found = self.shadow.as_ref()?.lookup(key.asid, va)?;
        let r = regime.rights(found.flags, unpriv);
        Some(Translation {
            pa: found.pa,
            page_bits: found.page_bits,
            read: r.read,
            write: r.write,
            exec: r.exec,
            mem: r.mem,
            global: r.global,
        })
    }

    /// Walks, and enters what was found in the shadow tables. Whether they keep it exact.
    pub(crate) fn walk<R: Regime>(
        &mut self,
        regime: &R,
        key: ContextKey,
        va: u64,
        kind: AccessKind,
        unpriv: bool,
    ) -> Result<(Translation, bool), R::Fault> {
        self.stats.walks += 1;
        let mut path = Path::default();
        if self.shadow.is_none() || key.asid == NO_SPACE {
            return Ok((regime.walk(&self.phys, va, kind, unpriv, &mut path)?, false));
        }
        for _ in 0..TRIES {
            path.clear();
            let t = regime.walk(&self.phys, va, kind, unpriv, &mut path)?;
            let Some(shadow) = &mut self.shadow else { return Ok((t, false)) };
            let tracked = shadow.track(&path);
            let exact = tracked == Some(true) && shadow.fill(key.asid, va, &path, &t);
            if shadow.has_news() {
                self.settle();
            }
            if exact {
                return Ok((t, true));
            }
            if tracked.is_none() {
                self.stats.loose += 1;
                return Ok((t, false));
            }
            // Someone else may have stored to a table after it was read, and before it was tracked; or what had to go
            // for this path took some of its tables along.
        }
        self.stats.loose += 1;
        path.clear();
        Ok((regime.walk(&self.phys, va, kind, unpriv, &mut path)?, false))
    }
}
