//! The oracle's program: a static AArch64 executable assembled here, so that no cross compiler is needed.
//!
//! It lives in signal handlers. A test ends in a signal, be it that of the BRK behind its last instruction; the
//! handler sends the interrupted context out, reads the next test, puts its registers into the context and its
//! words into the code page, and returns from the signal into the test. So every register can be tested, and a
//! test can do what it wants with them.

use crate::state::{BRK, CODE, WINDOW, WINDOW_LEN};

/// Bytes of a test as it is sent in, and of a result without the window.
pub const RECORD: usize = 1024;
/// Offset in a record of the part that mirrors the signal context.
pub const CONTEXT: usize = 16;
/// Offset in a test of its words.
pub const WORDS: usize = CONTEXT + MIRROR;
/// Bytes of the signal context that are exchanged: from `fault_address` to the last vector register (Linux
/// `struct sigcontext` with its first record, `struct fpsimd_context`).
const MIRROR: usize = 816;
/// Offset of `uc_mcontext` in `struct ucontext`.
const MCONTEXT: u32 = 176;

/// Test flag: there is a test.
pub const VALID: u64 = 1;
/// Test flag: the window is sent back and restored.
pub const STORES: u64 = 2;

/// An address that tests do not hit by chance, and not far off: QEMU keeps a record of every page between the first
/// and the last address of a program.
const TEXT: u64 = 0x1_7e15_0000;
const PRISTINE: u64 = TEXT + 0x1_0000;
const DATA: u64 = TEXT + 0x2_0000;
/// Offsets from [`DATA`].
const IN: u32 = 0;
const OUT: u32 = 0x4000;
const ACTION: u32 = 0x800;
const STACK: u32 = 0x830;
const DATA_LEN: u64 = 0x3_0000;
/// Alternate signal stack, in the data segment.
const STACK_BASE: u64 = DATA + 0x1_0000;
const STACK_LEN: u64 = 0x1_0000;

/// Linux system calls of arm64.
mod nr {
    pub const READ: u64 = 63;
    pub const WRITE: u64 = 64;
    pub const EXIT: u64 = 93;
    pub const SIGALTSTACK: u64 = 132;
    pub const RT_SIGACTION: u64 = 134;
    pub const RT_SIGRETURN: u64 = 139;
}

const SIGNALS: [u64; 5] = [4, 5, 7, 8, 11];
/// SA_SIGINFO, SA_ONSTACK, SA_NODEFER.
const SA_FLAGS: u64 = 4 | 0x0800_0000 | 0x4000_0000;

/// Registers that keep their meaning: signal number, context, data segment, test flags.
const SIG: u32 = 19;
const CTX: u32 = 20;
const BASE: u32 = 21;
const FLAGS: u32 = 22;

/// An assembler for the few instructions needed.
#[derive(Default)]
struct Asm(Vec<u32>);

impl Asm {
    fn here(&self) -> usize {
        self.0.len()
    }
    fn word(&mut self, w: u32) {
        self.0.push(w);
    }
    /// MOVZ and MOVK.
    fn mov(&mut self, d: u32, v: u64) {
        self.word(0xd280_0000 | (v as u32 & 0xffff) << 5 | d);
        for i in 1..4 {
            let part = (v >> (16 * i)) as u32 & 0xffff;
            if part != 0 {
                self.word(0xf280_0000 | i << 21 | part << 5 | d);
            }
        }
    }
    /// ORR Xd, XZR, Xm.
    fn copy(&mut self, d: u32, m: u32) {
        self.word(0xaa00_03e0 | m << 16 | d);
    }
    /// ADD Xd, Xn, #imm, for 12-bit `imm` or a multiple of 4096.
    fn add(&mut self, d: u32, n: u32, imm: u32) {
        let (shift, imm) = if imm < 4096 { (0, imm) } else { (1, imm >> 12) };
        self.word(0x9100_0000 | shift << 22 | imm << 10 | n << 5 | d);
    }
    /// SUB Xd, Xn, Xm.
    fn sub(&mut self, d: u32, n: u32, m: u32) {
        self.word(0xcb00_0000 | m << 16 | n << 5 | d);
    }
    /// LDR Xt, `[Xn, #offset]`.
    fn load(&mut self, t: u32, n: u32, offset: u32) {
        self.word(0xf940_0000 | (offset / 8) << 10 | n << 5 | t);
    }
    /// STR Xt, `[Xn, #offset]`.
    fn store(&mut self, t: u32, n: u32, offset: u32) {
        self.word(0xf900_0000 | (offset / 8) << 10 | n << 5 | t);
    }
    /// CBNZ Xt, to an earlier place.
    fn loop_while(&mut self, t: u32, to: usize) {
        let offset = to.wrapping_sub(self.here()) as u32;
        self.word(0xb500_0000 | (offset & 0x7ffff) << 5 | t);
    }
    /// A forward branch to be bound: CBZ Xt, or TBZ Xt, #bit.
    fn forward(&mut self, w: u32) -> usize {
        self.word(w);
        self.here() - 1
    }
    /// Makes a CBZ (`bits` 19) or TBZ (14) lead here.
    fn bind(&mut self, at: usize, bits: u32) {
        let offset = (self.here() - at) as u32;
        assert!(offset < 1 << (bits - 1));
        self.0[at] |= offset << 5;
    }
    fn svc(&mut self, nr: u64) {
        self.mov(8, nr);
        self.word(0xd400_0001);
    }
    /// Copies `bytes` from `[Xfrom]` to `[Xto]`, 16 at a time; both pointers move on.
    fn copy_bytes(&mut self, to: u32, from: u32, bytes: usize) {
        assert!(bytes.is_multiple_of(16));
        self.mov(9, bytes as u64 / 16);
        let top = self.here();
        // LDP X10, X11, [Xfrom], #16; STP X10, X11, [Xto], #16; SUB X9, X9, #1.
        self.word(0xa8c1_2c0a | from << 5);
        self.word(0xa881_2c0a | to << 5);
        self.word(0xd100_0529);
        self.loop_while(9, top);
    }
    /// Calls read or write until X24 bytes at X23 are done; a count of zero or an error ends the program.
    fn transfer(&mut self, nr: u64, fd: u64) {
        let top = self.here();
        self.mov(0, fd);
        self.copy(1, 23);
        self.copy(2, 24);
        self.svc(nr);
        // CMP X0, #0; B.GT past the exit.
        self.word(0xf100_001f);
        self.word(0x5400_000c | 4 << 5);
        self.mov(0, 0);
        self.svc(nr::EXIT);
        // ADD X23, X23, X0.
        self.word(0x8b00_02f7);
        self.sub(24, 24, 0);
        self.loop_while(24, top);
    }
}

/// The code, and the offset of its entry.
fn text() -> (Vec<u32>, u64) {
    let mut a = Asm::default();
    // Handler: X0 signal, X1 siginfo, X2 ucontext.
    a.copy(SIG, 0);
    a.copy(CTX, 2);
    a.mov(BASE, DATA);
    a.load(FLAGS, BASE, IN);
    let first = a.forward(0xb400_0000 | FLAGS);
    // The result.
    a.add(23, BASE, OUT);
    a.store(SIG, 23, 0);
    a.add(12, 23, CONTEXT as u32);
    a.add(13, CTX, MCONTEXT);
    a.copy_bytes(12, 13, MIRROR);
    a.mov(24, RECORD as u64);
    // TBZ on STORES.
    let plain = a.forward(0x3608_0000 | FLAGS);
    a.add(12, BASE, OUT + 0x1000);
    a.mov(13, WINDOW);
    a.copy_bytes(12, 13, WINDOW_LEN);
    a.mov(12, WINDOW);
    a.mov(13, PRISTINE);
    a.copy_bytes(12, 13, WINDOW_LEN);
    a.mov(24, 0x1000 + WINDOW_LEN as u64);
    a.bind(plain, 14);
    a.transfer(nr::WRITE, 1);
    a.bind(first, 19);
    // The next test.
    a.add(23, BASE, IN);
    a.mov(24, RECORD as u64);
    a.transfer(nr::READ, 0);
    a.add(12, CTX, MCONTEXT);
    a.add(13, BASE, IN + CONTEXT as u32);
    a.copy_bytes(12, 13, MIRROR);
    // A null record ends the context: no SVE state to override the vector registers.
    a.store(31, 12, 0);
    a.mov(12, CODE);
    a.copy_bytes(12, 13, RECORD - WORDS);
    // MSR TPIDR_EL0, XZR: the one register of user code that is not in the context.
    a.word(0xd51b_d05f);
    a.svc(nr::RT_SIGRETURN);

    let entry = a.here() as u64 * 4;
    a.mov(BASE, DATA);
    a.mov(0, STACK_BASE);
    a.store(0, BASE, STACK);
    a.store(31, BASE, STACK + 8);
    a.mov(0, STACK_LEN);
    a.store(0, BASE, STACK + 16);
    a.add(0, BASE, STACK);
    a.mov(1, 0);
    a.svc(nr::SIGALTSTACK);
    a.mov(0, TEXT);
    a.store(0, BASE, ACTION);
    a.mov(0, SA_FLAGS);
    a.store(0, BASE, ACTION + 8);
    for signal in SIGNALS {
        a.mov(0, signal);
        a.add(1, BASE, ACTION);
        a.mov(2, 0);
        a.mov(3, 8);
        a.svc(nr::RT_SIGACTION);
    }
    a.word(BRK);
    (a.0, TEXT + entry)
}

/// The executable.
pub fn elf(pristine: &[u8]) -> Vec<u8> {
    let (text, entry) = text();
    let text: Vec<u8> = text.iter().flat_map(|w| w.to_le_bytes()).collect();
    let brk: Vec<u8> = BRK.to_le_bytes().repeat(1024);
    // PF_X, PF_W, PF_R.
    let segments: [(u64, u32, &[u8], u64); 5] = [
        (TEXT, 5, &text, text.len() as u64),
        (PRISTINE, 4, pristine, pristine.len() as u64),
        (DATA, 6, &[], DATA_LEN),
        (WINDOW, 6, pristine, pristine.len() as u64),
        (CODE, 7, &brk, brk.len() as u64),
    ];
    let mut out = Vec::new();
    // ELFCLASS64, ELFDATA2LSB; ET_EXEC, EM_AARCH64.
    out.extend(*b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\xb7\0\x01\0\0\0");
    out.extend(entry.to_le_bytes());
    out.extend(64u64.to_le_bytes());
    out.extend([0; 12]);
    out.extend([64, 0, 56, 0, segments.len() as u8, 0, 0, 0, 0, 0, 0, 0]);
    let mut at = 0x1000u64;
    for (va, flags, bytes, memsz) in segments {
        out.extend(1u32.to_le_bytes());
        out.extend(flags.to_le_bytes());
        for v in [at, va, va, bytes.len() as u64, memsz, 0x1000] {
            out.extend(v.to_le_bytes());
        }
        at += (bytes.len() as u64).next_multiple_of(0x1000);
    }
    for (_, _, bytes, _) in segments {
        out.resize(out.len().next_multiple_of(0x1000), 0);
        out.extend(bytes);
    }
    out
}
