//! x86: the codes of `iced-x86`, which are encodings of instructions, of each CPU model.

use std::collections::{BTreeMap, BTreeSet};

use iced_x86::{Code, CpuidFeature, Mnemonic};
use lyrebird_frontend_x86::cpu::model::Feature;
use lyrebird_frontend_x86::platform::BarePlatform;
use lyrebird_frontend_x86::regs::Seg;
use lyrebird_frontend_x86::sys::control::{cr0, cr4, efer, xcr0};
use lyrebird_frontend_x86::sys::segment::{Segment, attr};
use lyrebird_frontend_x86::{CpuModel, X86Cpu};
use lyrebird_isa::Cpu;
use lyrebird_softmmu::PhysMem;

use super::Share;
use crate::features::has;
use crate::forms::{encodings, implemented};

/// The mode of level 0 in protected or long mode, with everything enabled that a model has.
fn mode(model: &CpuModel, bits: u32) -> u64 {
    let mem = PhysMem::builder().ram(0, 1 << 20).build().expect("1 MiB of memory");
    let mut cpu = X86Cpu::new(model.clone(), Box::new(BarePlatform::default()), mem);
    let c = &mut cpu.control;
    c.cr0 = cr0::PE | cr0::NE | cr0::ET;
    let bit = |f: Feature, b: u64| if model.has(f) { b } else { 0 };
    c.cr4 = bit(Feature::Fxsr, cr4::OSFXSR) | bit(Feature::Xsave, cr4::OSXSAVE);
    c.xcr0 = xcr0::X87 | bit(Feature::Sse, xcr0::SSE) | bit(Feature::Avx, xcr0::AVX);
    if bits == 64 {
        c.cr0 |= cr0::PG;
        c.cr4 |= cr4::PAE;
        c.efer = efer::LME | efer::LMA;
    }
    let size = match bits {
        16 => 0,
        32 => attr::DB,
        _ => attr::L,
    };
    let flat = attr::P | attr::S | attr::RW | attr::ACCESSED | attr::G;
    for seg in Seg::ALL {
        let a = flat | if seg == Seg::Cs { attr::CODE | size } else { attr::DB };
        cpu.set_segment(seg, Segment { selector: 8, attr: a, limit: u32::MAX }, 0);
    }
    cpu.paging_changed().expect("no PDPTEs");
    cpu.mode()
}

/// Prints the codes implemented, per model, and what is left out, by name or by extension.
pub fn print() {
    let sizes = [16, 32, 64];
    let encodings = sizes.map(encodings);
    let codes: BTreeSet<Code> = encodings.iter().flat_map(|e| e.keys().copied()).collect();
    // What decodes in no mode: names for assemblers (WAIT and another instruction), pseudo-instructions.
    let all = Code::values().len();
    println!("x86: codes of iced-x86 implemented, of those that the CPU model has; {all} codes in all");
    let mut left_out = Vec::new();
    for model in ["486", "i686", "x86-64-v2", "x86-64-v3"] {
        let Some(model) = CpuModel::by_name(model) else { continue };
        let mut share = Share::default();
        let modes = sizes.map(|bits| mode(&model, bits));
        for &code in &codes {
            let sizes = if model.has(Feature::Lm) { 0..3 } else { 0..2 };
            let samples: Vec<_> = sizes.filter_map(|k| Some((encodings[k].get(&code)?, modes[k]))).collect();
            if samples.is_empty() || !code.cpuid_features().iter().all(|f| has(&model, *f)) {
                continue;
            }
            let implemented = samples.into_iter().any(|(bytes, mode)| implemented(bytes, mode));
            // The instructions that are there to be undefined.
            let undefined = matches!(code.mnemonic(), Mnemonic::Ud0 | Mnemonic::Ud1 | Mnemonic::Ud2);
            share.count(implemented || undefined);
            if !implemented && !undefined {
                left_out.push(format!("{}: {code:?}", model.name));
            }
        }
        share.line(model.name);
    }
    println!("not implemented although the model has the extension: {}", left_out.len());
    left_out.iter().for_each(|l| println!("  {l}"));
    println!("codes of extensions that no model has");
    let newest = CpuModel::by_name("x86-64-v3").expect("the model is there");
    let mut others: BTreeMap<String, usize> = BTreeMap::new();
    for code in Code::values() {
        let lacking: Vec<&CpuidFeature> =
            code.cpuid_features().iter().filter(|f| !has(&newest, **f)).collect();
        if let Some(f) = lacking.last() {
            *others.entry(format!("{f:?}")).or_default() += 1;
        }
    }
    let line: Vec<String> = others.iter().map(|(name, n)| format!("{name} {n}")).collect();
    println!("  {}", line.join(", "));
    let names = Code::values()
        .filter(|c| c.cpuid_features().iter().all(|f| has(&newest, *f)) && !codes.contains(c))
        .map(|c| format!("{c:?}"))
        .collect::<Vec<_>>();
    println!(
        "{} names that decode to nothing of their own (assemblers')\n  {}",
        names.len(),
        names.join(" ")
    );
}
