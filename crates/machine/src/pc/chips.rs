//! The board's chips, and the wires between them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use lyrebird_devices::hpet::{HpetPins, LegacyInput, LegacyRoute};
use lyrebird_devices::lapic::Rates;
use lyrebird_devices::pc_ports::{DebugConsole, DebugExit, PostCode};
use lyrebird_devices::pci::{I440fx, Piix3, Piix4PmFunction, Slot};
use lyrebird_devices::piix4_pm::TimerWidth;
use lyrebird_devices::port::PortMapError;
use lyrebird_devices::{
    ApicBus, CharBackend, CoprocessorError, Device, FwCfg, FwCfgItems, Hpet, I8042, I8237, I8254, I8259,
    IoApic, IrqPin, IrqSink, LocalApic, Mc146818, Ns16550, PciBus, Piix4Pm, Port92, PortBus, PowerSink,
    ResetControl, TimeSource, port::PortDevice as _,
};
use lyrebird_isa::Size;
use lyrebird_isa::lines::{CpuLines, IRQ};
use lyrebird_softmmu::phys::{MmioDevice, PhysMem, PhysMemBuilder};

use super::e820::Ram;
use super::map;

/// A serial line with nothing on it.
#[derive(Debug)]
struct Unconnected;

impl CharBackend for Unconnected {
    fn write(&self, _: &[u8]) {}
}

/// The ISA interrupts: each goes to the 8259 pair and to the IO-APIC, where the 8254's has input 2 as on all PCs.
struct IsaWires {
    pic: Arc<I8259>,
    ioapic: Option<Arc<IoApic>>,
}

impl IrqSink for IsaWires {
    fn set_line(&self, line: u32, high: bool) {
        self.pic.set_line(line, high);
        if let Some(ioapic) = &self.ioapic {
            ioapic.set_line(if line == 0 { 2 } else { line }, high);
        }
    }
}

/// The CPU's INTR pin, on a CPU that has no local APIC.
struct Intr(Arc<CpuLines>);

impl IrqSink for Intr {
    fn set_line(&self, _: u32, high: bool) {
        self.0.set(IRQ, high);
    }
}

/// Address line 20.
#[derive(Debug, Default)]
pub(super) struct A20(AtomicBool);

impl A20 {
    /// Whether it is forced to 0.
    pub fn masked(&self) -> bool {
        !self.0.load(Ordering::Relaxed)
    }
}

impl IrqSink for A20 {
    fn set_line(&self, _: u32, high: bool) {
        self.0.store(high, Ordering::Relaxed);
    }
}

/// Notes that the registers of a chip with a timer were accessed: when it wants attention may have changed.
#[derive(Debug, Default)]
pub(super) struct Touched(AtomicBool);

impl Touched {
    /// Something was accessed.
    pub fn set(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether something was accessed since [`Touched::take`].
    pub fn get(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// Whether something was accessed since the last call.
    pub fn take(&self) -> bool {
        self.0.load(Ordering::Acquire) && self.0.swap(false, Ordering::AcqRel)
    }
}

/// A memory-mapped chip with a timer in it.
struct Timed<T> {
    chip: Arc<T>,
    touched: Arc<Touched>,
}

impl<T: MmioDevice> MmioDevice for Timed<T> {
    fn name(&self) -> &str {
        self.chip.name()
    }
    fn read(&self, offset: u64, size: Size) -> u64 {
        self.chip.read(offset, size)
    }
    fn write(&self, offset: u64, size: Size, value: u64) {
        self.chip.write(offset, size, value);
        self.touched.set();
    }
}

/// Local APIC and IO-APIC, of a CPU that has the former.
pub(super) struct Apics {
    pub bus: Arc<ApicBus>,
    pub io: Arc<IoApic>,
}

/// What the chips need from the rest of the board.
pub(super) struct Surroundings {
    pub lines: Arc<CpuLines>,
    pub clock: Arc<dyn TimeSource>,
    pub power: Arc<dyn PowerSink>,
    pub serial: Arc<dyn CharBackend>,
    /// The CPU has a local APIC.
    pub apic: bool,
    /// Width of physical addresses.
    pub pa_bits: u32,
}

/// All chips.
pub(super) struct Chips {
    pub ports: Arc<PortBus>,
    pub pic: Arc<I8259>,
    pub pit: Arc<I8254>,
    pub rtc: Arc<Mc146818>,
    pub pm: Arc<Piix4Pm>,
    pub com: [Arc<Ns16550>; 2],
    pub apics: Option<Apics>,
    pub hpet: Option<Arc<Hpet>>,
    pub a20: Arc<A20>,
    pub ferr: Arc<CoprocessorError>,
    pub touched: Arc<Touched>,
    piix3: Arc<Piix3>,
    clock: Arc<dyn TimeSource>,
    devices: Vec<Arc<dyn Device>>,
    /// Pins hold their sinks weakly.
    _wires: [Arc<dyn IrqSink>; 3],
}

impl std::fmt::Debug for Chips {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Chips").field("ports", &self.ports).finish_non_exhaustive()
    }
}

/// A pin that drives input `n` of `sink`.
fn pin(sink: &Arc<dyn IrqSink>, n: usize) -> IrqPin {
    IrqPin::new(Arc::downgrade(sink), n as u32)
}

/// What the host's clock shows, in seconds since 1970 UTC.
fn unix_time() -> i64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| d.as_secs() as i64)
}

impl Chips {
    /// Makes the chips and wires them up. Where they are in memory is added to `bus`.
    pub fn new(s: Surroundings, bus: PhysMemBuilder) -> Result<(Chips, PhysMemBuilder), PortMapError> {
        let Surroundings { lines, clock, power, serial, apic, pa_bits } = s;
        let touched = Arc::new(Touched::default());
        let intr: Arc<dyn IrqSink> = Arc::new(Intr(lines.clone()));
        let apics = apic.then(|| {
            let rates = Rates { timer_hz: map::TSC_HZ, tsc_hz: map::TSC_HZ };
            let bus = ApicBus::new(vec![lines], rates, pa_bits, clock.clone());
            let io = IoApic::new(bus.clone());
            Apics { bus, io }
        });
        let to_cpu = match apics.as_ref().map(|a| a.bus.lint(0, 0)) {
            Some(Ok(lint0)) => lint0,
            _ => pin(&intr, 0),
        };
        let pic = Arc::new(I8259::new(to_cpu));
        let ioapic = apics.as_ref().map(|a| a.io.clone());
        let isa: Arc<dyn IrqSink> = Arc::new(IsaWires { pic: pic.clone(), ioapic: ioapic.clone() });
        // One wire per number: pins that share it are ORed.
        let wires: [IrqPin; 16] = std::array::from_fn(|n| pin(&isa, n));

        let legacy = LegacyRoute::new(wires[map::IRQ_PIT].share(), wires[map::IRQ_RTC].share());
        let pit = Arc::new(I8254::new(legacy.input(LegacyInput::Pit), clock.clone()));
        let rtc = Arc::new(Mc146818::new(legacy.input(LegacyInput::Rtc), clock.clone(), unix_time()));
        let hpet = ioapic.as_ref().map(|io| {
            let routes = io.input(2).map(|pin| vec![(2, pin)]).unwrap_or_default();
            let pins = HpetPins {
                routes,
                legacy: [legacy.input(LegacyInput::Timer0), legacy.input(LegacyInput::Timer1)],
                replace: legacy.input(LegacyInput::Replace),
            };
            Arc::new(Hpet::new(pins, clock.clone()))
        });
        let pm = Arc::new(Piix4Pm::new(
            wires[map::IRQ_SCI].share(),
            TimerWidth::Bits24,
            power.clone(),
            clock.clone(),
        ));
        let backends: [Arc<dyn CharBackend>; 2] = [serial.clone(), Arc::new(Unconnected)];
        let mut com = map::IRQ_COM
            .iter()
            .zip(backends)
            .map(|(irq, backend)| Arc::new(Ns16550::new(wires[*irq].share(), backend, clock.clone())));
        let com: [Arc<Ns16550>; 2] = std::array::from_fn(|_| com.next().expect("two"));
        let a20 = Arc::new(A20::default());
        let a20_sink: Arc<dyn IrqSink> = a20.clone();
        let a20_wire = pin(&a20_sink, 0);
        let kbd = Arc::new(I8042::new(
            wires[map::IRQ_KBD].share(),
            wires[map::IRQ_MOUSE].share(),
            a20_wire.share(),
            power.clone(),
        ));
        let port92 = Arc::new(Port92::new(a20_wire.share(), power.clone()));
        let reset = Arc::new(ResetControl::new(power.clone()));
        let post = Arc::new(PostCode::new());
        let ferr = Arc::new(CoprocessorError::new(wires[map::IRQ_FPU].share()));

        let ports = Arc::new(PortBus::new());
        for (n, base) in (0..).zip(map::PORT_PIC) {
            ports.map(base, n * 2..n * 2 + 2, pic.clone())?;
        }
        ports.map(map::PORT_PIT, 0..4, pit.clone())?;
        ports.map(map::PORT_NMI, 4..5, pit.clone())?;
        for (n, port) in (0..).zip(map::PORT_KBD) {
            ports.map(port, n..n + 1, kbd.clone())?;
        }
        ports.map(map::PORT_RTC, 0..2, rtc.clone())?;
        ports.map(map::PORT_POST, 0..1, post.clone())?;
        ports.map(map::PORT_FPU, 0..1, ferr.clone())?;
        ports.map(map::PORT_92, 0..1, port92.clone())?;
        ports.map(map::PORT_RESET, 0..1, reset.clone())?;
        ports.map(map::PORT_DEBUG, 0..1, Arc::new(DebugConsole::new(serial)))?;
        ports.map(map::PORT_EXIT, 0..DebugExit::REGS, Arc::new(DebugExit::new(power)))?;
        for (base, com) in map::PORT_COM.iter().zip(&com) {
            ports.map(*base, 0..Ns16550::REGS, com.clone())?;
        }
        ports.map(map::PORT_GPE, Piix4Pm::GPE_REGS, pm.clone())?;
        ports.map(map::PORT_SMI, Piix4Pm::SMI_REGS, pm.clone())?;

        let dma = Arc::new(I8237::new());
        for (base, regs) in
            map::PORT_DMA.into_iter().zip([I8237::FIRST_REGS, I8237::SECOND_REGS, I8237::PAGE_REGS])
        {
            ports.map(base, regs, dma.clone())?;
        }

        let pci = Arc::new(PciBus::new());
        let isa_pins = std::array::from_fn(|n| wires[n].share());
        let piix3 = Piix3::new(isa_pins);
        let moved = {
            let (ports, pm) = (ports.clone(), pm.clone());
            let at = std::sync::Mutex::new(None::<u16>);
            move |base: Option<u16>| {
                let mut at = at.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                if let Some(old) = at.take() {
                    ports.unmap(old, Piix4PmFunction::PM_PORTS);
                }
                // Where other registers already are, the guest gets those.
                if let Some(base) = base
                    && ports.map(base, Piix4Pm::PM_REGS, pm.clone()).is_ok()
                {
                    *at = Some(base);
                }
            }
        };
        let pm_function = Arc::new(Piix4PmFunction::new(map::PORT_PM, Box::new(moved)));
        // Three places of a bus that was empty.
        drop(pci.plug(Slot::new(0, 0), Arc::new(I440fx::new())));
        drop(pci.plug(Slot::new(1, 0), piix3.clone()));
        drop(pci.plug(Slot::new(1, 3), pm_function));
        ports.map(map::PORT_PCI, 0..8, pci.clone())?;

        let mut bus = bus;
        if let Some(a) = &apics
            && let Some(lapic) = a.bus.cpu(0)
        {
            let lapic = Timed { chip: lapic.clone(), touched: touched.clone() };
            bus = bus.mmio(map::LAPIC, LocalApic::SIZE, Arc::new(lapic));
            bus = bus.mmio(map::IOAPIC, IoApic::SIZE, a.io.clone());
        }
        if let Some(hpet) = &hpet {
            let hpet = Timed { chip: hpet.clone(), touched: touched.clone() };
            bus = bus.mmio(map::HPET, Hpet::SIZE, Arc::new(hpet));
        }

        let mut devices: Vec<Arc<dyn Device>> = vec![pic.clone(), pit.clone(), rtc.clone(), pm.clone()];
        devices.extend([port92 as Arc<dyn Device>, reset, post, ferr.clone(), pci, kbd, dma]);
        devices.extend(com.iter().map(|c| c.clone() as Arc<dyn Device>));
        if let Some(a) = &apics {
            devices.extend(a.bus.cpus().iter().map(|c| c.clone() as Arc<dyn Device>));
            devices.push(a.io.clone());
        }
        devices.extend(hpet.iter().map(|h| h.clone() as Arc<dyn Device>));
        let chips = Chips {
            ports,
            pic,
            pit,
            rtc,
            pm,
            com,
            apics,
            hpet,
            a20,
            ferr,
            touched,
            piix3,
            clock,
            devices,
            _wires: [intr, isa, legacy],
        };
        Ok((chips, bus))
    }

    /// Adds what reads guest memory on its own: fw_cfg, which tells `told`.
    pub fn attach(&self, phys: &Arc<PhysMem>, told: FwCfgItems) -> Result<(), PortMapError> {
        let fw_cfg = Arc::new(FwCfg::new(told, phys.clone()));
        self.ports.map(map::PORT_FW_CFG[0], FwCfg::PORTS, fw_cfg.clone())?;
        self.ports.map(map::PORT_FW_CFG[1], FwCfg::DMA_PORTS, fw_cfg)
    }

    /// The boot CPU's local APIC.
    pub fn lapic(&self) -> Option<&Arc<LocalApic>> {
        self.apics.as_ref()?.bus.cpu(0)
    }

    /// Power-on.
    pub fn reset(&self, ram: Ram) {
        for device in &self.devices {
            device.reset();
        }
        self.fill_cmos(ram);
        self.touched.set();
    }

    /// What firmware would do before it starts a kernel.
    pub fn set_up(&self) {
        self.piix3.set_routes(map::PIRQ_ROUTES);
        if let Some(lapic) = self.lapic() {
            lapic.virtual_wire();
        }
        self.pm.enable_acpi();
        // Firmware leaves counter 0 running at 18.2 Hz, and boot code reads it as a clock without programming it.
        for (register, value) in [(3, 0x34), (0, 0), (0, 0)] {
            self.pit.write(register, value);
        }
    }

    /// What QEMU tells its firmware in the clock's RAM: sizes of memory, equipment.
    fn fill_cmos(&self, ram: Ram) {
        let word = |index: u8, value: u64| {
            let [a, b, ..] = value.min(0xffff).to_le_bytes();
            self.rtc.poke(index, a);
            self.rtc.poke(index + 1, b);
        };
        let above = |start: u64| ram.low.saturating_sub(start);
        word(0x15, 640);
        word(0x17, above(1 << 20) >> 10);
        word(0x30, above(1 << 20) >> 10);
        word(0x34, above(16 << 20) >> 16);
        let [a, b, c, ..] = (ram.high >> 16).to_le_bytes();
        for (index, byte) in [(0x5b, a), (0x5c, b), (0x5d, c), (0x5f, 0)] {
            self.rtc.poke(index, byte);
        }
        // FPU and mouse.
        self.rtc.poke(0x14, 0x06);
    }

    /// Guest time in nanoseconds.
    pub fn now(&self) -> u64 {
        self.clock.now()
    }

    /// Lets all timers fire that are due, and tells when the next one is.
    pub fn update(&self, now: u64) -> Option<u64> {
        self.pit.update();
        self.rtc.update();
        self.pm.update();
        let mut next =
            [self.pit.next_event(), self.rtc.next_event(), self.pm.next_event(), None, None, None, None];
        for (com, next) in self.com.iter().zip(&mut next[3..]) {
            com.update();
            *next = com.next_event();
        }
        if let Some(lapic) = self.lapic() {
            lapic.update(now);
            next[5] = lapic.next_event(now);
        }
        if let Some(hpet) = &self.hpet {
            hpet.update(now);
            next[6] = hpet.next_event(now);
        }
        next.into_iter().flatten().min()
    }
}
