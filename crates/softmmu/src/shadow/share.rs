//! What address spaces share: entries of their roots that lead to the same tables.

use lyrebird_isa::Size;
use lyrebird_isa::state::{PAGE_MASK, PAGE_SIZE};

use super::node::{Link, NodeKey, Slot};
use super::{NONE, Shadow};

/// Entries of roots of two address spaces, and which of them are known to be the same.
#[derive(Debug)]
pub(crate) struct Shared {
    to: u16,
    from: u16,
    /// Root and entry.
    known: Vec<(u8, u16, bool)>,
}

impl Shadow {
    /// Begins to compare two address spaces.
    pub(crate) fn shared(&mut self, to: u16, from: u16) -> Shared {
        for which in 0..4 {
            // A root of the same shape can have the same entries.
            let key = |id: u16| self.node(self.spaces.get(usize::from(id))?.nodes[which]).map(|n| n.key);
            let desc = |id: u16| self.spaces.get(usize::from(id)).and_then(|s| s.desc.roots[which]);
            let (Some(like), None, Some(t), Some(f)) = (key(from), key(to), desc(to), desc(from)) else {
                continue;
            };
            if (t.bits, t.shift, t.size, t.top) == (f.bits, f.shift, f.size, f.top) && self.alike(to, from) {
                let _ = self.reach_root(to, which, NodeKey { table: t.table, ..like });
            }
        }
        Shared { to, from, known: Vec::new() }
    }

    fn alike(&self, a: u16, b: u16) -> bool {
        let meaning = |id: u16| self.spaces.get(usize::from(id)).map(|s| s.desc.meaning);
        meaning(a) == meaning(b)
    }

    /// Whether an address is translated by the same tables behind the root in both.
    pub(crate) fn shares(&mut self, s: &mut Shared, va: u64) -> bool {
        let Some(from) = self.spaces.get(usize::from(s.from)) else { return false };
        let which = from.desc.which(va);
        let Some(va) = from.desc.roots[which].and_then(|r| r.canonical(va)) else { return false };
        let f = from.nodes[which];
        let Some(i) = self.node(f).map(|n| n.index(va)) else { return false };
        if let Some(k) = s.known.iter().find(|k| (k.0, k.1) == (which as u8, i as u16)) {
            return k.2;
        }
        let t = self.spaces.get(usize::from(s.to)).map_or(NONE, |t| t.nodes[which]);
        let same = t == f || self.adopt(s.to, s.from, which, i);
        s.known.push((which as u8, i as u16, same));
        same
    }

    /// Whether an entry of a root of `to` is that of `from`; an empty one is filled if the guest's are equal.
    pub(super) fn adopt(&mut self, to: u16, from: u16, which: usize, i: usize) -> bool {
        let root = |s: &Shadow, id: u16| s.spaces.get(usize::from(id)).map_or(NONE, |s| s.nodes[which & 3]);
        let (t, f) = (root(self, to), root(self, from));
        let (Some(tn), Some(fnode)) = (self.node(t), self.node(f)) else { return false };
        let (tk, fk) = (tn.key, fnode.key);
        if (NodeKey { table: 0, ..tk }) != (NodeKey { table: 0, ..fk }) {
            return false;
        }
        let (Some(&old), Some(&new)) = (tn.slots.get(i), fnode.slots.get(i)) else { return false };
        if new.is_empty() {
            return false;
        }
        if !old.is_empty() {
            let same = old.grows_into(new) && new.grows_into(old);
            if same {
                self.set_fetched(t, i, f, new);
            }
            return same;
        }
        let size = Size::from_log2(tk.size.into());
        let entry = |table: u64| self.phys.read(table + ((i as u64) << tk.size), size);
        let equal = matches!((entry(tk.table), entry(fk.table)), (Ok(a), Ok(b)) if a == b);
        if equal {
            self.set(t, i, new);
            self.set_fetched(t, i, f, new);
        }
        equal
    }

    /// Notes that code was, or is to be, fetched through an entry of a root that is the same as `like` of the root `f`.
    fn set_fetched(&mut self, n: u32, i: usize, f: u32, like: Slot) {
        let fetched = self.node(f).is_some_and(|f| f.fetched);
        let Some(node) = self.node_mut(n) else { return };
        node.fetched |= fetched;
        if like.fetched()
            && let Some(slot) = node.slots.get_mut(i)
        {
            *slot = slot.with_fetched();
        }
    }

    /// The node of a root, tracked.
    pub(super) fn reach_root(&mut self, id: u16, which: usize, key: NodeKey) -> Option<u32> {
        for pa in (key.table & PAGE_MASK..key.table.checked_add(key.bytes())?).step_by(PAGE_SIZE as usize) {
            self.track_page(pa)?;
        }
        self.reach(Link::Root(id, which as u8), key)
    }
}
