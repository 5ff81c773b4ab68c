//! [`CompileThread`]: a [`Compiler`] on a thread of its own.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::io;
use std::thread::JoinHandle;

use crossbeam::channel::{Receiver, Sender, TrySendError, bounded, unbounded};
use lyrebird_isa::Cpu;

use super::compiler::{CompileError, CompiledRegion, Compiler, Failure};
use super::host;
use super::region::RegionRequest;

/// Requests that may wait; the coldest beyond that are dropped.
const QUEUE: usize = 1024;

/// What comes back for every request.
pub type CompileResult = Result<CompiledRegion, Box<Failure>>;

/// A background compiler. Dropping it finishes the region at hand and drops the rest.
#[derive(Debug)]
pub struct CompileThread {
    requests: Option<Sender<RegionRequest>>,
    results: Receiver<CompileResult>,
    thread: Option<JoinHandle<()>>,
}

impl CompileThread {
    /// Starts the thread.
    pub fn spawn<C: Cpu>(compiler: Compiler<C>) -> io::Result<CompileThread> {
        let (requests, inbox) = bounded(QUEUE);
        let (outbox, results) = unbounded();
        let thread = std::thread::Builder::new().name("t1-compiler".into()).spawn(move || {
            host::lower_thread_priority();
            work(compiler, &inbox, &outbox);
        })?;
        Ok(CompileThread { requests: Some(requests), results, thread: Some(thread) })
    }

    /// Asks for a region. Never blocks; a request that finds the queue full comes back.
    pub fn request(&self, r: RegionRequest) -> Result<(), RegionRequest> {
        match &self.requests {
            Some(tx) => tx.try_send(r).map_err(TrySendError::into_inner),
            None => Err(r),
        }
    }

    /// The next finished request, if there is one. Never blocks.
    pub fn poll(&self) -> Option<CompileResult> {
        self.results.try_recv().ok()
    }

    /// Waits for the next finished request; `None` where the thread has ended.
    pub fn wait(&self) -> Option<CompileResult> {
        self.results.recv().ok()
    }
}

impl Drop for CompileThread {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(t) = self.thread.take() {
            // A panic of the compile thread has been reported by the panic hook; there is nothing left to do.
            drop(t.join());
        }
    }
}

/// A waiting request, ordered by heat, then by age.
struct Waiting {
    request: RegionRequest,
    seq: u64,
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> Ordering {
        self.request.heat.cmp(&other.request.heat).then(other.seq.cmp(&self.seq))
    }
}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Waiting {}

fn work<C: Cpu>(mut compiler: Compiler<C>, inbox: &Receiver<RegionRequest>, outbox: &Sender<CompileResult>) {
    let mut heap: BinaryHeap<Waiting> = BinaryHeap::new();
    let mut seq = 0;
    loop {
        if heap.is_empty() {
            match inbox.recv() {
                Ok(request) => heap.push(Waiting { request, seq }),
                Err(_) => return,
            }
            seq += 1;
        }
        loop {
            match inbox.try_recv() {
                Ok(request) => heap.push(Waiting { request, seq }),
                Err(e) if e.is_disconnected() => return,
                Err(_) => break,
            }
            seq += 1;
        }
        let Some(next) = heap.pop() else { continue };
        if heap.len() > QUEUE {
            let mut kept = std::mem::take(&mut heap).into_sorted_vec();
            for w in kept.drain(..kept.len() - QUEUE) {
                let failure = Failure { error: CompileError::Dropped, request: w.request, clif: None };
                if outbox.send(Err(Box::new(failure))).is_err() {
                    return;
                }
            }
            heap = BinaryHeap::from(kept);
        }
        if outbox.send(compiler.compile(next.request)).is_err() {
            return;
        }
    }
}
