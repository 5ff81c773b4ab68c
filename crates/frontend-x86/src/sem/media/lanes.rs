//! Vectors as arrays of lanes, the least significant first.

use lyrebird_isa::V128;

/// What a lane may be.
pub trait Elem: Copy + Default + 'static {
    /// The array that fills 128 bits.
    type Lanes: Copy + AsRef<[Self]> + AsMut<[Self]>;
    /// Bytes of a lane.
    const BYTES: usize = size_of::<Self>();
    /// The lanes of a vector.
    fn get(v: V128) -> Self::Lanes;
    /// The vector with these lanes.
    fn put(l: Self::Lanes) -> V128;
}

macro_rules! elem {
    ($($t:ty, $n:literal;)*) => {
        $(impl Elem for $t {
            type Lanes = [$t; $n];
            #[inline(always)]
            fn get(v: V128) -> [$t; $n] {
                let b = v.to_bytes();
                std::array::from_fn(|i| {
                    let mut e = [0; 16 / $n];
                    e.copy_from_slice(&b[i * (16 / $n)..][..16 / $n]);
                    <$t>::from_le_bytes(e)
                })
            }
            #[inline(always)]
            fn put(l: [$t; $n]) -> V128 {
                let mut b = [0; 16];
                for (i, e) in l.iter().enumerate() {
                    b[i * (16 / $n)..][..16 / $n].copy_from_slice(&e.to_le_bytes());
                }
                V128::from_bytes(b)
            }
        })*
    };
}
elem! { u8, 16; i8, 16; u16, 8; i16, 8; u32, 4; i32, 4; u64, 2; i64, 2; }

/// `f` of each lane of `v`.
#[inline(always)]
pub fn map<T: Elem>(v: V128, mut f: impl FnMut(T) -> T) -> V128 {
    let mut l = T::get(v);
    for e in l.as_mut() {
        *e = f(*e);
    }
    T::put(l)
}

/// `f` of each lane of `a` with that of `b`.
#[inline(always)]
pub fn zip<T: Elem>(a: V128, b: V128, mut f: impl FnMut(T, T) -> T) -> V128 {
    let (mut x, y) = (T::get(a), T::get(b));
    for (x, &y) in x.as_mut().iter_mut().zip(y.as_ref()) {
        *x = f(*x, y);
    }
    T::put(x)
}

/// The vector whose lane `i` is `f(i)`.
#[inline(always)]
pub fn make<T: Elem>(mut f: impl FnMut(usize) -> T) -> V128 {
    let mut l = T::get(V128::default());
    for (i, e) in l.as_mut().iter_mut().enumerate() {
        *e = f(i);
    }
    T::put(l)
}

/// Lane `i`, modulo their number.
#[inline(always)]
pub fn lane<T: Elem>(v: V128, i: usize) -> T {
    let l = T::get(v);
    let l = l.as_ref();
    l[i & (l.len() - 1)]
}

/// `v` with lane `i` (modulo their number) replaced.
#[inline(always)]
pub fn with<T: Elem>(v: V128, i: usize, e: T) -> V128 {
    let mut l = T::get(v);
    let s = l.as_mut();
    s[i & (s.len() - 1)] = e;
    T::put(l)
}
