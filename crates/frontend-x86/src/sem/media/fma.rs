//! Fused multiply-add.

use lyrebird_fp::x86::sse::{self, Env, Fma};
use lyrebird_fp::{F32, F64};
use lyrebird_isa::V128;

use super::lanes::{lane, make, with};
use super::{Half, Row, rows};

/// `d`, `a` and `b` as the mnemonic orders them: first factor, second factor, addend.
const O132: [usize; 3] = [0, 2, 1];
const O213: [usize; 3] = [1, 0, 2];
const O231: [usize; 3] = [1, 2, 0];

fn one32(e: &mut Env, x: &Half, o: [usize; 3], k: Fma, i: usize) -> u32 {
    let v = [x.c, x.a, x.b].map(|v| lane::<u32>(v, i));
    sse::fma::<F32>(e, k, v[o[0]], v[o[1]], v[o[2]])
}

fn one64(e: &mut Env, x: &Half, o: [usize; 3], k: Fma, i: usize) -> u64 {
    let v = [x.c, x.a, x.b].map(|v| v.0[i]);
    sse::fma::<F64>(e, k, v[o[0]], v[o[1]], v[o[2]])
}

/// Even elements in the first way, odd ones in the second.
fn packed32(e: &mut Env, x: &Half, o: [usize; 3], k: [Fma; 2]) -> V128 {
    make::<u32>(|i| one32(e, x, o, k[i & 1], i))
}

fn packed64(e: &mut Env, x: &Half, o: [usize; 3], k: [Fma; 2]) -> V128 {
    make::<u64>(|i| one64(e, x, o, k[i & 1], i))
}

macro_rules! all {
    ([$($ps:ident $pd:ident $ss:ident $sd:ident $o:ident $k:ident;)*] [$($aps:ident $apd:ident $ao:ident $even:ident $odd:ident;)*]) => {
        rows! {
            $(
                INVALID $ps FpHalf |e, x| packed32(e, x, $o, [Fma::$k; 2]);
                INVALID $pd FpHalf |e, x| packed64(e, x, $o, [Fma::$k; 2]);
                INVALID $ss FpHalf |e, x| with::<u32>(x.c, 0, one32(e, x, $o, Fma::$k, 0));
                INVALID $sd FpHalf |e, x| with::<u64>(x.c, 0, one64(e, x, $o, Fma::$k, 0));
            )*
            $(
                INVALID $aps FpHalf |e, x| packed32(e, x, $ao, [Fma::$even, Fma::$odd]);
                INVALID $apd FpHalf |e, x| packed64(e, x, $ao, [Fma::$even, Fma::$odd]);
            )*
        }
    };
}

pub(super) const ROWS: &[Row] = all! {
    [
    Vfmadd132ps Vfmadd132pd Vfmadd132ss Vfmadd132sd O132 MADD;
    Vfmadd213ps Vfmadd213pd Vfmadd213ss Vfmadd213sd O213 MADD;
    Vfmadd231ps Vfmadd231pd Vfmadd231ss Vfmadd231sd O231 MADD;
    Vfmsub132ps Vfmsub132pd Vfmsub132ss Vfmsub132sd O132 MSUB;
    Vfmsub213ps Vfmsub213pd Vfmsub213ss Vfmsub213sd O213 MSUB;
    Vfmsub231ps Vfmsub231pd Vfmsub231ss Vfmsub231sd O231 MSUB;
    Vfnmadd132ps Vfnmadd132pd Vfnmadd132ss Vfnmadd132sd O132 NMADD;
    Vfnmadd213ps Vfnmadd213pd Vfnmadd213ss Vfnmadd213sd O213 NMADD;
    Vfnmadd231ps Vfnmadd231pd Vfnmadd231ss Vfnmadd231sd O231 NMADD;
    Vfnmsub132ps Vfnmsub132pd Vfnmsub132ss Vfnmsub132sd O132 NMSUB;
    Vfnmsub213ps Vfnmsub213pd Vfnmsub213ss Vfnmsub213sd O213 NMSUB;
    Vfnmsub231ps Vfnmsub231pd Vfnmsub231ss Vfnmsub231sd O231 NMSUB;
    ] [
    Vfmaddsub132ps Vfmaddsub132pd O132 MSUB MADD;
    Vfmaddsub213ps Vfmaddsub213pd O213 MSUB MADD;
    Vfmaddsub231ps Vfmaddsub231pd O231 MSUB MADD;
    Vfmsubadd132ps Vfmsubadd132pd O132 MADD MSUB;
    Vfmsubadd213ps Vfmsubadd213pd O213 MADD MSUB;
    Vfmsubadd231ps Vfmsubadd231pd O231 MADD MSUB;
    ]
};
