//! Regions: what is compiled as one function, and how its blocks are picked.

use std::collections::BinaryHeap;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use rustc_hash::FxHashMap;

/// One block of a region.
#[derive(Clone, Debug)]
pub struct RegionBlock {
    /// Guest virtual address of the first instruction.
    pub pc: u64,
    /// Instruction bytes, up to and including the block's last instruction.
    pub bytes: Box<[u8]>,
    /// Blocks of the region where its last instruction may lead, if that is a computed branch.
    pub targets: Vec<u64>,
}

/// A page of guest code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodePage {
    /// Guest virtual address.
    pub va: u64,
    /// Host address.
    pub host: u64,
}

/// A region to compile.
#[derive(Clone, Debug)]
pub struct RegionRequest {
    /// Chosen by the requester; comes back with the result.
    pub id: u64,
    /// Mode bits to decode under ([`lyrebird_isa::Cpu::mode`]).
    pub mode: u64,
    /// The blocks, head first. Blocks that overlap are cut where the next one begins.
    pub blocks: Vec<RegionBlock>,
    /// Where the pages are that the blocks were read from, as far as known.
    pub pages: Vec<CodePage>,
    /// Keep the CLIF and the host disassembly.
    pub dump: bool,
    /// Compile in little time rather than well, and count here how often the region is entered or a loop in it goes
    /// round: for code of which it is not known yet whether it is worth more.
    pub quick: Option<Arc<AtomicU32>>,
    /// Send every guest memory access through [`super::SlowPaths`], so that the caller sees them all, and leave
    /// instructions whose helper has [`lyrebird_isa::Effects::Cpu`] to T0.
    pub verify: bool,
}

/// Why a compiled region returned. [`lyrebird_isa::Core::pc`] and [`lyrebird_isa::Core::budget`] are exact in all
/// cases; registers and flags are in [`lyrebird_isa::Core`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum RegionExit {
    /// Go on at `pc`.
    Next = 0,
    /// Execute the instruction at `pc` in T0, then go on. The region never enters at that instruction itself.
    Interp = 1,
    /// The instruction at `pc` raised the guest fault recorded in the CPU; it does not count as retired.
    Fault = 2,
    /// The budget ran out at a back edge or at entry; go on at `pc`.
    Budget = 3,
    /// The jump cache has a region for `pc`: the link that [`lyrebird_isa::Core::link`] names can be made to lead there.
    Link = 4,
    /// The page of `pc` is not, or not any more, mapped where the region was compiled from; go on at `pc`.
    Fetch = 5,
    /// The CPU must be looked at ([`lyrebird_isa::Cpu::wants_look`]) before it goes on at `pc`.
    Sync = 6,
}

impl RegionExit {
    /// From the value a region returned.
    pub fn from_code(v: u64) -> Option<RegionExit> {
        const ALL: [RegionExit; 7] = [
            RegionExit::Next,
            RegionExit::Interp,
            RegionExit::Fault,
            RegionExit::Budget,
            RegionExit::Link,
            RegionExit::Fetch,
            RegionExit::Sync,
        ];
        ALL.get(v as usize).copied()
    }
}

/// What the region former sees of a decoded block.
#[derive(Clone, Copy, Debug)]
pub struct BlockView<'a> {
    /// Instruction bytes, up to and including the last instruction.
    pub bytes: &'a [u8],
    /// Number of instructions.
    pub insns: u32,
    /// Executions so far.
    pub heat: u64,
    /// Addresses of the direct successors, or where a computed branch went last.
    pub succ: [Option<u64>; 2],
    /// The address behind it, where it ends with a call.
    pub after: Option<u64>,
    /// It ends with a return.
    pub returns: bool,
    /// It has a region of its own.
    pub entered: bool,
}

impl BlockView<'_> {
    /// Where control may go on sooner or later.
    pub fn leads_to(&self) -> impl Iterator<Item = u64> + use<> {
        self.succ.into_iter().chain([self.after]).flatten()
    }
}

/// Where the region former finds blocks: those decoded under the head's mode and mapping.
pub trait BlockSource {
    /// The block at a virtual address, if it has been decoded.
    fn block(&self, pc: u64) -> Option<BlockView<'_>>;
}

/// Bounds of a region.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Guest instructions at which a region stops growing.
    pub insns: u32,
    /// Guest instructions it never exceeds: a block that closes a loop, or a long head, may go past `insns`.
    pub hard_insns: u32,
    /// A successor joins while its heat times this is at least the head's.
    pub cold_ratio: u64,
    /// Calls are followed, and what is behind them joins.
    pub calls: bool,
    /// What has a region of its own joins as well, not only where it closes a loop.
    pub again: bool,
}

impl Limits {
    /// Of regions that are to be compiled quickly: nothing is in two of them because two call it or lead to it.
    pub const QUICK: Limits =
        Limits { insns: 60, hard_insns: 120, cold_ratio: 16, calls: false, again: false };
    /// Of regions that are to be compiled well.
    pub const WELL: Limits = Limits { insns: 120, hard_insns: 240, cold_ratio: 16, calls: true, again: true };
}

impl Default for Limits {
    fn default() -> Self {
        Limits::WELL
    }
}

/// Return sites that a return is compared with at most.
const RETURN_SITES: usize = 4;

/// Picks the blocks of the region that starts at `head`: hottest successors first, into calls and behind them, ordered so
/// that mostly loops lead backwards. Empty where `head` has no block.
pub fn form_region(head: u64, source: &impl BlockSource, limits: &Limits) -> Vec<RegionBlock> {
    let Some(first) = source.block(head) else { return Vec::new() };
    let least = first.heat.div_ceil(limits.cold_ratio.max(1));
    let mut chosen: FxHashMap<u64, BlockView<'_>> = FxHashMap::default();
    let mut frontier = BinaryHeap::from([(first.heat, std::cmp::Reverse(head))]);
    let mut insns = 0;
    while let Some((heat, std::cmp::Reverse(pc))) = frontier.pop() {
        if chosen.contains_key(&pc) || heat < least {
            continue;
        }
        let Some(view) = source.block(pc) else { continue };
        if pc != head {
            let closes = view.succ.iter().flatten().any(|s| chosen.contains_key(s));
            let limit = if closes { limits.hard_insns } else { limits.insns };
            if insns + view.insns > limit || (view.entered && !closes && !limits.again) {
                continue;
            }
        }
        insns += view.insns;
        chosen.insert(pc, view);
        if view.after.is_some() && !limits.calls {
            continue;
        }
        for s in view.leads_to() {
            if !chosen.contains_key(&s)
                && let Some(v) = source.block(s)
            {
                frontier.push((v.heat, std::cmp::Reverse(s)));
            }
        }
    }
    let mut sites: Vec<u64> =
        chosen.values().filter_map(|v| v.after).filter(|pc| chosen.contains_key(pc)).collect();
    sites.sort_by_key(|pc| (std::cmp::Reverse(chosen[pc].heat), *pc));
    sites.dedup();
    sites.truncate(RETURN_SITES);
    let targets = |v: &BlockView<'_>| {
        if v.returns {
            sites.clone()
        } else {
            v.succ[0].filter(|s| chosen.contains_key(s)).into_iter().collect()
        }
    };
    order(head, &chosen)
        .into_iter()
        .map(|pc| {
            let v = &chosen[&pc];
            RegionBlock { pc, bytes: Box::from(v.bytes), targets: targets(v) }
        })
        .collect()
}

/// Reverse postorder from `head`, the hotter successor nearer.
fn order(head: u64, chosen: &FxHashMap<u64, BlockView<'_>>) -> Vec<u64> {
    let successors = |pc: u64| -> Vec<u64> {
        let mut s: Vec<u64> = match chosen.get(&pc) {
            Some(v) => v.leads_to().filter(|s| chosen.contains_key(s)).collect(),
            None => Vec::new(),
        };
        // Visited first means placed last.
        s.sort_by_key(|s| chosen[s].heat);
        s
    };
    let mut post = Vec::with_capacity(chosen.len());
    let mut seen = FxHashMap::default();
    seen.insert(head, ());
    let mut stack = vec![(head, successors(head).into_iter())];
    while let Some((pc, rest)) = stack.last_mut() {
        let pc = *pc;
        match rest.next() {
            Some(s) => {
                if seen.insert(s, ()).is_none() {
                    stack.push((s, successors(s).into_iter()));
                }
            }
            None => {
                post.push(pc);
                stack.pop();
            }
        }
    }
    post.reverse();
    post
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    type Succ = [Option<u64>; 2];

    struct Blocks(HashMap<u64, (Vec<u8>, u64, Succ)>);

    impl BlockSource for Blocks {
        fn block(&self, pc: u64) -> Option<BlockView<'_>> {
            let (bytes, heat, succ) = self.0.get(&pc)?;
            let insns = bytes.len() as u32 / 4;
            Some(BlockView {
                bytes,
                insns,
                heat: *heat,
                succ: *succ,
                after: None,
                returns: false,
                entered: false,
            })
        }
    }

    fn blocks(list: &[(u64, u32, u64, Succ)]) -> Blocks {
        Blocks(list.iter().map(|&(pc, n, heat, succ)| (pc, (vec![0; n as usize * 4], heat, succ))).collect())
    }

    fn pcs(r: &[RegionBlock]) -> Vec<u64> {
        r.iter().map(|b| b.pc).collect()
    }

    #[test]
    fn a_loop_with_a_cold_arm_keeps_its_hot_blocks_in_order() {
        let b = blocks(&[
            (0x1000, 4, 1000, [Some(0x1040), Some(0x1010)]),
            (0x1010, 4, 10, [Some(0x1080), None]),
            (0x1040, 4, 990, [Some(0x1080), None]),
            (0x1080, 4, 1000, [Some(0x1000), Some(0x1090)]),
            (0x1090, 4, 900, [None, None]),
            (0x2000, 4, 1000, [None, None]),
        ]);
        assert_eq!(pcs(&form_region(0x1000, &b, &Limits::default())), [0x1000, 0x1040, 0x1080, 0x1090]);
    }

    #[test]
    fn what_has_a_region_joins_a_quick_one_only_to_close_a_loop() {
        struct Entered(Blocks, u64);
        impl BlockSource for Entered {
            fn block(&self, pc: u64) -> Option<BlockView<'_>> {
                self.0.block(pc).map(|v| BlockView { entered: pc == self.1, ..v })
            }
        }
        let list = [
            (0x1000, 4, 100, [Some(0x1040), Some(0x1080)]),
            (0x1040, 4, 90, [Some(0x1000), None]),
            (0x1080, 4, 80, [Some(0x10c0), None]),
            (0x10c0, 4, 70, [None, None]),
        ];
        let of = |entered, limits| pcs(&form_region(0x1000, &Entered(blocks(&list), entered), limits));
        assert_eq!(of(0x1080, &Limits::QUICK), [0x1000, 0x1040]);
        assert_eq!(of(0x1040, &Limits::QUICK), [0x1000, 0x1040, 0x1080, 0x10c0]);
        assert_eq!(of(0x1080, &Limits::WELL), [0x1000, 0x1040, 0x1080, 0x10c0]);
        assert_eq!(of(0x1000, &Limits::QUICK).len(), 4, "the head is what is compiled");
    }

    #[test]
    fn other_pages_join_and_missing_blocks_do_not() {
        let b = blocks(&[(0x1ff0, 4, 9, [Some(0x2000), Some(0x1000)]), (0x2000, 1, 9, [None, None])]);
        assert_eq!(pcs(&form_region(0x1ff0, &b, &Limits::default())), [0x1ff0, 0x2000]);
        assert!(form_region(0x5000, &b, &Limits::default()).is_empty());
    }

    #[test]
    fn a_return_leads_behind_the_calls_of_the_region() {
        struct Calls;
        impl BlockSource for Calls {
            fn block(&self, pc: u64) -> Option<BlockView<'_>> {
                let view = |succ, after, returns| BlockView {
                    bytes: &[0; 8],
                    insns: 2,
                    heat: 100,
                    succ,
                    after,
                    returns,
                    entered: false,
                };
                match pc {
                    0x1000 => Some(view([Some(0x3000), None], Some(0x1008), false)),
                    0x1008 => Some(view([Some(0x3000), None], Some(0x1010), false)),
                    0x1010 => Some(view([Some(0x1000), None], None, false)),
                    0x3000 => Some(view([None; 2], None, true)),
                    _ => None,
                }
            }
        }
        let r = form_region(0x1000, &Calls, &Limits::default());
        let targets: Vec<_> = r.iter().map(|b| (b.pc, b.targets.clone())).collect();
        assert!(targets.contains(&(0x3000, vec![0x1008, 0x1010])), "{targets:x?}");
        assert_eq!(targets.len(), 4);
    }

    #[test]
    fn growth_stops_but_a_loop_is_closed() {
        let limits = Limits { insns: 10, hard_insns: 20, ..Limits::default() };
        let b = blocks(&[
            (0x1000, 8, 100, [Some(0x1100), Some(0x1200)]),
            (0x1100, 8, 90, [Some(0x1000), None]),
            (0x1200, 3, 95, [Some(0x1300), None]),
        ]);
        assert_eq!(pcs(&form_region(0x1000, &b, &limits)), [0x1000, 0x1100]);
    }
}
