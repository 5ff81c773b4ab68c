//! The tree is read back with an independent parser (the `fdt` crate) and held against what QEMU's board says
//! (`qemu-system-aarch64 -M virt,dumpdtb=…`, version 7.2).

use super::*;
use crate::loader::LoadError;

const RAM: RamRange = RamRange { base: 0x4000_0000, size: 1 << 30 };

fn board(gic: GicVersion) -> Board<'static> {
    Board { ram: RAM, cpus: &[0], cpu_compatible: "arm,cortex-a57", gic }
}

fn chosen() -> Chosen<'static> {
    Chosen {
        bootargs: Some("console=ttyAMA0 quiet"),
        initrd: Some(0x4800_0000..0x4812_3456),
        seeds: Seeds { kaslr: 0x1122_3344_5566_7788, rng: [7; 32] },
    }
}

fn cells(bytes: &[u8]) -> Vec<u32> {
    bytes.chunks(4).map(|c| u32::from_be_bytes(c.try_into().expect("cells"))).collect()
}

/// Properties of QEMU's tree, as cells. The phandles are ours.
const QEMU: &[(&str, &str, &[u32])] = &[
    ("/", "#address-cells", &[2]),
    ("/", "#size-cells", &[2]),
    ("/psci", "cpu_on", &[0xc400_0003]),
    ("/psci", "cpu_off", &[0x8400_0002]),
    ("/psci", "cpu_suspend", &[0xc400_0001]),
    ("/memory@40000000", "reg", &[0, 0x4000_0000, 0, 0x4000_0000]),
    ("/pl011@9000000", "reg", &[0, 0x900_0000, 0, 0x1000]),
    ("/pl011@9000000", "interrupts", &[0, 1, 4]),
    ("/pl031@9010000", "reg", &[0, 0x901_0000, 0, 0x1000]),
    ("/pl031@9010000", "interrupts", &[0, 2, 4]),
    ("/pl061@9030000", "reg", &[0, 0x903_0000, 0, 0x1000]),
    ("/pl061@9030000", "interrupts", &[0, 7, 4]),
    ("/pl061@9030000", "#gpio-cells", &[2]),
    ("/gpio-keys/poweroff", "linux,code", &[0x74]),
    ("/virtio_mmio@a000000", "reg", &[0, 0xa00_0000, 0, 0x200]),
    ("/virtio_mmio@a000000", "interrupts", &[0, 0x10, 1]),
    ("/virtio_mmio@a003e00", "reg", &[0, 0xa00_3e00, 0, 0x200]),
    ("/virtio_mmio@a003e00", "interrupts", &[0, 0x2f, 1]),
    ("/apb-pclk", "clock-frequency", &[24_000_000]),
    ("/apb-pclk", "#clock-cells", &[0]),
    ("/cpus", "#address-cells", &[1]),
    ("/cpus", "#size-cells", &[0]),
    ("/cpus/cpu@0", "reg", &[0]),
    ("/intc@8000000", "#interrupt-cells", &[3]),
];

fn compare(gic: GicVersion, extra: &[(&str, &str, &[u32])]) {
    let blob = build(&board(gic), &chosen()).expect("a tree");
    let tree = fdt::Fdt::new(&blob).expect("a well-formed tree");
    for (node, name, expected) in QEMU.iter().chain(extra) {
        let found = tree.find_node(node).unwrap_or_else(|| panic!("no node {node}"));
        let value = found.property(name).unwrap_or_else(|| panic!("{node} has no {name}")).value;
        assert_eq!(cells(value), *expected, "{node} {name}");
    }
}

#[test]
fn gicv2_board_is_qemus() {
    compare(
        GicVersion::V2,
        &[
            ("/timer", "interrupts", &[1, 13, 0x104, 1, 14, 0x104, 1, 11, 0x104, 1, 10, 0x104]),
            ("/intc@8000000", "reg", &[0, 0x800_0000, 0, 0x1_0000, 0, 0x801_0000, 0, 0x1_0000]),
        ],
    );
}

#[test]
fn gicv3_board_is_qemus() {
    compare(
        GicVersion::V3,
        &[
            ("/timer", "interrupts", &[1, 13, 4, 1, 14, 4, 1, 11, 4, 1, 10, 4]),
            ("/intc@8000000", "reg", &[0, 0x800_0000, 0, 0x1_0000, 0, 0x80a_0000, 0, 0xf6_0000]),
            ("/intc@8000000", "#redistributor-regions", &[1]),
        ],
    );
}

#[test]
fn names_and_references() {
    let blob = build(&board(GicVersion::V3), &chosen()).expect("a tree");
    let tree = fdt::Fdt::new(&blob).expect("a well-formed tree");
    let text = |node: &str, name: &str| {
        let value = tree.find_node(node).and_then(|n| n.property(name)).map(|p| p.value);
        String::from_utf8_lossy(value.unwrap_or_else(|| panic!("{node} {name}"))).into_owned()
    };
    assert_eq!(text("/", "compatible"), "linux,dummy-virt\0");
    assert_eq!(text("/psci", "compatible"), "arm,psci-1.0\0arm,psci-0.2\0arm,psci\0");
    assert_eq!(text("/psci", "method"), "hvc\0");
    assert_eq!(text("/timer", "compatible"), "arm,armv8-timer\0arm,armv7-timer\0");
    assert_eq!(text("/pl011@9000000", "compatible"), "arm,pl011\0arm,primecell\0");
    assert_eq!(text("/pl011@9000000", "clock-names"), "uartclk\0apb_pclk\0");
    assert_eq!(text("/intc@8000000", "compatible"), "arm,gic-v3\0");
    assert_eq!(text("/cpus/cpu@0", "enable-method"), "psci\0");
    assert_eq!(text("/cpus/cpu@0", "compatible"), "arm,cortex-a57\0");
    assert_eq!(text("/chosen", "stdout-path"), "/pl011@9000000\0");
    assert_eq!(tree.chosen().bootargs(), Some("console=ttyAMA0 quiet"));
    let handle = |node: &str, name: &str| {
        cells(tree.find_node(node).and_then(|n| n.property(name)).expect("a reference").value)[0]
    };
    assert_eq!(handle("/", "interrupt-parent"), handle("/intc@8000000", "phandle"));
    assert_eq!(handle("/pl011@9000000", "clocks"), handle("/apb-pclk", "phandle"));
    assert_eq!(handle("/gpio-keys/poweroff", "gpios"), handle("/pl061@9030000", "phandle"));
    assert_eq!(handle("/cpus/cpu-map/socket0/cluster0/core0", "cpu"), handle("/cpus/cpu@0", "phandle"));
    let chosen = tree.find_node("/chosen").expect("chosen");
    let value = |name: &str| chosen.property(name).expect("a property").value.to_vec();
    assert_eq!(value("linux,initrd-start"), 0x4800_0000u64.to_be_bytes());
    assert_eq!(value("linux,initrd-end"), 0x4812_3456u64.to_be_bytes());
    assert_eq!(value("kaslr-seed"), 0x1122_3344_5566_7788u64.to_be_bytes());
    assert_eq!(value("rng-seed"), [7; 32]);
}

#[test]
fn a_tree_survives_reading_and_writing() {
    let blob = build(&board(GicVersion::V2), &chosen()).expect("a tree");
    let tree = Tree::parse(&blob).expect("readable");
    assert_eq!(tree.node("/cpus/cpu@0").and_then(|n| n.prop("reg")), Some(&[0; 4][..]));
    let again = tree.write().expect("writable");
    assert_eq!(Tree::parse(&again), Ok(tree));
}

#[test]
fn amending_a_given_tree() {
    let blob = build(&board(GicVersion::V2), &chosen()).expect("a tree");
    let mut tree = Tree::parse(&blob).expect("readable");
    let ram = RamRange { base: 0x4000_0000, size: 2 << 30 };
    amend(&mut tree, ram, &Chosen { bootargs: None, initrd: None, seeds: Seeds::default() });
    let at =
        |tree: &Tree, node: &str, name: &str| tree.node(node).and_then(|n| n.prop(name)).map(<[u8]>::to_vec);
    assert_eq!(at(&tree, "/chosen", "bootargs"), Some(b"console=ttyAMA0 quiet\0".to_vec()));
    assert_eq!(at(&tree, "/chosen", "linux,initrd-start"), None);
    assert_eq!(
        at(&tree, "/memory@40000000", "reg").map(|r| cells(&r)),
        Some(vec![0, 0x4000_0000, 0, 0x8000_0000])
    );
    // A tree of another origin: one cell for sizes, memory under another name.
    let mut tree = Tree::default();
    tree.root.set("#address-cells", &1u32.to_be_bytes());
    let memory = tree.root.child_mut("memory");
    memory.set("device_type", b"memory\0");
    memory.set("reg", &[0; 8]);
    let chosen = Chosen { bootargs: Some("x"), initrd: Some(1..2), seeds: Seeds::default() };
    amend(&mut tree, RAM, &chosen);
    assert_eq!(tree.root.children.len(), 2);
    assert_eq!(at(&tree, "/memory@40000000", "reg").map(|r| cells(&r)), Some(vec![0x4000_0000, 0x4000_0000]));
    assert_eq!(at(&tree, "/chosen", "bootargs"), Some(b"x\0".to_vec()));
    assert_eq!(at(&tree, "/chosen", "linux,initrd-end"), Some(2u64.to_be_bytes().to_vec()));
}

#[test]
fn bad_trees_are_named() {
    let blob = build(&board(GicVersion::V2), &chosen()).expect("a tree");
    for n in 0..blob.len() {
        assert!(Tree::parse(&blob[..n]).is_err(), "{n} of {} bytes accepted", blob.len());
    }
    // A valid tree may be followed by anything: firmware pads.
    assert!(Tree::parse(&[blob.clone(), vec![0xff; 9]].concat()).is_ok());
    let text = |b: &[u8]| Tree::parse(b).expect_err("accepted").to_string();
    assert!(text(b"").contains("device tree: the file is empty"));
    assert!(text(b"/dts-v1/; / {};").contains("dtc"));
    assert!(text(b"MZ\0\0\0\0\0\0\0\0").contains("magic d0 0d fe ed"));
    assert!(
        matches!(Tree::parse(&blob[..100]), Err(LoadError::Truncated { need, .. }) if need == blob.len() as u64)
    );
    // Every byte of the header, a sample of the rest.
    for at in (0..40).chain((40..blob.len()).step_by(7)) {
        for value in [0, 3, 0xff] {
            let mut bad = blob.clone();
            bad[at] = value;
            if let Ok(tree) = Tree::parse(&bad) {
                let _ = tree.write();
            }
        }
    }
}
