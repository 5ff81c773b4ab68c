//! Cryptographic extension: AES, polynomial multiplication, SHA-1, SHA-256 (Arm ARM C4.1.95). All by helper.

pub mod aes;
pub mod pmull;
pub mod sha1;
pub mod sha256;

/// Declares constructors that call a helper on whole registers.
macro_rules! constructors {
    ($($(#[$doc:meta])* $ctor:ident = $name:literal, $helper:path;)*) => { $(
        $(#[$doc])*
        pub fn $ctor<V: lyrebird_isa::Visitor<$crate::ArmCpu>>(
            w: $crate::a64::word::Word,
            _pc: u64,
            v: V,
        ) -> V::Out {
            let helper = const { &lyrebird_isa::Helper::fp($name, $helper) };
            $crate::a64::sem::simd_lane::call(v, helper, w, 16, w.bits(30, 1))
        }
    )* };
}
use constructors;
