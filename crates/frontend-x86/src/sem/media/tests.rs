//! What the host CPU does not show: modes, alignment, unmasked exceptions, images, faults between elements.

use lyrebird_isa::V128;

use crate::CpuModel;
use crate::exception::vector::{GP, NM, PF, UD, XM};
use crate::regs::{RAX, RBX, RDX};
use crate::sys::control::{cr0, cr4, xcr0};
use crate::testing::{DATA, Machine};

const ADDPS: &[u8] = &[0x0f, 0x58, 0xc1];
const DIVPS: &[u8] = &[0x0f, 0x5e, 0xc1];
const VADDPS_YMM: &[u8] = &[0xc5, 0xf4, 0x58, 0xc2];
const PADDB_MM: &[u8] = &[0x0f, 0xfc, 0xc1];
const LDMXCSR: &[u8] = &[0x0f, 0xae, 0x13];

/// 64-bit code with AVX enabled, RBX at the data.
fn machine() -> Machine {
    let mut m = Machine::long();
    m.cpu.control.cr4 |= cr4::OSXSAVE | cr4::OSXMMEXCPT;
    m.cpu.control.xcr0 = xcr0::X87 | xcr0::SSE | xcr0::AVX;
    m.cpu.context_changed();
    m.set(RBX, DATA);
    m
}

fn control(m: &mut Machine, f: impl FnOnce(&mut crate::sys::control::Control)) {
    f(&mut m.cpu.control);
    m.cpu.context_changed();
}

#[test]
fn modes_take_instructions_away() {
    let mut m = machine();
    m.ok(ADDPS);
    m.ok(VADDPS_YMM);
    m.ok(PADDB_MM);
    control(&mut m, |c| c.cr0 |= cr0::TS);
    for i in [ADDPS, VADDPS_YMM, PADDB_MM] {
        m.faults(i, NM);
    }
    control(&mut m, |c| c.cr0 = c.cr0 & !cr0::TS | cr0::EM);
    m.faults(ADDPS, UD);
    m.faults(PADDB_MM, UD);
    // AVX does not look at CR0.EM (SDM Vol. 2, 2.4.3), and MMX not at CR4.OSFXSR.
    m.ok(VADDPS_YMM);
    control(&mut m, |c| {
        c.cr0 &= !cr0::EM;
        c.cr4 &= !(cr4::OSFXSR | cr4::OSXSAVE);
    });
    m.faults(ADDPS, UD);
    m.faults(VADDPS_YMM, UD);
    m.ok(PADDB_MM);
    let mut m = machine();
    control(&mut m, |c| c.xcr0 = xcr0::X87 | xcr0::SSE);
    m.faults(VADDPS_YMM, UD);
    m.ok(ADDPS);
    let mut m = Machine::protected();
    m.cpu.model = CpuModel::by_name("i686").expect("a model");
    m.cpu.control.cr4 |= cr4::OSFXSR;
    m.cpu.context_changed();
    m.faults(ADDPS, UD);
    m.ok(PADDB_MM);
}

#[test]
fn alignment() {
    const MOVAPS: &[u8] = &[0x0f, 0x28, 0x03];
    const PADDB: &[u8] = &[0x66, 0x0f, 0xfc, 0x03];
    let mut m = machine();
    m.set(RBX, DATA + 8);
    m.fails(MOVAPS, GP, 0);
    m.fails(PADDB, GP, 0);
    m.ok(&[0x0f, 0x10, 0x03]);
    // vpaddb xmm0, xmm0, [rbx].
    m.ok(&[0xc5, 0xf9, 0xfc, 0x03]);
    m.set(RBX, DATA + 16);
    m.ok(MOVAPS);
    m.ok(PADDB);
    // VMOVAPS and VMOVUPS of 256 bits, both ways.
    m.fails(&[0xc5, 0xfc, 0x28, 0x03], GP, 0);
    m.fails(&[0xc5, 0xfc, 0x29, 0x03], GP, 0);
    m.ok(&[0xc5, 0xfc, 0x10, 0x03]);
    m.set(RBX, DATA + 32);
    m.ok(&[0xc5, 0xfc, 0x28, 0x03]);
    // It comes before the page fault.
    m.set(RBX, 0x4000_0008);
    m.fails(MOVAPS, GP, 0);
    m.set(RBX, 0x4000_0000);
    m.fails(MOVAPS, PF, 0);
}

#[test]
fn unmasked_exceptions_fault() {
    let mut m = machine();
    m.poke(DATA, 0x1f80 & !(1 << 9));
    m.ok(LDMXCSR);
    let one = V128([0x3f80_0000_3f80_0000; 2]);
    m.cpu.core.vregs[0] = one;
    m.cpu.core.vregs[1] = V128([0x3f80_0000_0000_0000, 0x3f80_0000_3f80_0000]);
    m.faults(DIVPS, XM);
    assert_eq!((m.cpu.core.vregs[0], m.cpu.mxcsr & 0x3f), (one, 4), "the destination stays, ZE is set");
    control(&mut m, |c| c.cr4 &= !cr4::OSXMMEXCPT);
    m.faults(DIVPS, UD);
    // What is masked does not fault: 1 / 3 is inexact.
    m.cpu.core.vregs[1] = V128([0x4040_0000_4040_0000; 2]);
    m.ok(DIVPS);
    m.poke(DATA, 0x1_0000);
    m.fails(LDMXCSR, GP, 0);
}

#[test]
fn a_dot_product_ends_at_the_step_that_faults() {
    let mut m = machine();
    m.poke(DATA, 0x1f80 & !(1 << 12));
    m.ok(LDMXCSR);
    // The product is tiny and inexact; as an operand of the sum it would be a denormal.
    m.cpu.core.vregs[0] = V128([0x00c0_0000, 0]);
    m.cpu.core.vregs[1] = V128([0x3f00_0001, 0]);
    // dpps xmm0, xmm1, 0x11.
    m.faults(&[0x66, 0x0f, 0x3a, 0x40, 0xc1, 0x11], XM);
    assert_eq!(m.cpu.mxcsr & 0x3f, 0x30, "UE and PE, no DE");
}

#[test]
fn fxsave_and_fxrstor() {
    let mut m = machine();
    for i in 0..16 {
        m.cpu.core.vregs[i] = V128([i as u64, !i as u64]);
    }
    // fld1; fldpi.
    m.ok(&[0xd9, 0xe8]);
    m.ok(&[0xd9, 0xeb]);
    let fip = m.cpu.core.pc - 2;
    m.poke(DATA, 0x1fbf);
    m.ok(LDMXCSR);
    let before = (m.cpu.core.vregs, m.cpu.x87, m.cpu.mxcsr);
    // fxsave64 [rbx].
    m.ok(&[0x48, 0x0f, 0xae, 0x03]);
    assert_eq!(m.peek(DATA), 0x01eb_00c0_3000_037f, "FOP, tags, status, control");
    assert_eq!(m.peek(DATA + 8), fip);
    assert_eq!(m.peek(DATA + 24), 0xffff_0000_1fbf, "MXCSR and its mask");
    assert_eq!(m.peek(DATA + 32), 0xc90f_daa2_2168_c235, "π in ST(0)");
    assert_eq!((m.peek(DATA + 160 + 15 * 16), m.peek(DATA + 168 + 15 * 16)), (15, !15));
    m.cpu.core.vregs[..16].fill(V128::default());
    // fninit.
    m.ok(&[0xdb, 0xe3]);
    m.cpu.x87.regs = [(0, 0); 8];
    m.cpu.set_mxcsr(0x1f80);
    // fxrstor64 [rbx].
    m.ok(&[0x48, 0x0f, 0xae, 0x0b]);
    let f = m.cpu.x87;
    assert_eq!((m.cpu.core.vregs, m.cpu.mxcsr), (before.0, before.2));
    assert_eq!((f.regs, f.cw, f.sw, f.tw), (before.1.regs, before.1.cw, before.1.sw, before.1.tw));
    assert_eq!((f.fop, f.fip.0), (before.1.fop, before.1.fip.0));
    // Misaligned; reserved bits of MXCSR.
    m.set(RBX, DATA + 8);
    m.fails(&[0x0f, 0xae, 0x03], GP, 0);
    m.set(RBX, DATA);
    m.poke(DATA + 24, 0x1_0000);
    m.fails(&[0x0f, 0xae, 0x0b], GP, 0);
    control(&mut m, |c| c.cr0 |= cr0::TS);
    m.faults(&[0x0f, 0xae, 0x03], NM);
}

#[test]
fn xsave_and_xrstor() {
    const XSAVE: &[u8] = &[0x0f, 0xae, 0x23];
    const XRSTOR: &[u8] = &[0x0f, 0xae, 0x2b];
    let mut m = machine();
    m.set(RAX, 7);
    m.set(RDX, 0);
    m.cpu.core.vregs[1] = V128([1, 2]);
    m.ok(XSAVE);
    assert_eq!(m.peek(DATA + 512), 3, "AVX is in its initial state");
    m.cpu.core.vregs[17] = V128([3, 4]);
    m.ok(XSAVE);
    assert_eq!(m.peek(DATA + 512), 7);
    assert_eq!((m.peek(DATA + 576 + 16), m.peek(DATA + 584 + 16)), (3, 4));
    // Only what is asked for is loaded; what the header does not have becomes initial.
    m.cpu.core.vregs[1] = V128([9, 9]);
    m.cpu.core.vregs[17] = V128([9, 9]);
    m.set(RAX, 4);
    m.ok(XRSTOR);
    assert_eq!((m.cpu.core.vregs[1], m.cpu.core.vregs[17]), (V128([9, 9]), V128([3, 4])));
    m.poke(DATA + 512, 2);
    m.set(RAX, 6);
    m.ok(XRSTOR);
    assert_eq!((m.cpu.core.vregs[1], m.cpu.core.vregs[17]), (V128([1, 2]), V128::default()));
    m.poke(DATA + 512, 8);
    m.fails(XRSTOR, GP, 0);
    m.poke(DATA + 512, 7);
    m.poke(DATA + 520, 1 << 63);
    m.fails(XRSTOR, GP, 0);
    m.set(RBX, DATA + 32);
    m.fails(XSAVE, GP, 0);
    control(&mut m, |c| c.cr4 &= !cr4::OSXSAVE);
    m.faults(XSAVE, UD);
}

#[test]
fn masked_elements_do_not_fault() {
    let mut m = machine();
    for i in 0..4 {
        m.poke(DATA + 8 * i, (0x1111_1111 * (2 * i + 1)) | (0x1111_1111 * (2 * i + 2)) << 32);
    }
    let mask = V128([0x8000_0000, 0x8000_0000]);
    m.cpu.core.vregs[1] = V128([!0, !0]);
    // Elements 0, 4, the page that is not there, and what the mask leaves out. vgatherdps xmm1, [rbx+xmm2], xmm3.
    m.cpu.core.vregs[2] = V128([4, 0x4000_0000 | 8 << 32]);
    m.cpu.core.vregs[3] = mask;
    m.fails(&[0xc4, 0xe2, 0x61, 0x92, 0x0c, 0x13], PF, 0);
    assert_eq!(m.cpu.control.cr2, DATA + 0x4000_0000);
    assert_eq!(m.cpu.core.vregs[1], V128([!0 << 32 | 0x2222_2222, !0]), "what came before is there");
    assert_eq!(m.cpu.core.vregs[3], V128([0, 0x8000_0000]), "and will not be loaded again");
    m.cpu.core.vregs[2] = V128([4, 8 | 0x4000_0000 << 32]);
    m.ok(&[0xc4, 0xe2, 0x61, 0x92, 0x0c, 0x13]);
    assert_eq!(m.cpu.core.vregs[1], V128([!0 << 32 | 0x2222_2222, !0 << 32 | 0x3333_3333]));
    assert_eq!(m.cpu.core.vregs[3], V128::default());
    // vmaskmovps xmm1, xmm3, [rbx], across the end of what is mapped.
    m.cpu.core.vregs[3] = V128([0x8000_0000 << 32, 0]);
    m.set(RBX, 0x100_0000 - 8);
    m.poke(0x100_0000 - 8, 0x1234_5678_9abc_def0);
    m.ok(&[0xc4, 0xe2, 0x61, 0x2c, 0x0b]);
    assert_eq!(m.cpu.core.vregs[1], V128([0x1234_5678_0000_0000, 0]));
    // And to memory.
    m.cpu.core.vregs[1] = V128([!0, !0]);
    m.ok(&[0xc4, 0xe2, 0x61, 0x2e, 0x0b]);
    assert_eq!(m.peek(0x100_0000 - 8), 0xffff_ffff_9abc_def0);
    m.cpu.core.vregs[3] = V128([!0, !0]);
    m.fails(&[0xc4, 0xe2, 0x61, 0x2e, 0x0b], PF, 2);
    assert_eq!(m.peek(0x100_0000 - 8), 0xffff_ffff_9abc_def0, "nothing is stored");
}
