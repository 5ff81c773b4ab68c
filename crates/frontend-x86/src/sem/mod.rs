//! What each instruction means, one file per group of the SDM, Vol. 1, chapter 5.
//!
//! A file's `decode` picks the `Sem` for the instructions that it knows, and gives the visitor back for others.

pub mod alu;
pub mod bits;
pub mod bmi;
pub mod branch;
pub mod exchange;
pub mod flags;
pub mod media;
pub mod memory;
pub mod misc;
pub mod mov;
pub mod muldiv;
pub mod shift;
pub mod stack;
pub mod string;
pub mod system;
pub mod unary;
pub mod undefined;
pub mod x87;

use lyrebird_isa::Visitor;

use crate::X86Cpu;
use crate::decode::Insn;

/// What a file's `decode` returns: what the visitor made of the instruction, or the visitor.
pub type Decoded<V> = Result<<V as Visitor<X86Cpu>>::Out, V>;

/// Asks one file after the other, the frequent ones first.
macro_rules! chain {
    ($x:ident, $v:ident => $($file:ident)*) => {
        $(
            let $v = match $file::decode($x, $v) {
                Ok(out) => return out,
                Err(v) => v,
            };
        )*
    };
}

/// Hands the meaning of an instruction to `v`.
pub fn dispatch<V: Visitor<X86Cpu>>(x: &Insn<'_>, v: V) -> V::Out {
    chain!(x, v => mov alu branch stack unary shift media muldiv string bits exchange misc bmi system x87);
    undefined::unimplemented(x, v)
}

/// Turns a width number into a const generic: `widths!(n => |W| expr)` evaluates `expr` with `W` a constant.
macro_rules! widths {
    ($n:expr => |$W:ident| $e:expr) => {
        match $n {
            0 => {
                const $W: u8 = 0;
                $e
            }
            1 => {
                const $W: u8 = 1;
                $e
            }
            2 => {
                const $W: u8 = 2;
                $e
            }
            _ => {
                const $W: u8 = 3;
                $e
            }
        }
    };
}
pub(crate) use widths;

/// The same without 8 bits.
macro_rules! wide_widths {
    ($n:expr => |$W:ident| $e:expr) => {
        match $n {
            0 | 1 => {
                const $W: u8 = 1;
                $e
            }
            2 => {
                const $W: u8 = 2;
                $e
            }
            _ => {
                const $W: u8 = 3;
                $e
            }
        }
    };
}
pub(crate) use wide_widths;

/// Turns a number from a list into a const generic: `consts!(n, [0 1 2] => |N| expr)`; other numbers count as the last.
macro_rules! consts {
    ($n:expr, [$($k:literal)*] $last:literal => |$N:ident| $e:expr) => {
        match $n {
            $($k => { const $N: u8 = $k; $e })*
            _ => { const $N: u8 = $last; $e }
        }
    };
}
pub(crate) use consts;
