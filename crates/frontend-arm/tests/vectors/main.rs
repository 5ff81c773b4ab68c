//! A64 instructions of every implemented row, on T0 and on T1, against results recorded from
//! `qemu-aarch64-static` by `cargo xtask difftest a64 --update-golden`.

mod bytes;
mod guest;
mod host;
mod record;
#[path = "../../../jit/tests/shared/region.rs"]
mod region;
mod state;

use lyrebird_frontend_arm::a64::decode::disassemble;
use lyrebird_frontend_arm::a64::table;
use lyrebird_frontend_arm::a64::word::Word;

use guest::Guest;
use record::{Vector, read};
use state::{After, State};

/// What differs, a line each.
fn differing(got: &After, want: &After) -> String {
    let mut text = String::new();
    let mut line = |what: String, got: String, want: String| {
        if got != want {
            text += &format!("\n  {what:<8} {got}, recorded {want}");
        }
    };
    line("outcome".into(), format!("{:x?}", got.outcome), format!("{:x?}", want.outcome));
    line("stores".into(), format!("{:x?}", got.stores), format!("{:x?}", want.stores));
    let (g, w) = (&got.state, &want.state);
    for i in 0..32 {
        line(format!("x{i}"), format!("{:#x}", g.x[i]), format!("{:#x}", w.x[i]));
        line(format!("v{i}"), format!("{:x?}", g.v[i]), format!("{:x?}", w.v[i]));
    }
    let others = |s: &State| format!("{:x?}", (s.pc, s.nzcv, s.fpsr, s.fpcr));
    line("pc, nzcv, fpsr, fpcr".into(), others(g), others(w));
    text
}

/// Replays all vectors; at most ten differences are shown.
fn replay(tier: impl Fn(&mut Guest, &Vector) -> Option<(After, After)>) {
    let vectors = read(include_bytes!("../golden/a64.bin"));
    let mut guest = Guest::with_all_rows();
    let (mut wrong, mut ran) = (0, 0);
    for v in &vectors {
        let Some((got, want)) = tier(&mut guest, v) else { continue };
        ran += 1;
        if got != want {
            wrong += 1;
            if wrong <= 10 {
                println!("{}{}", disassemble(Word(v.word)), differing(&got, &want));
            }
        }
    }
    assert!(ran > 3000, "only {ran} of {} vectors ran", vectors.len());
    assert_eq!(wrong, 0, "of {ran} vectors");
}

#[test]
fn t0_agrees_with_the_recorded_results() {
    replay(|guest, v| {
        let (before, want) = v.expand();
        Some((guest.t0(&[v.word], &before), want))
    });
}

#[test]
fn t1_agrees_with_the_recorded_results() {
    replay(|guest, v| {
        let (before, want) = v.expand();
        match guest.t1(&[v.word], &before) {
            Ok(got) => Some((got, want)),
            Err(None) => None,
            Err(Some(why)) => panic!("{}: {why}", disassemble(Word(v.word))),
        }
    });
}

#[test]
fn nearly_every_implemented_row_has_vectors() {
    let vectors = read(include_bytes!("../golden/a64.bin"));
    let seen: std::collections::HashSet<_> =
        vectors.iter().filter_map(|v| table::lookup(Word(v.word))).map(|r| r.name).collect();
    let missing: Vec<_> = table::all().filter(|r| r.implemented && !seen.contains(r.name)).collect();
    // What the recorder leaves out, with its reasons: xtask/src/difftest/skip.rs.
    assert!(missing.len() <= 5, "without vectors: {:?}", missing.iter().map(|r| r.name).collect::<Vec<_>>());
}
