//! Tracking: the pages that hold tables of the guest's, and what stores to them empty.

use lyrebird_isa::state::{PAGE_MASK, PAGE_SIZE};

use super::node::NodeKey;
use super::{NONE, Shadow};
use crate::phys::TableWrites;
use crate::walk::path::Path;

/// Stores to a page since it was last walked through after which it counts as no table any more, beside what its live
/// entries add.
const PATIENCE: u32 = 32;

/// A page with tables.
#[derive(Debug, Default)]
pub(super) struct Tracked {
    pub(super) pa: u64,
    pub(super) nodes: Vec<u32>,
    /// Stores since it was last walked through.
    stores: u32,
}

impl Shadow {
    /// Pages of RAM that are tracked at present.
    pub(crate) fn tracked_pages(&self) -> u64 {
        (self.tracked.len() - self.free_tracked.len()) as u64
    }

    /// Has the pages of all tables on a path tracked. `None` where one cannot be; otherwise whether all were before, so that
    /// what the walk read is what stands there.
    pub(crate) fn track(&mut self, path: &Path) -> Option<bool> {
        self.make_room();
        let mut all = true;
        for step in path.steps() {
            let table = step.at.wrapping_sub(step.index << step.size);
            let end = table.checked_add(1 << (step.bits + step.size))?;
            for pa in (table & PAGE_MASK..end).step_by(PAGE_SIZE as usize) {
                all &= self.track_page(pa)?;
            }
        }
        (!path.steps().is_empty()).then_some(all)
    }

    pub(super) fn track_page(&mut self, pa: u64) -> Option<bool> {
        let Some(n) = self.phys.ram_page(pa) else {
            // ROM never changes, nor do the ones that are read where there is no memory.
            return Some(true);
        };
        let at = self.pages.get(n).copied()?;
        if let Some(t) = self.tracked.get_mut(at as usize) {
            t.stores = 0;
            return Some(true);
        }
        if !self.phys.watch_table(pa) {
            return None;
        }
        let new = Tracked { pa, nodes: Vec::new(), stores: 0 };
        let at = match self.free_tracked.pop() {
            Some(i) => {
                self.tracked[i as usize] = new;
                i
            }
            None => {
                self.tracked.push(new);
                self.tracked.len() as u32 - 1
            }
        };
        self.pages[n] = at;
        self.fresh_tables.push(pa);
        Some(false)
    }

    /// Pages whose write tags have to be withdrawn because they became tracked.
    pub(crate) fn take_fresh_tables(&mut self) -> Option<u64> {
        self.fresh_tables.pop()
    }

    /// The records of the pages of RAM that a table lies on. `None` if one is not tracked.
    pub(super) fn tracked_of(&self, key: &NodeKey) -> Option<Vec<u32>> {
        (key.table & PAGE_MASK..key.table + key.bytes())
            .step_by(PAGE_SIZE as usize)
            .filter_map(|pa| self.phys.ram_page(pa))
            .map(|n| self.pages.get(n).copied().filter(|at| *at != NONE))
            .collect()
    }

    /// Stops watching a page without nodes.
    pub(super) fn untrack(&mut self, at: u32) {
        let t = std::mem::take(&mut self.tracked[at as usize]);
        if let Some(n) = self.phys.ram_page(t.pa) {
            self.pages[n] = NONE;
            self.phys.unwatch_table(t.pa);
        }
        self.free_tracked.push(at);
    }

    /// Whether the page around `pa` is tracked.
    pub(crate) fn tracks(&self, pa: u64) -> bool {
        self.phys.ram_page(pa).and_then(|n| self.pages.get(n)).is_some_and(|at| *at != NONE)
    }

    /// Follows a store of `len` bytes at `pa`, inside a page.
    pub(crate) fn written(&mut self, pa: u64, len: u64) {
        let Some(at) = self.phys.ram_page(pa).and_then(|n| self.pages.get(n).copied()) else { return };
        let Some(t) = self.tracked.get_mut(at as usize) else { return };
        self.counts.table_stores += 1;
        t.stores += 1;
        let stores = t.stores;
        if let [n] = t.nodes[..] {
            let live = self.node(n).map_or(0, |n| n.live);
            if stores <= PATIENCE + 2 * live {
                return self.hit(n, pa, len);
            }
        }
        let nodes = t_nodes(&self.tracked, at);
        let live: u32 = nodes.iter().filter_map(|n| Some(self.node(*n)?.live)).sum();
        if stores <= PATIENCE + 2 * live {
            for n in nodes {
                self.hit(n, pa, len);
            }
            return;
        }
        self.counts.untracked += 1;
        if nodes.is_empty() {
            return self.untrack(at);
        }
        for n in nodes {
            self.drop_node(n);
        }
    }

    #[inline]
    fn hit(&mut self, n: u32, pa: u64, len: u64) {
        let Some(node) = self.node(n) else { return };
        for i in node.hit(pa, len) {
            self.clear(n, i);
        }
    }

    /// Follows what other agents wrote to tables.
    #[inline]
    pub(crate) fn follow_others(&mut self) {
        match self.phys.table_writes(&mut self.seen) {
            TableWrites::These(writes) => {
                for (pa, len) in writes {
                    self.written(pa, len);
                }
            }
            TableWrites::Lost => self.drop_all(),
        }
    }
}

fn t_nodes(tracked: &[Tracked], at: u32) -> Vec<u32> {
    tracked.get(at as usize).map(|t| t.nodes.clone()).unwrap_or_default()
}
