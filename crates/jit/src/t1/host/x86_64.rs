//! What stands around compiled regions on x86-64 hosts: entry, exit, and functions without frames.
//!
//! Cranelift's tail convention builds a frame in every function and takes it down in front of every tail call, which
//! costs more than the jump. All regions use the same frame instead, made once at entry ([`enter`]) and taken down at
//! exit ([`exit`]): [`strip`] lets a function begin behind its prologue, and jump before its epilogues. What a function
//! keeps on the stack it addresses upwards from RSP.

use std::ops::Range;

/// Bytes of stack that regions share.
const FRAME: u32 = 4096;

/// What is taken off RSP behind the saved registers: the frame is 16-byte aligned.
const DOWN: u32 = FRAME + 8;

/// Appends an instruction's displacement from RDI, in one byte.
fn at_core(b: &mut Vec<u8>, offset: u32) {
    debug_assert!(offset < 128, "among the first of the core's fields");
    b.push(offset as u8);
}

/// `enter(core)` with the address of a function in RAX, for callers with the host's convention: makes the frame, goes to
/// the function with the core and what stands at offset `budget` in it, and returns what [`exit`] says. Regions need not
/// keep any register.
pub fn enter(budget: u32) -> Vec<u8> {
    // push rbx, rbp, r12 to r15; sub rsp, imm32; mov rsi, [rdi + budget]; jmp rax
    let mut b = vec![0x53, 0x55, 0x41, 0x54, 0x41, 0x55, 0x41, 0x56, 0x41, 0x57, 0x48, 0x81, 0xec];
    b.extend(DOWN.to_le_bytes());
    b.extend([0x48, 0x8b, 0x77]);
    at_core(&mut b, budget);
    b.extend([0xff, 0xe0]);
    b
}

/// `exit(core, why)`, jumped to from a region: returns `why` to the caller of [`enter`].
pub fn exit() -> Vec<u8> {
    // mov rax, rsi; add rsp, imm32; pop r15 to r12, rbp, rbx; ret
    let mut b = vec![0x48, 0x89, 0xf0, 0x48, 0x81, 0xc4];
    b.extend(DOWN.to_le_bytes());
    b.extend([0x41, 0x5f, 0x41, 0x5e, 0x41, 0x5d, 0x41, 0x5c, 0x5d, 0x5b, 0xc3]);
    b
}

/// `exit_at(core, budget, pc)`, jumped to: returns a fixed `why`, with budget and address at those offsets in the core.
pub fn exit_at(why: u32, budget: u32, pc: u32) -> Vec<u8> {
    // mov [rdi + budget], rsi; mov [rdi + pc], rdx; mov esi, imm32
    let mut b = vec![0x48, 0x89, 0x77];
    at_core(&mut b, budget);
    b.extend([0x48, 0x89, 0x57]);
    at_core(&mut b, pc);
    b.push(0xbe);
    b.extend(why.to_le_bytes());
    b.extend(exit());
    b
}

/// What compiled code calls for `thunk(core)`, which keeps all registers, at address `at`: returns only if the fault at
/// that offset in the core is none, else leaves by `exit` with `why`.
pub fn guard(at: u64, thunk: u64, fault: u32, exit: u64, why: u32) -> [u8; GUARD] {
    let mut b = Vec::with_capacity(GUARD);
    // sub rsp, 8; call thunk; add rsp, 8
    b.extend([0x48, 0x83, 0xec, 8]);
    jump_to(&mut b, at, &[0xe8], thunk);
    b.extend([0x48, 0x83, 0xc4, 8]);
    // cmp qword [rdi + fault], 0; jne over; ret
    b.extend([0x48, 0x83, 0x7f]);
    at_core(&mut b, fault);
    b.extend([0, 0x75, 1, 0xc3]);
    // over: add rsp, 8; mov esi, imm32; jmp exit
    b.extend([0x48, 0x83, 0xc4, 8, 0xbe]);
    b.extend(why.to_le_bytes());
    jump_to(&mut b, at, &[0xe9], exit);
    let mut guard = [0; GUARD];
    guard.copy_from_slice(&b);
    guard
}

/// Bytes of a [`guard`].
pub const GUARD: usize = 35;

/// `jump(core, budget, pc, code)`, jumped to: goes to `code`. Each branch of a guest gets its own, so that the host can
/// predict it.
pub fn jump() -> Vec<u8> {
    vec![0xff, 0xe1]
}

/// Where a link leads at first: goes on with `pc` and `name` behind core and budget. The displacement of its jump is its
/// last four bytes.
pub fn link_stub(pc: u64, name: u64) -> Vec<u8> {
    let mut b = Vec::with_capacity(25);
    for (register, value) in [(0xba, pc), (0xb9, name)] {
        match u32::try_from(value) {
            // mov edx or ecx, imm32, which clears the upper half
            Ok(value) => {
                b.push(register);
                b.extend(value.to_le_bytes());
            }
            // mov rdx or rcx, imm64
            Err(_) => {
                b.extend([0x48, register]);
                b.extend(value.to_le_bytes());
            }
        }
    }
    b.extend([0xe9, 0, 0, 0, 0]);
    b
}

/// Bytes in front of a region's function, which [`front`] makes.
pub const LEAD: usize = 32;

/// Of these, the bytes from where regions on other pages jump to: a check.
pub const CHECKED: usize = 17;

/// How far in front of a function the four bytes are that [`stamp`] makes. Those it begins with match no number.
pub const STAMP: usize = 10;

/// Appends a jump or call to code that begins at `at`.
fn jump_to(b: &mut Vec<u8>, at: u64, opcode: &[u8], to: u64) {
    b.extend(opcode);
    let rel = to.wrapping_sub(at + b.len() as u64 + 4) as u32;
    b.extend(rel.to_le_bytes());
}

/// What stands in front of the function behind it, at address `at`.
///
/// First, for callers with the host's convention, `front(core)`: enters the function. Behind it, [`CHECKED`] bytes in front
/// of the function, where regions on other pages jump to: goes on to the function if the mapping of code is known by the
/// number that [`stamp`] has put here, else to `recheck`.
pub fn front(at: u64, enter: u64, recheck: u64, check: &Check) -> [u8; LEAD] {
    let mut b = Vec::with_capacity(LEAD);
    // mov rax, imm64; jmp enter
    b.extend([0x48, 0xb8]);
    b.extend((at + LEAD as u64).to_le_bytes());
    jump_to(&mut b, at, &[0xe9], enter);
    debug_assert_eq!(b.len(), LEAD - CHECKED, "the check begins here");
    // The number of the lower half is bits 16 to 39, that of the upper one bits 40 to 63.
    let (byte, shift) = if check.page >> 63 == 0 { (2, [0xc1, 0xe0, 8]) } else { (4, [0xc1, 0xe8, 8]) };
    // mov eax, [rdi + ctx + byte]; shl or shr eax, 8; cmp eax, imm32; jne recheck
    b.extend([0x8b, 0x47]);
    at_core(&mut b, check.ctx + byte);
    b.extend(shift);
    b.push(0x3d);
    debug_assert_eq!(b.len(), LEAD - STAMP, "the number is compared here");
    b.extend(u32::MAX.to_le_bytes());
    jump_to(&mut b, at, &[0x0f, 0x85], recheck);
    let mut front = [0; LEAD];
    front.copy_from_slice(&b);
    front
}

/// Bytes of [`recheck`].
pub const RECHECK: usize = 61;

/// Goes to `function` if the inline TLB maps the page for execution to the host page that it was compiled from; else to
/// `fetch`, an [`exit_at`]. A TLB is given by the offsets of its table's address in the core, and of the page's tag and
/// addend in the table.
pub fn recheck(at: u64, function: u64, fetch: u64, check: &Check) -> [u8; RECHECK] {
    let mut b = Vec::with_capacity(RECHECK);
    // mov rax, [rdi + tlb]
    b.extend([0x48, 0x8b, 0x47]);
    at_core(&mut b, check.tlb);
    let compare = |b: &mut Vec<u8>, value: u64, offset: u32| {
        // mov rcx, imm64; cmp [rax + offset], rcx
        b.extend([0x48, 0xb9]);
        b.extend(value.to_le_bytes());
        b.extend([0x48, 0x39, 0x88]);
        b.extend(offset.to_le_bytes());
    };
    compare(&mut b, check.page, check.exec);
    // jne over the next comparison and jump
    b.extend([0x75, 23]);
    compare(&mut b, check.addend, check.addend_at);
    jump_to(&mut b, at, &[0x0f, 0x84], function);
    // mov rdx, imm64; jmp fetch
    b.extend([0x48, 0xba]);
    b.extend(check.pc.to_le_bytes());
    jump_to(&mut b, at, &[0xe9], fetch);
    let mut recheck = [0; RECHECK];
    recheck.copy_from_slice(&b);
    recheck
}

/// What a [`front`] compares with where the mapping of the half of the addresses that `page` is in has that number, which is
/// 24 bits wide.
pub fn stamp(page: u64, number: u32) -> u32 {
    if page >> 63 == 0 { number << 8 } else { number }
}

/// What the checked entry of a region compares.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    /// Offset of [`lyrebird_isa::Core::code_ctx`] in the core.
    pub ctx: u32,
    /// Offset of the inline TLB's address in the core.
    pub tlb: u32,
    /// Offset of the page's execute tag in the TLB.
    pub exec: u32,
    /// Offset of the page's addend in the TLB.
    pub addend_at: u32,
    /// Virtual address of the region's head.
    pub pc: u64,
    /// Virtual address of its page.
    pub page: u64,
    /// Its addend as it has to be.
    pub addend: u64,
}

/// The code has not the form in which Cranelift 0.135 writes functions of the tail convention.
#[derive(Debug, thiserror::Error)]
pub enum ShapeError {
    /// It begins otherwise.
    #[error("unknown prologue")]
    Prologue,
    /// A tail call does.
    #[error("unknown epilogue")]
    Epilogue,
    /// Something else.
    #[error("unknown instruction")]
    Code,
    /// It wants more stack than regions have.
    #[error("a frame of {0} bytes")]
    Frame(u32),
}

/// Length of the instruction with which a prologue saves a register that callees keep, if `code` begins with one.
fn save(code: &[u8]) -> Option<usize> {
    // mov [rsp + 0, 8 or 32 bits], reg
    let [rex @ (0x48 | 0x4c), 0x89, modrm, 0x24, ..] = *code else { return None };
    let len = match modrm & 0xc7 {
        0x04 => 4,
        0x44 => 5,
        0x84 => 8,
        _ => return None,
    };
    // rbx, r12 to r15
    let reg = (rex & 4) << 1 | modrm >> 3 & 7;
    (matches!(reg, 3 | 12..) && code.len() >= len).then_some(len)
}

/// Takes the frame away from a function; `calls` are the offsets of the displacements of its tail calls, and are moved
/// to where those are now. Returns what is never reached, the prologue first.
pub fn strip(code: &mut [u8], calls: &mut [usize]) -> Result<Vec<Range<usize>>, ShapeError> {
    // push rbp; mov rbp, rsp
    const SETUP: [u8; 4] = [0x55, 0x48, 0x89, 0xe5];
    // mov rsp, rbp; pop rbp; jmp
    const RESTORE: [u8; 5] = [0x48, 0x89, 0xec, 0x5d, 0xe9];
    if !code.starts_with(&SETUP) {
        return Err(ShapeError::Prologue);
    }
    // sub rsp, N and its counterpart add rsp, N, in either length
    let (size, add) = match code[SETUP.len()..] {
        [0x48, 0x83, 0xec, n, ..] => (u32::from(n), vec![0x48, 0x83, 0xc4, n]),
        [0x48, 0x81, 0xec, a, b, c, d, ..] => {
            (u32::from_le_bytes([a, b, c, d]), vec![0x48, 0x81, 0xc4, a, b, c, d])
        }
        _ => (0, Vec::new()),
    };
    if size > FRAME {
        return Err(ShapeError::Frame(size));
    }
    let mut entry = SETUP.len() + add.len();
    let mut epilogue = Vec::new();
    while let Some(len) = save(&code[entry..]) {
        // The counterpart loads.
        epilogue.extend(&code[entry..entry + len]);
        let opcode = epilogue.len() - len + 1;
        epilogue[opcode] = 0x8b;
        entry += len;
    }
    epilogue.extend(add.iter().chain(&RESTORE));
    let mut dead: Vec<Range<usize>> = std::iter::once(0..entry).collect();
    for site in calls {
        let start = site.checked_sub(epilogue.len()).ok_or(ShapeError::Epilogue)?;
        if code[start..*site] != epilogue {
            return Err(ShapeError::Epilogue);
        }
        // The jump comes first; what is left of the epilogue is never reached.
        let end = *site + 4;
        code[start] = 0xe9;
        code[start + 5..end].fill(0xcc);
        *site = start + 1;
        dead.push(start + 5..end);
    }
    dead.sort_unstable_by_key(|d| d.start);
    Ok(dead)
}

/// Sets bit 3 of the immediate of ROUNDSS and its kin in `code`, which keeps the precision exception away (SDM Vol. 2,
/// ROUNDPD). Besides them there are moves and zeroings of registers in `code`, none with four bytes like theirs: a
/// displacement in a frame has zeros where those have an opcode.
pub fn silence(code: &mut [u8]) -> Result<(), ShapeError> {
    let mut found = false;
    for at in 0..code.len() {
        // 66 [REX] 0F 3A 08 to 0B, or its VEX form; from one register to another.
        let imm = match code[at..] {
            [0xc4, map, last, 8..=11, 0xc0..=0xff, 0..=3, ..] if map & 0x1f == 3 && last & 3 == 1 => at + 5,
            [0x66, 0x0f, 0x3a, 8..=11, 0xc0..=0xff, 0..=3, ..] => at + 5,
            [0x66, 0x40..=0x4f, 0x0f, 0x3a, 8..=11, 0xc0..=0xff, 0..=3, ..] => at + 6,
            _ => continue,
        };
        code[imm] |= 8;
        found = true;
    }
    if found { Ok(()) } else { Err(ShapeError::Code) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roundings_are_silenced() {
        // vpxor xmm2, xmm2, xmm2; vroundsd xmm1, xmm2, xmm9, 1; vroundps xmm3, xmm4, 0; movaps xmm5, xmm1
        let mut code = vec![0xc5, 0xe9, 0xef, 0xd2, 0xc4, 0xc3, 0x69, 0x0b, 0xc9, 1];
        code.extend([0xc4, 0xe3, 0x79, 0x08, 0xdc, 0, 0x0f, 0x28, 0xe9]);
        let was = code.clone();
        silence(&mut code).expect("there are two");
        let changed: Vec<(usize, u8)> = code
            .iter()
            .zip(&was)
            .enumerate()
            .filter(|(_, (a, b))| a != b)
            .map(|(i, (a, _))| (i, *a))
            .collect();
        assert_eq!(changed, [(9, 9), (15, 8)]);
        // roundsd xmm1, xmm2, 3; roundss xmm9, xmm2, 2
        let mut code = [0x66, 0x0f, 0x3a, 0x0b, 0xca, 3, 0x66, 0x44, 0x0f, 0x3a, 0x0a, 0xca, 2];
        silence(&mut code).expect("there are two");
        assert_eq!((code[5], code[12]), (11, 10));
        // roundsd xmm1, [rax], 3 is not what is emitted.
        assert!(matches!(silence(&mut [0x66, 0x0f, 0x3a, 0x0b, 0x08, 3]), Err(ShapeError::Code)));
    }

    #[test]
    fn a_frame_is_taken_away() {
        // push rbp; mov rbp, rsp; sub rsp, 32; nop; add rsp, 32; mov rsp, rbp; pop rbp; jmp
        let mut code = vec![0x55, 0x48, 0x89, 0xe5, 0x48, 0x83, 0xec, 32, 0x90];
        code.extend([0x48, 0x83, 0xc4, 32, 0x48, 0x89, 0xec, 0x5d, 0xe9, 1, 2, 3, 4]);
        let mut calls = [code.len() - 4];
        assert_eq!(strip(&mut code, &mut calls).expect("the known form"), [0..8, 14..code.len()]);
        assert_eq!((code[9], calls[0]), (0xe9, 10));
        assert!(code[14..].iter().all(|b| *b == 0xcc));
    }

    #[test]
    fn so_are_registers_saved() {
        // push rbp; mov rbp, rsp; sub rsp, 32; mov [rsp], rbx; mov [rsp + 8], r12; nop
        let mut code = vec![0x55, 0x48, 0x89, 0xe5, 0x48, 0x83, 0xec, 32];
        code.extend([0x48, 0x89, 0x1c, 0x24, 0x4c, 0x89, 0x64, 0x24, 8, 0x90]);
        // mov rbx, [rsp]; mov r12, [rsp + 8]; add rsp, 32; mov rsp, rbp; pop rbp; jmp
        code.extend([0x48, 0x8b, 0x1c, 0x24, 0x4c, 0x8b, 0x64, 0x24, 8]);
        code.extend([0x48, 0x83, 0xc4, 32, 0x48, 0x89, 0xec, 0x5d, 0xe9, 1, 2, 3, 4]);
        let mut calls = [code.len() - 4];
        assert_eq!(strip(&mut code, &mut calls).expect("the known form"), [0..17, 23..code.len()]);
        assert_eq!((code[18], calls[0]), (0xe9, 19));
        // A register that is not kept is none of the prologue's.
        assert_eq!(save(&[0x48, 0x89, 0x3c, 0x24]), None);
    }

    #[test]
    fn other_forms_are_refused() {
        assert!(matches!(strip(&mut [0x90, 0xc3], &mut []), Err(ShapeError::Prologue)));
        let mut code = vec![0x55, 0x48, 0x89, 0xe5, 0x48, 0x83, 0xec, 32, 0xe9, 0, 0, 0, 0];
        assert!(matches!(strip(&mut code, &mut [9]), Err(ShapeError::Epilogue)));
        let mut code = vec![0x55, 0x48, 0x89, 0xe5, 0x48, 0x81, 0xec, 0, 0, 1, 0];
        assert!(matches!(strip(&mut code, &mut []), Err(ShapeError::Frame(0x10000))));
    }
}
