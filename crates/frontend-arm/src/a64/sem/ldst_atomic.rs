//! Exclusives, acquire/release, compare-and-swap and atomic memory operations (Arm ARM C4.1.94). All of them
//! must be naturally aligned (Arm ARM B2.5.2; FEAT_LSE2 is not modelled).

pub mod exclusive;
pub mod lse;
pub mod ordered;

use lyrebird_isa::{MemOp, Order, Size};

/// The ordering of an acquire bit and a release bit.
const fn order(acquire: bool, release: bool) -> Order {
    match (acquire, release) {
        (false, false) => Order::Relaxed,
        (true, false) => Order::Acquire,
        (false, true) => Order::Release,
        (true, true) => Order::AcqRel,
    }
}

/// A naturally aligned access of `1 << log2` bytes.
#[inline(always)]
const fn aligned(log2: u8, order: Order) -> MemOp {
    MemOp::new(Size::from_log2(log2 as u32)).aligned().order(order)
}

/// Turns the size field, bits 31 to 30, into a const generic: `sizes!(w => |SIZE| expr)`.
macro_rules! sizes {
    ($w:expr => |$S:ident| $e:expr) => {
        $crate::a64::sem::constants!($w.bits(30, 2), 0 1 2; 3 => |$S| $e)
    };
}
use sizes;
