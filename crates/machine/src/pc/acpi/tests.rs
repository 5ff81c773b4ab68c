use super::*;

const AT: u32 = 0x3fff_0000;
const RSDP: u32 = 0xf_0000;

fn board() -> Board {
    Board::pc(2, 0x4000_0000)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"))
}

/// A guest's view: tables found from the RSDP on, each with its checksum looked at.
fn tables(board: &Board) -> (Vec<u8>, Vec<(String, Vec<u8>)>) {
    let [blob, rsdp] = build(board, AT, RSDP);
    assert_eq!((blob.addr, rsdp.addr), (AT.into(), RSDP.into()));
    assert!(blob.data.len() as u64 <= TABLES_SIZE);
    let table = |address: u32| {
        let at = (address - AT) as usize;
        let length = u32_at(&blob.data, at + 4) as usize;
        let bytes = blob.data[at..at + length].to_vec();
        let signature = String::from_utf8(bytes[..4].to_vec()).expect("ASCII");
        if signature != "FACS" {
            assert_eq!(checksum(&bytes), 0, "{signature}");
        }
        (signature, bytes)
    };
    let rsdt = table(u32_at(&rsdp.data, 16));
    let xsdt = table(u32_at(&rsdp.data, 24));
    assert_eq!((&rsdt.0[..], &xsdt.0[..]), ("RSDT", "XSDT"));
    let by_rsdt: Vec<u32> = rsdt.1[36..].chunks(4).map(|c| u32_at(c, 0)).collect();
    let by_xsdt: Vec<u32> = xsdt.1[36..].chunks(8).map(|c| u32_at(c, 0)).collect();
    assert_eq!(by_rsdt, by_xsdt);
    let mut all: Vec<_> = by_rsdt.into_iter().map(table).collect();
    let fadt = all[0].1.clone();
    assert_eq!(all[0].0, "FACP");
    let facs = u32_at(&fadt, 36);
    assert_eq!(facs % 64, 0);
    all.push(table(facs));
    all.push(table(u32_at(&fadt, 40)));
    (rsdp.data, all)
}

fn table(board: &Board, signature: &str) -> Vec<u8> {
    let all = tables(board).1;
    all.into_iter().find(|(s, _)| s == signature).map(|(_, bytes)| bytes).unwrap_or_default()
}

#[test]
fn the_pointer_has_two_checksums() {
    let (rsdp, all) = tables(&board());
    assert_eq!(&rsdp[..8], b"RSD PTR ");
    assert_eq!((rsdp.len(), rsdp[15]), (36, 2));
    assert_eq!((checksum(&rsdp[..20]), checksum(&rsdp)), (0, 0));
    let names: Vec<&str> = all.iter().map(|(s, _)| &s[..]).collect();
    assert_eq!(names, ["FACP", "APIC", "HPET", "FACS", "DSDT"]);
    assert!(table(&Board { hpet: None, ..board() }, "HPET").is_empty());
}

/// Offsets are those of table 5.9.
#[test]
fn the_fadt_says_where_power_management_is() {
    let fadt = table(&board(), "FACP");
    assert_eq!(fadt[46], 9, "SCI_INT");
    assert_eq!(u32_at(&fadt, 48), 0xb2);
    assert_eq!(fadt[52..54], [0xf1, 0xf0]);
    assert_eq!(u32_at(&fadt, 56), 0x600, "PM1a_EVT");
    assert_eq!(u32_at(&fadt, 64), 0x604, "PM1a_CNT");
    assert_eq!(u32_at(&fadt, 76), 0x608, "PM_TMR");
    assert_eq!(u32_at(&fadt, 80), 0xafe0, "GPE0");
    assert_eq!(fadt[88..94], [4, 2, 0, 4, 4, 0], "lengths");
    assert_eq!(fadt[108], 0x32, "century");
    assert_eq!(fadt[109..111], [7, 0], "ISA devices, 8042, no VGA");
    let flags = u32_at(&fadt, 112);
    assert_eq!(flags, 1 << 0 | 1 << 2 | 1 << 7 | 1 << 10);
    assert_eq!(fadt[116..129], [1, 8, 0, 1, 0xf9, 0x0c, 0, 0, 0, 0, 0, 0, 6], "RESET_REG");
    let wide = table(&Board { wide_timer: true, vga: true, ..board() }, "FACP");
    assert_eq!(wide[109], 3);
    assert_eq!(u32_at(&wide, 112), flags | 1 << 8);
}

#[test]
fn the_madt_lists_apics_and_overrides() {
    let madt = table(&board(), "APIC");
    assert_eq!(u32_at(&madt, 36), 0xfee0_0000);
    assert_eq!(u32_at(&madt, 40), 1, "PCAT_COMPAT");
    let mut rest = &madt[44..];
    let mut entries = Vec::new();
    while !rest.is_empty() {
        let (entry, next) = rest.split_at(rest[1].into());
        entries.push(entry);
        rest = next;
    }
    let expected: [&[u8]; 9] = [
        &[0, 8, 0, 0, 1, 0, 0, 0],
        &[0, 8, 1, 1, 1, 0, 0, 0],
        &[1, 12, 0, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0],
        &[2, 10, 0, 0, 2, 0, 0, 0, 0, 0],
        &[2, 10, 0, 5, 5, 0, 0, 0, 0xd, 0],
        &[2, 10, 0, 9, 9, 0, 0, 0, 0xd, 0],
        &[2, 10, 0, 10, 10, 0, 0, 0, 0xd, 0],
        &[2, 10, 0, 11, 11, 0, 0, 0, 0xd, 0],
        &[4, 6, 0xff, 0, 0, 1],
    ];
    assert_eq!(entries, expected);
}

#[test]
fn the_hpet_table() {
    let hpet = table(&board(), "HPET");
    assert_eq!(hpet.len(), 56);
    assert_eq!(u32_at(&hpet, 36), 0x8086_a201);
    assert_eq!(hpet[40..52], [0, 64, 0, 0, 0, 0, 0xd0, 0xfe, 0, 0, 0, 0]);
    assert_eq!(hpet[52..], [0, 100, 0, 0]);
}

#[test]
fn everything_fits_with_all_processors() {
    let most = Board {
        pci_memory_high: Some(0x80_0000_0000..=0xff_ffff_ffff),
        wide_timer: true,
        ..Board::pc(255, 0xc000_0000)
    };
    let (_, all) = tables(&most);
    assert_eq!(all.len(), 5);
}

/// ACPICA's disassembler is an independent reader of the AML. Skipped where it is not installed (Debian's
/// acpica-tools).
#[test]
fn iasl_reads_the_dsdt() {
    use std::process::Command;
    if Command::new("iasl").arg("-v").output().is_err() {
        eprintln!("iasl is not installed: not tested");
        return;
    }
    let dir = std::env::temp_dir().join(format!("lyrebird-acpi-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("directory");
    for (signature, bytes) in tables(&board()).1 {
        std::fs::write(dir.join(format!("{signature}.aml")), bytes).expect("written");
    }
    let run = |args: &[&str]| {
        let output = Command::new("iasl").args(args).current_dir(&dir).output().expect("runs");
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&text).into_owned())
    };
    let (disassembled, log) = run(&["-d", "FACP.aml", "APIC.aml", "HPET.aml", "FACS.aml", "DSDT.aml"]);
    let source = std::fs::read_to_string(dir.join("DSDT.dsl")).unwrap_or_default();
    let (compiled, compiler) = run(&["-p", "again", "DSDT.dsl"]);
    std::fs::remove_dir_all(&dir).expect("removed");
    assert!(disassembled && !log.contains("Error"), "{log}");
    for expected in
        ["Device (PCI0)", "Device (LNKD)", "Name (\\_S5, Package", "EisaId (\"PNP0501\")", "PRQ3,   8"]
    {
        assert!(source.contains(expected), "{expected} is missing in:\n{source}");
    }
    assert!(compiled && compiler.contains(" 0 Errors, 0 Warnings"), "{compiler}");
}
