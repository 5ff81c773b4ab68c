//! Recognising what a file is when it is not what it should be.

use super::error::{LoadError, Part, le16, le32};
use super::start;

const ADVICE: &str = "the virt board runs arm64: give an arm64 Image";
const X86_ADVICE: &str = "the pc board runs x86: give a bzImage, or a multiboot or PVH ELF executable";

fn found(found: &str, advice: &'static str) -> LoadError {
    LoadError::Foreign { part: Part::Kernel, found: String::from(found), advice }
}

/// Names a file that is no kernel for a PC.
pub(super) fn x86_kernel(b: &[u8]) -> LoadError {
    if b.get(56..60) == Some(b"ARM\x64") {
        return found("a Linux arm64 Image", "use --machine virt for arm64 kernels, or give an x86 bzImage");
    }
    if let Some((name, advice)) = signature(b) {
        return found(name, advice);
    }
    if le16(b, 0x1fe) == Some(0xaa55) && !b.starts_with(b"MZ") {
        return found("a boot sector or a Linux kernel before 2.00 of the boot protocol", X86_ADVICE);
    }
    LoadError::Unknown {
        part: Part::Kernel,
        start: start(b),
        expected: "a Linux bzImage, or a multiboot or PVH ELF executable",
    }
}

/// Names a file that is neither an arm64 `Image` nor an ELF executable.
pub(super) fn kernel(b: &[u8]) -> LoadError {
    // Documentation/arch/x86/boot.rst: boot_flag and header.
    if le16(b, 0x1fe) == Some(0xaa55) && b.get(0x202..0x206) == Some(b"HdrS") {
        return found("an x86 Linux bzImage", "use --machine pc for x86 kernels, or give an arm64 Image");
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
    if let Some((name, advice)) = signature(b) {
        return found(name, advice);
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

/// What the first bytes say, and what to do about it.
fn signature(b: &[u8]) -> Option<(&'static str, &'static str)> {
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
        (b"#!", "a script", "give a kernel"),
        (b"\xca\xfe\xba\xbe", "a Mach-O or Java file", "give a kernel"),
    ];
    signatures.iter().find(|(magic, ..)| b.starts_with(magic)).map(|(_, name, advice)| (*name, *advice))
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
