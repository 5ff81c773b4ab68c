//! The MMU of a vCPU as an x86 front end uses it: 4-level tables in guest RAM, a PC's bus, atomics anywhere.

#[allow(dead_code, reason = "only its view of the inline tables is of use here")]
mod common;

use std::sync::{Arc, Mutex};

use common::inline_tags;
use lyrebird_isa::state::PAGE_SIZE;
use lyrebird_isa::{Core, MemOp, Rmw, Size, V128};
use lyrebird_softmmu::walk::path::Path;
use lyrebird_softmmu::walk::x86::{Access, Control, PageFault, Privilege, code, four_level};
use lyrebird_softmmu::{
    AccessKind, ClassMask, ContextKey, MODE_BITS, MemError, MemFault, MmioDevice, Mmu, PhysMem, Regime,
    Touches, Translation,
};

const RAM: u64 = 0x10_0000;
const ROM: u64 = 0xf_0000;
const DEV: u64 = 0xfec0_0000;
const HOLE: u64 = 0xd000_0000;
const CR3: u64 = RAM;

const P: u64 = 1;
const RW: u64 = 2;
const US: u64 = 4;
const D: u64 = 0x40;
const G: u64 = 0x100;

const SUPERVISOR: u8 = 0;
const USER: u8 = 1;

/// Registers of one byte each, at 0x10 to 0x2f of a page; what is read from one is its offset.
#[derive(Default)]
struct Dev(Mutex<Vec<(u64, Size, u64)>>);

impl MmioDevice for Dev {
    fn name(&self) -> &str {
        "dev"
    }
    fn read(&self, offset: u64, size: Size) -> u64 {
        (0..size.bytes()).map(|i| (offset + i) << (8 * i)).sum()
    }
    fn write(&self, offset: u64, size: Size, value: u64) {
        self.0.lock().unwrap().push((offset, size, value));
    }
}

/// What an x86 CPU has in its registers.
#[derive(Clone, Copy)]
struct Paging {
    cr3: u64,
    cpl: u8,
}

impl Regime for Paging {
    type Fault = PageFault;
    const OPEN_BUS: bool = true;
    const ATOMICS_ANYWHERE: bool = true;

    fn walk(
        &self,
        phys: &PhysMem,
        va: u64,
        kind: AccessKind,
        unpriv: bool,
        path: &mut Path,
    ) -> Result<Translation, PageFault> {
        let c = Control {
            wp: true,
            pse: true,
            pge: true,
            smep: false,
            smap: false,
            nxe: true,
            max_phy_addr: 40,
            pat: true,
            gib_pages: true,
        };
        let privilege = match self.cpl {
            _ if unpriv => Privilege::Implicit,
            3 => Privilege::User,
            _ => Privilege::Supervisor { ac: false },
        };
        four_level::translate(phys, &c, self.cr3, va, Access { kind, privilege }, path)
    }

    fn next_page(&self, va: u64) -> u64 {
        // As in 32-bit code.
        (va & !0xfff).wrapping_add(PAGE_SIZE) & 0xffff_ffff
    }
}

struct Vm {
    core: Box<Core>,
    mmu: Mmu,
    dev: Arc<Dev>,
    paging: Paging,
    pcid: u16,
    tables: u64,
}

impl Vm {
    fn new() -> Vm {
        let dev = Arc::new(Dev::default());
        let phys = PhysMem::builder()
            .ram(RAM, 0x10_0000)
            .rom(ROM, &[0x5a; 0x1000])
            .mmio(DEV + 0x10, 0x20, dev.clone())
            .build()
            .unwrap();
        let mut core = Box::new(Core::new());
        let mmu = Mmu::new(phys, &mut core);
        let mut vm =
            Vm { core, mmu, dev, paging: Paging { cr3: CR3, cpl: 0 }, pcid: 0, tables: RAM + 0x1000 };
        vm.cpl(0);
        vm
    }

    /// Makes the contexts those of a privilege level and of `self.pcid`.
    fn cpl(&mut self, cpl: u8) {
        self.paging.cpl = cpl;
        let key = |class| ContextKey { asid: self.pcid, class };
        let cur = key(if cpl == 3 { USER } else { SUPERVISOR });
        self.mmu.switch(&mut self.core, cur, key(SUPERVISOR), cpl.into());
    }

    /// Address of the PTE of `va`, with the tables above it.
    fn pte(&mut self, va: u64) -> u64 {
        let phys = self.mmu.phys();
        let mut table = self.paging.cr3;
        for shift in [39, 30, 21] {
            let e = table + 8 * (va >> shift & 0x1ff);
            let mut v = phys.read_word(e).unwrap();
            if v == 0 {
                v = self.tables | P | RW | US;
                self.tables += 0x1000;
                phys.write(e, Size::B8, v).unwrap();
            }
            table = v & 0xff_ffff_f000;
        }
        table + 8 * (va >> 12 & 0x1ff)
    }

    fn map(&mut self, va: u64, entry: u64) {
        let e = self.pte(va);
        self.mmu.phys().write(e, Size::B8, entry).unwrap();
    }

    fn entry(&mut self, va: u64) -> u64 {
        let e = self.pte(va);
        self.mmu.phys().read_word(e).unwrap()
    }

    fn load(&mut self, va: u64, m: MemOp) -> Result<u64, MemError<PageFault>> {
        self.mmu.load(&mut self.core, &self.paging, va, m)
    }

    fn store(&mut self, va: u64, m: MemOp, v: u64) -> Result<(), MemError<PageFault>> {
        self.mmu.store(&mut self.core, &self.paging, va, m, v)
    }

    fn rmw(&mut self, op: Rmw, va: u64, m: MemOp, v: u64) -> Result<u64, MemError<PageFault>> {
        self.mmu.rmw(&mut self.core, &self.paging, op, va, m, v)
    }

    fn cas(&mut self, va: u64, m: MemOp, old: u64, new: u64) -> Result<u64, MemError<PageFault>> {
        self.mmu.cas(&mut self.core, &self.paging, va, m, old, new)
    }

    fn written(&self) -> Vec<(u64, Size, u64)> {
        std::mem::take(&mut *self.dev.0.lock().unwrap())
    }
}

const B1: MemOp = MemOp::new(Size::B1);
const B2: MemOp = MemOp::new(Size::B2);
const B4: MemOp = MemOp::new(Size::B4);
const B8: MemOp = MemOp::new(Size::B8);
const B16: MemOp = MemOp::new(Size::B16);

/// RAM that no table is in.
const DATA: u64 = RAM + 0x8_0000;

fn fault<T: std::fmt::Debug>(r: Result<T, MemError<PageFault>>) -> (u64, u32) {
    let e = r.expect_err("must fault");
    match e.fault {
        MemFault::Translation(f) => (e.va, f.code),
        f => panic!("{f:?}"),
    }
}

#[test]
fn the_first_write_after_reads_walks_and_sets_dirty() {
    let mut vm = Vm::new();
    vm.map(0x4000, DATA | P | RW);
    vm.load(0x4000, B8).unwrap();
    assert_eq!(inline_tags(vm.core.tlb, 0x4000), (true, false, false));
    assert_eq!(vm.entry(0x4000) & D, 0);
    vm.store(0x4008, B8, 7).unwrap();
    assert_eq!(inline_tags(vm.core.tlb, 0x4000), (true, true, false));
    assert_eq!(vm.entry(0x4000) & D, D);
    // A page that is dirty already is writable at once.
    vm.mmu.flush_va(&mut vm.core, 0x4000, Some(0), ClassMask::ALL);
    vm.load(0x4000, B8).unwrap();
    assert_eq!(inline_tags(vm.core.tlb, 0x4000), (true, true, false));
    // An atomic access is a write from the start.
    vm.map(0x5000, (DATA + 0x1000) | P | RW);
    vm.load(0x5000, B4).unwrap();
    assert_eq!(vm.cas(0x5000, B4, 1, 2), Ok(0));
    assert_eq!(vm.entry(0x5000) & D, D);
    vm.map(0x6000, DATA | P);
    assert_eq!(fault(vm.rmw(Rmw::Add, 0x6000, B4, 1)), (0x6000, code::P | code::WR));
    assert_eq!(fault(vm.rmw(Rmw::Add, 0x9000, B4, 1)), (0x9000, code::WR));
}

#[test]
fn helpers_reach_system_structures_at_cpl_3() {
    let mut vm = Vm::new();
    vm.map(0x4000, DATA | P | RW);
    vm.map(0x5000, (DATA + 0x1000) | P | RW | US);
    vm.mmu.phys().write(DATA + 0x10, Size::B8, 0x1234).unwrap();
    vm.cpl(3);
    assert_eq!(fault(vm.load(0x4010, B8)), (0x4010, code::P | code::US));
    assert_eq!(vm.load(0x4010, B8.unpriv()), Ok(0x1234));
    vm.store(0x4010, B4.unpriv(), 0x5678).unwrap();
    assert_eq!(vm.load(0x4010, B8.unpriv()), Ok(0x5678));
    assert_eq!(fault(vm.load(0x4010, B8)), (0x4010, code::P | code::US), "that made nothing accessible");
    // The error code of an implicit access has U/S clear.
    assert_eq!(fault(vm.store(0x9000, B8.unpriv(), 0)), (0x9000, code::WR));
    // What was cached for the supervisor is there for explicit accesses at CPL 0.
    vm.cpl(0);
    assert_eq!(inline_tags(vm.core.tlb, 0x4000), (true, true, false));
}

#[test]
fn crossing_accesses_are_checked_on_both_pages_first() {
    let mut vm = Vm::new();
    vm.map(0x4000, DATA | P | RW);
    vm.map(0x5000, (DATA + 0x1000) | P);
    vm.mmu.phys().write(DATA + 0xff8, Size::B8, 0x1111_1111_1111_1111).unwrap();
    let no = (0x5000, code::P | code::WR);
    assert_eq!(fault(vm.store(0x4ffc, B8, u64::MAX)), no);
    assert_eq!(fault(vm.rmw(Rmw::Swp, 0x4ffd, B4, u64::MAX)), no);
    assert_eq!(fault(vm.cas(0x4ffd, B4, 0x11_1111, 5)), no);
    assert_eq!(vm.load(0x4ff8, B8), Ok(0x1111_1111_1111_1111));
    // Ranges of any length.
    let check = |vm: &mut Vm, va, len, kind| vm.mmu.check(&mut vm.core, &vm.paging, va, len, kind, false);
    let nothing = Ok(Touches::default());
    assert_eq!(check(&mut vm, 0x4e01, 0x1ff, AccessKind::Write), nothing);
    assert_eq!(fault(check(&mut vm, 0x4e01, 0x200, AccessKind::Write)), no);
    assert_eq!(check(&mut vm, 0x4e01, 0x11ff, AccessKind::Read), nothing);
    assert_eq!(fault(check(&mut vm, 0x4e01, 0x1200, AccessKind::Read)), (0x6000, 0));
    assert_eq!(check(&mut vm, 0x6000, 0, AccessKind::Read), nothing);
    vm.mmu.watch_code(DATA);
    let code = Touches { code: true, device: false };
    assert_eq!(check(&mut vm, 0x4ffc, 4, AccessKind::Write), Ok(code));
    assert_eq!(check(&mut vm, 0x4ffc, 4, AccessKind::Read), nothing);
    vm.map(0x5000, DEV | P | RW);
    let both = Touches { device: true, ..code };
    assert_eq!(check(&mut vm, 0x4ffc, 8, AccessKind::Write), Ok(both));
    assert_eq!(check(&mut vm, 0x5000, 4, AccessKind::Read), nothing);
    // At 4 GiB.
    vm.map(0xffff_f000, (DATA + 0x2000) | P | RW);
    assert_eq!(fault(vm.store(0xffff_fffe, B4, 0)), (0, code::WR));
    vm.map(0, (DATA + 0x3000) | P | RW);
    vm.store(0xffff_fffe, B4, 0x4433_2211).unwrap();
    assert_eq!(vm.load(0, B2), Ok(0x4433));
    assert_eq!(vm.load(0xffff_fffe, B4), Ok(0x4433_2211));
}

#[test]
fn holes_read_as_ones_and_lose_writes() {
    let mut vm = Vm::new();
    vm.map(0x4000, HOLE | P | RW);
    vm.map(0x5000, ROM | P | RW);
    vm.map(0x6000, DEV | P | RW);
    vm.map(0x7000, DATA | P | RW);
    for (m, ones) in [(B1, 0xff), (B2, 0xffff), (B4, 0xffff_ffff), (B8, u64::MAX)] {
        for va in [0x4000, 0x4003] {
            assert_eq!(vm.load(va, m), Ok(ones));
            vm.store(va, m, 0).unwrap();
        }
        assert_eq!(vm.load(0x6000, m), Ok(ones), "a device elsewhere in the page");
        vm.store(0x6000, m, 0).unwrap();
    }
    assert_eq!(vm.mmu.load128(&mut vm.core, &vm.paging, 0x4001, B16), Ok(V128([u64::MAX; 2])));
    vm.store(0x5001, B4, 0).unwrap();
    vm.store(0x4ffe, B4, 0).unwrap();
    assert_eq!(vm.load(0x4ffe, B4), Ok(0x5a5a_ffff));
    assert_eq!(vm.written(), []);
    // Half in RAM, half in a hole.
    vm.map(0x8000, HOLE | P | RW);
    vm.store(0x7ffe, B4, 0x4433_2211).unwrap();
    assert_eq!(vm.load(0x7ffe, B4), Ok(0xffff_2211));
    // Execution finds ones, too.
    for va in [0x4000, 0x6000] {
        let page = vm.mmu.fetch(&mut vm.core, &vm.paging, va).unwrap();
        // SAFETY: a fetched page.
        let bytes = unsafe { page.host.cast::<[u8; 4096]>().read() };
        assert_eq!(bytes, [0xff; 4096]);
    }
    for kind in [AccessKind::Read, AccessKind::Write] {
        let at = |va| vm.mmu.run(&mut vm.core, &vm.paging, (va, 8), kind, false).unwrap().is_some();
        let want = [(0x4000, false), (0x5000, kind == AccessKind::Read), (0x6000, false), (0x7000, true)];
        assert_eq!(want.map(|w| w.0).map(at), want.map(|w| w.1));
    }
}

#[test]
fn devices_take_accesses_of_any_alignment() {
    let mut vm = Vm::new();
    vm.map(0x6000, DEV | P | RW);
    vm.map(0x7000, DATA | P | RW);
    assert_eq!(vm.load(0x6011, B4), Ok(0x0403_0201));
    assert_eq!(vm.load(0x6013, B8), Ok(0x0a09_0807_0605_0403));
    // Past either end.
    assert_eq!(vm.load(0x600e, B4), Ok(0x0100_ffff));
    assert_eq!(vm.load(0x602e, B4), Ok(0xffff_1f1e));
    vm.store(0x6011, B4, 0x4433_2211).unwrap();
    assert_eq!(vm.written(), [(1, Size::B1, 0x11), (2, Size::B2, 0x3322), (4, Size::B1, 0x44)]);
    vm.store(0x602e, B4, 0x4433_2211).unwrap();
    assert_eq!(vm.written(), [(0x1e, Size::B1, 0x11), (0x1f, Size::B1, 0x22)]);
    vm.store(0x600e, B4, 0x4433_2211).unwrap();
    assert_eq!(vm.written(), [(0, Size::B1, 0x33), (1, Size::B1, 0x44)]);
    assert!(vm.load(0x6014, B4.aligned()).is_ok());
    let e = vm.load(0x6015, B4.aligned()).expect_err("the instruction asks for alignment");
    assert_eq!(e.fault, MemFault::Alignment);
}

#[test]
fn atomics_work_anywhere() {
    let mut vm = Vm::new();
    vm.map(0x4000, DATA | P | RW);
    vm.map(0x5000, (DATA + 0x5000) | P | RW);
    vm.map(0x6000, DEV | P | RW);
    vm.map(0x7000, HOLE | P | RW);
    vm.map(0x8000, ROM | P | RW);
    for va in [0x4000, 0x4001, 0x4ffd, 0x4fff] {
        for m in [B1, B2, B4, B8] {
            let w = m.size.width();
            let v = 0x8877_6655_4433_2211;
            vm.store(va, B16, v).unwrap();
            assert_eq!(vm.rmw(Rmw::Add, va, m, 0xff), Ok(w.zext(v)), "{va:#x} {m:?}");
            assert_eq!(vm.load(va, m), Ok(w.zext(v + 0xff)));
            assert_eq!(vm.cas(va, m, v, 1), Ok(w.zext(v + 0xff)), "differs");
            assert_eq!(vm.cas(va, m, v + 0xff, 0), Ok(w.zext(v + 0xff)));
            assert_eq!(vm.load(va, m), Ok(0));
            assert_eq!(vm.load(va, B8), Ok(v & !w.mask()), "neighbours untouched");
        }
    }
    // 16 bytes: without alignment, and as CMPXCHG16B asks for it.
    vm.mmu.store128(&mut vm.core, &vm.paging, 0x4ff9, B16, V128([1, 2])).unwrap();
    let cas = |vm: &mut Vm, va, m, old, new| vm.mmu.cas128(&mut vm.core, &vm.paging, va, m, old, new);
    assert_eq!(cas(&mut vm, 0x4ff9, B16, V128([1, 2]), V128([3, 4])), Ok(V128([1, 2])));
    assert_eq!(cas(&mut vm, 0x4ff9, B16, V128([1, 2]), V128([5, 6])), Ok(V128([3, 4])));
    let e = cas(&mut vm, 0x4ff8, B16.aligned(), V128([3, 4]), V128([0, 0])).expect_err("misaligned");
    assert_eq!(e.fault, MemFault::Alignment);
    // No RAM.
    assert_eq!(vm.rmw(Rmw::Set, 0x6010, B2, 0x8000), Ok(0x0100));
    assert_eq!(vm.written(), [(0, Size::B2, 0x8100)]);
    assert_eq!(vm.rmw(Rmw::Swp, 0x7000, B4, 1), Ok(0xffff_ffff));
    assert_eq!(vm.cas(0x8000, B4, 0x5a5a_5a5a, 1), Ok(0x5a5a_5a5a));
    assert_eq!(vm.load(0x8000, B4), Ok(0x5a5a_5a5a));
    // Code is noticed, part by part.
    vm.mmu.watch_code(DATA + 0x5000);
    vm.rmw(Rmw::Add, 0x4ffe, B4, 1).unwrap();
    assert_eq!(vm.mmu.take_dirty_code(), Some((DATA + 0x5000, 2)));
}

#[test]
fn invalidation_keeps_what_x86_keeps() {
    let mut vm = Vm::new();
    vm.map(0x4000, DATA | P | RW);
    vm.map(0x5000, (DATA + 0x1000) | P | RW | G);
    let cached = |vm: &mut Vm| {
        [1, 2].map(|pcid| {
            vm.pcid = pcid;
            vm.cpl(0);
            [0x4000, 0x5000].map(|va| inline_tags(vm.core.tlb, va).0)
        })
    };
    let fill = |vm: &mut Vm| {
        for pcid in [1, 2] {
            vm.pcid = pcid;
            vm.cpl(0);
            vm.load(0x4000, B8).unwrap();
            vm.load(0x5000, B8).unwrap();
        }
        assert_eq!(cached(vm), [[true; 2]; 2]);
    };
    // MOV CR3, and INVPCID type 1.
    fill(&mut vm);
    vm.mmu.flush_asid(&mut vm.core, 1, ClassMask::ALL);
    assert_eq!(cached(&mut vm), [[false, true], [true, true]]);
    // INVLPG; global pages go whatever the PCID.
    fill(&mut vm);
    vm.mmu.flush_va(&mut vm.core, 0x4123, Some(1), ClassMask::ALL);
    assert_eq!(cached(&mut vm), [[false, true], [true, true]]);
    vm.mmu.flush_va(&mut vm.core, 0x5123, Some(1), ClassMask::ALL);
    assert_eq!(cached(&mut vm), [[false, false], [true, false]]);
    // INVPCID type 3.
    fill(&mut vm);
    vm.mmu.flush_private(&mut vm.core, ClassMask::ALL);
    assert_eq!(cached(&mut vm), [[false, true], [false, true]]);
    // INVPCID type 2, and changes of CR4.PGE.
    fill(&mut vm);
    vm.mmu.flush_all(&mut vm.core, ClassMask::ALL);
    assert_eq!(cached(&mut vm), [[false; 2]; 2]);
}

#[test]
fn no_code_context_comes_back_when_modes_are_renumbered() {
    let mut vm = Vm::new();
    vm.map(0x4000, DATA | P | RW | US);
    let mut seen = Vec::new();
    for _ in 0..3 {
        for cpl in [0, 3] {
            vm.cpl(cpl);
            vm.mmu.fetch(&mut vm.core, &vm.paging, 0x4000).unwrap();
            assert_eq!(vm.core.code_ctx & ((1 << MODE_BITS) - 1), cpl.into());
            assert!(!seen.contains(&vm.core.code_ctx));
            seen.push(vm.core.code_ctx);
        }
        let before = vm.core.code_ctx;
        vm.mmu.renew_code(&mut vm.core);
        assert_ne!(vm.core.code_ctx, before);
        assert!(!inline_tags(vm.core.tlb, 0x4000).2, "fetches are to be seen again");
    }
}

#[test]
fn private_code_gets_a_new_code_context_with_mov_cr3_and_global_code_does_not() {
    let mut vm = Vm::new();
    vm.map(0x4000, DATA | P);
    vm.map(0x5000, (DATA + 0x1000) | P | G);
    let first = vm.core.code_ctx;
    vm.mmu.fetch(&mut vm.core, &vm.paging, 0x5000).unwrap();
    vm.mmu.flush_private(&mut vm.core, ClassMask::ALL);
    assert_eq!(vm.core.code_ctx, first);
    vm.mmu.fetch(&mut vm.core, &vm.paging, 0x4000).unwrap();
    vm.mmu.flush_private(&mut vm.core, ClassMask::ALL);
    assert_ne!(vm.core.code_ctx, first);
}
