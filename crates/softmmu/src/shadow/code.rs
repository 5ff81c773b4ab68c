//! What code found under an address may be relied on for: numbers that change with the mapping of code.
//!
//! The lower and the upper half of the addresses have a number each. Address spaces may have the upper number in common
//! as long as all code that was fetched in that half under the number was fetched through root entries that are the same
//! in all of them: a kernel is then found once.

use lyrebird_isa::state::UPPER_HALF;

use super::node::Kind;
use super::{Owners, Shadow};
use crate::tlb::Generations;

/// Entries of a root that can be told apart; larger roots share their upper number only where they are the same.
const WITNESSES: usize = 1024;

/// See [`CodeIds::tries`].
const TRIES: u8 = 4;

/// The numbers of an address space.
#[derive(Clone, Copy, Debug)]
pub(super) struct CodeIds {
    lower: u32,
    upper: u32,
    /// How often the address space may still look whether the others map the upper half as it does, after it got a number
    /// of its own: a kernel makes the root of a process where that of one that ended was.
    tries: u8,
    /// Entries of the upper root that code was fetched through under this number by anyone who has it.
    witness: [u64; WITNESSES / 64],
}

impl CodeIds {
    pub(super) fn new(generations: &mut Generations) -> CodeIds {
        let (lower, upper) = (generations.fresh(), generations.fresh());
        CodeIds { lower, upper, tries: 0, witness: [0; WITNESSES / 64] }
    }

    fn renew_upper(&mut self, n: u32) {
        *self = CodeIds { upper: n, tries: TRIES, witness: [0; WITNESSES / 64], ..*self };
    }

    fn has_witness(&self, i: usize) -> bool {
        self.witness[i / 64 % self.witness.len()] & 1 << (i % 64) != 0
    }

    fn witnesses(&self) -> impl Iterator<Item = usize> + use<> {
        let w = self.witness;
        (0..WITNESSES).filter(move |i| w[i / 64] & 1 << (i % 64) != 0)
    }
}

/// The root of the upper half, where there is one.
const UPPER: usize = 1;

impl Shadow {
    /// The numbers for the lower and the upper half.
    #[inline]
    pub(crate) fn code_of(&self, id: u16) -> Option<(u32, u32)> {
        let c = &self.spaces.get(usize::from(id))?.code;
        Some((c.lower, c.upper))
    }

    /// Notes that code was fetched at an address that [`Shadow::lookup`] finds.
    pub(crate) fn fetched(&mut self, id: u16, va: u64, generations: &mut Generations) {
        let Some(s) = self.spaces.get(usize::from(id)) else { return };
        let which = s.desc.which(va);
        let Some(va) = s.desc.roots[which].and_then(|r| r.canonical(va)) else { return };
        let mut n = s.nodes[which];
        let Some(first) = self.node(n).map(|node| node.index(va)) else { return };
        while let Some(node) = self.node_mut(n) {
            node.fetched = true;
            let i = node.index(va);
            let Some(slot) = node.slots.get_mut(i) else { break };
            match slot.kind() {
                Kind::Table(below) => n = below,
                Kind::Leaf => {
                    *slot = slot.with_fetched();
                    break;
                }
                Kind::Empty => break,
            }
        }
        if va & UPPER_HALF != 0 && which == UPPER {
            self.witness(id, first, generations);
        }
    }

    /// Sees to it that all who share the upper number of `id` have the same entry in their root.
    fn witness(&mut self, id: u16, i: usize, generations: &mut Generations) {
        let Some(s) = self.spaces.get(usize::from(id)) else { return };
        let (upper, root, known) = (s.code.upper, s.nodes[UPPER], s.code.has_witness(i));
        if known {
            return;
        }
        for other in 0..self.spaces.len() {
            let o = &self.spaces[other];
            if !o.alive || o.code.upper != upper {
                continue;
            }
            if other != usize::from(id) && o.nodes[UPPER] != root && !self.adopt(other as u16, id, UPPER, i) {
                self.spaces[other].code.renew_upper(generations.fresh());
                continue;
            }
            let w = &mut self.spaces[other].code.witness;
            w[i / 64 % w.len()] |= 1 << (i % 64);
        }
    }

    /// Looks for an upper number in common again, if the address space has lost the one it had. Whether it has one now.
    #[inline]
    pub(super) fn rejoin_code(&mut self, id: u16) -> bool {
        match self.spaces.get_mut(usize::from(id)) {
            Some(s) if s.code.tries > 0 => {
                s.code.tries -= 1;
                self.inherit_code(id)
            }
            _ => false,
        }
    }

    /// Gives an address space the upper number of one that maps the same code there, if there is one.
    pub(super) fn inherit_code(&mut self, id: u16) -> bool {
        let Some(new) = self.spaces.get(usize::from(id)) else { return false };
        let (desc, Some(root)) = (new.desc, new.desc.roots[UPPER]) else { return false };
        if root.top & UPPER_HALF == 0 {
            return false;
        }
        let alike = |o: &super::Space| {
            o.alive
                && o.desc.meaning == desc.meaning
                && o.desc.split == desc.split
                && o.desc.roots[UPPER].is_some()
        };
        // The very same table.
        let same = |(i, o): (usize, &super::Space)| {
            let shared = i != usize::from(id) && alike(o) && o.desc.roots[UPPER] == Some(root);
            shared.then_some((o.code, o.nodes[UPPER]))
        };
        if let Some((code, n)) = self.spaces.iter().enumerate().find_map(same) {
            let key = self.node(n).map(|n| n.key);
            let reached = key.is_some_and(|key| self.reach_root(id, UPPER, key).is_some());
            if reached {
                self.take_upper(id, code);
            }
            return reached;
        }
        let candidates = self.recent.into_iter().chain([self.current]);
        let candidates: Vec<u16> = candidates
            .filter(|c| *c != id && self.spaces.get(usize::from(*c)).is_some_and(alike))
            .filter(|c| self.spaces[usize::from(*c)].code.witnesses().next().is_some())
            .collect();
        for from in candidates.into_iter().rev() {
            let code = self.spaces[usize::from(from)].code;
            let Some(shape) = self.node(self.spaces[usize::from(from)].nodes[UPPER]).map(|n| n.key) else {
                continue;
            };
            let key = super::NodeKey { table: root.table, ..shape };
            if (key.shift, key.bits) != (root.shift, root.bits)
                || self.reach_root(id, UPPER, key).is_none()
                || !code.witnesses().all(|i| self.adopt(id, from, UPPER, i))
            {
                continue;
            }
            self.take_upper(id, code);
            return true;
        }
        false
    }

    fn take_upper(&mut self, id: u16, from: CodeIds) {
        if let Some(s) = self.spaces.get_mut(usize::from(id)) {
            s.code = CodeIds { lower: s.code.lower, tries: 0, ..from };
        }
    }

    /// Code may be elsewhere now in one half of these address spaces. Those that had a number in common, and all
    /// have changed, go on having one.
    pub(crate) fn renew_code(&mut self, owners: Owners, upper: bool, generations: &mut Generations) {
        let mut renamed: Vec<(u32, u32)> = Vec::new();
        for (i, s) in self.spaces.iter_mut().enumerate().filter(|(_, s)| s.alive) {
            if !owners.has(i as u16) {
                continue;
            }
            if !upper {
                s.code.lower = generations.fresh();
                continue;
            }
            let old = s.code.upper;
            let new = renamed.iter().find(|r| r.0 == old).map(|r| r.1).unwrap_or_else(|| {
                let n = generations.fresh();
                renamed.push((old, n));
                n
            });
            s.code.renew_upper(new);
        }
    }

    /// A new number for one half of one address space.
    pub(crate) fn renew_code_of(&mut self, id: u16, upper: bool, generations: &mut Generations) {
        self.renew_code(Owners::one(id), upper, generations);
    }

    /// New numbers for everyone.
    pub(crate) fn renew_all_code(&mut self, generations: &mut Generations) {
        self.renew_code(Owners::ALL, false, generations);
        self.renew_code(Owners::ALL, true, generations);
    }
}
