//! The compiled regions of one vCPU: asked for when a block is hot, entered when they come back, dropped when one of
//! their blocks is.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use lyrebird_isa::Cpu;
use lyrebird_isa::scan::Flow;
use lyrebird_isa::state::{JumpEntry, PAGE_MASK, PAGE_SIZE, jump_index};
use rustc_hash::FxHashMap;

use super::links::Links;
use super::report::HotRegion;
use super::trail::Mark;
use super::verify::Steps;
use crate::config::{EngineConfig, Tier};
use crate::stats::EngineStats;
use crate::t0::block::Key;
use crate::t0::handler::RegionEntry;
use crate::t0::{Block, BlockCache, BlockId};
use crate::t1::{
    Arena, ArenaError, BlockSource, BlockView, Code, CodePage, CompileError, CompileThread, CompiledRegion,
    Compiler, CompilerConfig, Dump, Failure, Limits, RegionRequest, form_region,
};

/// Blocks that may wait for the compile thread: all are looked at when it gets something to do.
const WAITING: usize = 1024;
/// Requests that the compile thread has at a time: enough for the time to the next look.
const AHEAD: usize = 4;

/// Quick regions that are looked at each time whether one is worth compiling well: each costs a cache miss, in every
/// slice.
const LOOKS: usize = 8;
/// How many times as often as a block that is compiled first it must have been entered.
const WORTH: u32 = 10;
/// And how many times more while other code waits for its first compilation.
const PATIENCE: u32 = 16;

/// A region in use.
#[derive(Debug)]
pub struct Region<C> {
    /// The block it is entered at.
    pub head: BlockId,
    /// What it was compiled from.
    pub request: RegionRequest,
    /// Boxed: the head's trailer points at it.
    entry: Box<RegionEntry>,
    /// The code.
    pub code: Code,
    /// Where other regions enter it: those of the same page, and others.
    pub body: u64,
    /// See `body`.
    pub checked: u64,
    /// How it and others lead to each other.
    pub links: Links,
    members: Vec<BlockId>,
    /// Guest instructions in it.
    insns: u32,
    /// Verify mode's.
    steps: OnceCell<Steps<C>>,
}

impl<C: Cpu> Region<C> {
    /// The compiled function.
    pub fn function(&self) -> unsafe extern "C" fn(*mut lyrebird_isa::Core) -> u64 {
        self.code.as_region()
    }

    /// Its number.
    pub fn id(&self) -> u64 {
        self.request.id
    }

    /// Guest address at which it is entered.
    pub fn pc(&self) -> u64 {
        self.request.blocks.first().map_or(0, |b| b.pc)
    }

    /// The budget with which it was last entered, and the address where it was left.
    pub fn last(&self) -> (i64, u64) {
        self.entry.last
    }

    /// For the report.
    pub fn report(&self) -> HotRegion {
        HotRegion {
            id: self.request.id,
            pc: self.request.blocks.first().map_or(0, |b| b.pc),
            insns: self.insns,
            bytes: self.code.bytes().len(),
            retired: self.entry.retired,
        }
    }

    /// Whether an instruction at `pc` is in it.
    pub fn covers(&self, pc: u64) -> bool {
        self.request.blocks.iter().any(|b| (b.pc..b.pc + b.bytes.len() as u64).contains(&pc))
    }

    /// Its instructions, for verify mode.
    pub fn steps(&self) -> &Steps<C> {
        self.steps.get_or_init(|| Steps::new(&self.request))
    }
}

#[derive(Debug)]
struct Pending {
    head: BlockId,
    request: RegionRequest,
    members: Vec<BlockId>,
}

/// Where regions are compiled.
#[derive(Debug)]
enum Back<C> {
    Here(Box<Compiler<C>>),
    Thread(CompileThread),
}

/// All regions of a vCPU.
#[derive(Debug)]
pub struct Regions<C> {
    back: Option<Back<C>>,
    verify: bool,
    threshold: u32,
    next_id: u64,
    /// Blocks that are hot, until the compile thread has room for their regions.
    waiting: Vec<BlockId>,
    pending: FxHashMap<u64, Pending>,
    /// Installed regions that were compiled quickly (some may be gone), and where among them the last look was.
    quick: Vec<u64>,
    looked: usize,
    /// Regions are compiled quickly at first.
    quickly: bool,
    pub(super) installed: FxHashMap<u64, Region<C>>,
    /// Where compiled code goes for a block without region.
    out: u64,
    by_block: FxHashMap<BlockId, Vec<u64>>,
    /// Failures by reason, for the exit report.
    pub failures: HashMap<String, u64>,
}

/// Blocks as the region former sees them.
struct View<'a, C> {
    cache: &'a BlockCache<C>,
    jump: &'a [JumpEntry],
    mode: u64,
    threshold: u32,
    /// Physical addresses of the virtual pages that the blocks seen so far are on or lead to. Whether a page is still
    /// where it was, compiled code asks when it comes there.
    pages: RefCell<FxHashMap<u64, u64>>,
}

/// Executions of a block since it was decoded or its region dropped. A count below its start has wrapped, which is hot
/// as well.
fn heat<C: Cpu>(block: &Block<C>, threshold: u32) -> u64 {
    let counted = u64::from(threshold.wrapping_sub(block.trailer().heat.get()));
    counted + if block.deferred { u64::from(threshold) } else { 0 }
}

impl<C: Cpu> View<'_, C> {
    fn new<'a>(cache: &'a BlockCache<C>, jump: &'a [JumpEntry], head: &Key, threshold: u32) -> View<'a, C> {
        let pages = FxHashMap::from_iter([(head.pc & PAGE_MASK, head.pa & PAGE_MASK)]);
        View { cache, jump, mode: head.mode, threshold, pages: RefCell::new(pages) }
    }

    fn find(&self, pc: u64) -> Option<(BlockId, &Block<C>)> {
        let page = *self.pages.borrow().get(&(pc & PAGE_MASK))?;
        let id = self.cache.find(&Key { pa: page | pc & (PAGE_SIZE - 1), pc, mode: self.mode })?;
        Some((id, self.cache.get(id)?))
    }

    /// Remembers where a block is that another one has led to.
    fn learn(&self, id: BlockId) -> Option<u64> {
        let key = self.cache.get(id).filter(|b| b.key.mode == self.mode)?.key;
        self.pages.borrow_mut().entry(key.pc & PAGE_MASK).or_insert(key.pa & PAGE_MASK);
        Some(key.pc)
    }

    /// The block where a computed branch has led last, as far as the jump cache still knows it.
    fn predicted(&self, pc: u64) -> Option<u64> {
        let entry = &self.jump[jump_index(pc)];
        if entry.va != pc || entry.op.is_null() {
            return None;
        }
        let id = self.cache.owner(entry.op.cast())?;
        self.learn(id).filter(|to| *to == pc)
    }
}

impl<C: Cpu> BlockSource for View<'_, C> {
    fn block(&self, pc: u64) -> Option<BlockView<'_>> {
        let (_, b) = self.find(pc)?;
        for to in b.linked.iter().flatten() {
            self.learn(*to);
        }
        let went = match b.flow {
            Flow::Indirect(_) => self.predicted(b.trailer().went.get()),
            _ => None,
        };
        Some(b.view(heat(b, self.threshold), went))
    }
}

impl<C: Cpu> Regions<C> {
    /// Regions as `config` wants them. Where the host refuses memory for code, or the compiler cannot serve this host,
    /// there are none, and everything stays in T0; the reason is among the failures.
    pub fn new(config: &EngineConfig, mut compiler: CompilerConfig) -> Regions<C> {
        let mut failures = HashMap::new();
        let mut out = 0;
        compiler.verify_clif |= cfg!(debug_assertions);
        let back = match (config.tier, config.verify) {
            (Tier::T0, false) => None,
            (tier, verify) => match Self::start(config, compiler, tier == Tier::Auto && !verify) {
                Ok((b, end)) => {
                    out = end;
                    Some(b)
                }
                Err(e) => {
                    failures.insert(e, 1);
                    None
                }
            },
        };
        Regions {
            back,
            verify: config.verify,
            threshold: config.threshold(),
            next_id: 1,
            waiting: Vec::new(),
            pending: FxHashMap::default(),
            quick: Vec::new(),
            looked: 0,
            quickly: config.tier == Tier::Auto,
            installed: FxHashMap::default(),
            out,
            by_block: FxHashMap::default(),
            failures,
        }
    }

    /// A compiler, and where its code goes for blocks without region.
    fn start(
        config: &EngineConfig,
        compiler: CompilerConfig,
        thread: bool,
    ) -> Result<(Back<C>, u64), String> {
        let arena = Arena::new(config.code_bytes).map_err(|e| e.to_string())?;
        let compiler = Compiler::new(arena, compiler).map_err(|e| e.to_string())?;
        let end = compiler.out();
        if !thread {
            return Ok((Back::Here(Box::new(compiler)), end));
        }
        let thread = CompileThread::spawn(compiler).map_err(|e| format!("compile thread: {e}"))?;
        Ok((Back::Thread(thread), end))
    }

    /// Where compiled code goes on for a block without region.
    pub fn out(&self) -> u64 {
        self.out
    }

    /// Asks for the region at a block that has become hot.
    pub fn ask(
        &mut self,
        head: BlockId,
        cache: &mut BlockCache<C>,
        jump: &mut [JumpEntry],
        stats: &mut EngineStats,
    ) {
        match self.back {
            None => {}
            Some(Back::Here(_)) => self.request(head, self.quickly, cache, jump, stats),
            Some(Back::Thread(_)) if self.waiting.len() < WAITING => self.waiting.push(head),
            Some(Back::Thread(_)) => {
                // It may ask again later.
                if let Some(b) = cache.get(head) {
                    b.trailer().heat.set(self.threshold);
                }
            }
        }
    }

    /// Keeps the compile thread busy. Counts go on while blocks wait, and the hottest goes first.
    fn feed(&mut self, cache: &mut BlockCache<C>, jump: &mut [JumpEntry], stats: &mut EngineStats) {
        while self.pending.len() < AHEAD {
            let heat = |id: BlockId| cache.get(id).map_or(0, |b| heat(b, self.threshold));
            let Some(i) = (0..self.waiting.len()).max_by_key(|&i| heat(self.waiting[i])) else { break };
            let head = self.waiting.swap_remove(i);
            let member = self.by_block.contains_key(&head);
            match cache.get_mut(head) {
                // Inside another region it mostly runs as part of that: it waits for a second count.
                Some(b) if member && !b.deferred => {
                    b.deferred = true;
                    b.trailer().heat.set(self.threshold);
                }
                _ => self.request(head, self.quickly, cache, jump, stats),
            }
        }
    }

    /// Has quick regions that have turned out to be worth it compiled well.
    fn promote(&mut self, cache: &mut BlockCache<C>, jump: &mut [JumpEntry], stats: &mut EngineStats) {
        let patience = if self.waiting.is_empty() { 1 } else { PATIENCE };
        let enough = self.threshold.saturating_mul(WORTH).saturating_mul(patience);
        for _ in 0..LOOKS.min(self.quick.len()) {
            if self.pending.len() >= AHEAD {
                return;
            }
            self.looked = (self.looked + 1) % self.quick.len().max(1);
            let Some(region) = self.quick.get(self.looked).and_then(|id| self.installed.get(id)) else {
                if self.looked < self.quick.len() {
                    self.quick.swap_remove(self.looked);
                }
                continue;
            };
            if region.request.quick.as_ref().is_some_and(|n| n.load(Ordering::Relaxed) >= enough) {
                let head = region.head;
                self.quick.swap_remove(self.looked);
                self.request(head, false, cache, jump, stats);
            }
        }
    }

    /// Has the region at a block compiled, or the one that is there compiled anew.
    fn request(
        &mut self,
        head: BlockId,
        quickly: bool,
        cache: &mut BlockCache<C>,
        jump: &mut [JumpEntry],
        stats: &mut EngineStats,
    ) {
        let Some(block) = cache.get(head) else { return };
        if block.entered && quickly {
            return;
        }
        let key = block.key;
        let view = View::new(cache, jump, &key, self.threshold);
        let blocks = form_region(key.pc, &view, if quickly { &Limits::QUICK } else { &Limits::WELL });
        let mut pages: Vec<CodePage> = Vec::new();
        let mut members: Vec<BlockId> = Vec::new();
        for (id, block) in blocks.iter().filter_map(|b| view.find(b.pc)) {
            members.push(id);
            let page = CodePage { va: block.key.pc & PAGE_MASK, host: block.host };
            if !pages.contains(&page) {
                pages.push(page);
            }
        }
        if blocks.is_empty() || members.len() != blocks.len() {
            return;
        }
        let id = self.next_id;
        self.next_id += 1;
        let quick = quickly.then(Arc::default);
        let verify = self.verify;
        let request = RegionRequest { id, mode: key.mode, blocks, pages, dump: false, verify, quick };
        for m in &members {
            self.by_block.entry(*m).or_default().push(id);
        }
        let pending = Pending { head, request: request.clone(), members };
        self.pending.insert(id, pending);
        match &mut self.back {
            Some(Back::Here(c)) => {
                let done = c.compile(request);
                self.finish(done, cache, jump, stats);
            }
            Some(Back::Thread(t)) => t.request(request),
            None => {}
        }
    }

    /// Installs what the compile thread has finished, and gives it more to do.
    pub fn collect(&mut self, cache: &mut BlockCache<C>, jump: &mut [JumpEntry], stats: &mut EngineStats) {
        while let Some(Back::Thread(t)) = &self.back
            && let Some(done) = t.poll()
        {
            self.finish(done, cache, jump, stats);
        }
        self.promote(cache, jump, stats);
        self.feed(cache, jump, stats);
    }

    fn finish(
        &mut self,
        done: Result<CompiledRegion, Box<Failure>>,
        cache: &mut BlockCache<C>,
        jump: &mut [JumpEntry],
        stats: &mut EngineStats,
    ) {
        let region = match done {
            Ok(r) => r,
            Err(f) => {
                let pending = self.pending.contains_key(&f.request.id);
                self.forget(f.request.id);
                match f.error {
                    CompileError::Empty(_) => {}
                    CompileError::Arena(ArenaError::Full { .. }) => self.evict(cache, jump, stats),
                    e => {
                        stats.regions_failed += u64::from(pending);
                        *self.failures.entry(e.to_string()).or_default() += 1;
                    }
                }
                return;
            }
        };
        stats.compile_ns += region.nanos;
        stats.regions += 1;
        stats.region_insns += u64::from(region.guest_insns);
        stats.region_bytes += region.code.bytes().len() as u64;
        let Some(p) = self.pending.remove(&region.id) else {
            stats.regions_stale += 1;
            return;
        };
        if let Some(old) = self.at(p.head).map(Region::id) {
            self.take_out(old, cache, jump, stats);
            stats.regions_promoted += 1;
        }
        if p.request.quick.is_some() {
            self.quick.push(region.id);
        }
        let mark = Mark::Region(p.head).pack();
        let mut entry = Box::new(RegionEntry::new(region.code.as_region(), region.id, mark));
        if let Some(head) = cache.get_mut(p.head) {
            head.set_enter(&raw mut *entry as u64);
            head.entered = true;
            head.stamp = 0;
            head.code = region.checked;
            // The dispatcher is to see it once, for the stamp.
            let entry = &mut jump[jump_index(head.key.pc)];
            if entry.va == head.key.pc {
                *entry = JumpEntry::EMPTY;
            }
        }
        cache.redirect(p.head, jump);
        self.installed.insert(
            region.id,
            Region {
                head: p.head,
                request: p.request,
                entry,
                code: region.code,
                body: region.body,
                checked: region.checked,
                links: Links::new(&region.links),
                members: p.members,
                insns: region.guest_insns,
                steps: OnceCell::new(),
            },
        );
    }

    /// Forgets what is known of a region.
    fn forget(&mut self, id: u64) -> Option<Region<C>> {
        let region = self.installed.remove(&id);
        let members = match (&region, self.pending.remove(&id)) {
            (Some(r), _) => r.members.clone(),
            (None, Some(p)) => p.members,
            (None, None) => return None,
        };
        for m in members {
            if let Some(v) = self.by_block.get_mut(&m) {
                v.retain(|x| *x != id);
                if v.is_empty() {
                    self.by_block.remove(&m);
                }
            }
        }
        region
    }

    /// Drops one region: its head is interpreted again. Not to be called while guest code runs.
    fn drop_region(
        &mut self,
        id: u64,
        cache: &mut BlockCache<C>,
        jump: &mut [JumpEntry],
        stats: &mut EngineStats,
    ) {
        stats.regions_dropped += u64::from(self.take_out(id, cache, jump, stats));
    }

    /// The same, uncounted; whether there was one.
    fn take_out(
        &mut self,
        id: u64,
        cache: &mut BlockCache<C>,
        jump: &mut [JumpEntry],
        stats: &mut EngineStats,
    ) -> bool {
        let Some(r) = self.forget(id) else { return false };
        self.unlink(id, &r.links);
        stats.t1_retired += r.entry.retired;
        if let Some(head) = cache.get_mut(r.head) {
            head.entered = false;
            head.code = self.out;
            head.trailer().heat.set(self.threshold);
        }
        cache.redirect(r.head, jump);
        true
    }

    /// Drops the regions that a block is part of, before the block itself goes.
    pub fn block_gone(
        &mut self,
        block: BlockId,
        cache: &mut BlockCache<C>,
        jump: &mut [JumpEntry],
        stats: &mut EngineStats,
    ) {
        self.waiting.retain(|b| *b != block);
        for id in self.by_block.remove(&block).unwrap_or_default() {
            self.drop_region(id, cache, jump, stats);
        }
    }

    /// The code arena is full: the half of the regions that has done least goes.
    fn evict(&mut self, cache: &mut BlockCache<C>, jump: &mut [JumpEntry], stats: &mut EngineStats) {
        let mut by_work: Vec<(u64, u64)> =
            self.installed.iter().map(|(id, r)| (r.entry.retired, *id)).collect();
        by_work.sort_unstable();
        by_work.truncate(by_work.len().div_ceil(2));
        for (_, id) in by_work {
            self.drop_region(id, cache, jump, stats);
        }
    }

    /// Drops everything, installed or on its way.
    pub fn clear(&mut self, stats: &mut EngineStats) {
        stats.regions_dropped += self.installed.len() as u64;
        stats.t1_retired += self.installed.values().map(|r| r.entry.retired).sum::<u64>();
        self.installed.clear();
        self.pending.clear();
        self.quick.clear();
        self.waiting.clear();
        self.by_block.clear();
    }

    /// Instructions retired in the regions that are installed now.
    pub fn retired(&self) -> u64 {
        self.installed.values().map(|r| r.entry.retired).sum()
    }

    /// The installed region with that number.
    pub fn get(&self, id: u64) -> Option<&Region<C>> {
        self.installed.get(&id)
    }

    /// The installed region that is entered at a block.
    pub fn at(&self, head: BlockId) -> Option<&Region<C>> {
        let ids = self.by_block.get(&head)?;
        ids.iter().filter_map(|id| self.installed.get(id)).find(|r| r.head == head)
    }

    /// Lets the region that is entered at `head` be entered by links as long as the mapping of its half of the addresses
    /// has that number.
    pub fn stamp(&self, head: BlockId, number: u32) {
        if let Some(r) = self.at(head) {
            r.code.stamp(r.pc(), number);
        }
    }

    /// The installed regions.
    pub fn iter(&self) -> impl Iterator<Item = &Region<C>> {
        self.installed.values()
    }

    /// Compiles a request again for its CLIF and host code; what the compile thread is at meanwhile is lost.
    pub fn dump(&mut self, mut request: RegionRequest) -> Result<Box<Dump>, String> {
        request.dump = true;
        request.id = self.next_id;
        self.next_id += 1;
        let done = match &mut self.back {
            Some(Back::Here(c)) => c.compile(request),
            Some(Back::Thread(t)) => {
                let id = request.id;
                t.request(request);
                loop {
                    match t.wait() {
                        None => return Err(String::from("the compile thread has ended")),
                        Some(Ok(r)) if r.id != id => {}
                        Some(Err(f)) if f.request.id != id => {}
                        Some(done) => break done,
                    }
                }
            }
            None => return Err(String::from("there is no compiler")),
        };
        match done {
            Ok(r) => r.dump.ok_or_else(|| String::from("the compiler kept no dump")),
            Err(f) => Err(format!("{}\n{}", f.error, f.clif.unwrap_or_default())),
        }
    }
}
