//! Headers are put together by hand, as the specifications have them.

use super::*;

/// A bzImage with one sector of setup and `code` behind it.
fn bzimage(version: u16, xloadflags: u16, code: &[u8]) -> Vec<u8> {
    let mut b = vec![0; 1024];
    b[0x1f1] = 1;
    b[0x1f4..0x1f8].copy_from_slice(&(code.len().div_ceil(16) as u32).to_le_bytes());
    b[0x1fe..0x200].copy_from_slice(&[0x55, 0xaa]);
    b[0x201] = 0x6a;
    b[0x202..0x206].copy_from_slice(b"HdrS");
    b[0x206..0x208].copy_from_slice(&version.to_le_bytes());
    b[0x211] = 1;
    b[0x22c..0x230].copy_from_slice(&0x7fff_ffffu32.to_le_bytes());
    b[0x230..0x234].copy_from_slice(&0x20_0000u32.to_le_bytes());
    b[0x234] = 1;
    b[0x236..0x238].copy_from_slice(&xloadflags.to_le_bytes());
    b[0x238..0x23c].copy_from_slice(&2047u32.to_le_bytes());
    b[0x258..0x260].copy_from_slice(&0x100_0000u64.to_le_bytes());
    b[0x260..0x264].copy_from_slice(&0x300_0000u32.to_le_bytes());
    b.extend_from_slice(code);
    b
}

fn error(bytes: &[u8]) -> String {
    parse_pc_kernel(bytes, 1 << 30).map(|k| k.format()).expect_err("refused").to_string()
}

#[test]
fn a_bzimage_is_taken_apart() {
    let file = bzimage(0x020f, 1, &[0xf4; 40]);
    let Ok(PcKernel::Linux(k)) = parse_pc_kernel(&file, 1 << 30) else { panic!("a bzImage") };
    assert!(k.long && k.relocatable);
    assert_eq!(k.data[k.code.clone()], [0xf4; 40]);
    assert_eq!(k.needs(), 0x10_0000..0x400_0000);
    let e820 = [7; 40];
    let params =
        BootParams { cmdline: 0x2_0000, initrd: Some(0x1234_5000..0x1234_5678), rsdp: 0xf_0000, e820: &e820 };
    let page = k.zero_page(&params);
    let word = |at: usize| u32::from_le_bytes(page[at..at + 4].try_into().expect("4 bytes"));
    assert_eq!(page.len(), 4096);
    assert_eq!(
        page[0x1f1..0x210],
        file[0x1f1..0x210]
            .iter()
            .copied()
            .enumerate()
            .map(|(i, b)| {
                // vid_mode is the loader's.
                if (9..11).contains(&i) { 0xff } else { b }
            })
            .collect::<Vec<_>>()[..]
    );
    assert_eq!((word(0x218), word(0x21c)), (0x1234_5000, 0x678));
    assert_eq!((word(0x228), word(0x70), page[0x1e8]), (0x2_0000, 0xf_0000, 2));
    assert_eq!((page[0x210], page[0x211], page[0x2d0 + 39], page[0x2d0 + 40]), (0xff, 0x81, 7, 0));
    assert_eq!(page[0x1ef], 0, "the sentinel is cleared: this is a loader that knows");
}

#[test]
fn bzimages_that_cannot_be_loaded_are_named() {
    assert_eq!(
        error(&bzimage(0x0204, 0, &[0; 64])),
        "kernel: boot protocol 2.04 is too old; give a kernel with 2.10 or later (Linux 2.6.31)"
    );
    let file = bzimage(0x020f, 1, &[0; 64]);
    assert!(error(&file[..1024]).contains("truncated: the kernel behind its setup code needs 1088 bytes"));
    assert!(error(&file[..0x210]).contains("truncated: the setup header"));
    let mut low = file.clone();
    low[0x211] = 0;
    assert!(error(&low).contains("zImage"));
    let mut odd = file;
    odd[0x230] = 3;
    assert!(error(&odd).contains("no power of two"));
}

/// A multiboot header at offset 16 of 256 bytes.
fn multiboot(flags: u32, addresses: [u32; 5]) -> Vec<u8> {
    let mut b: Vec<u8> = (0..=255).collect();
    let magic = 0x1bad_b002u32;
    let words = [magic, flags, 0u32.wrapping_sub(magic).wrapping_sub(flags)];
    for (n, w) in words.iter().chain(&addresses).enumerate() {
        b[16 + 4 * n..20 + 4 * n].copy_from_slice(&w.to_le_bytes());
    }
    b
}

#[test]
fn multiboot_with_load_addresses() {
    // Loaded from offset 8 on: 100 bytes, then zeros up to 0x200.
    let file = multiboot(0x1_0003, [0x10_0008, 0x10_0000, 0x10_0064, 0x10_0200, 0x10_0040]);
    let Ok(PcKernel::Multiboot(k)) = parse_pc_kernel(&file, 1 << 30) else { panic!("multiboot") };
    assert_eq!((k.entry, k.segments.len()), (0x10_0040, 1));
    let s = &k.segments[0];
    assert_eq!((s.addr, s.memory_size, &s.data[..]), (0x10_0000, 0x200, &file[8..108]));
    let to_the_end = multiboot(0x1_0000, [0x10_0008, 0x10_0000, 0, 0, 0x10_0000]);
    let Ok(PcKernel::Multiboot(k)) = parse_pc_kernel(&to_the_end, 1 << 30) else { panic!("multiboot") };
    assert_eq!((k.segments[0].data.len(), k.segments[0].memory_size), (248, 248));
}

#[test]
fn multiboot_headers_that_ask_too_much() {
    assert_eq!(
        error(&multiboot(4, [0; 5])),
        "kernel: the multiboot header at 0x10 demands flags 0x4 (a video mode); \
         only page alignment (1) and memory information (2) are known"
    );
    assert!(error(&multiboot(0x100, [0; 5])).contains("0x100"));
    assert!(error(&multiboot(0, [0; 5])).contains("no load addresses"));
    let bad = [
        [0x10_0000, 0x10_0020, 0, 0, 0x10_0020],
        [0x10_0020, 0x10_0000, 0, 0, 0x10_0020],
        [0x10_0008, 0x10_0000, 0xf_0000, 0, 0x10_0000],
        [0x10_0008, 0x10_0000, 0x10_0400, 0, 0x10_0000],
        [0x10_0008, 0x10_0000, 0, 0, 0x20_0000],
    ];
    for addresses in bad {
        assert!(!error(&multiboot(0x1_0000, addresses)).is_empty(), "{addresses:x?}");
    }
}

/// A 32-bit ELF file with one segment of 16 bytes at 1 MiB, and a note.
fn elf(note_name: &[u8; 4], note_type: u32) -> Vec<u8> {
    let mut b = vec![0; 52];
    b[..7].copy_from_slice(b"\x7fELF\x01\x01\x01");
    let half = |b: &mut Vec<u8>, at: usize, v: u16| b[at..at + 2].copy_from_slice(&v.to_le_bytes());
    let word = |b: &mut Vec<u8>, at: usize, v: u32| b[at..at + 4].copy_from_slice(&v.to_le_bytes());
    half(&mut b, 16, 2); // ET_EXEC
    half(&mut b, 18, 3); // EM_386
    word(&mut b, 20, 1);
    word(&mut b, 24, 0xc010_0004); // entry, virtual
    word(&mut b, 28, 52);
    half(&mut b, 40, 52);
    half(&mut b, 42, 32);
    half(&mut b, 44, 2);
    // p_type, p_offset, p_vaddr, p_paddr, p_filesz, p_memsz, p_flags, p_align
    for v in [1u32, 116, 0xc010_0000, 0x10_0000, 16, 64, 5, 4, 4, 132, 0, 0, 20, 20, 4, 4] {
        b.extend(v.to_le_bytes());
    }
    b.extend([0x90; 16]);
    for v in [4, 4, note_type] {
        b.extend(v.to_le_bytes());
    }
    b.extend(note_name);
    b.extend(0x10_0008u32.to_le_bytes());
    b
}

#[test]
fn pvh_enters_where_the_note_says() {
    let Ok(PcKernel::Pvh(k)) = parse_pc_kernel(&elf(b"Xen\0", 18), 1 << 30) else { panic!("PVH") };
    assert_eq!((k.entry, k.segments.len()), (0x10_0008, 1));
    assert_eq!((k.segments[0].addr, k.segments[0].memory_size), (0x10_0000, 64));
    let mut wide = elf(b"Xen\0", 18);
    wide[18] = 62;
    for (file, long) in [(elf(b"Xen\0", 18), false), (wide, true)] {
        assert_eq!(parse_pc_kernel(&file, 1 << 30).map(|k| k.long()).ok(), Some(long));
    }
    assert!(error(&elf(b"GNU\0", 18)).contains("neither a multiboot header nor a PVH entry point"));
    assert!(error(&elf(b"Xen\0", 17)).contains("neither a multiboot header nor a PVH entry point"));
    let file = elf(b"Xen\0", 18);
    for len in 4..file.len() - 24 {
        assert!(parse_pc_kernel(&file[..len], 1 << 30).is_err(), "{len}");
    }
}

#[test]
fn other_files_are_named() {
    let mut arm = elf(b"Xen\0", 18);
    arm[18] = 183;
    assert!(error(&arm).contains("an ELF file for AArch64; use --machine virt for arm64 kernels"));
    let mut image = vec![0; 64];
    image[56..60].copy_from_slice(b"ARM\x64");
    assert!(error(&image).contains("a Linux arm64 Image; use --machine virt"));
    assert!(error(b"").contains("empty"));
    assert!(error(b"#!/bin/sh\n").contains("a script"));
    assert!(error(&[1; 100]).contains("unknown format"));
}
