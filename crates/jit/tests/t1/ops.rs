//! Every primitive operation at every width against its definition.

use lyrebird_isa::flags::materialise;
use lyrebird_isa::{Cond, FlagOp, V128, Width};

use crate::guest::{BINS, CCS, Insn, LANES, TestCpu, UNS, VALUES, VBINS, WIDTHS, group};
use crate::{Rng, compiler, run, straight};

fn operands() -> Vec<u64> {
    let mut rng = Rng(1);
    let mut v = VALUES.to_vec();
    v.extend([31, 32, 33, 63, 64, 65, 0x8000, 0x7fff, 0xff, 0xffff_ffff_8000_0000, 0xffff_ffff_ffff_ff80]);
    v.extend((0..6).map(|_| rng.next()));
    v
}

fn go(region: &lyrebird_jit::t1::CompiledRegion, cpu: &mut TestCpu) {
    run(region, cpu);
}

#[test]
fn two_operands() {
    let (mut c, mut cpu, values) = (compiler(), TestCpu::new(), operands());
    for (s, op) in BINS.into_iter().enumerate() {
        for (x, w) in WIDTHS.into_iter().enumerate() {
            let i = Insn { group: group::BIN, sub: s as u8, d: 2, n: 0, m: 1, x: x as u8, imm: 0 };
            let r = straight(&mut c, &[i]);
            for &a in &values {
                for &b in &values {
                    cpu.core.regs[0] = a;
                    cpu.core.regs[1] = b;
                    go(&r, &mut cpu);
                    assert_eq!(cpu.core.regs[2], op.eval(w, a, b), "{op:?} {w:?} {a:#x} {b:#x}");
                }
            }
        }
    }
}

#[test]
fn one_constant_operand() {
    let (mut c, mut cpu, values) = (compiler(), TestCpu::new(), operands());
    for (s, op) in BINS.into_iter().enumerate() {
        for (x, w) in WIDTHS.into_iter().enumerate() {
            for (k, konst) in VALUES.into_iter().enumerate() {
                for left in [0, 1] {
                    let i = Insn {
                        group: group::BIN_IMM,
                        sub: s as u8,
                        d: 2,
                        n: 0,
                        m: k as u8,
                        x: x as u8,
                        imm: left,
                    };
                    let r = straight(&mut c, &[i]);
                    for &v in &values {
                        cpu.core.regs[0] = v;
                        go(&r, &mut cpu);
                        let (a, b) = if left == 0 { (v, konst) } else { (konst, v) };
                        assert_eq!(cpu.core.regs[2], op.eval(w, a, b), "{op:?} {w:?} {a:#x} {b:#x}");
                    }
                }
            }
        }
    }
}

#[test]
fn one_operand() {
    let (mut c, mut cpu, values) = (compiler(), TestCpu::new(), operands());
    for (s, op) in UNS.into_iter().enumerate() {
        for (x, w) in WIDTHS.into_iter().enumerate() {
            let i = Insn { group: group::UN, sub: s as u8, d: 2, n: 0, x: x as u8, ..Insn::default() };
            let r = straight(&mut c, &[i]);
            for &a in &values {
                cpu.core.regs[0] = a;
                go(&r, &mut cpu);
                assert_eq!(cpu.core.regs[2], op.eval(w, a), "{op:?} {w:?} {a:#x}");
            }
        }
    }
}

#[test]
fn extensions_and_comparisons() {
    let (mut c, mut cpu, values) = (compiler(), TestCpu::new(), operands());
    for (x, w) in WIDTHS.into_iter().enumerate() {
        let x = x as u8;
        let ext = |sub, d| Insn { group: group::EXTEND, sub, d, n: 0, x, ..Insn::default() };
        let mut program = vec![ext(0, 2), ext(1, 3)];
        program.extend((0..CCS.len() as u8).map(|s| Insn {
            group: group::COMPARE,
            sub: s,
            d: 4 + s,
            n: 0,
            m: 1,
            x,
            imm: 0,
        }));
        let r = straight(&mut c, &program);
        for &a in &values {
            for &b in &values {
                cpu.core.regs[0] = a;
                cpu.core.regs[1] = b;
                go(&r, &mut cpu);
                assert_eq!(cpu.core.regs[2], w.zext(a));
                assert_eq!(cpu.core.regs[3], w.sext(a));
                for (s, cc) in CCS.into_iter().enumerate() {
                    assert_eq!(cpu.core.regs[4 + s], cc.eval(w, a, b) as u64, "{cc:?} {w:?} {a:#x} {b:#x}");
                }
            }
        }
    }
}

/// Selects by all 16 conditions into registers 8 to 23, and reads the raw word into 24.
fn ask_all() -> Vec<Insn> {
    let mut p: Vec<Insn> = (0..16)
        .map(|k| Insn { group: group::CSEL, sub: k, d: 8 + k, n: 30, m: 31, ..Insn::default() })
        .collect();
    p.push(Insn { group: group::GET_NZCV, d: 24, ..Insn::default() });
    p
}

fn assert_conditions(cpu: &TestCpu, nzcv: u64, what: &str) {
    for k in 0..16u32 {
        let c = Cond::from_bits(k);
        assert_eq!(cpu.core.regs[8 + k as usize] == 7, c.eval_raw(nzcv), "{c:?} {what}");
    }
    assert_eq!(cpu.core.regs[24], nzcv, "{what}");
    assert_eq!(cpu.core.nzcv(), nzcv, "at the exit: {what}");
}

/// The flags of an operation from wide arithmetic, not from the lazy form.
fn expected(sub: bool, w: Width, a: u64, b: u64) -> u64 {
    let bits = w.bits();
    let (ua, ub) = (w.zext(a) as u128, w.zext(b) as u128);
    let (sa, sb) = (w.sext(a) as i64 as i128, w.sext(b) as i64 as i128);
    let (wide, exact) = if sub { (ua + (w.zext(!b) as u128) + 1, sa - sb) } else { (ua + ub, sa + sb) };
    let r = w.zext(wide as u64);
    let n = r >> (bits - 1) & 1;
    let z = (r == 0) as u64;
    let c = (wide >> bits & 1) as u64;
    let v = (w.sext(r) as i64 as i128 != exact) as u64;
    n << 31 | z << 30 | c << 29 | v << 28
}

#[test]
fn conditions_of_operations() {
    let (mut c, mut cpu, values) = (compiler(), TestCpu::new(), operands());
    cpu.core.regs[30] = 7;
    for sub in 0..3u8 {
        for (x, w) in WIDTHS.into_iter().enumerate() {
            let set = Insn { group: group::FLAGS, sub, d: 31, n: 0, m: 1, x: x as u8, imm: 0 };
            let mut program = vec![set];
            program.extend(ask_all());
            let r = straight(&mut c, &program);
            for &a in &values {
                for &b in &values {
                    cpu.core.regs[0] = a;
                    cpu.core.regs[1] = b;
                    go(&r, &mut cpu);
                    let b = if sub == 2 { 0 } else { b };
                    let want = expected(sub == 0, w, a, b);
                    assert_conditions(&cpu, want, &format!("sub {sub} {w:?} {a:#x} {b:#x}"));
                }
            }
        }
    }
}

#[test]
fn conditions_of_raw_and_unknown_flags() {
    let (mut c, mut cpu) = (compiler(), TestCpu::new());
    cpu.core.regs[30] = 7;
    let mut program = vec![Insn { group: group::SET_NZCV, n: 0, ..Insn::default() }];
    program.extend(ask_all());
    let raw = straight(&mut c, &program);
    let unknown = straight(&mut c, &ask_all());
    for nzcv in 0..16u64 {
        cpu.core.regs[0] = nzcv << 28 | 0xffff_ffff_0123_4567;
        go(&raw, &mut cpu);
        assert_conditions(&cpu, nzcv << 28, "raw");
        cpu.core.set_nzcv(nzcv << 28);
        go(&unknown, &mut cpu);
        assert_conditions(&cpu, nzcv << 28, "from Core");
    }
    for op in [FlagOp::Add, FlagOp::Sub] {
        for &a in &operands() {
            for &b in &operands() {
                cpu.core.flag_op = op as u64;
                cpu.core.flag_a = a;
                cpu.core.flag_b = b;
                go(&unknown, &mut cpu);
                assert_conditions(&cpu, materialise(op as u64, a, b), "operands from Core");
            }
        }
    }
}

#[test]
fn conditional_comparison() {
    let (mut c, mut cpu, values) = (compiler(), TestCpu::new(), operands());
    cpu.core.regs[30] = 7;
    let mut rng = Rng(3);
    for op in 0..2u8 {
        for x in [2u8, 3] {
            for nzcv in [0u16, 4, 9, 15] {
                // Carried out where the first comparison found equality.
                let first = Insn { group: group::FLAGS, sub: 0, d: 31, n: 2, m: 3, x: 3, imm: 0 };
                let second = Insn { group: group::CCMP, sub: 0, d: op, n: 0, m: 1, x, imm: nzcv as i16 };
                let mut program = vec![first, second];
                program.extend(ask_all());
                let r = straight(&mut c, &program);
                for _ in 0..200 {
                    let a = values[rng.below(values.len() as u64) as usize];
                    let b = values[rng.below(values.len() as u64) as usize];
                    let equal = rng.below(2);
                    cpu.core.regs[..4].copy_from_slice(&[a, b, 5, 5 + equal]);
                    go(&r, &mut cpu);
                    let w = WIDTHS[x as usize];
                    let want = if equal == 0 { expected(op == 0, w, a, b) } else { (nzcv as u64) << 28 };
                    assert_conditions(&cpu, want, &format!("ccmp {op} {w:?} {a:#x} {b:#x} {nzcv}"));
                }
            }
        }
    }
}

#[test]
fn vectors() {
    let (mut c, mut cpu) = (compiler(), TestCpu::new());
    let mut rng = Rng(5);
    let edge = [0u8, 1, 0x7f, 0x80, 0x81, 0xff];
    for (s, op) in VBINS.into_iter().enumerate() {
        for (x, lane) in LANES.into_iter().enumerate() {
            let i = Insn { group: group::VBIN, sub: s as u8, d: 2, n: 0, m: 1, x: x as u8, imm: 0 };
            let r = straight(&mut c, &[i]);
            for round in 0..200 {
                let mut bytes = || -> [u8; 16] {
                    std::array::from_fn(|_| match round % 3 {
                        0 => edge[rng.below(6) as usize],
                        _ => rng.next() as u8,
                    })
                };
                let a = V128::from_bytes(bytes());
                let b = if round % 7 == 0 { a } else { V128::from_bytes(bytes()) };
                cpu.core.vregs[0] = a;
                cpu.core.vregs[1] = b;
                go(&r, &mut cpu);
                let want = op.eval(lane, a.to_u128(), b.to_u128());
                assert_eq!(cpu.core.vregs[2].to_u128(), want, "{op:?} {lane:?} {a:x?} {b:x?}");
            }
        }
    }
    for (x, lane) in LANES.into_iter().enumerate() {
        let mv = |sub, d, n, m| Insn { group: group::VMOVE, sub, d, n, m, x: x as u8, imm: 0 };
        let r = straight(&mut c, &[mv(0, 3, 0, 1), mv(1, 2, 3, 0), mv(2, 3, 3, 0), mv(3, 4, 0, 0)]);
        let (lo, hi) = (0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210);
        cpu.core.regs[0] = lo;
        cpu.core.regs[1] = hi;
        go(&r, &mut cpu);
        assert_eq!(cpu.core.vregs[3], V128([lo, hi]));
        assert_eq!((cpu.core.regs[2], cpu.core.regs[3]), (lo, hi));
        let (w, got) = (lane.width(), cpu.core.vregs[4].to_u128());
        for at in (0..128).step_by(w.bits() as usize) {
            assert_eq!(w.zext((got >> at) as u64), w.zext(lo), "{lane:?}");
        }
    }
}
