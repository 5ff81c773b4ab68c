//! What stands around compiled regions on x86-64 hosts: entry, exit, and functions without frames.
//!
//! Cranelift's tail convention builds a frame in every function and takes it down in front of every tail call, which
//! costs more than the jump. All regions use the same frame instead, made once at entry ([`enter`]) and taken down at
//! exit ([`exit`]): [`strip`] lets a function begin behind its prologue, and jump before its epilogues. What a function
//! keeps on the stack it addresses upwards from RSP.

/// Bytes of stack that regions share.
const FRAME: u32 = 4096;

/// What is taken off RSP behind the saved registers: the frame is 16-byte aligned.
const DOWN: u32 = FRAME + 8;

/// `enter(core, code)`, for callers with the host's convention: makes the frame, goes to `code` with `core`, and returns
/// what [`exit`] says. Regions need not keep any register.
pub fn enter() -> Vec<u8> {
    // push rbx, rbp, r12 to r15; sub rsp, imm32; jmp rsi
    let mut b = vec![0x53, 0x55, 0x41, 0x54, 0x41, 0x55, 0x41, 0x56, 0x41, 0x57, 0x48, 0x81, 0xec];
    b.extend(DOWN.to_le_bytes());
    b.extend([0xff, 0xe6]);
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

/// The same for a fixed `why`.
pub fn exit_with(why: u32) -> Vec<u8> {
    // mov esi, imm32
    let mut b = vec![0xbe];
    b.extend(why.to_le_bytes());
    b.extend(exit());
    b
}

/// `jump(core, code)`, jumped to: goes to `code`. Each branch of a guest gets its own, so that the host can predict it.
pub fn jump() -> Vec<u8> {
    vec![0xff, 0xe6]
}

/// Bytes in front of a region's function.
pub const FRONT: usize = 96;

/// What stands in front of the function at `function`, at address `at`.
///
/// First, for callers with the host's convention, `front(core)`: enters the function. Behind it,
/// [`CHECKED`] bytes further, where regions on other pages jump to: goes to the function if the mapping of code is known
/// by the number that [`stamp`] has put here, or if the inline TLB maps `page` for execution to the host page that it was
/// compiled from; else to `fetch`. A TLB is given by the offsets of its table's address in the core, and of the page's tag
/// and addend in the table.
pub fn front(at: u64, function: u64, enter: u64, fetch: u64, check: &Check) -> [u8; FRONT] {
    let mut b = Vec::with_capacity(FRONT);
    let jump = |b: &mut Vec<u8>, opcode: &[u8], to: u64| {
        b.extend(opcode);
        let rel = to.wrapping_sub(at + b.len() as u64 + 4) as u32;
        b.extend(rel.to_le_bytes());
    };
    // mov rsi, imm64; jmp enter
    b.extend([0x48, 0xbe]);
    b.extend(function.to_le_bytes());
    jump(&mut b, &[0xe9], enter);
    b.resize(CHECKED, 0xcc);
    // The number of the lower half is bits 16 to 39, that of the upper one bits 40 to 63.
    let (byte, shift) = if check.page >> 63 == 0 { (2, [0xc1, 0xe0, 8]) } else { (4, [0xc1, 0xe8, 8]) };
    // mov eax, [rdi + ctx + byte]; shl or shr eax, 8; cmp eax, imm32; je function
    b.extend([0x8b, 0x87]);
    b.extend((check.ctx + byte).to_le_bytes());
    b.extend(shift);
    b.push(0x3d);
    debug_assert_eq!(b.len(), STAMP, "the number is compared here");
    b.extend(u32::MAX.to_le_bytes());
    jump(&mut b, &[0x0f, 0x84], function);
    // mov rax, [rdi + tlb]
    b.extend([0x48, 0x8b, 0x87]);
    b.extend(check.tlb.to_le_bytes());
    for (value, offset) in [(check.page, check.exec), (check.addend, check.addend_at)] {
        // mov rcx, imm64; cmp [rax + offset], rcx; jne fetch
        b.extend([0x48, 0xb9]);
        b.extend(value.to_le_bytes());
        b.extend([0x48, 0x39, 0x88]);
        b.extend(offset.to_le_bytes());
        jump(&mut b, &[0x0f, 0x85], fetch);
    }
    jump(&mut b, &[0xe9], function);
    b.resize(FRONT, 0xcc);
    let mut front = [0; FRONT];
    front.copy_from_slice(&b);
    front
}

/// Where in [`front`] the checked entry is.
pub const CHECKED: usize = 16;

/// Where in [`front`] the four bytes are that [`stamp`] makes. Those it begins with match no number.
pub const STAMP: usize = CHECKED + 10;

/// What a front compares with where the mapping of the half of the addresses that `page` is in has that number, which is
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
    /// Virtual address of the page.
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
/// to where those are now. Returns the offset at which the function begins.
pub fn strip(code: &mut [u8], calls: &mut [usize]) -> Result<usize, ShapeError> {
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
    }
    Ok(entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_taken_away() {
        // push rbp; mov rbp, rsp; sub rsp, 32; nop; add rsp, 32; mov rsp, rbp; pop rbp; jmp
        let mut code = vec![0x55, 0x48, 0x89, 0xe5, 0x48, 0x83, 0xec, 32, 0x90];
        code.extend([0x48, 0x83, 0xc4, 32, 0x48, 0x89, 0xec, 0x5d, 0xe9, 1, 2, 3, 4]);
        let mut calls = [code.len() - 4];
        assert_eq!(strip(&mut code, &mut calls).expect("the known form"), 8);
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
        assert_eq!(strip(&mut code, &mut calls).expect("the known form"), 17);
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
