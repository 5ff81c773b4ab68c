//! The A64 table: one row per encoding, unimplemented ones included.
//!
//! A row carries its encoding as a string of 32 characters, most significant bit first: `0` and `1` are fixed,
//! anything else is a field named after the Arm ARM's (`d`, `n`, `m`, `i`, …). The same rows feed the decoder,
//! the disassembly name, the random generator and the coverage report. Where two rows match, the one with more
//! fixed bits wins.

pub mod branch;
pub mod dp_imm;
pub mod dp_reg;
pub mod fp;
pub mod ldst;
pub mod ldst_atomic;
pub mod ldst_simd;
pub mod simd_copy;
pub mod simd_crypto;
pub mod simd_fp;
pub mod simd_int;
pub mod simd_shift;
pub mod system;

use std::sync::LazyLock;

use super::word::Word;

/// Architecture extension that an encoding belongs to. The number is its bit in a feature mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Feature {
    /// Armv8.0-A base, floating point and Advanced SIMD.
    Base = 0,
    /// FEAT_CRC32.
    Crc32,
    /// FEAT_LSE.
    Lse,
    /// FEAT_RDM.
    Rdm,
    /// FEAT_AES.
    Aes,
    /// FEAT_PMULL.
    Pmull,
    /// FEAT_SHA1.
    Sha1,
    /// FEAT_SHA256.
    Sha256,
    /// FEAT_PAN.
    Pan,
    /// FEAT_LRCPC.
    Lrcpc,
    /// FEAT_LRCPC2.
    Lrcpc2,
    /// FEAT_SB.
    Sb,
    /// FEAT_SSBS.
    Ssbs,
    /// FEAT_FlagM.
    FlagM,
    /// FEAT_DPB.
    Dpb,
    /// FEAT_FP16.
    Fp16,
    /// FEAT_DotProd.
    DotProd,
    /// FEAT_FHM.
    Fhm,
    /// FEAT_FCMA.
    Fcma,
    /// FEAT_JSCVT.
    Jscvt,
    /// FEAT_FRINTTS.
    Frintts,
    /// FEAT_SHA512.
    Sha512,
    /// FEAT_SHA3.
    Sha3,
    /// FEAT_SM3 and FEAT_SM4.
    Sm34,
    /// FEAT_PAuth beyond the NOP space.
    Pauth,
    /// FEAT_MTE.
    Mte,
    /// FEAT_LOR.
    Lor,
    /// FEAT_UAO.
    Uao,
    /// FEAT_DIT.
    Dit,
}

/// One encoding.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Identifier: mnemonic and form, unique in the table (`ADD_imm`).
    pub name: &'static str,
    /// Mnemonic for disassembly (`add`).
    pub mnemonic: &'static str,
    /// The encoding, 32 characters.
    pub bits: &'static str,
    /// Mask of the fixed bits.
    pub mask: u32,
    /// Value of the fixed bits.
    pub value: u32,
    /// Extension.
    pub feature: Feature,
    /// Whether it has semantics.
    pub implemented: bool,
    /// Whether CPACR_EL1.FPEN and its like trap it.
    pub fp: bool,
    /// The group it stands in.
    pub group: Group,
    /// Index within its group.
    pub index: u16,
}

/// Groups, one file each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Group {
    /// Data processing, immediate.
    DpImm,
    /// Data processing, register.
    DpReg,
    /// Branches.
    Branch,
    /// Exception generation and system.
    System,
    /// Loads and stores of general registers.
    Ldst,
    /// Exclusives, acquire/release, atomics.
    LdstAtomic,
    /// Loads and stores of SIMD&FP registers.
    LdstSimd,
    /// Scalar floating point.
    Fp,
    /// Advanced SIMD: copy, permute, table, modified immediate.
    SimdCopy,
    /// Advanced SIMD: integer arithmetic.
    SimdInt,
    /// Advanced SIMD: shifts by immediate.
    SimdShift,
    /// Advanced SIMD: floating point.
    SimdFp,
    /// Cryptographic extension.
    SimdCrypto,
}

/// Mask and value of the fixed bits of an encoding string. Evaluated at compile time, so that a malformed
/// string does not compile.
pub const fn parse(bits: &str) -> (u32, u32) {
    let b = bits.as_bytes();
    assert!(b.len() == 32, "an encoding has 32 characters");
    let (mut mask, mut value, mut i) = (0u32, 0u32, 0);
    while i < 32 {
        mask <<= 1;
        value <<= 1;
        if b[i] == b'0' || b[i] == b'1' {
            mask |= 1;
            value |= (b[i] - b'0') as u32;
        }
        i += 1;
    }
    (mask, value)
}

/// Declares the rows of one group, and `translate`, which maps a row's index to its constructor.
///
/// A constructor is `fn<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out`: it reads the fields of `w` and
/// calls `v.visit` with the one `Sem` type that means this instruction, or
/// [`crate::a64::sem::undefined::unallocated`] for field values that the row's fixed bits do not exclude.
/// In a group declared with `mode` (`group System, fp false, mode;`), `translate` and the constructors take the
/// [`crate::cpu::Mode`] before `v`.
macro_rules! rows {
    (
        group $group:ident, fp $fp:literal $(, $mode:ident)?;
        implemented { $($name:ident [$feat:ident] $mn:literal $bits:literal => $ctor:path;)* }
        unimplemented { $($uname:ident [$ufeat:ident] $umn:literal $ubits:literal;)* }
    ) => {
        /// The rows of this group, implemented ones first.
        pub static ROWS: &[$crate::a64::table::Row] = {
            #[allow(unused_imports, reason = "a group may have no rows yet")]
            use $crate::a64::table::{Feature, Group, Row, parse};
            #[allow(non_camel_case_types, clippy::upper_case_acronyms, dead_code,
                    reason = "names an index after its encoding")]
            #[repr(u16)]
            enum Id { $($name,)* $($uname,)* Count_ }
            &[
                $(Row { name: stringify!($name), mnemonic: $mn, bits: $bits, mask: parse($bits).0,
                    value: parse($bits).1, feature: Feature::$feat, implemented: true, fp: $fp,
                    group: Group::$group, index: Id::$name as u16 },)*
                $(Row { name: stringify!($uname), mnemonic: $umn, bits: $ubits, mask: parse($ubits).0,
                    value: parse($ubits).1, feature: Feature::$ufeat, implemented: false, fp: $fp,
                    group: Group::$group, index: Id::$uname as u16 },)*
            ]
        };

        /// Hands the meaning of `w`, which matched row `index` of this group, to `v`.
        pub fn translate<V: lyrebird_isa::Visitor<$crate::ArmCpu>>(
            index: u16,
            w: $crate::a64::word::Word,
            pc: u64,
            $($mode: $crate::cpu::Mode,)?
            v: V,
        ) -> V::Out {
            #[allow(non_camel_case_types, non_upper_case_globals, clippy::upper_case_acronyms, dead_code,
                    reason = "names an index after its encoding")]
            #[repr(u16)]
            enum Id { $($name,)* $($uname,)* Count_ }
            let _ = (index, pc);
            $crate::a64::table::rows!(@ctors index, w, pc, v, ($($mode)?); $($name => $ctor;)*);
            $crate::a64::sem::undefined::unimplemented(w, pc, v)
        }
    };
    (@ctors $index:ident, $w:ident, $pc:ident, $v:ident, (); $($name:ident => $ctor:path;)*) => {
        $(if $index == Id::$name as u16 { return $ctor($w, $pc, $v); })*
    };
    (@ctors $index:ident, $w:ident, $pc:ident, $v:ident, ($mode:ident); $($name:ident => $ctor:path;)*) => {
        $(if $index == Id::$name as u16 { return $ctor($w, $pc, $mode, $v); })*
    };
}
pub(crate) use rows;

/// All groups' rows.
pub static GROUPS: &[&[Row]] = &[
    dp_imm::ROWS,
    dp_reg::ROWS,
    branch::ROWS,
    system::ROWS,
    ldst::ROWS,
    ldst_atomic::ROWS,
    ldst_simd::ROWS,
    fp::ROWS,
    simd_copy::ROWS,
    simd_int::ROWS,
    simd_shift::ROWS,
    simd_fp::ROWS,
    simd_crypto::ROWS,
];

/// All rows, in table order.
pub fn all() -> impl Iterator<Item = &'static Row> {
    GROUPS.iter().flat_map(|g| g.iter())
}

/// Bits of an instruction that select a bucket: 31 to 21 and 15 to 10 tell most encodings apart.
const BUCKET_BITS: u32 = 13;

fn bucket_of(w: u32) -> usize {
    // Bits 31 to 21 (11 bits), then 11 and 10.
    ((w >> 21) << 2 | (w >> 10 & 3)) as usize
}

const fn bucket_expand(i: u32) -> u32 {
    (i >> 2) << 21 | (i & 3) << 10
}

const BUCKET_MASK: u32 = bucket_expand((1 << BUCKET_BITS) - 1);

static BUCKETS: LazyLock<Vec<Vec<&'static Row>>> = LazyLock::new(|| {
    let mut buckets: Vec<Vec<&'static Row>> = vec![Vec::new(); 1 << BUCKET_BITS];
    for (i, bucket) in buckets.iter_mut().enumerate() {
        let value = bucket_expand(i as u32);
        bucket.extend(all().filter(|r| (r.value ^ value) & r.mask & BUCKET_MASK == 0));
        bucket.sort_by_key(|r| std::cmp::Reverse(r.mask.count_ones()));
    }
    buckets
});

/// The row that an instruction word matches.
pub fn lookup(w: Word) -> Option<&'static Row> {
    BUCKETS[bucket_of(w.0)].iter().copied().find(|r| w.0 & r.mask == r.value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_are_unique() {
        let mut seen = HashSet::new();
        for r in all() {
            assert!(seen.insert(r.name), "{} stands twice in the table", r.name);
        }
    }

    /// Every row can be reached: some word that matches it is not claimed by a more specific row.
    #[test]
    fn every_row_is_reachable_and_unambiguous() {
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        for r in all() {
            let mut reached = false;
            for _ in 0..4096 {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                let w = r.value | (state >> 32) as u32 & !r.mask;
                let hit = lookup(Word(w)).expect("a row matches its own words");
                if std::ptr::eq(hit, r) {
                    reached = true;
                } else {
                    assert!(
                        hit.mask.count_ones() > r.mask.count_ones(),
                        "{} and {} are equally specific for {w:#010x}",
                        r.name,
                        hit.name
                    );
                }
            }
            assert!(reached, "{} is shadowed by more specific rows", r.name);
        }
    }
}
