//! Takes bytes that are never executed out of machine code for x86-64.
//!
//! Where a frame was, `strip` leaves some thirty bytes behind each jump. They would fill a third of the cache
//! lines of short regions.

use std::ops::Range;

use iced_x86::{Decoder, DecoderOptions, OpKind};

/// Constants behind a function are aligned to so much at most, counted from its first byte.
const ALIGN: usize = 16;

/// Where the bytes of a function are after some were taken out.
#[derive(Debug)]
pub struct Moved {
    /// Bytes in front of it.
    lead: usize,
    /// What is gone, in order and apart.
    dead: Vec<Range<usize>>,
    /// Where constants begin, and by how much more they lie behind the code.
    pool: (usize, usize),
}

impl Moved {
    /// Where the byte at `at` is now; one that is gone where the next one is.
    pub fn to(&self, at: usize) -> usize {
        let gone: usize =
            self.dead.iter().take_while(|d| d.start < at).map(|d| d.end.min(at) - d.start).sum();
        let pad = if at >= self.pool.0 { self.pool.1 } else { 0 };
        self.lead + at - gone + pad
    }
}

/// A distance in an instruction: where it is, where the instruction ends, and whether it has four bytes or one.
struct Distance {
    site: usize,
    end: usize,
    long: bool,
}

impl Distance {
    fn of(&self, code: &[u8]) -> Option<isize> {
        Some(if self.long {
            i32::from_le_bytes(code.get(self.site..self.site + 4)?.try_into().ok()?) as isize
        } else {
            *code.get(self.site)? as i8 as isize
        })
    }
}

/// Copies `code` without the bytes in `dead`, which are in order and apart, behind `lead` bytes; `calls` are places of
/// distances that the caller fills in. `None` where the code is nothing that can be understood.
pub fn squeeze(
    code: &[u8],
    dead: Vec<Range<usize>>,
    lead: usize,
    calls: &[usize],
) -> Option<(Vec<u8>, Moved)> {
    let mut distances = Vec::new();
    let mut pool = code.len();
    let (mut at, mut next) = (0, dead.iter().peekable());
    let mut decoder = Decoder::with_ip(64, code, 0, DecoderOptions::NONE);
    while at < pool {
        if let Some(d) = next.next_if(|d| d.start <= at) {
            at = d.end;
            continue;
        }
        decoder.set_position(at).ok()?;
        decoder.set_ip(at as u64);
        let i = decoder.decode();
        let end = at + i.len();
        if pool < code.len() && (end > pool || i.is_invalid() && pool - at < ALIGN) {
            // What is in front of the constants to align them.
            break;
        }
        if i.is_invalid() {
            return None;
        }
        let parts = decoder.get_constant_offsets(&i);
        if i.is_ip_rel_memory_operand() {
            let site = at + parts.displacement_offset();
            let d = Distance { site, end, long: true };
            let target = end.checked_add_signed(d.of(code)?)?;
            if target < end || target >= code.len() {
                return None;
            }
            pool = pool.min(target);
            distances.push(d);
        } else if i.op0_kind() == OpKind::NearBranch64 {
            let site = at + parts.immediate_offset();
            if !calls.contains(&site) {
                distances.push(Distance { site, end, long: parts.immediate_size() == 4 });
            }
        }
        at = end;
    }
    let gone: usize = dead.iter().filter(|d| d.end <= pool).map(|d| d.end - d.start).sum();
    let pad = (pool as isize - (lead + pool - gone) as isize).rem_euclid(ALIGN as isize) as usize;
    let moved = Moved { lead, dead, pool: (pool, pad) };
    let mut out = vec![0xcc; moved.to(code.len())];
    let mut from = 0;
    for d in moved.dead.iter().chain([&(pool..pool), &(code.len()..code.len())]) {
        let to = moved.to(from);
        out[to..to + d.start - from].copy_from_slice(&code[from..d.start]);
        from = d.end;
    }
    for d in distances {
        let target = d.end.checked_add_signed(d.of(code)?)?;
        let site = moved.to(d.site);
        let distance = moved.to(target) as isize - (site + d.end - d.site) as isize;
        if d.long {
            out[site..site + 4].copy_from_slice(&i32::try_from(distance).ok()?.to_le_bytes());
        } else {
            out[site] = i8::try_from(distance).ok()? as u8;
        }
    }
    Some((out, moved))
}

#[cfg(test)]
#[expect(clippy::single_range_in_vec_init, reason = "a list that happens to have one range")]
mod tests {
    use super::*;

    #[test]
    fn branches_and_constants_are_found_again() {
        // je 12; jmp 17; 3 dead; ret; movaps xmm0, [rip + constant at 32]; ret; padding; the constant
        let mut code = vec![0x74, 10, 0xe9, 10, 0, 0, 0, 1, 2, 3, 0xc3, 0x90];
        code.extend([0x0f, 0x28, 0x05, 13, 0, 0, 0]);
        code.push(0xc3);
        code.resize(32, 0x90);
        code.extend([7; 16]);
        let (out, moved) = squeeze(&code, vec![7..10], 5, &[3]).expect("known instructions");
        assert_eq!((moved.to(0), moved.to(7), moved.to(10), moved.to(12)), (5, 12, 12, 14));
        assert_eq!(moved.to(32) % ALIGN, 0);
        assert_eq!(out[5..7], [0x74, 7]);
        assert_eq!(out[8..12], [10, 0, 0, 0], "the caller's");
        let at = moved.to(12);
        let distance = i32::from_le_bytes(out[at + 3..at + 7].try_into().expect("four")) as usize;
        assert_eq!(at + 7 + distance, moved.to(32));
        assert_eq!(out[moved.to(32)..], [7; 16]);
    }

    #[test]
    fn what_aligns_constants_is_no_code() {
        // movaps xmm0, [rip + 9]; ret; nop; zeros; the constant, which goes on what seems to be an instruction
        let mut code = vec![0x0f, 0x28, 0x05, 9, 0, 0, 0, 0xc3, 0x90];
        code.resize(16, 0);
        code.extend([0x05; 16]);
        let (out, moved) = squeeze(&code, vec![], 0, &[]).expect("known instructions");
        assert_eq!((out.len(), moved.to(16)), (32, 16));
        assert_eq!(out, code);
    }

    #[test]
    fn the_last_instruction_may_end_where_constants_begin() {
        // 3 dead; nop; jmp back to it
        let (out, moved) =
            squeeze(&[1, 2, 3, 0x90, 0xeb, 0xfd], vec![0..3], 0, &[]).expect("known instructions");
        assert_eq!((&out[..3], moved.to(3)), (&[0x90, 0xeb, 0xfd][..], 0));
    }

    #[test]
    fn what_is_not_understood_is_left_alone() {
        assert!(squeeze(&[0x06, 0x90], vec![], 0, &[]).is_none());
    }
}
