//! What the host tells about itself, where it does.

/// Bytes of physical memory.
pub(crate) fn physical_memory() -> Option<u64> {
    field(&std::fs::read_to_string("/proc/meminfo").ok()?, "MemTotal:")
}

/// The most memory that this process has had resident, in bytes.
pub(crate) fn peak_memory() -> Option<u64> {
    field(&std::fs::read_to_string("/proc/self/status").ok()?, "VmHWM:")
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
    use super::field;

    #[test]
    fn proc_fields() {
        let text = "MemTotal:        8133876 kB\nMemFree:          100 kB\n";
        assert_eq!(field(text, "MemTotal:"), Some(8133876 * 1024));
        assert_eq!(field(text, "MemFree:"), Some(102_400));
        assert_eq!(field(text, "Cached:"), None);
        assert_eq!(field("X: 1 pages", "X:"), None);
    }
}
