//! [`CompileThread`]: a [`Compiler`] on a thread of its own.

use std::io;
use std::thread::JoinHandle;

use crossbeam::channel::{Receiver, Sender, unbounded};
use lyrebird_isa::Cpu;

use super::compiler::{CompiledRegion, Compiler, Failure};
use super::host;
use super::region::RegionRequest;

/// What comes back for every request.
pub type CompileResult = Result<CompiledRegion, Box<Failure>>;

/// A background compiler. Dropping it finishes the region at hand and drops the rest.
#[derive(Debug)]
pub struct CompileThread {
    requests: Option<Sender<RegionRequest>>,
    /// What the thread has not begun with.
    backlog: Receiver<RegionRequest>,
    results: Receiver<CompileResult>,
    thread: Option<JoinHandle<()>>,
}

impl CompileThread {
    /// Starts the thread.
    pub fn spawn<C: Cpu>(compiler: Compiler<C>) -> io::Result<CompileThread> {
        let (requests, inbox) = unbounded();
        let backlog = inbox.clone();
        let (outbox, results) = unbounded();
        let thread = std::thread::Builder::new().name("t1-compiler".into()).spawn(move || {
            host::lower_thread_priority();
            work(compiler, &inbox, &outbox);
        })?;
        Ok(CompileThread { requests: Some(requests), backlog, results, thread: Some(thread) })
    }

    /// Asks for a region, after those asked for before. Never blocks.
    pub fn request(&self, r: RegionRequest) {
        if let Some(tx) = &self.requests {
            // Fails only where the thread has ended by a panic, which the panic hook has reported.
            drop(tx.send(r));
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
        while self.backlog.try_recv().is_ok() {}
        if let Some(t) = self.thread.take() {
            // A panic of the compile thread has been reported by the panic hook; there is nothing left to do.
            drop(t.join());
        }
    }
}

fn work<C: Cpu>(mut compiler: Compiler<C>, inbox: &Receiver<RegionRequest>, outbox: &Sender<CompileResult>) {
    while let Ok(request) = inbox.recv() {
        if outbox.send(compiler.compile(request)).is_err() {
            return;
        }
    }
}
