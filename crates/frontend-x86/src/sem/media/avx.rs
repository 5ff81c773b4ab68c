//! What crosses the halves of YMM registers, and what AVX added: broadcasts, permutations, insertion, extraction.

use lyrebird_isa::V128;

use super::lanes::{Elem, lane, make};
use super::{Row, Whole, rows};

pub(super) const ROWS: &[Row] = rows! {
    INVALID Vbroadcastss Whole splat::<u32>;
    INVALID Vbroadcastsd Whole splat::<u64>;
    INVALID Vpbroadcastb Whole splat::<u8>;
    INVALID Vpbroadcastw Whole splat::<u16>;
    INVALID Vpbroadcastd Whole splat::<u32>;
    INVALID Vpbroadcastq Whole splat::<u64>;
    INVALID Vbroadcastf128 Whole |x| [x.b[0]; 2];
    INVALID Vbroadcasti128 Whole |x| [x.b[0]; 2];
    // By a register; the row behind it is the form with an immediate.
    INVALID Vpermilps Half |x| make::<u32>(|i| lane(x.a, lane::<u32>(x.b, i) as usize & 3));
    INVALID INVALID Half |x| make::<u32>(|i| lane(x.b, (x.imm >> (2 * i)) as usize & 3));
    INVALID Vpermilpd Half |x| make::<u64>(|i| x.a.0[(x.b.0[i] >> 1 & 1) as usize]);
    INVALID INVALID Half |x| make::<u64>(|i| x.b.0[(x.imm >> (2 * x.half as usize + i) & 1) as usize]);
    INVALID Vpermd Whole permute_dwords;
    INVALID Vpermps Whole permute_dwords;
    INVALID Vpermq Whole permute_qwords;
    INVALID Vpermpd Whole permute_qwords;
    INVALID Vperm2f128 Whole permute_halves;
    INVALID Vperm2i128 Whole permute_halves;
    INVALID Vinsertf128 Whole insert_half;
    INVALID Vinserti128 Whole insert_half;
    INVALID Vextractf128 Whole |x| [x.b[x.imm as usize & 1], V128::default()];
    INVALID Vextracti128 Whole |x| [x.b[x.imm as usize & 1], V128::default()];
};

fn splat<T: Elem>(x: &Whole) -> [V128; 2] {
    [make::<T>(|_| lane(x.b[0], 0)); 2]
}

fn permute_dwords(x: &Whole) -> [V128; 2] {
    [0, 1].map(|h| {
        make::<u32>(|i| {
            let n = lane::<u32>(x.a[h], i) as usize;
            lane(x.b[n >> 2 & 1], n & 3)
        })
    })
}

fn permute_qwords(x: &Whole) -> [V128; 2] {
    [0, 1].map(|h| {
        make::<u64>(|i| {
            let n = (x.imm >> (2 * (2 * h + i))) as usize;
            x.b[n >> 1 & 1].0[n & 1]
        })
    })
}

fn permute_halves(x: &Whole) -> [V128; 2] {
    [x.imm, x.imm >> 4].map(|n| match n & 0xf {
        n if n & 8 != 0 => V128::default(),
        n if n & 2 != 0 => x.b[n as usize & 1],
        n => x.a[n as usize & 1],
    })
}

fn insert_half(x: &Whole) -> [V128; 2] {
    let mut r = x.a;
    r[x.imm as usize & 1] = x.b[0];
    r
}
