//! What counts as a difference.

use std::fmt::{Arguments, LowerHex, Write};

use iced_x86::{Instruction, RflagsBits};

use super::state::After;

/// Bits of RFLAGS that are compared: the arithmetic ones and DF.
const FLAGS: u64 = 0xcd5;

/// The RFLAGS bits that count after `i` ended with an exception: at a fault all, behind it those that the manual defines.
pub fn defined_flags(i: &Instruction, vector: u64) -> u64 {
    let u = if vector == 3 { i.rflags_undefined() } else { 0 };
    [
        (RflagsBits::CF, 0x1u64),
        (RflagsBits::PF, 0x4),
        (RflagsBits::AF, 0x10),
        (RflagsBits::ZF, 0x40),
        (RflagsBits::SF, 0x80),
        (RflagsBits::OF, 0x800),
    ]
    .iter()
    .filter(|(bit, _)| u & bit != 0)
    .fold(FLAGS, |m, (_, f)| m & !f)
}

/// The bits of a page fault's error code that count: the host's own mappings decide whether a page is present.
pub fn defined_error(vector: u64) -> u64 {
    if vector == 14 { !1 } else { !0 }
}

/// Adds a line if two numbers differ.
fn line<T: PartialEq + LowerHex>(s: &mut String, what: Arguments<'_>, got: T, want: T) {
    if got != want {
        let _ = writeln!(s, "    {what} {got:#x}, host {want:#x}");
    }
}

/// What differs after `i`, a line each; None if nothing does.
pub fn compare(i: &Instruction, got: &After, want: &After) -> Option<String> {
    let mut text = String::new();
    let s = &mut text;
    let (g, w) = (&got.state, &want.state);
    line(s, format_args!("vector"), g.vector, w.vector);
    if g.vector == w.vector {
        let mask = defined_error(w.vector);
        line(s, format_args!("error"), g.error & mask, w.error & mask);
        line(s, format_args!("cr2"), g.cr2, w.cr2);
    }
    line(s, format_args!("rip"), g.rip, w.rip);
    let mask = defined_flags(i, w.vector);
    line(s, format_args!("rflags"), g.rflags & mask, w.rflags & mask);
    for i in 0..16 {
        line(s, format_args!("r{i}"), g.gpr[i], w.gpr[i]);
        line(s, format_args!("xmm{i}"), g.xmm(i), w.xmm(i));
        line(s, format_args!("ymm{i}, upper half"), g.ymm_high[i], w.ymm_high[i]);
    }
    line(s, format_args!("mxcsr"), g.mxcsr(), w.mxcsr());
    for i in 0..8 {
        let number = |b: [u8; 10]| b.iter().rev().fold(0u128, |v, &b| v << 8 | b as u128);
        line(s, format_args!("st{i}"), number(g.st(i)), number(w.st(i)));
    }
    let (gx, wx) = (g.x87(), w.x87());
    line(s, format_args!("x87 control"), gx.0, wx.0);
    line(s, format_args!("x87 status"), gx.1, wx.1);
    line(s, format_args!("x87 tags"), gx.2, wx.2);
    if got.stores != want.stores {
        let _ = writeln!(s, "    memory {:x?}, host {:x?}", got.stores, want.stores);
    }
    (!text.is_empty()).then_some(text)
}
