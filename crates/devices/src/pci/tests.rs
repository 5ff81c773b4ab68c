use super::*;
use crate::irq::tests::Recorder;
use crate::irq::{IrqPin, IrqSink};
use crate::port::PortBus;

struct Board {
    ports: PortBus,
    bus: Arc<PciBus>,
    piix3: Arc<Piix3>,
    pm: Arc<Piix4PmFunction>,
    irqs: Arc<Recorder>,
    moves: Arc<Mutex<Vec<Option<u16>>>>,
}

const HOST: Slot = Slot::new(0, 0);
const ISA: Slot = Slot::new(1, 0);
const PM: Slot = Slot::new(1, 3);

fn board() -> Board {
    let irqs = Arc::new(Recorder::default());
    let sink: Arc<dyn IrqSink> = irqs.clone();
    let isa = std::array::from_fn(|n| IrqPin::new(Arc::downgrade(&sink), n as u32));
    let piix3 = Piix3::new(isa);
    let moves = Arc::new(Mutex::new(Vec::new()));
    let log = moves.clone();
    let pm = Arc::new(Piix4PmFunction::new(0x600, Box::new(move |base| lock(&log).push(base))));
    let bus = Arc::new(PciBus::new());
    bus.plug(HOST, Arc::new(I440fx::new())).expect("free");
    bus.plug(ISA, piix3.clone()).expect("free");
    bus.plug(PM, pm.clone()).expect("free");
    let ports = PortBus::new();
    ports.map(0xcf8, 0..8, bus.clone()).expect("mapped");
    Board { ports, bus, piix3, pm, irqs, moves }
}

impl Board {
    fn select(&self, slot: Slot, offset: u32) {
        self.ports.write(0xcf8, Size::B4, 1 << 31 | u32::from(slot.0) << 8 | offset);
    }
    fn get(&self, slot: Slot, offset: u32) -> u32 {
        self.select(slot, offset & !3);
        self.ports.read(0xcfc, Size::B4)
    }
    fn set(&self, slot: Slot, offset: u32, value: u32) {
        self.select(slot, offset & !3);
        self.ports.write(0xcfc, Size::B4, value);
    }
    fn seen(&self) -> Vec<(u32, bool)> {
        std::mem::take(&mut *lock(&self.irqs.0))
    }
}

/// A function with windows of all kinds.
#[derive(Debug)]
struct Card(Mutex<ConfigSpace>);

impl Card {
    fn new() -> Card {
        let identity =
            Identity { vendor: 0x1234, device: 0x5678, class: 0x02_0000, revision: 1, subsystem: (9, 8) };
        let config = ConfigSpace::new(identity)
            .interrupt_pin(1)
            .bar(0, Bar::Io { size: 32 })
            .bar(1, Bar::Memory { size: 4096, prefetchable: false, wide: false })
            .bar(2, Bar::Memory { size: 1 << 33, prefetchable: true, wide: true });
        Card(Mutex::new(config))
    }
}

impl PciFunction for Card {
    fn config_read(&self, offset: u8) -> u32 {
        lock(&self.0).read(offset)
    }
    fn config_write(&self, offset: u8, word: Word) {
        lock(&self.0).write(offset, word);
    }
}

impl Device for Card {
    fn kind(&self) -> &'static str {
        "card"
    }
    fn reset(&self) {
        lock(&self.0).reset();
    }
    fn save(&self) -> Result<Snapshot, SnapshotError> {
        Snapshot::encode("card", 1, &lock(&self.0).save())
    }
    fn restore(&self, snapshot: &Snapshot) -> Result<(), SnapshotError> {
        lock(&self.0).restore("card", &snapshot.decode::<Vec<u32>>("card", 1)?)
    }
}

#[test]
fn functions_identify_themselves() {
    let b = board();
    assert_eq!(b.get(HOST, 0), 0x1237_8086);
    assert_eq!(b.get(HOST, 8) >> 8, 0x06_0000);
    assert_eq!(b.get(ISA, 0), 0x7000_8086);
    assert_eq!(b.get(ISA, 8) >> 8, 0x06_0100);
    assert_eq!(b.get(ISA, 0xc) >> 16 & 0xff, 0x80, "multi-function");
    assert_eq!(b.get(PM, 0), 0x7113_8086);
    assert_eq!(b.get(PM, 0x3c), 0x0109);
    b.set(HOST, 0, 0);
    assert_eq!(b.get(HOST, 0), 0x1237_8086);
}

#[test]
fn what_is_not_there_reads_as_ones() {
    let b = board();
    assert_eq!(b.get(Slot::new(2, 0), 0), u32::MAX);
    assert_eq!(b.get(Slot::new(1, 7), 0), u32::MAX);
    b.set(Slot::new(2, 0), 4, 0xffff);
    b.ports.write(0xcf8, Size::B4, 0x8001_0000);
    assert_eq!(b.ports.read(0xcfc, Size::B4), u32::MAX, "bus 1");
    b.ports.write(0xcf8, Size::B4, 0);
    assert_eq!(b.ports.read(0xcfc, Size::B4), u32::MAX, "not enabled");
}

#[test]
fn the_address_register_takes_dwords_only() {
    let b = board();
    b.ports.write(0xcf8, Size::B4, 0xffff_ffff);
    assert_eq!(b.ports.read(0xcf8, Size::B4), 0x80ff_fffc, "reserved bits");
    b.select(ISA, 0);
    b.ports.write(0xcf8, Size::B1, 0x40);
    b.ports.write(0xcfa, Size::B2, 0x1234);
    assert_eq!(b.ports.read(0xcf8, Size::B4), 0x8000_0800);
    assert_eq!(b.ports.read(0xcf8, Size::B1), 0xff);
    assert_eq!(b.ports.read(0xcf8, Size::B2), 0xffff);
}

#[test]
fn data_is_accessed_by_byte_word_and_dword() {
    let b = board();
    b.select(ISA, 0);
    let bytes: Vec<u32> = (0..4).map(|i| b.ports.read(0xcfc + i, Size::B1)).collect();
    assert_eq!(bytes, [0x86, 0x80, 0x00, 0x70]);
    assert_eq!(b.ports.read(0xcfe, Size::B2), 0x7000);
    assert_eq!(b.ports.read(0xcfd, Size::B2), 0x0080);
    b.select(ISA, 0x60);
    b.ports.write(0xcfd, Size::B1, 0x0b);
    assert_eq!(b.get(ISA, 0x60), 0x8080_0b80, "byte enables");
    b.select(ISA, 0x60);
    b.ports.write(0xcfe, Size::B2, 0x0a09);
    assert_eq!(b.get(ISA, 0x60), 0x0a09_0b80);
    // Across the end of CONFDATA: the bytes outside are somebody else's.
    assert_eq!(b.ports.read(0xcff, Size::B2), 0xff0a);
}

#[test]
fn windows_are_sized_and_placed() {
    let b = board();
    let card = Arc::new(Card::new());
    let slot = Slot::new(3, 0);
    b.bus.plug(slot, card.clone()).expect("free");
    for (bar, size) in [(0, 0xffff_ffe1), (1, 0xffff_f000), (2, 0x0000_000c), (3, 0xffff_fffe), (4, 0)] {
        b.set(slot, 0x10 + bar * 4, u32::MAX);
        assert_eq!(b.get(slot, 0x10 + bar * 4), size, "register {bar}");
    }
    b.set(slot, 0x10, 0xc040);
    b.set(slot, 0x14, 0xfebf_1000);
    b.set(slot, 0x18, 0);
    b.set(slot, 0x1c, 0x10);
    let window = |n| lock(&card.0).window(n);
    assert_eq!([window(0), window(1), window(2), window(9)], [None; 4], "decoding is off");
    b.set(slot, 4, 3);
    assert_eq!(window(0), Some(BarWindow { io: true, base: 0xc040, size: 32 }));
    assert_eq!(window(1), Some(BarWindow { io: false, base: 0xfebf_1000, size: 4096 }));
    assert_eq!(window(2), Some(BarWindow { io: false, base: 0x10_0000_0000, size: 1 << 33 }));
    assert_eq!(window(3), None);
    let saved = card.save().expect("saved");
    b.bus.reset();
    assert_eq!(b.get(slot, 0x10), 1);
    card.restore(&saved).expect("restored");
    assert_eq!(b.get(slot, 0x10), 0xc041);
    assert!(card.restore(&b.piix3.save().expect("saved")).is_err());
    assert_eq!(
        b.bus.plug(slot, card).map_err(|e| e.to_string()),
        Err("PCI 03.0: card and card in one place".to_owned())
    );
}

#[test]
fn status_errors_are_cleared_by_ones() {
    let mut config = Card::new().0.into_inner().expect("not poisoned");
    config.set_bits(4, 0x2010_0000, true);
    config.write(4, Word { value: 0xffff_0000, lanes: 0xffff_0000 });
    assert_eq!(config.read(4), 0x0010_0000);
}

#[test]
fn pirqs_are_routed_to_isa_interrupts() {
    let b = board();
    // Slot 1 INTA is PIRQA, each next slot turns by one.
    assert_eq!([Piix3::pirq(1, 0), Piix3::pirq(2, 0), Piix3::pirq(3, 3), Piix3::pirq(0, 0)], [0, 1, 1, 3]);
    let (a, c) = (b.piix3.intx(1, 0), b.piix3.intx(3, 0));
    a.assert();
    assert_eq!((b.seen(), b.piix3.route(0)), (vec![], None), "not routed after reset");
    b.set(ISA, 0x60, 0x0b0a_0b0a);
    assert_eq!(b.seen(), [(10, true)]);
    c.assert();
    a.deassert();
    assert_eq!(b.seen(), [], "PIRQC shares it");
    b.set(ISA, 0x60, 0x0b05_0b0a);
    assert_eq!(b.seen(), [(5, true), (10, false)]);
    let saved = b.piix3.save().expect("saved");
    b.bus.reset();
    assert_eq!(b.seen(), [(5, false)]);
    b.piix3.restore(&saved).expect("restored");
    assert_eq!(b.seen(), [(5, true)]);
    b.set(ISA, 0x60, 0x0808_0808);
    assert_eq!((b.seen(), b.piix3.route(2)), (vec![(5, false)], None), "8 is reserved");
    b.piix3.set_routes([10, 10, 11, 11]);
    assert_eq!((b.seen(), b.get(ISA, 0x60)), (vec![(11, true)], 0x0b0b_0a0a));
}

#[test]
fn the_power_management_base_moves() {
    let b = board();
    assert_eq!(b.pm.base(), Some(0x600));
    assert_eq!(b.get(PM, 0x40), 0x601);
    b.set(PM, 0x40, 0xffff_ffff);
    assert_eq!(b.get(PM, 0x40), 0xffc1);
    b.set(PM, 0x80, 0);
    b.set(PM, 0x40, 0xb000);
    b.set(PM, 0x80, 1);
    b.bus.reset();
    let expected = [Some(0x600), Some(0xffc0), None, Some(0xb000), Some(0x600)];
    assert_eq!(*lock(&b.moves), expected);
    assert_eq!(Piix4PmFunction::new(0, Box::new(|_| panic!("nothing is decoded"))).base(), None);
}

#[test]
fn segments_below_1_mib_are_programmed() {
    let bridge = I440fx::new();
    bridge.config_write(0x58, Word { value: 0x0231_1000, lanes: u32::MAX });
    assert_eq!(bridge.pam(12), Some(Pam { read: true, write: false }), "PAM0, high half");
    assert_eq!(bridge.pam(0), Some(Pam { read: true, write: false }), "PAM1, low half: 0xc0000");
    assert_eq!(bridge.pam(1), Some(Pam { read: true, write: true }));
    assert_eq!(bridge.pam(2), Some(Pam { read: false, write: true }));
    assert_eq!(bridge.pam(13), None);
    let saved = bridge.save().expect("saved");
    bridge.reset();
    assert_eq!(bridge.pam(1), Some(Pam { read: false, write: false }));
    bridge.restore(&saved).expect("restored");
    assert_eq!(bridge.pam(1), Some(Pam { read: true, write: true }));
}

#[test]
fn nothing_that_a_guest_does_panics() {
    let b = board();
    b.bus.plug(Slot::new(31, 7), Arc::new(Card::new())).expect("free");
    for value in [0, u32::MAX, 0x1234_5678] {
        for devfn in 0..=255u32 {
            for offset in 0..64 {
                b.ports.write(0xcf8, Size::B4, (1 << 31) | (devfn << 8) | (offset * 4));
                for port in 0xcf4..0xd04 {
                    for size in [Size::B1, Size::B2, Size::B4] {
                        if !(0xcf8..0xcfc).contains(&port) {
                            b.ports.write(port, size, value);
                        }
                        b.ports.read(port, size);
                    }
                }
            }
        }
        for port in 0xcf0..0xd08 {
            b.ports.write(port, Size::B4, value);
        }
    }
    let saved = b.bus.save().expect("saved");
    b.bus.reset();
    assert_eq!(b.ports.read(0xcf8, Size::B4), 0);
    b.bus.restore(&saved).expect("restored");
}
