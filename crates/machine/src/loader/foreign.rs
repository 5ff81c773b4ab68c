//! Recognising what a file is when it is not what it should be.

use super::error::{LoadError, Part, le16, le32};
use super::start;

const ADVICE: &str = "the virt board runs arm64: give an arm64 Image";

/// Names a file that is neither an arm64 `Image` nor an ELF executable.
pub(super) fn kernel(b: &[u8]) -> LoadError {
    let found =
        |found: &str, advice| LoadError::Foreign { part: Part::Kernel, found: String::from(found), advice };
    // Documentation/arch/x86/boot.rst: boot_flag and header.
    if le16(b, 0x1fe) == Some(0xaa55) && b.get(0x202..0x206) == Some(b"HdrS") {
        return found("an x86 Linux bzImage", ADVICE);
    }
    // arch/arm/boot/compressed/head.S: the zImage magic, in either byte order.
    if let Some(0x016f_2818 | 0x1828_6f01) = le32(b, 0x24) {
        return found("a 32-bit ARM Linux zImage", ADVICE);
    }
    // Documentation/arch/riscv/boot-image-header.rst.
    if b.get(0x38..0x3c) == Some(b"RSC\x05") {
        return found("a RISC-V Linux Image", ADVICE);
    }
    if b.starts_with(b"MZ") {
        let pe = le32(b, 0x3c).unwrap_or(0) as usize;
        if b.get(pe..).is_some_and(|b| b.starts_with(b"PE\0\0")) {
            let machine = le16(b, pe + 4).unwrap_or(0);
            return LoadError::Foreign {
                part: Part::Kernel,
                found: format!("an EFI executable for {} without an arm64 Image header", pe_machine(machine)),
                advice: "give a Linux arm64 Image or an AArch64 ELF executable",
            };
        }
        return found("a DOS or EFI executable without an arm64 Image header", ADVICE);
    }
    let signatures: &[(&[u8], &str, &'static str)] = &[
        (b"\x27\x05\x19\x56", "a U-Boot uImage", "unwrap it (dumpimage) and give the plain Image"),
        (b"ANDROID!", "an Android boot image", "unpack it and give the kernel inside"),
        (
            b"\xd0\x0d\xfe\xed",
            "a device tree or FIT image",
            "give the kernel here and the device tree as --dtb",
        ),
        (b"\xfd7zXZ\0", "xz data", "decompress it first"),
        (b"\x28\xb5\x2f\xfd", "zstd data", "decompress it first"),
        (b"\x04\x22\x4d\x18", "lz4 data", "decompress it first"),
        (b"\x02\x21\x4c\x18", "lz4 data", "decompress it first"),
        (b"BZh", "bzip2 data", "decompress it first"),
        (b"070701", "a cpio archive", "give it as --initrd"),
        (b"!<arch>\n", "a Debian package or ar archive", "unpack it and give boot/vmlinuz-*"),
        (b"#!", "a script", "give a Linux arm64 Image or an AArch64 ELF executable"),
        (
            b"\xca\xfe\xba\xbe",
            "a Mach-O or Java file",
            "give a Linux arm64 Image or an AArch64 ELF executable",
        ),
    ];
    for (magic, name, advice) in signatures {
        if b.starts_with(magic) {
            return found(name, advice);
        }
    }
    if b.len() < 64 {
        return LoadError::Truncated {
            part: Part::Kernel,
            what: "the arm64 Image header",
            need: 64,
            have: b.len() as u64,
        };
    }
    LoadError::Unknown {
        part: Part::Kernel,
        start: start(b),
        expected: "a Linux arm64 Image (plain, gzip or EFI zboot) or an AArch64 ELF executable",
    }
}

/// Name of a PE machine type.
pub(super) fn pe_machine(machine: u16) -> String {
    String::from(match machine {
        0x014c => "x86",
        0x8664 => "x86-64",
        0x01c0 | 0x01c2 | 0x01c4 => "32-bit ARM",
        0x5064 => "RISC-V",
        0x6264 => "LoongArch",
        0xaa64 => "arm64",
        _ => return format!("machine type {machine:#06x}"),
    })
}

/// Name of an ELF machine number.
pub(super) fn elf_machine(machine: u16) -> String {
    use object::elf;
    String::from(match elf::Machine(machine) {
        elf::EM_386 => "x86",
        elf::EM_X86_64 => "x86-64",
        elf::EM_ARM => "32-bit ARM",
        elf::EM_AARCH64 => "AArch64",
        elf::EM_RISCV => "RISC-V",
        elf::EM_PPC64 => "64-bit PowerPC",
        elf::EM_PPC => "PowerPC",
        elf::EM_S390 => "S/390",
        elf::EM_MIPS => "MIPS",
        elf::EM_LOONGARCH => "LoongArch",
        _ => return format!("machine number {machine}"),
    })
}
