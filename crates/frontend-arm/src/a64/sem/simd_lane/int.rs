//! [`Int`]: a lane as the helpers compute with it. The Rust type carries width and signedness.

/// An integer lane of 8 to 64 bits, and the 128-bit types that products and sums of 64-bit lanes widen to.
pub trait Int: Copy + Ord + 'static {
    /// Width in bits.
    const BITS: u32;
    /// Width in bytes.
    const BYTES: usize;
    /// Smallest value.
    const MIN: Self;
    /// Largest value.
    const MAX: Self;
    /// Twice the width, same signedness; 128-bit types stay as they are.
    type Wide: Int;

    /// Lane `i` of a register.
    fn get(v: &[u8; 16], i: usize) -> Self;
    /// Replaces lane `i` of a register.
    fn put(self, v: &mut [u8; 16], i: usize);
    /// Widens.
    fn wide(self) -> Self::Wide;
    /// The low half of a wide value.
    fn low(w: Self::Wide) -> Self;
    /// Widens as far as it goes (128-bit unsigned values wrap).
    fn i128(self) -> i128;
    /// The low bits.
    fn of(v: i128) -> Self;
    /// Wrapping sum.
    fn add(self, o: Self) -> Self;
    /// Wrapping difference.
    fn sub(self, o: Self) -> Self;
    /// Wrapping product.
    fn mul(self, o: Self) -> Self;
    /// Saturated sum, and whether it saturated.
    fn qadd(self, o: Self) -> (Self, bool);
    /// Saturated difference, and whether it saturated.
    fn qsub(self, o: Self) -> (Self, bool);
    /// Left shift; `n` below the width.
    fn shl(self, n: u32) -> Self;
    /// Right shift, arithmetic for signed types; `n` below the width.
    fn shr(self, n: u32) -> Self;
    /// Leading zeros.
    fn clz(self) -> u32;

    /// Right shift where `n` may reach the width and beyond: only copies of the sign are left.
    #[inline(always)]
    fn shr_all(self, n: u32) -> Self {
        if n < Self::BITS { self.shr(n) } else { self.shr(Self::BITS - 1).shr(1) }
    }

    /// Left shift where `n` may reach the width and beyond.
    #[inline(always)]
    fn shl_all(self, n: u32) -> Self {
        if n < Self::BITS { self.shl(n) } else { Self::of(0) }
    }

    /// Clamps to the type's range; whether that changed the value.
    #[inline(always)]
    fn sat(v: i128) -> (Self, bool) {
        let (min, max) = (Self::MIN.i128(), Self::MAX.i128());
        if v < min {
            (Self::MIN, true)
        } else if v > max {
            (Self::MAX, true)
        } else {
            (Self::of(v), false)
        }
    }

    /// The bits read as an unsigned number.
    #[inline(always)]
    fn unsigned(self) -> i128 {
        self.i128() & (u128::MAX >> (128 - Self::BITS)) as i128
    }

    /// The bits read as a signed number.
    #[inline(always)]
    fn signed(self) -> i128 {
        self.i128() << (128 - Self::BITS) >> (128 - Self::BITS)
    }
}

macro_rules! int {
    ($($t:ident => $wide:ident),*) => { $(
        impl Int for $t {
            const BITS: u32 = $t::BITS;
            const BYTES: usize = size_of::<$t>();
            const MIN: $t = $t::MIN;
            const MAX: $t = $t::MAX;
            type Wide = $wide;

            #[inline(always)]
            fn get(v: &[u8; 16], i: usize) -> $t {
                let mut b = [0; size_of::<$t>()];
                b.copy_from_slice(&v[i * size_of::<$t>()..][..size_of::<$t>()]);
                $t::from_le_bytes(b)
            }
            #[inline(always)]
            fn put(self, v: &mut [u8; 16], i: usize) {
                v[i * size_of::<$t>()..][..size_of::<$t>()].copy_from_slice(&self.to_le_bytes());
            }
            #[inline(always)]
            fn wide(self) -> $wide {
                self as $wide
            }
            #[inline(always)]
            fn low(w: $wide) -> $t {
                w as $t
            }
            #[inline(always)]
            fn i128(self) -> i128 {
                self as i128
            }
            #[inline(always)]
            fn of(v: i128) -> $t {
                v as $t
            }
            #[inline(always)]
            fn add(self, o: $t) -> $t {
                self.wrapping_add(o)
            }
            #[inline(always)]
            fn sub(self, o: $t) -> $t {
                self.wrapping_sub(o)
            }
            #[inline(always)]
            fn mul(self, o: $t) -> $t {
                self.wrapping_mul(o)
            }
            #[inline(always)]
            fn qadd(self, o: $t) -> ($t, bool) {
                let r = self.saturating_add(o);
                (r, r != self.wrapping_add(o))
            }
            #[inline(always)]
            fn qsub(self, o: $t) -> ($t, bool) {
                let r = self.saturating_sub(o);
                (r, r != self.wrapping_sub(o))
            }
            #[inline(always)]
            fn shl(self, n: u32) -> $t {
                self.wrapping_shl(n)
            }
            #[inline(always)]
            fn shr(self, n: u32) -> $t {
                self.wrapping_shr(n)
            }
            #[inline(always)]
            fn clz(self) -> u32 {
                self.leading_zeros()
            }
        }
    )* };
}

int!(i8 => i16, u8 => u16, i16 => i32, u16 => u32, i32 => i64, u32 => u64, i64 => i128, u64 => u128,
     i128 => i128, u128 => u128);
