//! Floating point on the host's unit against the same in software. FPCR.AHP decides between them, and means nothing to
//! the instructions here.

use lyrebird_frontend_arm::a64::decode::disassemble;
use lyrebird_frontend_arm::a64::table::{self, Group};
use lyrebird_frontend_arm::a64::word::Word;
use lyrebird_isa::V128;

use super::differing;
use super::guest::Guest;
use super::state::{Rng, State};

/// FPCR.
const AHP: u64 = 1 << 26;
const DN: u64 = 1 << 25;
const FZ: u64 = 1 << 24;

/// Numbers where rules meet, and some whose products, quotients and sums round to the smallest normal number.
const DOUBLES: [u64; 20] = [
    0,
    1,
    0x000f_ffff_ffff_ffff,
    0x0010_0000_0000_0000,
    0x0010_0000_0000_0001,
    0x001f_ffff_ffff_ffff,
    0x0020_0000_0000_0000,
    0x3fef_ffff_ffff_ffff,
    0x3ff0_0000_0000_0000,
    0x3ff0_0000_0000_0001,
    0x3fe0_0000_0000_0000,
    0x4000_0000_0000_0000,
    0x5fe0_0000_0000_0000,
    0x1ff0_0000_0000_0000,
    0x7fef_ffff_ffff_ffff,
    0x7ff0_0000_0000_0000,
    0x7ff0_0000_0000_0001,
    0x7ff4_0000_dead_beef,
    0x7ff8_0000_0000_0000,
    0x7fff_1234_5678_9abc,
];
const SINGLES: [u32; 20] = [
    0,
    1,
    0x007f_ffff,
    0x0080_0000,
    0x0080_0001,
    0x00ff_ffff,
    0x0100_0000,
    0x3f7f_ffff,
    0x3f80_0000,
    0x3f80_0001,
    0x3f00_0000,
    0x4000_0000,
    0x5f00_0000,
    0x1f80_0000,
    0x7f7f_ffff,
    0x7f80_0000,
    0x7f80_0001,
    0x7fa0_beef,
    0x7fc0_0000,
    0x7fff_1234,
];

fn vector(r: &mut Rng) -> V128 {
    match r.below(4) {
        0 => r.vector(),
        1 => V128([0; 2].map(|_: u64| r.pick(&DOUBLES) ^ (r.next() & 1 << 63))),
        2 => V128([0; 2].map(|_: u64| r.float(11, 52))),
        _ => V128([0; 2].map(|_: u64| {
            let one = |r: &mut Rng| u64::from(r.pick(&SINGLES)) ^ (r.next() & 1 << 31);
            one(r) | one(r) << 32
        })),
    }
}

fn state(r: &mut Rng) -> State {
    let mut s = State::random(r.next() as u32);
    s.v = s.v.map(|_| vector(r));
    s.fpcr = if r.one_in(4) { DN } else { 0 };
    s
}

/// Runs `words` with and without [`AHP`] on both tiers.
fn compare(guest: &mut Guest, words: &[u32], s: &State) {
    let soft = State { fpcr: s.fpcr | AHP, ..s.clone() };
    let mut want = guest.t0(words, &soft);
    want.state.fpcr &= !AHP;
    let mut got = vec![("T0", guest.t0(words, s))];
    match guest.t1(words, s) {
        Ok(after) => got.push(("T1", after)),
        Err(None) => {}
        Err(Some(why)) => panic!("{}: {why}", disassemble(Word(words[0]))),
    }
    for (tier, mut after) in got {
        after.state.fpcr &= !AHP;
        assert!(
            after == want,
            "{tier}: {}{}\nfrom {:x?} {:x?}",
            words.iter().map(|&w| disassemble(Word(w))).collect::<Vec<_>>().join("\n"),
            differing(&after, &want),
            s.fpsr,
            s.v,
        );
    }
}

#[test]
fn the_host_computes_what_software_does() {
    let mut guest = Guest::with_all_rows();
    let mut r = Rng(2026);
    let mut rows = 0;
    for row in table::all().filter(|r| r.implemented && matches!(r.group, Group::Fp | Group::SimdFp)) {
        // Half precision is what AHP is about.
        if matches!(row.mnemonic, "fcvt" | "fcvtl" | "fcvtn") && !matches!(row.name, "FCVT_s_d" | "FCVT_d_s")
        {
            continue;
        }
        rows += 1;
        for _ in 0..60 {
            let word = row.value | r.next() as u32 & !row.mask;
            if table::lookup(Word(word)).is_some_and(|found| found.name == row.name) {
                compare(&mut guest, &[word], &state(&mut r));
            }
        }
    }
    assert!(rows > 100, "{rows}");
}

#[test]
fn the_control_word_may_change_at_every_instruction() {
    const FADD_D3_D1_D2: u32 = 0x1e62_2823;
    const FMUL_D4_D1_D2: u32 = 0x1e62_0824;
    const FDIV_V5_V1_V2: u32 = 0x6e62_fc25;
    const FMLA_V6_V1_V2: u32 = 0x4e62_cc26;
    const MSR_FPCR_X10: u32 = 0xd51b_440a;
    const MSR_FPCR_X11: u32 = 0xd51b_440b;
    const MSR_FPSR_XZR: u32 = 0xd51b_443f;
    const MRS_X1_FPSR: u32 = 0xd53b_4421;
    const MRS_X2_FPSR: u32 = 0xd53b_4422;
    const MRS_X3_FPSR: u32 = 0xd53b_4423;
    const MRS_X4_FPCR: u32 = 0xd53b_4404;
    let words = [
        FADD_D3_D1_D2,
        MSR_FPCR_X10,
        MRS_X1_FPSR,
        FMUL_D4_D1_D2,
        MSR_FPCR_X11,
        FDIV_V5_V1_V2,
        MRS_X2_FPSR,
        MSR_FPCR_X10,
        MSR_FPSR_XZR,
        FDIV_V5_V1_V2,
        MSR_FPCR_X11,
        FMLA_V6_V1_V2,
        MRS_X3_FPSR,
        MRS_X4_FPCR,
    ];
    let mut guest = Guest::with_all_rows();
    let mut r = Rng(22);
    for _ in 0..300 {
        let mut s = state(&mut r);
        (s.x[10], s.x[11]) = (FZ | r.below(4) << 22, 0);
        let mut soft = State { fpcr: s.fpcr | AHP, ..s.clone() };
        soft.x[10] |= AHP;
        soft.x[11] |= AHP;
        let mut want = guest.t0(&words, &soft);
        want.state.x[10] = s.x[10];
        want.state.x[11] = s.x[11];
        want.state.x[4] &= !AHP;
        want.state.fpcr &= !AHP;
        for got in [guest.t0(&words, &s), guest.t1(&words, &s).expect("nothing here is refused")] {
            assert!(got == want, "{}\nfrom {:x?}", differing(&got, &want), s.v);
        }
    }
}
