//! Numbers in files of golden vectors: LEB128, and lists of them.

/// Appends a number.
#[allow(dead_code, reason = "only the recorder writes")]
pub fn put(out: &mut Vec<u8>, mut v: u64) {
    while v >= 0x80 {
        out.push(v as u8 | 0x80);
        v >>= 7;
    }
    out.push(v as u8);
}

/// Appends locations with their values.
#[allow(dead_code, reason = "only the recorder writes")]
pub fn put_list(out: &mut Vec<u8>, list: &[(u8, u64)]) {
    put(out, list.len() as u64);
    for &(at, value) in list {
        out.push(at);
        put(out, value);
    }
}

/// Appends words of the window.
#[allow(dead_code, reason = "only the recorder writes")]
pub fn put_stores(out: &mut Vec<u8>, stores: &[(u16, u64)]) {
    put(out, stores.len() as u64);
    for &(at, value) in stores {
        put(out, at as u64);
        put(out, value);
    }
}

/// What is left of a file.
#[allow(dead_code, reason = "the recorder does not read")]
pub struct Reader<'a>(pub &'a [u8]);

#[allow(dead_code, reason = "the recorder does not read")]
impl<'a> Reader<'a> {
    /// That many bytes.
    pub fn take(&mut self, n: usize) -> &'a [u8] {
        let (first, rest) = self.0.split_at_checked(n).expect("the file ends within a vector");
        self.0 = rest;
        first
    }
    /// A byte.
    pub fn byte(&mut self) -> u8 {
        self.take(1)[0]
    }
    /// Four bytes.
    pub fn word(&mut self) -> u32 {
        self.take(4).iter().rev().fold(0, |v, &b| v << 8 | b as u32)
    }
    /// What [`put`] wrote.
    pub fn number(&mut self) -> u64 {
        let (mut v, mut shift) = (0, 0);
        loop {
            let b = self.byte();
            v |= (b as u64 & 0x7f) << shift;
            shift += 7;
            if b & 0x80 == 0 {
                return v;
            }
        }
    }
    /// What [`put_list`] wrote.
    pub fn list(&mut self) -> Vec<(u8, u64)> {
        (0..self.number()).map(|_| (self.byte(), self.number())).collect()
    }
    /// What [`put_stores`] wrote.
    pub fn stores(&mut self) -> Vec<(u16, u64)> {
        (0..self.number()).map(|_| (self.number() as u16, self.number())).collect()
    }
}
