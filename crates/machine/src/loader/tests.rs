//! Kernels and RAM disks made by hand from the formats' documentation, then broken in every way.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

const GIB: u64 = 1 << 30;
const RAM: RamRange = RamRange { base: 0x4000_0000, size: GIB };

fn put(b: &mut [u8], at: usize, bytes: &[u8]) {
    b[at..at + bytes.len()].copy_from_slice(bytes);
}

/// An arm64 `Image` with a PE header of one section that ends with the file.
fn image(text_offset: u64, image_size: u64, flags: u64) -> Vec<u8> {
    let mut b = vec![0xd5; 0x1000];
    b[..0x200].fill(0);
    put(&mut b, 0, b"MZ\x40\xfa");
    put(&mut b, 8, &text_offset.to_le_bytes());
    put(&mut b, 16, &image_size.to_le_bytes());
    put(&mut b, 24, &flags.to_le_bytes());
    put(&mut b, 56, b"ARM\x64");
    put(&mut b, 60, &0x40u32.to_le_bytes());
    put(&mut b, 0x40, b"PE\0\0\x64\xaa\x01\0");
    put(&mut b, 0x40 + 20, &0xa0u16.to_le_bytes());
    let section = 0x40 + 24 + 0xa0;
    put(&mut b, section, b".text\0\0\0");
    put(&mut b, section + 16, &0xe00u32.to_le_bytes());
    put(&mut b, section + 20, &0x200u32.to_le_bytes());
    b
}

/// A little-endian AArch64 executable with one segment of 16 bytes in the file and 32 in memory.
fn elf(vaddr: u64, paddr: u64, entry: u64) -> Vec<u8> {
    let mut b = vec![0; 0x90];
    put(&mut b, 0, b"\x7fELF\x02\x01\x01");
    put(&mut b, 16, &2u16.to_le_bytes());
    put(&mut b, 18, &183u16.to_le_bytes());
    put(&mut b, 20, &1u32.to_le_bytes());
    put(&mut b, 24, &entry.to_le_bytes());
    put(&mut b, 32, &64u64.to_le_bytes());
    put(&mut b, 52, &64u16.to_le_bytes());
    put(&mut b, 54, &56u16.to_le_bytes());
    put(&mut b, 56, &1u16.to_le_bytes());
    put(&mut b, 64, &1u32.to_le_bytes());
    put(&mut b, 68, &5u32.to_le_bytes());
    for (n, v) in [0x80, vaddr, paddr, 16, 32, 8].into_iter().enumerate() {
        put(&mut b, 72 + 8 * n, &v.to_le_bytes());
    }
    b[0x80..].copy_from_slice(&[0x1f; 16]);
    b
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut e = GzEncoder::new(Vec::new(), Compression::fast());
    e.write_all(data).expect("memory");
    e.finish().expect("memory")
}

fn zboot(name: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut b = vec![0; 64];
    put(&mut b, 0, b"MZ\0\0zimg");
    put(&mut b, 8, &64u32.to_le_bytes());
    put(&mut b, 12, &(payload.len() as u32).to_le_bytes());
    put(&mut b, 24, name);
    b.extend_from_slice(payload);
    b
}

fn linux(b: &[u8]) -> LinuxImage<'_> {
    match parse_kernel(b, GIB) {
        Ok(KernelImage::Linux(l)) => l,
        other => panic!("{other:?}"),
    }
}

fn message(b: &[u8]) -> String {
    match parse_kernel(b, GIB) {
        Err(e) => e.to_string(),
        Ok(k) => panic!("accepted: {k:?}"),
    }
}

#[test]
fn image_header() {
    let file = image(0, 0x20_0000, 0xa);
    let l = linux(&file);
    assert_eq!((l.text_offset, l.memory_size, l.page_size), (0, 0x20_0000, PageSize::K4));
    assert!(l.efi_stub);
    assert_eq!(*l.data, *file);
    // v3.16 and older: no image_size, text_offset in an unknown byte order.
    let l = linux(&image(0x8000_0000_0000, 0, 0)).into_size();
    assert_eq!(l, (0x8_0000, 0x1000, PageSize::Unspecified));
    assert_eq!(linux(&image(0, 0x1000, 6)).page_size, PageSize::K64);
}

impl LinuxImage<'_> {
    fn into_size(self) -> (u64, u64, PageSize) {
        (self.text_offset, self.memory_size, self.page_size)
    }
}

#[test]
fn image_without_pe_header() {
    let mut file = image(0x8_0000, 0x20_0000, 0);
    put(&mut file, 0, b"\x00\x00\x40\x14");
    let l = linux(&file);
    assert!(!l.efi_stub);
    assert_eq!(l.text_offset, 0x8_0000);
}

#[test]
fn compressed_images() {
    let plain = image(0, 0x20_0000, 2);
    assert_eq!(*linux(&gzip(&plain)).data, *plain);
    assert_eq!(*linux(&zboot(b"gzip", &gzip(&plain))).data, *plain);
    // A zstd frame of one raw block (RFC 8878, 3.1.1): magic, single segment with 2-byte size, block header.
    let mut zstd = vec![0x28, 0xb5, 0x2f, 0xfd, 0x60];
    zstd.extend_from_slice(&(plain.len() as u16 - 256).to_le_bytes());
    zstd.extend_from_slice(&((plain.len() as u32) << 3 | 1).to_le_bytes()[..3]);
    zstd.extend_from_slice(&plain);
    assert_eq!(*linux(&zboot(b"zstd", &zstd)).data, *plain);
    let e = message(&zboot(b"xzkern", b"\xfd7zXZ\0"));
    assert!(e.contains("zboot") && e.contains("xzkern"), "{e}");
}

#[test]
fn compressed_damage_is_named() {
    let mut file = gzip(&image(0, 0x20_0000, 2));
    let n = file.len();
    file[n - 6] ^= 1;
    assert!(message(&file).starts_with("kernel: gzip data is damaged"), "{}", message(&file));
    let bomb = gzip(&vec![0; 1 << 20]);
    assert_eq!(
        parse_kernel(&bomb, 1 << 16).map(|_| ()),
        Err(LoadError::TooBig { part: Part::Kernel, limit: 1 << 16 })
    );
}

#[test]
fn every_truncation_is_an_error() {
    let plain = image(0, 0x20_0000, 2);
    let files = [
        plain.clone(),
        gzip(&plain),
        zboot(b"gzip", &gzip(&plain)),
        elf(0x4008_0000, 0x4008_0000, 0x4008_0000),
    ];
    for file in &files {
        assert!(parse_kernel(file, GIB).is_ok());
        for n in 0..file.len() {
            assert!(parse_kernel(&file[..n], GIB).is_err(), "{n} of {} bytes accepted", file.len());
        }
    }
}

#[test]
fn no_byte_panics() {
    for file in
        [image(0, 0x20_0000, 2), zboot(b"gzip", &gzip(b"x")), elf(0x4008_0000, 0x4008_0000, 0x4008_0000)]
    {
        for at in 0..file.len().min(0x140) {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut file = file.clone();
                file[at] = value;
                if let Ok(k) = parse_kernel(&file, GIB) {
                    let _ = Placement::new(&k, Some(4096), RAM);
                }
            }
        }
    }
}

#[test]
fn other_architectures_are_named() {
    let mut x86 = vec![0; 0x400];
    put(&mut x86, 0, b"MZ");
    put(&mut x86, 0x1fe, b"\x55\xaa\xeb\x6aHdrS");
    assert!(message(&x86).contains("x86 Linux bzImage"), "{}", message(&x86));
    let mut arm = vec![0; 0x400];
    put(&mut arm, 0x24, &0x016f_2818u32.to_le_bytes());
    assert!(message(&arm).contains("32-bit ARM Linux zImage"));
    let mut big = image(0, 0x1000, 1);
    assert!(message(&big).contains("big-endian"));
    put(&mut big, 24, &[0]);
    put(&mut big, 0x44, &0x8664u16.to_le_bytes());
    assert!(message(&big).contains("x86-64"), "{}", message(&big));
    let mut e = elf(0, 0, 0);
    put(&mut e, 18, &62u16.to_le_bytes());
    assert!(message(&e).contains("ELF file for x86-64"));
    e[4] = 1;
    put(&mut e, 18, &40u16.to_le_bytes());
    assert!(message(&e).contains("32-bit ELF file for 32-bit ARM"));
    let mut be = elf(0, 0, 0);
    be[5] = 2;
    put(&mut be, 18, &183u16.to_be_bytes());
    assert!(message(&be).contains("big-endian ELF file for AArch64"));
    assert!(message(&[0x55; 100]).contains("unknown format (starts with [55, 55"));
    assert_eq!(message(b""), "kernel: the file is empty; give a complete one");
    for m in [message(&x86), message(&[0x55; 100])] {
        assert_eq!(m.lines().count(), 1);
    }
}

#[test]
fn elf_segments_and_entry() {
    let Ok(KernelImage::Elf(e)) = parse_kernel(&elf(0xffff_0000, 0x4008_0000, 0xffff_0004), GIB) else {
        panic!("not accepted");
    };
    // Entry points are virtual, and entered with the MMU off.
    assert_eq!(e.entry, 0x4008_0004);
    assert_eq!(e.segments, [Segment { index: 0, addr: 0x4008_0000, data: vec![0x1f; 16], memory_size: 32 }]);
    assert!(message(&elf(0x1000, 0x1000, 0x2000)).contains("entry point"));
}

#[test]
fn elf_outside_ram() {
    let place = |paddr| {
        let k = parse_kernel(&elf(paddr, paddr, paddr), GIB).map(KernelImage::into_owned);
        k.and_then(|k| Placement::new(&k, None, RAM)).map_err(|e| e.to_string())
    };
    assert!(place(0x1000).is_err_and(|e| e.contains("0x1000, outside guest RAM 0x40000000..0x80000000")));
    assert!(place(0xffff_8000_0800_0000).is_err_and(|e| e.contains("vmlinux")));
    assert!(place(0x7fff_fff0).is_err_and(|e| e.contains("raise --memory to at least 1025M")));
    assert_eq!(place(0x4008_0000).map(|p| (p.dtb, p.dtb_room)), Ok((0x4000_0000, 0x8_0000)));
    assert_eq!(place(0x4000_0000).map(|p| p.dtb), Ok(0x4800_0000));
}

#[test]
fn placement_is_qemus() {
    let file = image(0, 0x1ab_0000, 2);
    let k = KernelImage::Linux(linux(&file));
    let p = Placement::new(&k, Some(0x12_3456), RAM).expect("fits");
    assert_eq!(p.entry, 0x4020_0000);
    assert_eq!(p.kernel, 0x4020_0000..0x41cb_0000);
    assert_eq!(p.initrd, Some(0x4800_0000..0x4812_3456));
    assert_eq!(p.dtb, 0x4820_0000);
    assert_eq!(p.check_dtb(1 << 20, RAM), Ok(()));
    assert!(p.check_dtb((2 << 20) + 1, RAM).is_err());
    // Half of a small RAM.
    let small = RamRange { base: 0x4000_0000, size: 64 << 20 };
    let p = Placement::new(&k, Some(4096), small).expect("fits");
    assert_eq!(p.initrd.map(|r| r.start), Some(0x4200_0000));
    // Old kernels.
    let file = image(0x8_0000, 0x10_0000, 2);
    let p = Placement::new(&KernelImage::Linux(linux(&file)), None, RAM).expect("fits");
    assert_eq!((p.entry, p.initrd, p.dtb), (0x4008_0000, None, 0x4800_0000));
}

#[test]
fn what_does_not_fit_is_named() {
    let file = image(0, 0x1ab_0000, 2);
    let k = KernelImage::Linux(linux(&file));
    let ram = |mib: u64| RamRange { base: 0x4000_0000, size: mib << 20 };
    let e = Placement::new(&k, None, ram(16)).expect_err("too small").to_string();
    assert!(e.starts_with("kernel: ") && e.ends_with("raise --memory to at least 29M"), "{e}");
    assert!(Placement::new(&k, None, ram(29)).is_err(), "no room for the tree");
    assert!(Placement::new(&k, None, ram(34)).is_ok());
    let e = Placement::new(&k, Some(2 << 30), ram(1024)).expect_err("too big").to_string();
    assert!(e.starts_with("initrd: ") && e.ends_with("raise --memory to at least 2176M"), "{e}");
    let huge = image(0, u64::MAX - 5, 2);
    assert!(Placement::new(&KernelImage::Linux(linux(&huge)), None, ram(1024)).is_err());
}

/// A newc archive of one file and the trailer.
fn cpio() -> Vec<u8> {
    let mut b = Vec::new();
    for (name, data) in [("init", &b"#!/bin/sh\n"[..]), ("TRAILER!!!", b"")] {
        let fields = [1, 0o100_755, 0, 0, 1, 0, data.len(), 0, 0, 0, 0, name.len() + 1, 0];
        b.extend_from_slice(b"070701");
        for f in fields {
            b.extend_from_slice(format!("{f:08X}").as_bytes());
        }
        b.extend_from_slice(name.as_bytes());
        b.push(0);
        b.resize(b.len().next_multiple_of(4), 0);
        b.extend_from_slice(data);
        b.resize(b.len().next_multiple_of(4), 0);
    }
    b
}

#[test]
fn initrds() {
    let plain = cpio();
    assert_eq!(initrd::check(&plain), Ok(()));
    assert_eq!(initrd::check(&gzip(&plain)), Ok(()));
    // Microcode and main archive one after the other, with padding (early userspace).
    let both = [plain.clone(), vec![0; 512], gzip(&plain)].concat();
    assert_eq!(initrd::check(&both), Ok(()));
    assert_eq!(initrd::check(b"\x28\xb5\x2f\xfd anything"), Ok(()));
    for file in [&plain, &gzip(&plain)] {
        for n in 0..file.len() - 4 {
            assert!(initrd::check(&file[..n]).is_err(), "{n} of {} bytes accepted", file.len());
        }
    }
    let text = |b: &[u8]| initrd::check(b).expect_err("accepted").to_string();
    assert!(text(b"").contains("initrd: the file is empty"));
    assert!(text(b"<html>").contains("unknown format"));
    assert!(text(&image(0, 1, 0)).contains("this is a kernel"));
    assert!(text(&elf(0, 0, 0)).contains("ELF"));
    assert!(text(&[plain.clone(), b"garbage!".to_vec()].concat()).contains("data after the cpio archive"));
    let mut odd = plain;
    odd[60] = b'x';
    assert!(text(&odd).contains("at offset 0x0"), "{}", text(&odd));
}
