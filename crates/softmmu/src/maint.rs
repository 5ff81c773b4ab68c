//! TLB maintenance: dropping cached translations exactly, and withdrawing write tags from code pages.

use lyrebird_isa::Core;

use crate::mmu::Mmu;
use crate::tlb::ContextKey;

/// A set of context classes ([`ContextKey::class`], below 64), to say which contexts maintenance applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClassMask(pub u64);

impl ClassMask {
    /// Every class.
    pub const ALL: ClassMask = ClassMask(u64::MAX);

    /// One class.
    pub const fn of(class: u8) -> ClassMask {
        ClassMask(1 << (class & 63))
    }

    /// Both sets.
    #[must_use]
    pub const fn with(self, class: u8) -> ClassMask {
        ClassMask(self.0 | 1 << (class & 63))
    }

    /// Whether the class is in the set.
    pub const fn has(self, class: u8) -> bool {
        self.0 & 1 << (class & 63) != 0
    }
}

impl Mmu {
    /// Drops every translation of the classes.
    pub fn flush_all(&mut self, core: &mut Core, classes: ClassMask) {
        self.stats.flushes_all += 1;
        if self.maintain_loose(core, classes) {
            return;
        }
        for i in 0..self.contexts.len() {
            if classes.has(self.contexts[i].key.class) {
                self.clear_context(i);
            }
        }
        self.publish(core);
    }

    /// With shadow page tables translations follow the tables of themselves. Drops what they do not keep exact, which
    /// is rare and so not looked at closely. `false` without shadow tables.
    fn maintain_loose(&mut self, core: &mut Core, classes: ClassMask) -> bool {
        if self.shadow.is_none() {
            return false;
        }
        self.follow();
        for i in 0..self.contexts.len() {
            if self.contexts[i].is_loose() && classes.has(self.contexts[i].key.class) {
                self.clear_context(i);
            }
        }
        self.publish(core);
        true
    }

    /// Drops the translations of the page or block that maps `va`: with an ASID those of it and the global
    /// ones, without one those of all. Every 4 KiB piece of a larger leaf goes, and tagged aliases of the
    /// address (bits 63 to 56) do.
    pub fn flush_va(&mut self, core: &mut Core, va: u64, asid: Option<u16>, classes: ClassMask) {
        self.stats.flushes_va += 1;
        if self.maintain_loose(core, classes) {
            return;
        }
        let phys = &self.phys;
        for c in &mut self.contexts {
            if !classes.has(c.key.class) {
                continue;
            }
            let global_only = asid.is_some_and(|a| a != c.key.asid);
            if c.drop_va(va, global_only, &mut self.tags, |pa| phys.ram_page(pa)) {
                c.renew(self.generations.fresh());
            }
        }
        self.publish(core);
    }

    /// Drops the translations of an ASID that are not global.
    pub fn flush_asid(&mut self, core: &mut Core, asid: u16, classes: ClassMask) {
        self.stats.flushes_asid += 1;
        if self.maintain_loose(core, classes) {
            return;
        }
        for i in 0..self.contexts.len() {
            let key = self.contexts[i].key;
            if key.asid == asid && classes.has(key.class) {
                self.drop_private(i);
            }
        }
        self.publish(core);
    }

    /// Drops the translations of all ASIDs that are not global.
    pub fn flush_private(&mut self, core: &mut Core, classes: ClassMask) {
        self.stats.flushes_all += 1;
        if self.maintain_loose(core, classes) {
            return;
        }
        for i in 0..self.contexts.len() {
            if classes.has(self.contexts[i].key.class) {
                self.drop_private(i);
            }
        }
        self.publish(core);
    }

    /// Drops what is not global in a context.
    fn drop_private(&mut self, i: usize) {
        let phys = &self.phys;
        let c = &mut self.contexts[i];
        if c.drop_private(&mut self.tags, |pa| phys.ram_page(pa)) {
            c.renew(self.generations.fresh());
        }
    }

    /// Gives every context a new code generation, so that no value that [`Core::code_ctx`] ever had comes back: for
    /// a front end that numbers its modes and begins anew with the numbers.
    pub fn renew_code(&mut self, core: &mut Core) {
        for c in &mut self.contexts {
            c.renew(self.generations.fresh());
        }
        if let Some(shadow) = &mut self.shadow {
            shadow.renew_all_code(&mut self.generations);
        }
        self.publish(core);
    }

    /// Empties the contexts of exactly this key: for a front end that changed something its keys do not show.
    pub fn flush_context(&mut self, core: &mut Core, key: ContextKey) {
        self.stats.flushes_asid += 1;
        for i in 0..self.contexts.len() {
            if self.contexts[i].key == key {
                self.clear_context(i);
            }
        }
        self.publish(core);
    }

    /// Marks the physical page as holding translated code and withdraws this vCPU's write tags for it, under
    /// whatever virtual addresses and in whatever contexts they are. Later stores to it come out of
    /// [`Mmu::take_dirty_code`].
    pub fn watch_code(&mut self, pa: u64) {
        self.phys.watch_code(pa);
        self.withdraw_write_tags(pa);
    }

    /// Withdraws this vCPU's write tags for a physical page.
    pub(crate) fn withdraw_write_tags(&mut self, pa: u64) {
        let Some(tag) = self.phys.ram_page(pa).and_then(|n| self.tags.get_mut(n)) else { return };
        if tag.count == 0 {
            return;
        }
        for i in tag.indices {
            for c in &mut self.contexts {
                tag.remove(c.untag_at(i.into(), pa));
            }
            if tag.count == 0 {
                return;
            }
        }
        for c in &mut self.contexts {
            tag.remove(c.untag_page(pa));
            if tag.count == 0 {
                return;
            }
        }
        // None is left, though there were too many to count.
        tag.count = 0;
    }

    /// Notes that no translated code is left on the physical page; write tags come back with the next stores.
    pub fn unwatch_code(&mut self, pa: u64) {
        self.phys.unwatch_code(pa);
    }

    /// Whether [`Mmu::take_dirty_code`] has something to say or to do.
    #[inline]
    pub fn has_dirty_code(&self) -> bool {
        !self.dirty.is_empty() || self.phys.has_written_code() || self.generations.parked().is_some()
    }

    /// The next store (physical address, length in bytes; within one page) that hit a watched page: this
    /// vCPU's stores first, then what devices reported to [`crate::PhysMem::mark_written`].
    #[inline]
    pub fn take_dirty_code(&mut self) -> Option<(u64, u64)> {
        self.sweep();
        self.dirty.pop_front().or_else(|| self.phys.take_written_code())
    }
}
