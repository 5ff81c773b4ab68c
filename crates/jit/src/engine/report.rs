//! What a report tells of compiled regions.

use lyrebird_isa::Cpu;

use super::Engine;
use crate::t1::Dump;

/// A compiled region that is in use.
#[derive(Clone, Debug)]
pub struct HotRegion {
    /// Its number.
    pub id: u64,
    /// Guest virtual address at which it is entered.
    pub pc: u64,
    /// Guest instructions, duplicates removed.
    pub insns: u32,
    /// Host bytes.
    pub bytes: usize,
    /// Guest instructions retired between being entered from the interpreter and going back there, other regions that
    /// were entered meanwhile included.
    pub retired: u64,
}

/// Regions to dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Those with an instruction at a guest virtual address.
    At(u64),
    /// That many of the hottest.
    Hot(usize),
}

/// There is no such region.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRegion {
    /// Nothing was compiled.
    #[error("no region is compiled: the guest was not hot enough, or --tier t0 was given")]
    None,
    /// Nothing at that address.
    #[error(
        "none of the {count} compiled regions has an instruction at {at:#x}; the nearest begins at {near:#x}"
    )]
    At {
        /// What was asked for.
        at: u64,
        /// How many there are.
        count: usize,
        /// Where one begins.
        near: u64,
    },
    /// It could not be compiled a second time.
    #[error("the region at {pc:#x} cannot be compiled again: {why}")]
    Failed {
        /// Where it begins.
        pc: u64,
        /// The reason.
        why: String,
    },
}

impl<C: Cpu> Engine<C> {
    /// The regions that are in use.
    pub fn compiled(&self) -> Vec<HotRegion> {
        self.regions.iter().map(|r| r.report()).collect()
    }

    /// The numbers of the regions with an instruction at `pc`, those that begin there first.
    ///
    /// # Errors
    /// [`NoRegion`] where there is none.
    pub fn compiled_at(&self, pc: u64) -> Result<Vec<u64>, NoRegion> {
        let mut found: Vec<(bool, u64)> = self
            .regions
            .iter()
            .filter(|r| r.covers(pc))
            .map(|r| (r.report().pc != pc, r.request.id))
            .collect();
        if found.is_empty() {
            let near = self.regions.iter().map(|r| r.report().pc).min_by_key(|p| p.abs_diff(pc));
            let count = self.regions.iter().count();
            return Err(near.map_or(NoRegion::None, |near| NoRegion::At { at: pc, count, near }));
        }
        found.sort_unstable();
        Ok(found.into_iter().map(|(_, id)| id).collect())
    }

    /// A region in all its forms: it is compiled a second time for that. Guest code must not be running.
    ///
    /// # Errors
    /// [`NoRegion`] where it is gone, or cannot be compiled.
    pub fn dump(&mut self, id: u64) -> Result<Box<Dump>, NoRegion> {
        let Some(region) = self.regions.get(id) else { return Err(NoRegion::None) };
        let (pc, request) = (region.report().pc, region.request.clone());
        self.regions.dump(request).map_err(|why| NoRegion::Failed { pc, why })
    }
}
