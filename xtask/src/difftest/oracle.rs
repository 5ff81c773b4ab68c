//! The oracle process: tests in, results out.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use lyrebird_isa::V128;

use crate::process::Process;
use crate::program::{self, CONTEXT, RECORD, STORES, VALID, WORDS};
use crate::state::{After, BRK, CODE, MAX_WORDS, Outcome, State, WINDOW_LEN, changes};

/// Offsets in a record, following `struct sigcontext`.
const FAULT: usize = CONTEXT;
const X: usize = FAULT + 8;
const PC: usize = X + 8 * 32;
const PSTATE: usize = PC + 8;
const FPSIMD: usize = PSTATE + 16;
const V: usize = FPSIMD + 16;
/// FPSIMD_MAGIC, and the size of the record.
const FPSIMD_HEAD: u64 = 0x4650_8001 | 528 << 32;

/// A test for the oracle.
#[derive(Clone, Debug)]
pub struct Question {
    /// The instructions, at most [`MAX_WORDS`].
    pub words: Vec<u32>,
    /// The registers before.
    pub state: State,
    /// Whether the window may change.
    pub stores: bool,
}

impl Question {
    fn record(&self) -> Vec<u8> {
        assert!(self.words.len() <= MAX_WORDS);
        let mut r = vec![0; RECORD];
        let mut put = |at: usize, v: u64| r[at..at + 8].copy_from_slice(&v.to_le_bytes());
        put(0, VALID | if self.stores { STORES } else { 0 });
        for (i, v) in self.state.x.iter().enumerate() {
            put(X + 8 * i, *v);
        }
        put(PC, self.state.pc);
        put(PSTATE, self.state.nzcv);
        put(FPSIMD, FPSIMD_HEAD);
        put(FPSIMD + 8, self.state.fpsr | self.state.fpcr << 32);
        for (i, v) in self.state.v.iter().enumerate() {
            put(V + 16 * i, v.0[0]);
            put(V + 16 * i + 8, v.0[1]);
        }
        for i in 0..MAX_WORDS + 1 {
            let w = self.words.get(i).copied().unwrap_or(BRK);
            r[WORDS + 4 * i..][..4].copy_from_slice(&w.to_le_bytes());
        }
        r
    }
}

/// A running oracle.
#[derive(Debug)]
pub struct Oracle {
    process: Process,
    file: PathBuf,
    pristine: Vec<u8>,
}

impl Oracle {
    /// Starts `qemu` with that CPU model.
    pub fn start(qemu: &Path, cpu: &str, pristine: &[u8], id: usize) -> Result<Oracle> {
        let file = std::env::temp_dir().join(format!("lyrebird-oracle-{}-{id}", std::process::id()));
        std::fs::write(&file, program::elf(pristine)).with_context(|| file.display().to_string())?;
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o700))?;
        let process = Process::start(Command::new(qemu).args(["-cpu", cpu]).arg(&file)).or_else(|e| {
            let _ = std::fs::remove_file(&file);
            bail!(
                "cannot start the oracle {}: {e}; install Debian's qemu-user-static, or name one with --oracle",
                qemu.display()
            )
        })?;
        Ok(Oracle { process, file, pristine: pristine.to_vec() })
    }

    /// Sends a batch; its answers are read one by one with [`Oracle::answer`].
    pub fn ask(&mut self, batch: &[Question]) {
        self.process.ask(batch.iter().flat_map(|q| q.record()).collect());
    }

    /// The answer to the next question sent, which was `q`.
    pub fn answer(&mut self, q: &Question) -> Result<After> {
        let mut r = vec![0; if q.stores { 0x1000 + WINDOW_LEN } else { RECORD }];
        self.process.answer(&mut r, || format!("{:08x?}", q.words))?;
        let get = |at: usize| r[at..at + 8].iter().rev().fold(0u64, |v, &b| v << 8 | b as u64);
        let mut s = q.state.clone();
        for (i, x) in s.x.iter_mut().enumerate() {
            *x = get(X + 8 * i);
        }
        for (i, v) in s.v.iter_mut().enumerate() {
            *v = V128([get(V + 16 * i), get(V + 16 * i + 8)]);
        }
        s.pc = get(PC);
        s.nzcv = get(PSTATE) & 0xf000_0000;
        s.fpsr = get(FPSIMD + 8) & 0xffff_ffff;
        s.fpcr = get(FPSIMD + 8) >> 32;
        let inside = s.pc & 3 == 0 && s.pc.wrapping_sub(CODE) < 4 * q.words.len() as u64;
        let outcome = match get(0) {
            5 => Outcome::End,
            7 | 11 if !inside => Outcome::End,
            4 => Outcome::Undefined,
            7 => Outcome::Alignment(get(FAULT)),
            11 => Outcome::Abort(get(FAULT)),
            n => Outcome::Other(n as u32),
        };
        let stores = if q.stores { changes(&self.pristine, &r[0x1000..]) } else { Vec::new() };
        Ok(After { outcome, state: s, stores })
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.file);
    }
}
