//! The MMU of a vCPU with a hand-made regime: which accesses work, what they do, and what faults say.

#[allow(dead_code, reason = "not all of it is of use here")]
mod common;

use std::sync::{Arc, Mutex};
use std::thread;

use common::{Leaf, Refused, Spaces, inline_load, inline_tags};
use lyrebird_isa::state::{PAGE_BITS, PAGE_SIZE, TAG_NONE, TLB_ENTRIES};
use lyrebird_isa::{Core, MemOp, Rmw, Size, V128};
use lyrebird_softmmu::{
    AccessKind, ClassMask, ContextKey, MODE_BITS, MemError, MemFault, MemType, MmioDevice, Mmu, PhysMem,
};

const RAM: u64 = 0x4000_0000;
const DEV: u64 = 0x900_0000;
const ROM: u64 = 0;
const HOLE: u64 = 0x8000_0000;

const KEY: ContextKey = ContextKey { asid: 1, class: 0 };
const USER: ContextKey = ContextKey { asid: 1, class: 1 };

#[derive(Default)]
struct Reg(Mutex<Vec<(u64, Size, u64)>>);

impl MmioDevice for Reg {
    fn name(&self) -> &str {
        "reg"
    }
    fn read(&self, offset: u64, _size: Size) -> u64 {
        0x1111_1111_1111_1111 * (offset & 0xf)
    }
    fn write(&self, offset: u64, size: Size, value: u64) {
        self.0.lock().unwrap().push((offset, size, value));
    }
}

struct Vm {
    core: Box<Core>,
    mmu: Mmu,
    spaces: Spaces,
    dev: Arc<Reg>,
}

impl Vm {
    fn new() -> Vm {
        let dev = Arc::new(Reg::default());
        let phys = PhysMem::builder()
            .rom(ROM, &[0x5a; 0x2000])
            .mmio(DEV, 0x1000, dev.clone())
            .ram(RAM, 0x80_0000)
            .build()
            .unwrap();
        let mut core = Box::new(Core::new());
        let mut mmu = Mmu::new(phys, &mut core);
        mmu.switch(&mut core, KEY, USER, 0);
        Vm { core, mmu, spaces: Spaces::default(), dev }
    }

    fn map(&mut self, va: u64, pa: u64) -> &mut Leaf {
        self.spaces.private.entry(1).or_default().push(Leaf::page(va, pa));
        self.spaces.private.get_mut(&1).unwrap().last_mut().unwrap()
    }

    fn load(&mut self, va: u64, m: MemOp) -> Result<u64, MemError<Refused>> {
        let space = self.spaces.of(KEY, USER);
        self.mmu.load(&mut self.core, &space, va, m)
    }

    fn store(&mut self, va: u64, m: MemOp, v: u64) -> Result<(), MemError<Refused>> {
        let space = self.spaces.of(KEY, USER);
        self.mmu.store(&mut self.core, &space, va, m, v)
    }

    fn fetch(&mut self, va: u64) -> Result<u64, MemError<Refused>> {
        let space = self.spaces.of(KEY, USER);
        self.mmu.fetch(&mut self.core, &space, va).map(|c| c.pa)
    }

    fn tags(&self, va: u64) -> (bool, bool, bool) {
        inline_tags(self.core.tlb, va)
    }
}

const B1: MemOp = MemOp::new(Size::B1);
const B4: MemOp = MemOp::new(Size::B4);
const B8: MemOp = MemOp::new(Size::B8);
const B16: MemOp = MemOp::new(Size::B16);

fn err<T: std::fmt::Debug>(r: Result<T, MemError<Refused>>) -> (u64, AccessKind, MemFault<Refused>) {
    let e = r.expect_err("must fault");
    (e.va, e.kind, e.fault)
}

use AccessKind::{Exec, Read, Write};
use MemFault::{Alignment, External, Translation};

#[test]
fn the_slow_path_fills_exactly_the_tags_that_are_allowed() {
    let mut vm = Vm::new();
    vm.map(0x1000, RAM);
    vm.map(0x2000, RAM + 0x1000).write = false;
    vm.map(0x3000, DEV).mem = MemType::Device;
    vm.map(0x4000, ROM);
    vm.map(0x5000, RAM + 0x2000).mem = MemType::Device;
    vm.map(0x6000, RAM + 0x3000).read = false;
    for (va, want) in [
        (0x1000, (true, true, false)),
        (0x2000, (true, false, false)),
        (0x3000, (false, false, false)),
        (0x4000, (true, false, false)),
        (0x5000, (false, false, false)),
    ] {
        vm.load(va, B8).unwrap();
        assert_eq!(vm.tags(va), want, "{va:#x}");
    }
    vm.store(0x6000, B8, 1).unwrap();
    // Atomic accesses look at the write tag alone.
    assert_eq!(vm.tags(0x6000), (false, false, false));
    assert_eq!(err(vm.load(0x6008, B8)), (0x6008, Read, Translation(Refused::Permission)));
    let space = vm.spaces.of(KEY, USER);
    let r = vm.mmu.rmw(&mut vm.core, &space, Rmw::Add, 0x6000, B8, 1).map(drop);
    assert_eq!(err(r), (0x6000, Read, Translation(Refused::Permission)));
    vm.mmu.watch_code(RAM + 0x3000);
    vm.mmu.unwatch_code(RAM + 0x3000);
    vm.store(0x6000, B8, 1).unwrap();
    assert_eq!(vm.tags(0x6000), (false, false, false));
    vm.store(0x1008, B8, 0x1234).unwrap();
    assert_eq!(inline_load(vm.core.tlb, 0x1008), Some(0x1234));
    assert_eq!(vm.fetch(0x1008), Ok(RAM));
    assert_eq!(vm.tags(0x1000), (true, true, true));
    assert_eq!(vm.fetch(0x4010), Ok(ROM));
    assert_eq!(vm.load(0x4000, B4), Ok(0x5a5a_5a5a));
    // The unprivileged table is another one.
    assert!(inline_load(vm.core.tlb_unpriv, 0x1008).is_none());
    assert_eq!(vm.load(0x1008, B8.unpriv()), Ok(0x1234));
    assert_eq!(inline_load(vm.core.tlb_unpriv, 0x1008), Some(0x1234));
}

#[test]
fn faults_name_the_address_and_kind() {
    let mut vm = Vm::new();
    vm.map(0x1000, RAM).write = false;
    vm.map(0x2000, HOLE);
    vm.map(0x3000, ROM);
    vm.map(0x4000, DEV).exec = true;
    vm.map(0x5000, RAM + 0x1000).user = false;
    assert_eq!(err(vm.load(0x9008, B8)), (0x9008, Read, Translation(Refused::Unmapped)));
    assert_eq!(err(vm.store(0x1008, B8, 0)), (0x1008, Write, Translation(Refused::Permission)));
    assert_eq!(err(vm.load(0x2ff8, B8)), (0x2ff8, Read, External { pa: HOLE + 0xff8 }));
    assert_eq!(err(vm.store(0x2004, B4, 0)), (0x2004, Write, External { pa: HOLE + 4 }));
    assert_eq!(err(vm.fetch(0x2004)), (0x2004, Exec, External { pa: HOLE + 4 }));
    assert_eq!(err(vm.store(0x3000, B1, 0)), (0x3000, Write, External { pa: ROM }));
    assert_eq!(err(vm.fetch(0x4004)), (0x4004, Exec, External { pa: DEV + 4 }));
    assert_eq!(err(vm.load(0x5000, B1.unpriv())), (0x5000, Read, Translation(Refused::Permission)));
    assert!(vm.load(0x5000, B1).is_ok());
    // A permission gained in the tables works without maintenance.
    for l in vm.spaces.private.get_mut(&1).unwrap() {
        l.write = true;
    }
    assert!(vm.store(0x1008, B8, 0).is_ok());
}

#[test]
fn alignment_is_asked_for_by_the_access_or_by_device_memory() {
    let mut vm = Vm::new();
    vm.map(0x1000, RAM);
    vm.map(0x2000, RAM + 0x1000).mem = MemType::Device;
    vm.map(0x3000, DEV).mem = MemType::Device;
    assert!(vm.load(0x1001, B8).is_ok());
    assert_eq!(err(vm.load(0x1001, B8.aligned())), (0x1001, Read, Alignment));
    assert_eq!(err(vm.store(0x1002, B4.aligned(), 0)), (0x1002, Write, Alignment));
    // By rank: the access's own rule, then translation, then device memory.
    assert_eq!(err(vm.load(0x9001, B8.aligned())), (0x9001, Read, Alignment));
    assert_eq!(err(vm.load(0x9001, B8)), (0x9001, Read, Translation(Refused::Unmapped)));
    for va in [0x2001, 0x3001] {
        assert_eq!(err(vm.load(va, B8)), (va, Read, Alignment));
        assert_eq!(err(vm.store(va, B4, 0)), (va, Write, Alignment));
        assert!(vm.load(va, B1).is_ok());
        assert!(vm.load(va & !7, B8).is_ok());
    }
    // Crossing from normal into device memory and back.
    assert_eq!(err(vm.load(0x1ffd, B4)), (0x1ffd, Read, Alignment));
    vm.map(0x4000, RAM);
    assert_eq!(err(vm.store(0x3ffe, B4, 0)), (0x3ffe, Write, Alignment));
    assert!(vm.dev.0.lock().unwrap().is_empty());
}

#[test]
fn elements_are_aligned_and_seen_by_devices_one_by_one() {
    let mut vm = Vm::new();
    vm.map(0x2000, RAM + 0x1000).mem = MemType::Device;
    vm.map(0x3000, DEV).mem = MemType::Device;
    vm.map(0x4000, RAM).mem = MemType::Device;
    let halves = B16.elements(Size::B2);
    let q = V128([0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908]);
    let space = vm.spaces.of(KEY, USER);
    for va in [0x2000, 0x2002, 0x2ff0] {
        vm.mmu.store128(&mut vm.core, &space, va, halves, q).unwrap();
        assert_eq!(vm.mmu.load128(&mut vm.core, &space, va, halves), Ok(q));
        let wrong = vm.mmu.load128(&mut vm.core, &space, va + 1, halves);
        assert_eq!(wrong.map_err(|e| (e.va, e.kind, e.fault)), Err((va + 1, Read, Alignment)));
    }
    // An aligned address does not make it one access.
    vm.store(0x3010, B8.elements(Size::B4), 0x2222_2222_1111_1111).unwrap();
    vm.store(0x3024, B8.elements(Size::B4), 0x4444_4444_3333_3333).unwrap();
    // The last two elements are in the next page.
    vm.mmu.store128(&mut vm.core, &space, 0x3ff8, B16.elements(Size::B4), q).unwrap();
    let seen = [
        (0x10, Size::B4, 0x1111_1111),
        (0x14, Size::B4, 0x2222_2222),
        (0x24, Size::B4, 0x3333_3333),
        (0x28, Size::B4, 0x4444_4444),
        (0xff8, Size::B4, 0x0302_0100),
        (0xffc, Size::B4, 0x0706_0504),
    ];
    assert_eq!(*vm.dev.0.lock().unwrap(), seen);
    assert_eq!(vm.mmu.phys().read(RAM, Size::B8), Ok(q.0[1]));
    assert_eq!(vm.load(0x3002, B4.elements(Size::B1)), Ok(0x5544_3322));
}

#[test]
fn page_crossing_stores_are_all_or_nothing() {
    let mut vm = Vm::new();
    vm.map(0x1000, RAM + 0x3000);
    vm.map(0x2000, RAM + 0x1000);
    vm.map(0x3000, RAM + 0x2000).write = false;
    vm.map(0x4000, HOLE);
    vm.map(0x5000, RAM + 0x4000);
    vm.store(0x1ffb, B8, 0x8877_6655_4433_2211).unwrap();
    assert_eq!(vm.load(0x1ffb, B8), Ok(0x8877_6655_4433_2211));
    assert_eq!(vm.mmu.phys().read(RAM + 0x3ffb, Size::B4), Ok(0x4433_2211));
    assert_eq!(vm.mmu.phys().read(RAM + 0x1000, Size::B2), Ok(0x7766));
    let space = vm.spaces.of(KEY, USER);
    let q = V128([0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908]);
    for va in 0x1ff1..0x2000 {
        vm.mmu.store128(&mut vm.core, &space, va, B16, q).unwrap();
        assert_eq!(vm.mmu.load128(&mut vm.core, &space, va, B16), Ok(q));
        assert_eq!(vm.load(va + 3, B1), Ok(3));
        assert_eq!(vm.load(va + 15, B1), Ok(15));
    }
    // The second page faults: its first byte is named, and nothing was stored to the first.
    vm.store(0x2ff8, B8, 0).unwrap();
    assert_eq!(err(vm.store(0x2ffd, B8, u64::MAX)), (0x3000, Write, Translation(Refused::Permission)));
    assert_eq!(vm.load(0x2ff8, B8), Ok(0));
    assert!(vm.load(0x2ffd, B8).is_ok());
    assert_eq!(err(vm.load(0x3ffd, B8)), (0x4000, Read, External { pa: HOLE }));
    assert_eq!(err(vm.load(0x5ffd, B8)), (0x6000, Read, Translation(Refused::Unmapped)));
    // The first page faults: the access's own address.
    assert_eq!(err(vm.store(0x4ffd, B8, u64::MAX)), (0x4ffd, Write, External { pa: HOLE + 0xffd }));
    assert_eq!(vm.load(0x5000, B8), Ok(0));
    assert_eq!(err(vm.load(0xfffd, B8)), (0xfffd, Read, Translation(Refused::Unmapped)));
    // The end of the address space wraps.
    vm.map(u64::MAX << 12, RAM + 0x5000);
    vm.map(0, RAM + 0x6000);
    vm.store(u64::MAX - 1, B4, 0xaabb_ccdd).unwrap();
    assert_eq!(vm.load(0, B1), Ok(0xbb));
}

#[test]
fn devices_are_reached_without_walking_again() {
    let mut vm = Vm::new();
    vm.map(0x3000, DEV).mem = MemType::Device;
    assert_eq!(vm.load(0x3004, B4), Ok(0x4444_4444));
    let walks = vm.mmu.stats().walks;
    for _ in 0..10 {
        vm.load(0x3008, B1).unwrap();
        vm.store(0x300c, B4, 0xffff_ffff_0000_0007).unwrap();
    }
    assert_eq!(vm.mmu.stats().walks, walks);
    assert_eq!((vm.mmu.stats().mmio_reads, vm.mmu.stats().mmio_writes), (11, 10));
    assert_eq!(vm.dev.0.lock().unwrap()[0], (0xc, Size::B4, 7));
    // Sixteen bytes are two registers.
    let space = vm.spaces.of(KEY, USER);
    let v = vm.mmu.load128(&mut vm.core, &space, 0x3010, B16).unwrap();
    assert_eq!(v, V128([0, 0x8888_8888_8888_8888]));
}

#[test]
fn atomics_need_ram_alignment_and_both_permissions() {
    let mut vm = Vm::new();
    vm.map(0x1000, RAM);
    vm.map(0x2000, RAM + 0x1000).write = false;
    vm.map(0x3000, DEV).mem = MemType::Device;
    vm.map(0x4000, ROM);
    let space = vm.spaces.of(KEY, USER);
    let (m, c) = (&mut vm.mmu, &mut vm.core);
    assert_eq!(m.rmw(c, &space, Rmw::Add, 0x1004, B4, 5), Ok(0));
    assert_eq!(m.rmw(c, &space, Rmw::Swp, 0x1004, B4, 9), Ok(5));
    assert_eq!(m.cas(c, &space, 0x1004, B4, 0xffff_ffff_0000_0009, 11), Ok(9), "the low bits count");
    assert_eq!(m.cas(c, &space, 0x1004, B4, 9, 12), Ok(11));
    assert_eq!(m.cas(c, &space, 0x1000, B8, 11 << 32, 1), Ok(11 << 32));
    let (a, b) = (V128([1, 0]), V128([2, 3]));
    assert_eq!(m.cas128(c, &space, 0x1000, B16, a, b), Ok(a));
    assert_eq!(m.cas128(c, &space, 0x1000, B16, a, a), Ok(b));
    assert_eq!(err(m.rmw(c, &space, Rmw::Add, 0x1002, B4, 5)), (0x1002, Read, Alignment));
    assert_eq!(err(m.cas128(c, &space, 0x1008, B16, a, b)), (0x1008, Read, Alignment));
    assert_eq!(
        err(m.rmw(c, &space, Rmw::Add, 0x2000, B4, 5)),
        (0x2000, Write, Translation(Refused::Permission))
    );
    assert_eq!(err(m.cas(c, &space, 0x9000, B4, 5, 6)), (0x9000, Read, Translation(Refused::Unmapped)));
    assert_eq!(err(m.rmw(c, &space, Rmw::Add, 0x3000, B4, 5)), (0x3000, Write, External { pa: DEV }));
    assert_eq!(err(m.rmw(c, &space, Rmw::Add, 0x4000, B4, 5)), (0x4000, Write, External { pa: ROM }));
    assert!(vm.dev.0.lock().unwrap().is_empty());
}

#[test]
fn atomics_hold_between_vcpus() {
    const N: u64 = 50_000;
    let phys = PhysMem::builder().ram(RAM, 0x1000).build().unwrap();
    let workers: Vec<_> = (0..2u64)
        .map(|id| {
            let phys = phys.clone();
            thread::spawn(move || {
                let mut core = Core::new();
                let mut mmu = Mmu::new(phys, &mut core);
                mmu.switch(&mut core, KEY, KEY, 0);
                let mut spaces = Spaces::default();
                spaces.private.entry(1).or_default().push(Leaf::page(0x1000, RAM));
                let space = spaces.of(KEY, KEY);
                for i in 0..N {
                    mmu.rmw(&mut core, &space, Rmw::Add, 0x1000, B4, 1).unwrap();
                    // Two bytes of one word, each incremented by one thread only.
                    mmu.rmw(&mut core, &space, Rmw::Add, 0x1008 + id, B1, 1).unwrap();
                    let mut old = V128::default();
                    loop {
                        let new = V128([old.0[0] + 1, old.0[1] + i]);
                        let seen = mmu.cas128(&mut core, &space, 0x1010, B16, old, new).unwrap();
                        if seen == old {
                            break;
                        }
                        old = seen;
                    }
                }
            })
        })
        .collect();
    for w in workers {
        w.join().unwrap();
    }
    assert_eq!(phys.read(RAM, Size::B4), Ok(2 * N));
    assert_eq!(phys.read(RAM + 8, Size::B2), Ok((N & 0xff) * 0x101));
    assert_eq!(phys.read(RAM + 0x10, Size::B8), Ok(2 * N));
    assert_eq!(phys.read(RAM + 0x18, Size::B8), Ok(N * (N - 1)));
}

#[test]
fn stores_to_watched_pages_are_done_and_reported_under_every_alias() {
    let mut vm = Vm::new();
    vm.map(0x1000, RAM);
    vm.map(0x40_2000, RAM);
    vm.map(0x5000, RAM + 0x1000);
    vm.store(0x1000, B8, 1).unwrap();
    vm.store(0x40_2000, B8, 1).unwrap();
    vm.store(0x5000, B8, 1).unwrap();
    vm.store(0x1000, B8.unpriv(), 1).unwrap();
    // Another address space with the page, not current when it becomes code.
    let other = ContextKey { asid: 2, class: 0 };
    vm.spaces.private.entry(2).or_default().push(Leaf::page(0x7000, RAM));
    let space2 = vm.spaces.of(other, other);
    vm.mmu.switch(&mut vm.core, other, other, 0);
    vm.mmu.store(&mut vm.core, &space2, 0x7000, B8, 1).unwrap();
    vm.mmu.switch(&mut vm.core, KEY, USER, 0);

    vm.mmu.watch_code(RAM + 0x10);
    for (va, want) in [(0x1000, false), (0x40_2000, false), (0x5000, true)] {
        assert_eq!(vm.tags(va), (true, want, false), "{va:#x}");
    }
    assert!(!inline_tags(vm.core.tlb_unpriv, 0x1000).1);
    assert_eq!(vm.mmu.take_dirty_code(), None);

    vm.store(0x1008, B4, 0xabcd).unwrap();
    assert_eq!(vm.load(0x40_2008, B4), Ok(0xabcd));
    assert_eq!(vm.mmu.take_dirty_code(), Some((RAM + 8, 4)));
    assert_eq!(vm.mmu.take_dirty_code(), None);
    vm.mmu.switch(&mut vm.core, other, other, 0);
    assert_eq!(inline_tags(vm.core.tlb, 0x7000), (true, false, false));
    vm.mmu.store(&mut vm.core, &space2, 0x7010, B8, 1).unwrap();
    vm.mmu.switch(&mut vm.core, KEY, USER, 0);
    assert_eq!(vm.mmu.take_dirty_code(), Some((RAM + 0x10, 8)));
    // Crossing out of the page: its part only. A copy is one report.
    vm.map(0x2000, RAM + 0x2000);
    vm.store(0x1ffd, B8, u64::MAX).unwrap();
    assert_eq!(vm.mmu.take_dirty_code(), Some((RAM + 0xffd, 3)));
    for i in 0..64 {
        vm.store(0x1100 + 8 * i, B8, i).unwrap();
    }
    assert_eq!(vm.mmu.take_dirty_code(), Some((RAM + 0x100, 512)));
    assert_eq!(vm.mmu.take_dirty_code(), None);
    // Atomics, whole-page helpers and devices count as well.
    let space = vm.spaces.of(KEY, USER);
    vm.mmu.rmw(&mut vm.core, &space, Rmw::Add, 0x1020, B4, 1).unwrap();
    assert_eq!(vm.mmu.take_dirty_code(), Some((RAM + 0x20, 4)));
    vm.mmu.cas(&mut vm.core, &space, 0x1020, B4, 77, 78).unwrap();
    assert_eq!(vm.mmu.take_dirty_code(), None, "nothing was stored");
    assert!(vm.mmu.run(&mut vm.core, &space, (0x1040, 24), Read, false).unwrap().is_some());
    assert_eq!(vm.mmu.take_dirty_code(), None);
    assert!(vm.mmu.run(&mut vm.core, &space, (0x1040, 24), Write, false).unwrap().is_some());
    assert_eq!(vm.mmu.take_dirty_code(), Some((RAM + 0x40, 24)));
    vm.mmu.phys().write_bytes(RAM + 0x30, &[1, 2]).unwrap();
    assert_eq!(vm.mmu.take_dirty_code(), Some((RAM + 0x30, 2)));
    // A new mapping of the page gets no write tag either, until it is no code any more.
    vm.map(0x8000, RAM);
    vm.load(0x8000, B8).unwrap();
    assert_eq!(vm.tags(0x8000), (true, false, false));
    vm.mmu.unwatch_code(RAM);
    let walks = vm.mmu.stats().walks;
    vm.store(0x8000, B8, 0).unwrap();
    vm.store(0x1000, B8, 0).unwrap();
    assert_eq!(vm.tags(0x8000), (true, true, false));
    assert_eq!(vm.tags(0x1000), (true, true, false));
    assert_eq!(vm.mmu.stats().walks, walks);
    assert_eq!(vm.mmu.take_dirty_code(), None);
    // And the tags that came back go again.
    vm.mmu.watch_code(RAM);
    assert!(!vm.tags(0x8000).1 && !vm.tags(0x1000).1);
}

#[test]
fn host_pointers_stay_on_memory() {
    let mut vm = Vm::new();
    vm.map(0x1000, RAM);
    vm.map(0x3000, DEV).mem = MemType::Device;
    vm.map(0x4000, ROM);
    vm.map(0x5000, HOLE);
    let space = vm.spaces.of(KEY, USER);
    let (m, c) = (&mut vm.mmu, &mut vm.core);
    let p = m.run(c, &space, (0x1040, 4), Write, false).unwrap().unwrap();
    // SAFETY: inside the page that was translated.
    unsafe { p.write(0x77) };
    assert_eq!(m.load(c, &space, 0x1040, B1), Ok(0x77));
    // By the inline TLB now; and never beyond the page.
    assert_eq!(m.run(c, &space, (0x1040, 0xfc0), Write, false), Ok(Some(p)));
    assert_eq!(m.run(c, &space, (0x1040, 0xfc1), Write, false), Ok(None));
    assert_eq!(m.run(c, &space, (0x1040, 0x1fc0), Read, false), Ok(None));
    assert_eq!(m.run(c, &space, (0x3000, 4), Read, false), Ok(None));
    assert!(m.run(c, &space, (0x4000, PAGE_SIZE), Read, false).unwrap().is_some());
    assert_eq!(err(m.run(c, &space, (0x4008, 4), Write, false)), (0x4008, Write, External { pa: ROM + 8 }));
    assert_eq!(err(m.run(c, &space, (0x5000, 4), Read, false)), (0x5000, Read, External { pa: HOLE }));
    let t = m.probe(c, &space, 0x3123, Write, false).unwrap();
    assert_eq!((t.pa, t.mem, t.page_bits), (DEV + 0x123, MemType::Device, 12));
}

#[test]
fn maintenance_drops_what_it_names_and_no_more() {
    let mut vm = Vm::new();
    vm.map(0x1000, RAM);
    vm.map(0x2000, RAM + 0x1000);
    vm.spaces.global.push(Leaf { global: true, ..Leaf::page(0xffff_0000_0000_3000, RAM + 0x2000) });
    let g = 0xffff_0000_0000_3000;
    let all = [0x1000, 0x2000, g];
    let fill = |vm: &mut Vm| all.map(|va| vm.load(va, B8).unwrap());
    let hot = |vm: &Vm| all.map(|va| vm.tags(va).0);

    fill(&mut vm);
    vm.mmu.flush_va(&mut vm.core, 0x1fff, Some(1), ClassMask::ALL);
    assert_eq!(hot(&vm), [false, true, true]);
    fill(&mut vm);
    vm.mmu.flush_va(&mut vm.core, 0x1000, Some(2), ClassMask::ALL);
    assert_eq!(hot(&vm), [true, true, true], "another ASID");
    vm.mmu.flush_va(&mut vm.core, g, Some(2), ClassMask::ALL);
    assert_eq!(hot(&vm), [true, true, false], "global entries match every ASID");
    fill(&mut vm);
    vm.mmu.flush_va(&mut vm.core, 0x2000, None, ClassMask::ALL);
    assert_eq!(hot(&vm), [true, false, true]);
    fill(&mut vm);
    vm.mmu.flush_asid(&mut vm.core, 2, ClassMask::ALL);
    assert_eq!(hot(&vm), [true, true, true]);
    vm.mmu.flush_asid(&mut vm.core, 1, ClassMask::of(1));
    assert_eq!(hot(&vm), [true, true, true], "another class");
    vm.mmu.flush_asid(&mut vm.core, 1, ClassMask::of(0).with(1));
    assert_eq!(hot(&vm), [false, false, true]);
    fill(&mut vm);
    vm.mmu.flush_all(&mut vm.core, ClassMask::of(1));
    assert_eq!(hot(&vm), [true, true, true]);
    vm.mmu.flush_all(&mut vm.core, ClassMask::ALL);
    assert_eq!(hot(&vm), [false, false, false]);
    // A tag in the top byte: the alias goes with its page.
    vm.map(0x5a00_0000_0000_1000, RAM);
    vm.load(0x5a00_0000_0000_1000, B8).unwrap();
    vm.mmu.flush_va(&mut vm.core, 0x1000, Some(1), ClassMask::ALL);
    assert!(!vm.tags(0x5a00_0000_0000_1000).0);
}

#[test]
fn maintenance_by_any_address_drops_all_of_a_block() {
    for bits in [14u8, 16, 21, 25, 30, 39] {
        let mut vm = Vm::new();
        let base = 0x180_0000_0000u64;
        let l = vm.map(base, RAM >> bits.min(22) << bits.min(22));
        l.bits = bits;
        let outside = base - 5 * PAGE_SIZE;
        vm.map(outside, RAM);
        let size = 1u64 << bits;
        let mut vas = vec![base, base + PAGE_SIZE, base + 3 * PAGE_SIZE];
        if size > 0x40_0000 {
            vas.push(base + 0x3f_e000);
        }
        // Translations are all that counts here: the far end of the larger blocks lies in a hole.
        vas.push(base + size - PAGE_SIZE);
        vas.dedup();
        let space = vm.spaces.of(KEY, USER);
        for &by in &vas {
            for &va in vas.iter().chain([&outside]) {
                vm.mmu.probe(&mut vm.core, &space, va, Read, false).unwrap();
            }
            vm.mmu.flush_va(&mut vm.core, by + 0x123, Some(1), ClassMask::ALL);
            let walks = vm.mmu.stats().walks;
            vm.mmu.probe(&mut vm.core, &space, outside, Read, false).unwrap();
            assert_eq!(vm.mmu.stats().walks, walks, "{bits}: outside the block");
            for &va in &vas {
                assert!(!vm.tags(va).0);
                let walks = vm.mmu.stats().walks;
                vm.mmu.probe(&mut vm.core, &space, va, Read, false).unwrap();
                assert_eq!(vm.mmu.stats().walks, walks + 1, "{bits}: {va:#x} by {by:#x}");
            }
        }
        // Maintenance outside the block leaves it alone.
        vm.mmu.flush_va(&mut vm.core, outside, Some(1), ClassMask::ALL);
        let walks = vm.mmu.stats().walks;
        vm.mmu.probe(&mut vm.core, &space, vas[vas.len() - 1], Read, false).unwrap();
        assert_eq!(vm.mmu.stats().walks, walks);
    }
}

#[test]
fn the_code_context_changes_exactly_with_the_code() {
    let mut vm = Vm::new();
    vm.map(0x1000, RAM);
    vm.map(0x2000, RAM + 0x1000);
    let block = vm.map(0x20_0000, RAM + 0x20_0000);
    block.bits = 21;
    vm.spaces.global.push(Leaf { global: true, ..Leaf::page(0xffff_0000_0000_3000, RAM + 0x2000) });
    let g = 0xffff_0000_0000_3000u64;
    let ctx = |vm: &Vm| vm.core.code_ctx;
    let first = ctx(&vm);
    assert_ne!(first >> MODE_BITS, 0);
    vm.fetch(0x1000).unwrap();
    vm.fetch(g).unwrap();
    vm.load(0x2000, B8).unwrap();
    vm.load(0x20_5000, B8).unwrap();
    // Data pages.
    vm.mmu.flush_va(&mut vm.core, 0x2000, Some(1), ClassMask::ALL);
    vm.mmu.flush_va(&mut vm.core, 0x20_0000, Some(1), ClassMask::ALL);
    assert_eq!(ctx(&vm), first);
    // A code page; then nothing was fetched yet.
    vm.mmu.flush_va(&mut vm.core, 0x1000, Some(1), ClassMask::ALL);
    let second = ctx(&vm);
    assert_ne!(second, first);
    assert_eq!(vm.tags(g), (true, true, false), "fetches are to be seen again");
    vm.mmu.flush_va(&mut vm.core, 0x1000, Some(1), ClassMask::ALL);
    assert_eq!(ctx(&vm), second);
    // Only global code: an ASID's maintenance leaves it.
    vm.fetch(g).unwrap();
    vm.mmu.flush_asid(&mut vm.core, 1, ClassMask::ALL);
    assert_eq!(ctx(&vm), second);
    vm.fetch(0x20_1000).unwrap();
    vm.mmu.flush_asid(&mut vm.core, 1, ClassMask::ALL);
    let third = ctx(&vm);
    assert_ne!(third, second);
    // Code in a block, maintenance elsewhere in the block.
    vm.fetch(0x20_1000).unwrap();
    vm.mmu.flush_va(&mut vm.core, 0x3f_f000, Some(1), ClassMask::ALL);
    assert_ne!(ctx(&vm), third);
    // Even after the entry itself was pushed out by another page of the same index.
    let same_index = 0x1000 + ((TLB_ENTRIES as u64) << PAGE_BITS);
    vm.map(same_index, RAM + 0x3000);
    vm.fetch(0x1000).unwrap();
    vm.load(same_index, B8).unwrap();
    assert!(!vm.tags(0x1000).2);
    let fourth = ctx(&vm);
    vm.mmu.flush_va(&mut vm.core, 0x1000, Some(1), ClassMask::ALL);
    assert_ne!(ctx(&vm), fourth);
    // Mode bits and switching there and back.
    let fifth = ctx(&vm);
    vm.mmu.switch(&mut vm.core, USER, USER, 0xf003);
    assert_ne!(ctx(&vm) >> MODE_BITS, fifth >> MODE_BITS);
    assert_eq!(ctx(&vm) & 0xffff, 0xf003);
    vm.mmu.switch(&mut vm.core, KEY, USER, 5);
    assert_eq!(ctx(&vm), fifth & !0xffff | 5);
}

#[test]
fn contexts_survive_switches_until_the_pool_is_full() {
    let mut vm = Vm::new();
    for asid in 1..=200u16 {
        let pa = RAM + u64::from(asid) * PAGE_SIZE;
        vm.spaces.private.entry(asid).or_default().push(Leaf::page(0x1000, pa));
        vm.mmu.phys().write(pa, Size::B8, u64::from(asid)).unwrap();
    }
    let run = |vm: &mut Vm, asid: u16| {
        let k = ContextKey { asid, class: 0 };
        let u = ContextKey { asid, class: 1 };
        let space = vm.spaces.of(k, u);
        vm.mmu.switch(&mut vm.core, k, u, 0);
        if let Some(v) = inline_load(vm.core.tlb, 0x1000) {
            assert_eq!(v, u64::from(asid), "stale entry");
        }
        assert_eq!(vm.mmu.load(&mut vm.core, &space, 0x1000, B8), Ok(u64::from(asid)));
        assert_eq!(vm.mmu.load(&mut vm.core, &space, 0x1000, B8.unpriv()), Ok(u64::from(asid)));
    };
    for _ in 0..5 {
        for asid in 1..=8 {
            run(&mut vm, asid);
        }
    }
    assert_eq!(vm.mmu.stats().walks, 16, "eight processes fit");
    for _ in 0..3 {
        for asid in 1..=200 {
            run(&mut vm, asid);
        }
    }
}

#[test]
fn an_mmu_without_mappings_attaches_empty_tables() {
    let vm = Vm::new();
    for va in [0, 0x1000, TAG_NONE & !0xfff, 0x1234_5000] {
        assert_eq!(vm.tags(va), (false, false, false));
        assert_eq!(inline_tags(vm.core.tlb_unpriv, va), (false, false, false));
    }
}
