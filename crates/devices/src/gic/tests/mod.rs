//! Expectations from IHI 0048B and IHI 0069; identification and reset values from `qemu-system-aarch64 -M virt`.

mod v2;
mod v3;

use std::sync::Arc;

use lyrebird_isa::Size;
use lyrebird_isa::lines::CpuLines;
use lyrebird_softmmu::phys::MmioDevice;

use super::cpu::{CpuInterface, IDLE_PRIORITY};
use super::state::{Candidate, Interrupts};
use super::*;

fn lines(n: usize) -> Vec<Arc<CpuLines>> {
    (0..n).map(|_| Arc::new(CpuLines::new())).collect()
}

fn get(d: &impl MmioDevice, at: u64) -> u32 {
    d.read(at, Size::B4) as u32
}

fn set(d: &impl MmioDevice, at: u64, value: u32) {
    d.write(at, Size::B4, u64::from(value));
}

fn random_numbers(mut seed: u64) -> impl FnMut() -> u64 {
    move || {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        seed >> 31
    }
}

/// The bitmaps against a plain scan over every interrupt.
#[test]
fn best_agrees_with_a_plain_scan() {
    let mut random = random_numbers(1);
    let mut word = move || random() as u32 & random() as u32;
    for _ in 0..2000 {
        let mut irqs = Interrupts::new(96, 2);
        irqs.routes = vec![vec![word(), word()], vec![word(), word()]];
        for bank in irqs.private.iter_mut().chain(&mut irqs.shared) {
            bank.enabled = word();
            bank.latch = word();
            bank.active = word();
            bank.level = word();
            bank.edge = word();
            bank.group = word();
            bank.priority = std::array::from_fn(|_| word() as u8 & 0xf0);
        }
        for (cpu, groups) in [(0, 3), (1, 3), (0, 1), (0, 2), (1, 0)] {
            let mut expected: Option<Candidate> = None;
            for intid in 0..96 {
                let bank = irqs.bank(cpu, intid / 32).expect("a bank");
                let is = |bits: u32| bits >> (intid % 32) & 1 != 0;
                let routed = intid < 32 || is(irqs.routes[cpu][intid / 32 - 1]);
                let pending = is(bank.latch) || !is(bank.edge) && is(bank.level);
                let group = usize::from(is(bank.group));
                let priority = bank.priority[intid % 32];
                if is(bank.enabled)
                    && pending
                    && !is(bank.active)
                    && routed
                    && groups >> group & 1 != 0
                    && expected.is_none_or(|e| priority < e.priority)
                {
                    expected = Some(Candidate { intid: intid as u32, priority, group });
                }
            }
            assert_eq!(irqs.best(cpu, groups), expected);
        }
    }
}

/// IHI 0048B table 3-2: with binary point n, bits 7 to n + 1 are the group priority.
#[test]
fn binary_points_split_priorities() {
    let candidate = |priority, group| Candidate { intid: 40, priority, group };
    for bpr in 0..8u8 {
        let mut c = CpuInterface::new(7);
        c.pmr = 0xff;
        c.set_bpr(0, bpr);
        c.activate(&candidate(0x80, 0));
        assert_eq!(c.running_priority(), if bpr == 7 { 0 } else { 0x80 });
        assert!(!c.can_preempt(&candidate(0x80, 0)));
        // The closest smaller group priority preempts, the subpriority does not.
        let step = 1u32 << (bpr + 1);
        assert_eq!(c.can_preempt(&candidate((0x80 - step.min(0x80)) as u8, 0)), bpr < 7);
        assert!(!c.can_preempt(&candidate(0x80 + (step / 2).min(0x7f) as u8, 0)));
        c.drop_priority(0);
        assert_eq!(c.running_priority(), IDLE_PRIORITY);
    }
    // Group 1's binary point is one higher for the same split, and the common one is group 0's.
    let mut c = CpuInterface::new(7);
    c.pmr = 0xff;
    assert_eq!(c.bpr, [0, 1]);
    c.activate(&candidate(0x88, 1));
    assert!(c.can_preempt(&candidate(0x81, 1)));
    c.set_bpr(1, 4);
    assert!(!c.can_preempt(&candidate(0x81, 1)), "bits 7:4 are equal");
    assert!(c.can_preempt(&candidate(0x7f, 1)));
    assert!(c.can_preempt(&candidate(0x81, 0)), "group 0 has bits 7:1");
    c.cbpr = true;
    assert!(c.can_preempt(&candidate(0x81, 1)));
    c.set_bpr(0, 3);
    assert!(!c.can_preempt(&candidate(0x81, 1)));
    assert_eq!(c.running_group(), Some(1));
    c.activate(&candidate(0x20, 0));
    assert_eq!((c.running_group(), c.running_priority()), (Some(0), 0x20));
    c.drop_priority(0);
    assert_eq!((c.running_group(), c.running_priority()), (Some(1), 0x88));
}

#[test]
fn boards_cannot_ask_for_the_impossible() {
    assert_eq!(GicV2::new(100, lines(1)).err(), Some(GicError::Interrupts(100)));
    assert_eq!(GicV2::new(0, lines(1)).err(), Some(GicError::Interrupts(0)));
    assert_eq!(GicV2::new(288, lines(9)).err(), Some(GicError::Cpus { found: 9, max: 8 }));
    assert_eq!(GicV3::new(288, vec![]).err(), Some(GicError::Cpus { found: 0, max: 512 }));
    let gic = GicV2::new(64, lines(1)).expect("a gic");
    assert_eq!(gic.spi(32).err(), Some(GicError::NoSpi(32)));
    assert!(gic.spi(31).is_ok());
    assert_eq!(gic.ppi(0, 15).err(), Some(GicError::NoPpi { cpu: 0, intid: 15 }));
    assert_eq!(gic.ppi(1, 27).err(), Some(GicError::NoPpi { cpu: 1, intid: 27 }));
}
