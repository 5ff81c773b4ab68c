//! The lines that the programs print.

/// What precedes the first line.
pub const BEGIN: &str = "BENCH-BEGIN";
/// What follows the last.
pub const END: &str = "BENCH-END";

/// `BENCH name value unit checksum [wrong]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Which workload.
    pub name: String,
    /// Operations per second.
    pub value: f64,
    /// The operation.
    pub unit: String,
    /// Of the result, the same wherever it was computed.
    pub checksum: String,
    /// Whether the program found the result to be what it must be.
    pub right: bool,
}

impl Line {
    /// Reads a line of a console; nothing where it is another. What the kernel says may stand before it.
    pub fn parse(text: &str) -> Option<Line> {
        let at = text.find("BENCH ")?;
        let mut words = text[at..].split_whitespace().skip(1);
        let (name, value, unit, checksum) = (words.next()?, words.next()?, words.next()?, words.next()?);
        let value: f64 = value.parse().ok()?;
        let whole = checksum.len() == 16 && checksum.bytes().all(|b| b.is_ascii_hexdigit());
        if !whole || !value.is_finite() || value < 0.0 {
            return None;
        }
        let right = match words.next() {
            None => true,
            Some("wrong") => false,
            Some(_) => return None,
        };
        Some(Line {
            name: name.to_string(),
            value,
            unit: unit.to_string(),
            checksum: checksum.to_string(),
            right,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read() {
        let line = Line::parse("BENCH core 6330.635 iterations 6852a79a3cca8d20\r").unwrap();
        assert_eq!((line.name.as_str(), line.value, line.right), ("core", 6330.635, true));
        assert_eq!((line.unit.as_str(), line.checksum.as_str()), ("iterations", "6852a79a3cca8d20"));
        let line =
            Line::parse("[    1.2] random: crng init done BENCH hash 1.5 Mlookups 0000000000000001 wrong")
                .unwrap();
        assert!(!line.right);
    }

    #[test]
    fn what_is_cut_is_no_line() {
        for bad in [
            "",
            "BENCH-BEGIN",
            "BENCH",
            "BENCH core",
            "BENCH core fast iterations 6852a79a3cca8d20",
            "BENCH core 6330.635 iterations",
            "BENCH core 6330.635 iterations 6852a79a",
            "BENCH core 6330.635 iterations 6852a79a3cca8d2g",
            "BENCH core -1 iterations 6852a79a3cca8d20",
            "BENCH core inf iterations 6852a79a3cca8d20",
            "BENCH core 1 iterations 6852a79a3cca8d20 maybe",
        ] {
            assert_eq!(Line::parse(bad), None, "{bad}");
        }
    }
}
