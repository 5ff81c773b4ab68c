//! [`Engine`]: the dispatcher of one vCPU.

mod links;
mod regions;
mod report;
mod trail;
mod verify;

use lyrebird_isa::cpu::Event;
use lyrebird_isa::state::{
    JUMP_ENTRIES, JumpEntry, PAGE_MASK, PAGE_SIZE, TRAIL, UPPER_HALF, code_ctx_mask, code_number, jump_index,
    tlb_index, trail_index,
};
use lyrebird_isa::{Cpu, Work};

use crate::config::EngineConfig;
use crate::large::LargeTable;
use crate::stats::EngineStats;
use crate::t0::block::{HowToDecode, Key};
use crate::t0::handler::RegionEntry;
use crate::t0::{BlockCache, BlockId, Exit, Op, Trailer, execute};
use crate::t1::{CompilerConfig, SlowPaths};

use regions::Regions;
pub use report::{HotRegion, NoRegion, Which};
pub use trail::Jump;
use trail::Mark;
pub use verify::Divergence;
use verify::{Verified, Verifier};

/// Faults in one slice. A guest whose exception vector faults retires nothing, and must not keep the engine from
/// looking at the stop request and the clock.
const MAX_FAULTS: u64 = 1000;

/// Runs the guest code of one vCPU.
#[derive(Debug)]
pub struct Engine<C: Cpu> {
    config: EngineConfig,
    cache: BlockCache<C>,
    jump: LargeTable<JumpEntry>,
    /// The blocks that its entries lead to: the addend that the inline TLB has for their page, and their mode.
    places: Box<[(u64, u64)]>,
    regions: Regions<C>,
    verifier: Verifier,
    stats: EngineStats,
}

// SAFETY: the raw pointers inside (jump cache, links) point into this engine's own blocks and move with it.
unsafe impl<C: Cpu> Send for Engine<C> {}

impl<C: Cpu> Engine<C> {
    /// An engine without code.
    pub fn new(config: EngineConfig) -> Engine<C> {
        let mut compiler = CompilerConfig::of::<C>();
        compiler.account = config.account;
        compiler.slow = if config.verify { verify::slow_paths() } else { SlowPaths::of::<C>() };
        Engine {
            regions: Regions::new(&config, compiler),
            config,
            cache: BlockCache::default(),
            jump: LargeTable::new(JumpEntry::EMPTY, JUMP_ENTRIES),
            places: vec![(0, 0); JUMP_ENTRIES].into_boxed_slice(),
            verifier: Verifier::default(),
            stats: EngineStats::default(),
        }
    }

    /// Counters so far.
    pub fn stats(&self) -> EngineStats {
        let mut s = self.stats.clone();
        s.t1_retired += self.regions.retired();
        s
    }

    /// Regions that were not compiled, by reason.
    pub fn failures(&self) -> impl Iterator<Item = (&str, u64)> {
        self.regions.failures.iter().map(|(why, n)| (why.as_str(), *n))
    }

    /// Runs guest code until [`Cpu::poll`] says stop. Fails only in verify mode, where the tiers disagree.
    pub fn run(&mut self, cpu: &mut C) -> Result<(), Box<Divergence>> {
        cpu.core_mut().jump_cache = self.jump.as_mut_ptr();
        let mut since_poll = 0u64;
        loop {
            self.drop_dirty(cpu);
            self.regions.collect(&mut self.cache, &mut self.jump, &mut self.stats);
            if self.cache.held > self.config.max_decoded {
                self.flush(cpu);
            }
            match cpu.poll(since_poll) {
                Event::Run => {}
                Event::Idle => {
                    since_poll = 0;
                    cpu.core().activity.set(Work::Idle);
                    cpu.wait();
                    cpu.core().activity.set(Work::Dispatcher);
                    continue;
                }
                Event::Stop => return Ok(()),
            }
            since_poll = self.slice(cpu)?;
            self.stats.retired += since_poll;
        }
    }

    /// Runs until the budget is used up or the CPU must be looked at; returns the instructions retired.
    fn slice(&mut self, cpu: &mut C) -> Result<u64, Box<Divergence>> {
        let mut budget = self.config.slice;
        // The trail goes on where the last slice ended.
        if budget >= 2 * TRAIL as i64 {
            budget -= (budget - cpu.core().budget) & (TRAIL as i64 - 1);
        }
        cpu.core_mut().budget = budget;
        let mut linking: Option<(BlockId, usize)> = None;
        let mut region_linking: Option<u64> = None;
        let mut anywhere = false;
        let mut interpret = false;
        let faults = self.stats.faults;
        loop {
            if self.stats.faults - faults > MAX_FAULTS {
                break;
            }
            // Behind an exception or a synchronising instruction, the way on is mostly known.
            let known = if std::mem::take(&mut anywhere) { self.known(cpu) } else { None };
            let entry = match known {
                Some(op) => op,
                None => {
                    let Some(id) = self.lookup(cpu) else {
                        linking = None;
                        region_linking = None;
                        let pc = cpu.core().pc;
                        if self.fault(cpu, pc, Mark::Fault) {
                            break;
                        }
                        continue;
                    };
                    if let Some((from, slot)) = linking.take() {
                        self.cache.link(from, slot, id, cpu.core().code_ctx);
                    }
                    if let Some(name) = region_linking.take() {
                        self.regions.link(name, id);
                    }
                    let Some(block) = self.cache.get(id) else { continue };
                    if std::mem::take(&mut interpret) { block.ops() } else { block.entry() }
                }
            };
            if cpu.core().budget <= 0 {
                break;
            }
            self.stats.exits += 1;
            cpu.enter_guest();
            cpu.core().activity.set(Work::T0);
            // SAFETY: `lookup` found the block for the CPU's present mode and mapping; blocks are dropped only
            // outside `execute`, and dropping one removes what leads to it.
            let op = unsafe { execute(cpu, entry) };
            cpu.core().activity.set(Work::Dispatcher);
            cpu.leave_guest();
            match Exit::from_core(cpu.core().exit) {
                Exit::Fault => {
                    let Some(id) = self.cache.owner(op) else { break };
                    let Some(b) = self.cache.get(id) else { break };
                    let (index, pc) = b.locate(op);
                    let core = cpu.core_mut();
                    core.budget -= index as i64;
                    if self.fault(cpu, pc, Mark::Inside(id, index)) {
                        break;
                    }
                    anywhere = true;
                }
                Exit::RegionFault => {
                    let pc = cpu.core().pc;
                    if self.fault(cpu, pc, Mark::Fault) {
                        break;
                    }
                    anywhere = true;
                }
                Exit::Verify => {
                    // SAFETY: this exit returns the `enter` of a live block, whose region is alive with it.
                    let id = unsafe { (*((*op).payload[0] as *const RegionEntry)).id };
                    let Some(region) = self.regions.get(id) else { continue };
                    self.stats.verified += 1;
                    let ran = match self.verifier.run(cpu, region) {
                        Verified::Ran(n) => {
                            // The head itself is for T0: do not come straight back here.
                            interpret = n == 0;
                            n
                        }
                        Verified::Fault(n) => {
                            let pc = cpu.core().pc;
                            cpu.core_mut().budget -= n as i64;
                            self.stats.verified_insns += n;
                            if self.fault(cpu, pc, Mark::Fault) {
                                break;
                            }
                            0
                        }
                        Verified::Diverged(report) => {
                            let request = region.request.clone();
                            let clif = self.regions.dump(request).map_or_else(|why| why, |d| d.to_string());
                            return Err(Box::new(Divergence { report: format!("{report}\n{clif}") }));
                        }
                    };
                    self.stats.verified_insns += ran;
                    cpu.core_mut().budget -= ran as i64;
                }
                why @ (Exit::Link0 | Exit::Link1) => {
                    // SAFETY: these exits return a terminator of a live block.
                    let t = unsafe { &*op.add(1).cast::<Trailer<C>>() };
                    let from = BlockId(t.block);
                    let slot = usize::from(why == Exit::Link1);
                    // Under the mapping of another process it may lead where it did.
                    let link = &t.link[slot];
                    if self.known(cpu).is_some_and(|op| op == link.op.get()) {
                        link.ctx.set(cpu.core().code_ctx);
                        anywhere = true;
                    } else {
                        linking = Some((from, slot));
                    }
                    if t.heat.get() == 0 {
                        cpu.core().activity.during(Work::Compile, || self.hot(from));
                    }
                }
                Exit::HotIndirect => {
                    // SAFETY: as above.
                    let t = unsafe { &*op.add(1).cast::<Trailer<C>>() };
                    cpu.core().activity.during(Work::Compile, || self.hot(BlockId(t.block)));
                }
                Exit::RegionLink => region_linking = Some(cpu.core().link),
                Exit::Indirect => anywhere = true,
                Exit::Fetch | Exit::None => {}
                why @ (Exit::Sync | Exit::HotSync) => {
                    if why == Exit::HotSync {
                        // SAFETY: as above.
                        let t = unsafe { &*op.add(1).cast::<Trailer<C>>() };
                        cpu.core().activity.during(Work::Compile, || self.hot(BlockId(t.block)));
                    }
                    self.drop_dirty(cpu);
                    if cpu.after_sync() {
                        break;
                    }
                    anywhere = true;
                }
            }
        }
        // Every fault has cost one.
        let spent = (budget - cpu.core().budget).max(0) as u64;
        Ok(spent.saturating_sub(self.stats.faults - faults))
    }

    /// Lets the CPU take the fault of the instruction at `pc`. It may be a store to code, which x86 does here and shows
    /// at the next instruction (SDM Vol. 3, 11.6), so what it hit is dropped before anything runs.
    ///
    /// `mark` goes to the trail, for which the fault counts as an instruction. Whether the CPU has to be asked before it
    /// goes on.
    fn fault(&mut self, cpu: &mut C, pc: u64, mark: Mark) -> bool {
        self.stats.faults += 1;
        let core = cpu.core_mut();
        core.budget -= 1;
        core.trail[trail_index(core.budget)] = mark.pack();
        cpu.take_fault(pc);
        self.drop_dirty(cpu);
        cpu.waits()
    }

    /// Where the block at the program counter is entered, if the jump cache knows it.
    fn known(&mut self, cpu: &C) -> Option<*const Op<C>> {
        let core = cpu.core();
        let at = jump_index(core.pc);
        let j = &mut self.jump[at];
        if j.va != core.pc || j.op.is_null() || cpu.fetches_anew() {
            return None;
        }
        if (j.ctx ^ core.code_ctx) & code_ctx_mask(core.pc) != 0 {
            // Processes run the same code at the same place: it is the block's if the TLB fetches it from there. In the
            // upper half the MMU wants to see every fetch, since address spaces have its numbers in common.
            if core.pc & UPPER_HALF != 0 {
                return None;
            }
            // SAFETY: the CPU has attached a table of `TLB_ENTRIES` entries, among which the index is.
            let entry = unsafe { *core.tlb.add(tlb_index(core.pc)) };
            if entry.exec != core.pc & PAGE_MASK || (entry.addend, cpu.mode()) != self.places[at] {
                return None;
            }
            j.ctx = core.code_ctx;
        }
        Some(j.op.cast())
    }

    /// The block at the program counter, decoded if need be; it enters the jump cache. `None`: the fetch faulted.
    fn lookup(&mut self, cpu: &mut C) -> Option<BlockId> {
        let page = cpu.fetch(cpu.core().pc)?;
        let pc = cpu.core().pc;
        let offset = pc & (PAGE_SIZE - 1);
        let key = Key { pa: page.pa | offset, pc, mode: cpu.mode() };
        let id = match self.cache.find(&key) {
            Some(id) => id,
            None => {
                cpu.core().activity.set(Work::Compile);
                let id = self.decode(cpu, key, page.host);
                cpu.core().activity.set(Work::Dispatcher);
                id?
            }
        };
        let block = self.cache.get_mut(id)?;
        // This fetch was noted under the number of its half, so that it changes if the page is mapped elsewhere.
        let number = code_number(cpu.core().code_ctx, pc);
        if block.entered && block.stamp != number {
            block.stamp = number;
            self.regions.stamp(id, number);
        }
        let op: *const Op<C> = block.entry();
        let at = jump_index(pc);
        self.jump[at] = JumpEntry { va: pc, ctx: cpu.core().code_ctx, op: op.cast(), code: block.code };
        self.places[at] = (block.host.wrapping_sub(pc & PAGE_MASK), key.mode);
        Some(id)
    }

    fn decode(&mut self, cpu: &mut C, key: Key, host: *const u8) -> Option<BlockId> {
        // Watch first: a store by another agent after the bytes are read is then noticed.
        cpu.watch_code(key.pa & PAGE_MASK);
        let mut page = [0u8; PAGE_SIZE as usize];
        let from = (key.pa & (PAGE_SIZE - 1)) as usize;
        // SAFETY: `Cpu::fetch` vouches for a readable page. A copy is taken because the guest may write to it at
        // any time.
        unsafe {
            std::ptr::copy_nonoverlapping(host.add(from), page.as_mut_ptr().add(from), page.len() - from)
        };
        let how = HowToDecode {
            heat: self.config.threshold(),
            verify: self.config.verify,
            out: self.regions.out(),
            // SAFETY: `Cpu::fetch` gave the address inside the page.
            host: host as u64,
        };
        let id = self.cache.insert(key, &page[from..], &how)?;
        self.stats.blocks += 1;
        self.stats.decoded += self.cache.get(id).map_or(0, |b| b.len() as u64);
        Some(id)
    }

    /// A block's execution count reached the threshold.
    fn hot(&mut self, id: BlockId) {
        self.regions.ask(id, &mut self.cache, &mut self.jump, &mut self.stats);
    }

    /// Drops the blocks that guest stores have hit.
    fn drop_dirty(&mut self, cpu: &mut C) {
        while let Some((pa, len)) = cpu.take_dirty_code() {
            let hit: Vec<BlockId> = self
                .cache
                .on_page(pa)
                .iter()
                .copied()
                .filter(|id| self.cache.get(*id).is_some_and(|b| b.hit_by(pa, len)))
                .collect();
            for id in hit {
                self.stats.blocks_dropped += 1;
                self.regions.block_gone(id, &mut self.cache, &mut self.jump, &mut self.stats);
                self.cache.remove(id, &mut self.jump);
            }
            if self.cache.on_page(pa).is_empty() {
                cpu.unwatch_code(pa & PAGE_MASK);
            }
        }
    }

    /// Drops all blocks.
    fn flush(&mut self, cpu: &mut C) {
        for pa in self.cache.pages() {
            cpu.unwatch_code(pa);
        }
        self.regions.clear(&mut self.stats);
        self.cache.clear();
        self.jump.fill(JumpEntry::EMPTY);
        cpu.core_mut().trail.fill(Mark::Fault.pack());
        self.stats.t0_flushes += 1;
    }
}
