//! What Lyrebird itself says: lines on standard error that begin with `lyrebird: `.

use std::io::{self, Write};

use crate::terminal;

/// Prints a line. A standard error that is closed is no reason to fail.
pub fn note(text: &str) {
    let mut line = format!("lyrebird: {}", text.trim_end());
    line.push('\n');
    print(&line);
}

/// Prints text as it is, on a raw terminal with the carriage returns that the terminal no longer adds.
pub fn print(text: &str) {
    let mut err = io::stderr().lock();
    drop(if terminal::is_raw() {
        err.write_all(text.replace('\n', "\r\n").as_bytes())
    } else {
        err.write_all(text.as_bytes())
    });
}

/// Takes out the number of the host's error, which says nothing that the words before it do not.
fn without_number(text: &str) -> String {
    let found =
        text.split_once(" (os error ").and_then(|(words, rest)| Some((words, rest.split_once(')')?.1)));
    found.map_or_else(|| text.to_string(), |(words, rest)| format!("{words}{rest}"))
}

/// An error and its causes in one line. A cause that the error has told already is left out; where the host refuses
/// a file, what to do follows.
pub fn chain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        let cause = without_number(&cause);
        if text.contains(&cause) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause);
    }
    let kind = error.chain().find_map(|e| e.downcast_ref::<io::Error>()).map(io::Error::kind);
    match kind {
        Some(io::ErrorKind::NotFound) => text.push_str("; check the path"),
        Some(io::ErrorKind::PermissionDenied) => text.push_str("; check the permissions"),
        Some(io::ErrorKind::StorageFull) => text.push_str("; make room"),
        _ => {}
    }
    text
}

/// `1 GiB`, `512 MiB`, `33.2 KiB`.
pub fn size(bytes: u64) -> String {
    let (unit, shift) = match bytes {
        0..=0x3ff => return format!("{bytes} bytes"),
        0x400..=0xf_ffff => ("KiB", 10),
        0x10_0000..=0x3fff_ffff => ("MiB", 20),
        _ => ("GiB", 30),
    };
    let n = format!("{:.1}", bytes as f64 / (1u64 << shift) as f64);
    format!("{} {unit}", n.strip_suffix(".0").unwrap_or(&n))
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn causes_are_told_once() {
        let e = anyhow::anyhow!("disk full").context("write f: disk full").context("fetch u");
        assert_eq!(chain(&e), "fetch u: write f: disk full");
        let e = Err::<(), _>(io::Error::other("gone")).context("read f").unwrap_err();
        assert_eq!(chain(&e), "read f: gone");
        assert_eq!(without_number("refused (os error 111); try"), "refused; try");
        let e = Err::<(), _>(io::Error::from_raw_os_error(2)).context("read f").unwrap_err();
        assert_eq!(chain(&e), "read f: No such file or directory; check the path");
    }

    #[test]
    fn sizes_are_short() {
        assert_eq!(size(1 << 30), "1 GiB");
        assert_eq!(size(512 << 20), "512 MiB");
        assert_eq!(size(1536), "1.5 KiB");
        assert_eq!(size(12), "12 bytes");
    }
}
