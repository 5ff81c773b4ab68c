//! Instructions of every implemented form in user code of 64 and 32 bits, on T0 and on T1, against results that
//! `cargo xtask difftest x86 --update-golden` recorded from a processor.

#[path = "../../../frontend-arm/tests/vectors/bytes.rs"]
mod bytes;
mod compare;
mod forms;
mod guest;
mod record;
#[path = "../../../jit/tests/shared/region.rs"]
mod region;
mod state;

use std::collections::BTreeSet;

use lyrebird_frontend_x86::decode::disassemble;

use compare::compare;
use forms::{encodings, implemented};
use guest::Guest;
use record::{Vector, decode, read};
use state::{After, BEFORE, CODE, State};

fn vectors() -> Vec<Vector> {
    read(include_bytes!("../golden/x86.bin"))
}

/// Replays all vectors; at most ten differences are shown. At most `left` are left to T0.
fn replay(left: usize, tier: impl Fn(&mut Guest, &[u8], &State) -> Result<After, Option<String>>) {
    let vectors = vectors();
    let (mut wrong, mut ran) = (0, 0);
    for bits in [64, 32] {
        let mut guest = Guest::new(bits);
        for v in vectors.iter().filter(|v| v.bits == bits) {
            let (before, want) = v.expand();
            let difference = match tier(&mut guest, &v.code, &before) {
                Ok(got) => compare(&decode(&v.code, bits), &got, &want),
                Err(None) => continue,
                Err(why) => why,
            };
            ran += 1;
            if let Some(text) = difference {
                wrong += 1;
                if wrong <= 10 {
                    println!("{bits} bits: {}\n{text}", disassemble(&v.code, CODE + BEFORE as u64, bits));
                }
            }
        }
    }
    assert!(vectors.len() > 10_000 && ran + left >= vectors.len(), "only {ran} of {} ran", vectors.len());
    assert_eq!(wrong, 0, "of {ran} vectors");
}

#[test]
fn t0_agrees_with_the_recorded_results() {
    replay(0, |guest, code, before| Ok(guest.t0(code, before)));
}

#[test]
fn t1_agrees_with_the_recorded_results() {
    replay(600, |guest, code, before| guest.t1(code, before));
}

#[test]
fn nearly_every_implemented_form_has_vectors() {
    let vectors = vectors();
    for bits in [64, 32] {
        let seen: BTreeSet<u16> =
            vectors.iter().filter(|v| v.bits == bits).map(|v| decode(&v.code, bits).code() as u16).collect();
        let mode = Guest::new(bits).mode();
        let all = encodings(bits).into_iter().filter(|(_, bytes)| implemented(bytes, mode));
        let missing: Vec<_> = all.map(|(code, _)| code).filter(|&c| !seen.contains(&(c as u16))).collect();
        // What the recorder leaves out, with its reasons: xtask/src/difftest_x86/skip.rs. In 32-bit code a third are
        // branches that cut EIP to 16 bits, and so leave the code page.
        assert!(missing.len() <= 111, "{} without vectors in {bits}-bit code: {missing:?}", missing.len());
    }
}
