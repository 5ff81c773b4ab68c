//! What the host tells about itself, where it does.

/// Bytes of physical memory.
pub(crate) fn physical_memory() -> Option<u64> {
    field(&std::fs::read_to_string("/proc/meminfo").ok()?, "MemTotal:")
}

/// The most memory that this process has had resident, in bytes.
pub(crate) fn peak_memory() -> Option<u64> {
    field(&std::fs::read_to_string("/proc/self/status").ok()?, "VmHWM:")
}

/// How much of the memory in `range`, host addresses, is resident, in bytes.
pub(crate) fn resident(range: std::ops::Range<usize>) -> Option<u64> {
    Some(resident_in(&std::fs::read_to_string("/proc/self/smaps").ok()?, range))
}

/// Adds up `Rss:` of the mappings within `range`; `smaps` has a line `start-end …` for each, its fields below.
fn resident_in(smaps: &str, range: std::ops::Range<usize>) -> u64 {
    let mut inside = false;
    let mut bytes = 0;
    for line in smaps.lines() {
        let first = line.split_whitespace().next().unwrap_or_default();
        if let Some((from, to)) = first.split_once('-') {
            let hex = |s| usize::from_str_radix(s, 16).unwrap_or_default();
            inside = hex(from) >= range.start && hex(to) <= range.end;
        } else if inside && first == "Rss:" {
            bytes += field(line, "Rss:").unwrap_or_default();
        }
    }
    bytes
}

/// A line `name   1234 kB` of a file in /proc, in bytes.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|l| l.strip_prefix(name))?;
    let (number, unit) = line.trim().split_once(' ')?;
    let kib: u64 = number.parse().ok()?;
    (unit == "kB").then(|| kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::{field, resident_in};

    #[test]
    fn proc_fields() {
        let text = "MemTotal:        8133876 kB\nMemFree:          100 kB\n";
        assert_eq!(field(text, "MemTotal:"), Some(8133876 * 1024));
        assert_eq!(field(text, "MemFree:"), Some(102_400));
        assert_eq!(field(text, "Cached:"), None);
        assert_eq!(field("X: 1 pages", "X:"), None);
    }

    #[test]
    fn resident_part_of_a_range() {
        let smaps = "1000-3000 rw-p 00000000 00:00 0\nSize: 8 kB\nRss:   4 kB\n\
                     3000-5000 rw-s 00000000 00:01 7 /memfd:x (deleted)\nRss:   8 kB\nVmFlags: rd wr\n\
                     9000-a000 r--p 00000000 00:00 0\nRss:   16 kB\n";
        assert_eq!(resident_in(smaps, 0x1000..0x5000), 12 << 10);
        assert_eq!(resident_in(smaps, 0x3000..0xa000), 24 << 10);
        assert_eq!(resident_in(smaps, 0..0x1000), 0);
    }
}
