//! The physical address space: what a builder refuses, and that no access can do harm.

use std::sync::{Arc, Mutex};

use lyrebird_isa::Size;
use lyrebird_softmmu::{BusError, MmioDevice, Page, PhysMem, PhysMemBuilder, PhysMemError};

/// Records what it is asked; reads as its offset in every byte.
#[derive(Default)]
struct Probe {
    log: Mutex<Vec<(char, u64, Size, u64)>>,
}

impl MmioDevice for Probe {
    fn name(&self) -> &str {
        "probe"
    }
    fn read(&self, offset: u64, size: Size) -> u64 {
        self.log.lock().unwrap().push(('r', offset, size, 0));
        // Junk above the size must not reach the guest.
        (0..8).fold(0, |v, i| v | ((offset + i) & 0xff) << (8 * i))
    }
    fn write(&self, offset: u64, size: Size, value: u64) {
        self.log.lock().unwrap().push(('w', offset, size, value));
    }
}

impl Probe {
    fn take(&self) -> Vec<(char, u64, Size, u64)> {
        std::mem::take(&mut self.log.lock().unwrap())
    }
}

fn refused(b: PhysMemBuilder) -> String {
    b.build().expect_err("must be refused").to_string()
}

#[test]
fn bad_maps_are_refused_by_name_and_place() {
    let dev = || Arc::new(Probe::default());
    let b = PhysMem::builder;
    assert_eq!(refused(b().ram(0x4000_0000, 0)), "RAM at 0x40000000 has zero size");
    assert_eq!(refused(b().rom(0x1000, &[])), "ROM at 0x1000 has zero size");
    assert_eq!(refused(b().mmio(0x10, 0, dev())), "device probe at 0x10 has zero size");
    assert!(matches!(b().ram(0x800, 0x1000).build(), Err(PhysMemError::Unaligned { base: 0x800, .. })));
    assert!(matches!(b().ram(0, 0x1001).build(), Err(PhysMemError::Unaligned { len: 0x1001, .. })));
    assert!(matches!(b().ram(u64::MAX << 12, 0x2000).build(), Err(PhysMemError::TooHigh { .. })));
    assert_eq!(
        refused(b().mmio(0x1ff8, 0x10, dev()).ram(0x2000, 0x1000)),
        "device probe at 0x1ff8 and RAM at 0x2000 overlap"
    );
    assert!(matches!(b().ram(0, 0x2000).rom(0x1000, &[1]).build(), Err(PhysMemError::Overlap { .. })));
    assert!(matches!(b().ram(0, 1 << 60).build(), Err(PhysMemError::Host { bytes, .. }) if bytes == 1 << 60));
    assert!(matches!(b().ram(0, 1 << 63).ram(1 << 63, 1 << 63).build(), Err(PhysMemError::Host { .. })));
}

#[test]
fn pages_are_told_apart() {
    let dev = Arc::new(Probe::default());
    let p = PhysMem::builder()
        .rom(0, &[1, 2, 3])
        .mmio(0x5800, 0x100, dev.clone())
        .mmio(0x7000, 0x1800, dev)
        .ram(0x4000_0000, 0x4000)
        .ram(0x1_0000_0000, 0x1000)
        .build()
        .unwrap();
    assert!(matches!(p.page(0xfff), Page::Rom(_)));
    assert_eq!(p.page(0x1000), Page::None);
    assert_eq!(p.page(0x5000), Page::Mmio, "a device begins inside the page");
    assert_eq!(p.page(0x5fff), Page::Mmio);
    assert_eq!(p.page(0x8fff), Page::Mmio, "a device ends inside the page");
    assert_eq!(p.page(0x9000), Page::None);
    assert!(matches!(p.page(0x4000_3fff), Page::Ram(_)));
    assert_eq!(p.page(0x4000_4000), Page::None);
    assert!(matches!(p.page(0x1_0000_0abc), Page::Ram(_)));
    assert_eq!(p.page(u64::MAX), Page::None);
    assert_eq!(p.ram_bytes(), 0x5000);
    assert_eq!(p.read(1, Size::B2), Ok(0x0302));
    assert_eq!(p.write(1, Size::B1, 9), Err(BusError { pa: 1 }), "ROM refuses writes");
    assert_eq!(p.read(1, Size::B2), Ok(0x0302));
}

#[test]
fn devices_see_aligned_accesses_inside_their_window() {
    let dev = Arc::new(Probe::default());
    let p = PhysMem::builder().mmio(0x1000, 0x1c, dev.clone()).ram(0x2000, 0x1000).build().unwrap();
    assert_eq!(p.read(0x1004, Size::B4), Ok(0x0706_0504));
    assert_eq!(dev.take(), [('r', 4, Size::B4, 0)]);
    p.write(0x1008, Size::B2, 0xffff_1234).unwrap();
    assert_eq!(dev.take(), [('w', 8, Size::B2, 0x1234)]);
    // Unaligned: pieces, each aligned, the value put together.
    assert_eq!(p.read(0x1003, Size::B8), Ok(0x0a09_0807_0605_0403));
    assert_eq!(
        dev.take(),
        [('r', 3, Size::B1, 0), ('r', 4, Size::B4, 0), ('r', 8, Size::B2, 0), ('r', 10, Size::B1, 0)]
    );
    p.write(0x1006, Size::B4, 0xddcc_bbaa).unwrap();
    assert_eq!(dev.take(), [('w', 6, Size::B2, 0xbbaa), ('w', 8, Size::B2, 0xddcc)]);
    // Over the end of the device.
    assert_eq!(p.read(0x1018, Size::B8), Err(BusError { pa: 0x1018 }));
    assert_eq!(p.write(0x101b, Size::B2, 0), Err(BusError { pa: 0x101b }));
    assert_eq!(p.read(0x1018, Size::B16), Err(BusError { pa: 0x1018 }));
    assert!(dev.take().is_empty());
}

#[test]
fn accesses_at_edges_neither_panic_nor_half_write() {
    let dev = Arc::new(Probe::default());
    let top = u64::MAX << 12;
    let p = PhysMem::builder()
        .ram(0x1000, 0x1000)
        .ram(0x2000, 0x1000)
        .rom(0x3000, &[0xaa; 0x1000])
        .mmio(top, 0x1000, dev.clone())
        .build()
        .unwrap();
    // Two RAM regions side by side.
    p.write(0x1ffd, Size::B8, 0x1122_3344_5566_7788).unwrap();
    assert_eq!(p.read(0x1ffd, Size::B8), Ok(0x1122_3344_5566_7788));
    assert_eq!(p.read(0x2000, Size::B4), Ok(0x2233_4455));
    // Into ROM: reads work, writes write nothing.
    assert_eq!(p.read(0x2ffe, Size::B4), Ok(0xaaaa_0000));
    assert_eq!(p.write(0x2ffe, Size::B4, u64::MAX), Err(BusError { pa: 0x2ffe }));
    assert_eq!(p.read(0x2ffe, Size::B2), Ok(0));
    // Every size at the edges of everything, including the top of the address space.
    for base in [0, 0x1000, 0x3000, 0x4000, top, u64::MAX, 1 << 63] {
        for d in -20i64..20 {
            let pa = base.wrapping_add(d as u64);
            for n in 0..5 {
                let _ = p.read(pa, Size::from_log2(n));
                let _ = p.write(pa, Size::from_log2(n), u64::MAX);
                let _ = p.read_word(pa);
                let _ = p.ram_ptr(pa, u64::MAX - 3);
            }
        }
    }
    assert_eq!(p.read(u64::MAX - 3, Size::B8), Err(BusError { pa: u64::MAX - 3 }));
    dev.take();
}

#[test]
fn byte_copies_and_code_pages() {
    let p = PhysMem::builder().rom(0, &[7; 16]).ram(0x4000_0000, 0x3000).build().unwrap();
    let data: Vec<u8> = (0..0x2000u32).map(|i| i as u8 ^ (i >> 8) as u8).collect();
    p.write_bytes(0x4000_0800, &data).unwrap();
    let mut back = vec![0; data.len()];
    p.read_bytes(0x4000_0800, &mut back).unwrap();
    assert_eq!(back, data);
    assert_eq!(p.write_bytes(0x4000_2ff0, &[1; 32]), Err(BusError { pa: 0x4000_3000 }));
    assert_eq!(p.read_bytes(0x3ff0_0000, &mut back), Err(BusError { pa: 0x3ff0_0000 }));
    let mut rom = [0; 16];
    p.read_bytes(0, &mut rom).unwrap();
    assert_eq!(rom, [7; 16]);
    assert_eq!(p.write_bytes(0, &[1]), Err(BusError { pa: 0 }));

    assert_eq!(p.take_written_code(), None);
    p.watch_code(0x4000_1abc);
    assert!(p.is_code(0x4000_1000) && !p.is_code(0x4000_0fff) && !p.is_code(0x4000_2000));
    p.watch_code(0); // ROM cannot change.
    assert!(!p.is_code(0));
    p.write_bytes(0x4000_0ff0, &[0; 0x20]).unwrap();
    assert_eq!(p.take_written_code(), Some((0x4000_1000, 0x10)), "only the part on the page");
    assert_eq!(p.take_written_code(), None);
    p.write(0x4000_1ffe, Size::B4, 0).unwrap();
    assert_eq!(p.take_written_code(), Some((0x4000_1ffe, 2)));
    p.unwatch_code(0x4000_1000);
    p.write(0x4000_1ffe, Size::B4, 0).unwrap();
    assert_eq!(p.take_written_code(), None);
}

#[test]
fn reports_of_device_writes_stay_bounded_and_lose_nothing() {
    let top = u64::MAX << 12;
    let p = PhysMem::builder().ram(0, 0x4000).ram(top, 0x1000).build().unwrap();
    for pa in [0, 0x2000, top] {
        p.watch_code(pa);
    }
    p.write(top + 0xff8, Size::B4, 1).unwrap();
    p.write(top + 0xffc, Size::B4, 1).unwrap();
    assert_eq!(p.take_written_code(), Some((top + 0xff8, 8)), "neighbours are one report");
    for i in 0..100_000u64 {
        p.write((i & 1) * 0x2000 + ((i * 8) & 0xfff), Size::B1, i).unwrap();
    }
    let mut seen = [[false; 512]; 2];
    let mut n = 0;
    while let Some((pa, len)) = p.take_written_code() {
        n += 1;
        for at in (pa..pa + len).filter(|at| at & 7 == 0) {
            seen[(at >> 13) as usize][(at as usize & 0xfff) / 8] = true;
        }
    }
    assert!(n <= 4096);
    // Even offsets went to one page, odd ones to the other.
    for i in 0..512usize {
        assert!(seen[i & 1][i]);
    }
}
