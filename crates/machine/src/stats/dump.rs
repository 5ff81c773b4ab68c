//! A compiled region on paper: guest disassembly, CLIF, host code.

use std::fmt::Write;

use iced_x86::{Decoder, DecoderOptions, Formatter, IntelFormatter};
use lyrebird_isa::Cpu;
use lyrebird_jit::engine::{HotRegion, NoRegion, Which};
use lyrebird_jit::t1::Dump;
use lyrebird_jit::{Engine, t1::dump::Piece};

use super::Profile;

/// What `which` names, as texts. The hottest are those with most samples, without a profile those that retired most.
///
/// # Errors
/// [`NoRegion`] where there is none.
pub(crate) fn dumps<C: Cpu>(
    engine: &mut Engine<C>,
    which: Which,
    profile: Option<&Profile>,
) -> Result<Vec<String>, NoRegion> {
    let compiled = engine.compiled();
    let ids: Vec<u64> = match which {
        Which::At(pc) => engine.compiled_at(pc)?,
        Which::Hot(n) => {
            let samples = |r: &HotRegion| {
                profile.and_then(|p| p.hottest.iter().find(|h| h.region.id == r.id)).map_or(0, |h| h.samples)
            };
            let mut by_heat: Vec<&HotRegion> = compiled.iter().collect();
            by_heat.sort_by_key(|r| (std::cmp::Reverse((samples(r), r.retired)), r.pc));
            by_heat.iter().take(n).map(|r| r.id).collect()
        }
    };
    if ids.is_empty() {
        return Err(NoRegion::None);
    }
    let mut texts = Vec::new();
    for id in ids {
        let Some(region) = compiled.iter().find(|r| r.id == id) else { continue };
        texts.push(text(region, &*engine.dump(id)?));
    }
    Ok(texts)
}

/// Guest disassembly and CLIF, then host code with the guest's instructions between.
fn text(region: &HotRegion, dump: &Dump) -> String {
    let mut t =
        format!("region {:#x}: {} instructions, {} host bytes\n", region.pc, region.insns, dump.host.len());
    for i in &dump.guest {
        if i.leads {
            t += "\n";
        }
        let _ = writeln!(t, "  {:#018x}  {}", i.pc, i.text);
    }
    let _ = writeln!(t, "\n{}", dump.clif);
    for (heading, cold) in [("host code", false), ("host code, slow paths", true)] {
        let _ = writeln!(t, "{heading}:");
        for p in dump.pieces.iter().filter(|p| p.cold == cold) {
            host(&mut t, dump, p);
        }
    }
    t
}

/// A stretch of host code.
fn host(t: &mut String, dump: &Dump, piece: &Piece) {
    match piece.insn.and_then(|i| dump.guest.get(i)) {
        Some(i) => {
            let _ = writeln!(t, "  ; {:#018x}  {}", i.pc, i.text);
        }
        None => *t += "  ; entry, exits\n",
    }
    if cfg!(not(target_arch = "x86_64")) {
        let bytes: Vec<String> = dump.host[piece.range.clone()].iter().map(|b| format!("{b:02x}")).collect();
        let _ = writeln!(t, "    {}", bytes.join(" "));
        return;
    }
    let at = dump.base + piece.range.start as u64;
    let mut formatter = IntelFormatter::new();
    let mut line = String::new();
    for i in &mut Decoder::with_ip(64, &dump.host[piece.range.clone()], at, DecoderOptions::NONE) {
        line.clear();
        formatter.format(&i, &mut line);
        let _ = writeln!(t, "    {:x}  {line}", i.ip());
    }
}
