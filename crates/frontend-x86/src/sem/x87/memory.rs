//! Forms with a memory operand.

use lyrebird_fp::x86::x87::{self, Env, F80};
use lyrebird_fp::{F32, F64, Format, Round};
use lyrebird_isa::Size;

use super::{Fop, arith, sw};
use crate::X86Cpu;
use crate::cpu::X87;
use crate::exception::Outcome;
use crate::sem::memory::At;

/// Executes it.
pub fn execute(cpu: &mut X86Cpu, fop: Fop, pc: u64, at: At) -> Outcome<()> {
    match (fop.op(), fop.reg()) {
        (1, 4) => load_environment(cpu, at, false),
        (1, 5) => {
            let v = load(cpu, at, Size::B2)? as u16;
            cpu.x87.set_cw(v);
            Ok(())
        }
        (1, 6) => store_environment(cpu, at, false),
        (1, 7) => {
            let v = cpu.x87.cw;
            store(cpu, at, &v.to_le_bytes()).map(drop)
        }
        (5, 4) => load_environment(cpu, at, true),
        (5, 6) => store_environment(cpu, at, true),
        (5, 7) => {
            let v = cpu.x87.sw;
            store(cpu, at, &v.to_le_bytes()).map(drop)
        }
        (0 | 2 | 4 | 6, op) => {
            let mut env = Env::new(cpu.x87.cw);
            let v = match fop.op() {
                0 => x87::extend::<F32>(&mut env, load(cpu, at, Size::B4)? as u32),
                2 => x87::from_int(load(cpu, at, Size::B4)? as i32 as i64),
                4 => x87::extend::<F64>(&mut env, load(cpu, at, Size::B8)?),
                _ => x87::from_int(load(cpu, at, Size::B2)? as i16 as i64),
            };
            cpu.record_x87(fop, pc, Some(at));
            arithmetic(&mut cpu.x87, op, env, v);
            Ok(())
        }
        (1 | 5, 0) => {
            let mut env = Env::new(cpu.x87.cw);
            let v = if fop.op() == 1 {
                let v = load(cpu, at, Size::B4)? as u32;
                x87::load::<F32>(&mut env, v)
            } else {
                let v = load(cpu, at, Size::B8)?;
                x87::load::<F64>(&mut env, v)
            };
            cpu.record_x87(fop, pc, Some(at));
            let f = &mut cpu.x87;
            if f.has_room() {
                f.retire(&env);
                if !env.load_blocked() {
                    f.push(v);
                }
            }
            Ok(())
        }
        (3, 0) | (7, 0 | 5) | (3, 5) | (7, 4) => {
            let v = match (fop.op(), fop.reg()) {
                (3, 0) => x87::from_int(load(cpu, at, Size::B4)? as i32 as i64),
                (7, 0) => x87::from_int(load(cpu, at, Size::B2)? as i16 as i64),
                (7, 5) => x87::from_int(load(cpu, at, Size::B8)? as i64),
                (op, _) => {
                    let mut b = [0; 10];
                    let va = cpu.segmented(at.seg, at.offset, 10, false)?;
                    cpu.get_bytes(va, &mut b)?;
                    if op == 3 { F80::from_bytes(b) } else { x87::from_bcd(b) }
                }
            };
            cpu.record_x87(fop, pc, Some(at));
            cpu.x87.push_checked(v);
            Ok(())
        }
        (op, reg) => stored(cpu, fop, pc, at, op, reg),
    }
}

fn load(cpu: &mut X86Cpu, at: At, size: Size) -> Outcome<u64> {
    let va = cpu.segmented(at.seg, at.offset, size.bytes(), false)?;
    cpu.load_at(va, size, false)
}

/// False where the instruction is to be executed alone.
fn store(cpu: &mut X86Cpu, at: At, bytes: &[u8]) -> Outcome<bool> {
    let va = cpu.segmented(at.seg, at.offset, bytes.len() as u64, true)?;
    cpu.put(va, bytes)
}

fn arithmetic(f: &mut X87, op: u8, mut env: Env, v: F80) {
    match (op, f.is_empty(0)) {
        (2, true) => drop(f.compare_empty()),
        (3, true) => {
            if f.compare_empty() {
                f.pop();
            }
        }
        (_, true) => drop(f.finish_empty(0)),
        (2, _) => drop(f.compare(env, v, true)),
        (3, _) => {
            if f.compare(env, v, true) {
                f.pop();
            }
        }
        _ => {
            let r = arith::compute(&mut env, op, f.st(0), v);
            f.finish(&env, 0, r);
        }
    }
}

/// FST, FSTP, FIST, FISTP, FISTTP, FBSTP.
fn stored(cpu: &mut X86Cpu, fop: Fop, pc: u64, at: At, op: u8, reg: u8) -> Outcome<()> {
    let f = &cpu.x87;
    let mut env = Env::new(f.cw);
    let round = if reg == 1 { Round::Zero } else { env.round };
    let empty = f.is_empty(0);
    let v = f.st(0);
    // What does not come from a register is what an invalid operation gives.
    let bytes: Vec<u8> = match (op, reg) {
        (1, _) if empty => real_indefinite::<F32>().to_le_bytes()[..4].to_vec(),
        (5, 2 | 3) if empty => real_indefinite::<F64>().to_le_bytes().to_vec(),
        (3, 7) if empty => F80::INDEFINITE.to_bytes().to_vec(),
        (1, _) => x87::store::<F32>(&mut env, v).to_le_bytes().to_vec(),
        (5, 2 | 3) => x87::store::<F64>(&mut env, v).to_le_bytes().to_vec(),
        (3, 7) => v.to_bytes().to_vec(),
        (7, 6) if empty => x87::to_bcd(&mut env, F80::INDEFINITE).to_vec(),
        (7, 6) => x87::to_bcd(&mut env, v).to_vec(),
        _ => {
            let bytes = match (op, reg) {
                (3, _) => 4,
                (5, _) | (7, 7) => 8,
                _ => 2,
            };
            let v = if empty { F80::INDEFINITE } else { v };
            x87::to_int(&mut env, v, 8 * bytes, round).to_le_bytes()[..bytes as usize].to_vec()
        }
    };
    let blocked = if empty { f.cw & sw::IE == 0 } else { env.store_blocked() };
    if !blocked && !store(cpu, at, &bytes)? {
        return Ok(());
    }
    cpu.record_x87(fop, pc, Some(at));
    let f = &mut cpu.x87;
    if empty {
        f.stack_fault(false);
    } else {
        f.retire(&env);
    }
    // All but FST and FIST pop.
    if !blocked && reg != 2 {
        f.pop();
    }
    Ok(())
}

/// The real indefinite of a format.
fn real_indefinite<F: Format>() -> u64 {
    1u64 << (F::EXP_BITS + F::PREC - 1) | (F::EXP_MAX as u64) << (F::PREC - 1) | F::QUIET
}

/// Words of the environment in the four formats: whether they have 32 bits, and whether pointers are linear addresses
/// (SDM Vol. 1, 8.1.10).
fn layout(cpu: &X86Cpu, at: At) -> (usize, bool) {
    let real = !cpu.mode.protected() || cpu.mode.v8086();
    (if at.how & 1 != 0 { 2 } else { 4 }, real)
}

/// FNSTENV, FNSAVE (`all`).
fn store_environment(cpu: &mut X86Cpu, at: At, all: bool) -> Outcome<()> {
    let (size, real) = layout(cpu, at);
    let f = &cpu.x87;
    let linear = |(offset, selector): (u64, u16)| (offset as u32).wrapping_add((selector as u32) << 4);
    let reserved = 0xffff_0000u32;
    let mut words = vec![f.cw as u32 | reserved, f.sw as u32 | reserved, f.tags() as u32 | reserved];
    match (real, size) {
        (true, _) => {
            let (ip, dp) = (linear(f.fip), linear(f.fdp));
            words.extend([ip & 0xffff, (ip >> 16) << 12 | f.fop as u32, dp & 0xffff, (dp >> 16) << 12]);
        }
        (_, 2) => {
            words.extend([f.fip.0 as u32, f.fip.1.into(), f.fdp.0 as u32, f.fdp.1.into()]);
        }
        _ => {
            let (fop, fds) = ((f.fop as u32) << 16, f.fdp.1 as u32 | reserved);
            words.extend([f.fip.0 as u32, f.fip.1 as u32 | fop, f.fdp.0 as u32, fds]);
        }
    }
    let mut image: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()[..size].to_vec()).collect();
    if all {
        image.extend((0..8).flat_map(|i| f.st(i).to_bytes()));
    }
    if !store(cpu, at, &image)? {
        return Ok(());
    }
    let f = &mut cpu.x87;
    if all {
        *f = X87 { regs: f.regs, ..X87::new() };
    } else {
        f.cw |= 0x3f;
        f.summarise();
    }
    Ok(())
}

/// FLDENV, FRSTOR (`all`).
fn load_environment(cpu: &mut X86Cpu, at: At, all: bool) -> Outcome<()> {
    let (size, real) = layout(cpu, at);
    let len = 7 * size + if all { 80 } else { 0 };
    let va = cpu.segmented(at.seg, at.offset, len as u64, false)?;
    let mut image = vec![0; len];
    cpu.get_bytes(va, &mut image)?;
    let word = |n: usize| image[n * size..][..size].iter().rev().fold(0u32, |v, &b| v << 8 | b as u32);
    let f = &mut cpu.x87;
    f.sw = word(1) as u16;
    f.set_tags(word(2) as u16);
    if real {
        let upper = |n: usize| (word(n) >> 12 & 0xffff) << 16;
        f.fip = ((word(3) & 0xffff | upper(4)).into(), 0);
        f.fdp = ((word(5) & 0xffff | upper(6)).into(), 0);
        f.fop = (word(4) & 0x7ff) as u16;
    } else {
        f.fip = (word(3).into(), word(4) as u16);
        f.fdp = (word(5).into(), word(6) as u16);
        if size == 4 {
            f.fop = (word(4) >> 16 & 0x7ff) as u16;
        }
    }
    f.set_cw(word(0) as u16);
    if all {
        let tw = f.tw;
        for i in 0..8u8 {
            let mut b = [0; 10];
            b.copy_from_slice(&image[7 * size + 10 * usize::from(i)..][..10]);
            f.set_st(i, F80::from_bytes(b));
        }
        f.tw = tw;
    }
    Ok(())
}
