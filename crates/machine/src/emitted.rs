//! Golden counts of the host instructions that T1 emits for guest code, by class: a change of code quality is a
//! difference in `tests/golden/`. `LYREBIRD_GOLDEN=write cargo test --release -p lyrebird-machine emitted` writes them anew; the
//! sources of the guest code are in `test-roms/corpus/`.
//!
//! A row is a function of that code, compiled as one region for a host of the level x86-64-v3:
//!
//! - `guest`: its instructions, `clif`: those of Cranelift's function;
//! - `hot`: host instructions for them, without slow paths; `hot/guest` is what to look at;
//! - `edge`: host instructions of the region's entry and exits; `cold`: of slow paths and faults;
//! - `bytes`: all of them, with constants.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use iced_x86::{Decoder, DecoderOptions, Mnemonic};
use lyrebird_frontend_arm::cpu::model::CpuModel;
use lyrebird_frontend_arm::{ArmCpu, cpu::Mode as ArmMode};
use lyrebird_frontend_x86::X86Cpu;
use lyrebird_frontend_x86::cpu::Mode as X86Mode;
use lyrebird_frontend_x86::cpu::model::Feature;
use lyrebird_frontend_x86::regs::Seg;
use lyrebird_isa::Cpu;
use lyrebird_isa::state::{PAGE_MASK, PAGE_SIZE};
use lyrebird_jit::t0::BlockId;
use lyrebird_jit::t0::block::{Block, HowToDecode, Key};
use lyrebird_jit::t0::memory::OpMemory;
use lyrebird_jit::t1::compiler::HostFeatures;
use lyrebird_jit::t1::{
    Arena, BlockSource, BlockView, CodePage, Compiler, CompilerConfig, Dump, Limits, RegionRequest,
    form_region,
};
use object::{Object, ObjectSection, ObjectSymbol};

/// The code of one guest.
struct Corpus {
    /// Where `text` begins.
    base: u64,
    text: Vec<u8>,
    /// Addresses by name, `class.what`.
    functions: BTreeMap<String, u64>,
}

impl Corpus {
    fn read(name: &str) -> Corpus {
        let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../test-roms/prebuilt");
        let elf = fs::read(dir.join(format!("{name}.elf"))).expect("the corpus is there");
        let elf = object::File::parse(&*elf).expect("an ELF file");
        let text = elf.section_by_name(".text").expect("code");
        let functions = elf
            .symbols()
            .filter(|s| s.kind() == object::SymbolKind::Text && s.size() > 0)
            .map(|s| (s.name().expect("a name").to_owned(), s.address()))
            .collect();
        Corpus { base: text.address(), text: text.data().expect("bytes").to_vec(), functions }
    }
}

/// All blocks that can be reached from a function's start, all equally hot.
struct Blocks<C> {
    blocks: HashMap<u64, Block<C>>,
    _memory: OpMemory,
}

impl<C: Cpu> Blocks<C> {
    fn from(corpus: &Corpus, entry: u64, mode: u64) -> Blocks<C> {
        let how = HowToDecode { heat: 1000, verify: false, out: 0, host: 0 };
        let (mut blocks, mut memory, mut todo) = (HashMap::new(), OpMemory::default(), vec![entry]);
        while let Some(pc) = todo.pop() {
            let Some(from) = pc.checked_sub(corpus.base).map(|n| n as usize) else { continue };
            let page = (PAGE_SIZE - pc % PAGE_SIZE) as usize;
            let Some(code) = corpus.text.get(from..).filter(|_| !blocks.contains_key(&pc)) else { continue };
            let key = Key { pa: pc, pc, mode };
            let block = Block::<C>::decode(key, BlockId(0), &code[..page.min(code.len())], &how, &mut memory);
            if let Some(b) = block {
                todo.extend(b.view(0, None).leads_to());
                blocks.insert(pc, b);
            }
        }
        Blocks { blocks, _memory: memory }
    }
}

impl<C: Cpu> BlockSource for Blocks<C> {
    fn block(&self, pc: u64) -> Option<BlockView<'_>> {
        Some(self.blocks.get(&pc)?.view(1000, None))
    }
}

/// The numbers of a row.
#[derive(Clone, Copy, Default)]
struct Counts {
    guest: usize,
    clif: usize,
    hot: usize,
    edge: usize,
    cold: usize,
    bytes: usize,
}

impl Counts {
    fn of(dump: &Dump) -> Counts {
        let mut c = Counts {
            guest: dump.guest.len(),
            clif: dump.clif_insns as usize,
            bytes: dump.host.len(),
            ..Counts::default()
        };
        for p in &dump.pieces {
            // What is left of a stripped epilogue is filled with INT3.
            let insns = Decoder::new(64, &dump.host[p.range.clone()], DecoderOptions::NONE)
                .into_iter()
                .filter(|i| i.mnemonic() != Mnemonic::Int3)
                .count();
            match (p.cold, p.insn) {
                (true, _) => c.cold += insns,
                (false, Some(_)) => c.hot += insns,
                (false, None) => c.edge += insns,
            }
        }
        c
    }

    fn add(&mut self, o: &Counts) {
        let fields = [
            (&mut self.guest, o.guest),
            (&mut self.clif, o.clif),
            (&mut self.hot, o.hot),
            (&mut self.edge, o.edge),
            (&mut self.cold, o.cold),
            (&mut self.bytes, o.bytes),
        ];
        fields.into_iter().for_each(|(to, n)| *to += n);
    }

    fn row(&self, name: &str) -> String {
        let Counts { guest, clif, hot, edge, cold, bytes } = self;
        let ratio = *hot as f64 / (*guest).max(1) as f64;
        format!("{name:<28}{guest:>6}{hot:>6}{ratio:>10.2}{edge:>6}{cold:>6}{bytes:>7}{clif:>6}\n")
    }
}

/// The table of a guest.
fn table<C: Cpu>(corpus: &str, mode: u64) -> String {
    let corpus = Corpus::read(corpus);
    let arena = Arena::new(16 << 20).expect("memory for code");
    let config = CompilerConfig { features: HostFeatures::Preset("x86-64-v3"), ..CompilerConfig::of::<C>() };
    let mut compiler = Compiler::<C>::new(arena, config).expect("a compiler");
    let mut text = format!(
        "{:<28}{:>6}{:>6}{:>10}{:>6}{:>6}{:>7}{:>6}\n",
        "", "guest", "hot", "hot/guest", "edge", "cold", "bytes", "clif"
    );
    let mut classes = BTreeMap::<&str, Counts>::new();
    for (name, &entry) in &corpus.functions {
        let blocks = form_region(entry, &Blocks::<C>::from(&corpus, entry, mode), &Limits::default());
        let mut pages: Vec<CodePage> =
            blocks.iter().map(|b| CodePage { va: b.pc & PAGE_MASK, host: b.pc & PAGE_MASK }).collect();
        pages.dedup();
        let request = RegionRequest { id: 0, mode, blocks, pages, dump: true, verify: false, quick: None };
        let row = match compiler.compile(request) {
            Ok(r) => {
                let counts = Counts::of(&r.dump.expect("asked for"));
                let class = name.split('.').next().unwrap_or_default();
                classes.entry(class).or_default().add(&counts);
                counts.row(name)
            }
            Err(f) => format!("{name:<28}{}\n", f.error),
        };
        text += &row;
    }
    text += "\n";
    let mut all = Counts::default();
    for (class, counts) in &classes {
        all.add(counts);
        text += &counts.row(class);
    }
    text += &all.row("all");
    text
}

/// Compares with the golden table, or writes it.
fn check(name: &str, now: &str) {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}.txt"));
    if std::env::var_os("LYREBIRD_GOLDEN").is_some_and(|v| v == "write") {
        fs::write(&file, now).expect("the table is written");
        return;
    }
    let golden = fs::read_to_string(&file).unwrap_or_default();
    let mut diff = String::new();
    let (was, is): (Vec<&str>, Vec<&str>) = (golden.lines().collect(), now.lines().collect());
    for line in &was {
        if !is.contains(line) {
            let _ = writeln!(diff, "- {line}");
            let name = line.split_whitespace().next();
            for line in is.iter().filter(|l| l.split_whitespace().next() == name && !was.contains(l)) {
                let _ = writeln!(diff, "+ {line}");
            }
        }
    }
    assert!(
        golden == now,
        "what T1 emits has changed; if that is for the better, write {} anew:\n\
         LYREBIRD_GOLDEN=write cargo test --release -p lyrebird-machine emitted\n{diff}",
        file.display()
    );
}

#[test]
fn a64() {
    // User code, with all features that the default CPU has, and FPCR clear.
    let mode = CpuModel::max().features << 16 | 1 << 5;
    assert!(ArmMode(mode).el() == 0 && !ArmMode(mode).fp_trapped() && !ArmMode(mode).careful());
    assert!(ArmMode(mode).fp_host());
    check("a64", &table::<ArmCpu>("corpus-a64", mode));
}

#[test]
fn x86_64() {
    // 64-bit user code with AVX: CPL 3, FS and GS with bases, protected, long, MXCSR as after
    // reset, and the CPU model's number.
    let fs_gs = 1 << (4 + Seg::Fs as u64) | 1 << (4 + Seg::Gs as u64);
    let mode = (0..4)
        .map(|model| 2 | 1 << 3 | fs_gs | 1 << 19 | 1 << 22 | 1 << 24 | 1 << 31 | model << 26)
        .find(|m| X86Mode(*m).has(Feature::Avx2))
        .expect("a model with AVX2");
    let m = X86Mode(mode);
    assert!(m.code64() && m.user() && m.avx() && m.long() && !m.careful() && !m.sse_undefined());
    assert!(m.sse_host());
    assert!(m.flat(Seg::Ds) && !m.flat(Seg::Fs) && !m.checked(Seg::Ds));
    check("x86-64", &table::<X86Cpu>("corpus-x86-64", mode));
}
