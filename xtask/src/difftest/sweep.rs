//! Allocated or not: random words against a Cortex-A57 on both sides.

use std::collections::BTreeMap;

use anyhow::Result;
use lyrebird_frontend_arm::CpuModel;
use lyrebird_frontend_arm::a64::decode::disassemble;
use lyrebird_frontend_arm::a64::table;
use lyrebird_frontend_arm::a64::word::Word;

use crate::Options;
use crate::guest::Guest;
use crate::oracle::{Oracle, Question};
use crate::state::{Outcome, Rng, State};

/// Compares whether words are UNDEFINED.
pub fn run(options: &Options) -> Result<()> {
    let Some(model) = CpuModel::by_name("cortex-a57") else { anyhow::bail!("no model cortex-a57") };
    let mut guest = Guest::new(model);
    let mut oracle = Oracle::start(&options.oracle, "cortex-a57", guest.pristine(), 0)?;
    let mut rng = Rng(options.seed);
    // Word classes that differ: which side executes, the row or the class of the word; count and an example.
    let mut found: BTreeMap<(bool, String), (u64, u32)> = BTreeMap::new();
    let (mut tested, mut undefined) = (0u64, 0u64);
    let state = State::random(1);
    while tested < options.count {
        let mut batch = Vec::new();
        while batch.len() < 1024 {
            let mut w = rng.next() as u32;
            // Loads and stores; data processing, immediate and register; SIMD and FP. In op0 of C4.1.
            let op0 =
                rng.pick(&[0b0100, 0b0110, 0b1100, 0b1110, 0b1000, 0b1001, 0b0101, 0b1101, 0b0111, 0b1111]);
            w = w & !(0xf << 25) | op0 << 25;
            // Half of them close to a row: its fixed bits with a few flipped.
            if rng.one_in(2) {
                let rows = table::GROUPS[rng.below(table::GROUPS.len() as u64) as usize];
                let row = &rows[rng.below(rows.len() as u64) as usize];
                w = row.value | w & !row.mask;
                for _ in 0..rng.below(3) {
                    w ^= 1 << rng.below(32);
                }
            }
            // Branches, exceptions and system instructions have the table's rows alone.
            if w >> 26 & 7 == 0b101 || w >> 25 & 0xf == 0 {
                continue;
            }
            batch.push(Question { words: vec![w], state: state.clone(), stores: true });
        }
        oracle.ask(&batch);
        for q in &batch {
            let want = oracle.answer(q)?.outcome == Outcome::Undefined;
            let got = guest.interpret(&q.words, &q.state, 4).is_some_and(|a| a.outcome == Outcome::Undefined);
            tested += 1;
            undefined += want as u64;
            if want != got {
                let w = q.words[0];
                let class = match table::lookup(Word(w)) {
                    Some(r) => format!("{} [{:?}]", r.name, r.feature),
                    None => format!("no row, {:08x} of mask ffe0fc00", w & 0xffe0_fc00),
                };
                found.entry((got, class)).or_insert((0, w)).0 += 1;
            }
        }
    }
    for ((ours, class), (n, w)) in &found {
        let side = if *ours { "only the oracle executes" } else { "only Lyrebird executes" };
        println!("{side} {class}: {n} words, such as {}", disassemble(Word(*w)));
    }
    println!("{tested} words, {undefined} of them UNDEFINED to the oracle, {} classes differ", found.len());
    Ok(())
}
