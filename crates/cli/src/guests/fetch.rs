//! Downloads: resumed when interrupted, checked, and moved to their final name only when whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use sha2::{Digest, Sha256};
use ureq::tls::{RootCerts, TlsConfig};

use crate::message::{note, size};

/// What a download has to be.
#[derive(Clone, Debug)]
pub struct Expect {
    /// Size in bytes, where known.
    pub size: Option<u64>,
    /// SHA-256, lower-case hexadecimal, where known.
    pub sha256: Option<String>,
}

/// The name a file has until it is whole.
fn partial(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".part");
    path.with_file_name(name)
}

/// SHA-256 of a file, lower-case hexadecimal.
pub fn sha256_of(path: &Path) -> Result<String> {
    let mut file = File::open(path).with_context(|| format!("open {}", path.display()))?;
    let mut hash = Sha256::new();
    let mut buf = vec![0u8; 1 << 16];
    loop {
        let n = file.read(&mut buf).with_context(|| format!("read {}", path.display()))?;
        if n == 0 {
            return Ok(hex(&hash.finalize()));
        }
        hash.update(&buf[..n]);
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Whether `path` is there and is what `expect` says.
pub fn is_whole(path: &Path, expect: &Expect) -> bool {
    let Ok(meta) = fs::metadata(path) else { return false };
    expect.size.is_none_or(|s| s == meta.len())
        && expect.sha256.as_ref().is_none_or(|s| sha256_of(path).is_ok_and(|h| h == *s))
}

fn bar(label: &str, len: Option<u64>, at: u64) -> ProgressBar {
    // The default target draws only on a terminal.
    let b = ProgressBar::with_draw_target(len, ProgressDrawTarget::stderr());
    if let Ok(style) =
        ProgressStyle::with_template("{prefix:.bold} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec} {eta}")
    {
        b.set_style(style.progress_chars("=> "));
    }
    b.set_prefix(label.to_string());
    b.set_position(at);
    b
}

/// Fetches `url` to `path`. A partial file of an earlier try is continued where the server allows it; a file that
/// fails its check is deleted and reported.
pub fn fetch(url: &str, path: &Path, label: &str, expect: &Expect) -> Result<()> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).with_context(|| format!("create directory {}", dir.display()))?;
    }
    let part = partial(path);
    let mut have = fs::metadata(&part).map_or(0, |m| m.len());
    // Without a checksum nobody would notice that the rest belongs to another version.
    if expect.sha256.is_none() || expect.size.is_some_and(|s| have > s) {
        have = 0;
    }
    if expect.size.is_none() || expect.size != Some(have) {
        download(url, &part, label, have, expect).with_context(|| format!("fetch {url}"))?;
    }
    let len = fs::metadata(&part).map_or(0, |m| m.len());
    if let Some(size) = expect.size
        && len != size
    {
        // Too short: kept, the next try goes on from here.
        bail!("fetch {url}: got {len} of {size} bytes; run the command again to go on");
    }
    if let Some(want) = &expect.sha256 {
        let got = sha256_of(&part)?;
        if got != *want {
            fs::remove_file(&part).with_context(|| format!("remove {}", part.display()))?;
            bail!(
                "fetch {url}: SHA-256 is {got}, the archive's index says {want}; the download was discarded, \
                 run the command again or choose another --mirror"
            );
        }
    }
    fs::rename(&part, path).with_context(|| format!("rename to {}", path.display()))
}

/// Why a request came to nothing, and what to do.
fn refusal(e: ureq::Error) -> String {
    const NETWORK: &str = "check the network, or give local files with --kernel and --busybox";
    const PLACE: &str = "check --mirror and --suite";
    match e {
        ureq::Error::StatusCode(code @ (400 | 403 | 404 | 410)) => {
            format!("the server has no such file (HTTP status {code}); {PLACE}")
        }
        ureq::Error::StatusCode(code) => format!("HTTP status {code}; try again later or another --mirror"),
        ureq::Error::Io(e) => format!("{e}; {NETWORK}"),
        e @ (ureq::Error::BadUri(_) | ureq::Error::Http(_)) => format!("{e}; {PLACE}"),
        e => format!("{e}; {NETWORK}"),
    }
}

fn download(url: &str, part: &Path, label: &str, have: u64, expect: &Expect) -> Result<()> {
    // The system's certificate store, so that an organisation's own authority is trusted as elsewhere.
    let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .tls_config(tls)
        .timeout_connect(Some(Duration::from_secs(20)))
        .timeout_recv_response(Some(Duration::from_secs(60)))
        .user_agent(concat!("lyrebird/", env!("CARGO_PKG_VERSION")))
        .build()
        .into();
    let mut request = agent.get(url);
    if have > 0 {
        request = request.header("Range", format!("bytes={have}-"));
    }
    let mut response = request.call().map_err(|e| anyhow!(refusal(e)))?;
    let resumed = response.status().as_u16() == 206;
    let start = if resumed { have } else { 0 };
    let mut file = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(!resumed)
        .append(resumed)
        .open(part)
        .with_context(|| format!("write {}", part.display()))?;
    let total = expect.size.or_else(|| response.body().content_length().map(|n| n + start));
    let progress = bar(label, total, start);
    if progress.is_hidden() {
        let of = total.map(|n| format!(", {}", size(n))).unwrap_or_default();
        note(&format!("fetching {label}{of}"));
    }
    let mut body = response.body_mut().as_reader();
    let mut buf = vec![0u8; 1 << 16];
    loop {
        let n = match body.read(&mut buf) {
            Ok(0) => break,
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => bail!("connection lost ({e}); run the command again to go on"),
        };
        file.write_all(&buf[..n]).with_context(|| format!("write {}", part.display()))?;
        progress.inc(n as u64);
        if expect.size.is_some_and(|s| progress.position() > s) {
            bail!("the server sends more than the {} bytes that the index lists", expect.size.unwrap_or(0));
        }
    }
    file.sync_all().with_context(|| format!("write {}", part.display()))?;
    progress.finish_and_clear();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::net::TcpListener;

    /// A server that answers each connection with the next reply, and tells the Range header it saw.
    fn serve(replies: Vec<Vec<u8>>) -> (String, std::thread::JoinHandle<Vec<Option<String>>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/file", listener.local_addr().unwrap());
        let t = std::thread::spawn(move || {
            let mut seen = Vec::new();
            for reply in replies {
                let (mut s, _) = listener.accept().unwrap();
                let mut range = None;
                for line in BufReader::new(s.try_clone().unwrap()).lines() {
                    let line = line.unwrap();
                    if line.is_empty() {
                        break;
                    }
                    if let Some(r) = line.to_ascii_lowercase().strip_prefix("range: ") {
                        range = Some(r.to_string());
                    }
                }
                seen.push(range);
                s.write_all(&reply).unwrap();
            }
            seen
        });
        (url, t)
    }

    fn expect(data: &[u8]) -> Expect {
        Expect { size: Some(data.len() as u64), sha256: Some(hex(&Sha256::digest(data))) }
    }

    #[test]
    fn interrupted_download_resumes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let (url, t) = serve(vec![
            b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234".to_vec(),
            b"HTTP/1.1 206 Partial Content\r\nContent-Length: 5\r\n\r\n56789".to_vec(),
        ]);
        let want = expect(b"0123456789");
        assert!(fetch(&url, &path, "f", &want).is_err());
        assert!(!path.exists(), "a half file must not have the final name");
        fetch(&url, &path, "f", &want).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"0123456789");
        assert_eq!(t.join().unwrap(), [None, Some("bytes=5-".to_string())]);
    }

    #[test]
    fn bad_checksum_is_discarded() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let (url, t) = serve(vec![b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil".to_vec()]);
        let e = fetch(&url, &path, "f", &expect(b"good")).unwrap_err().to_string();
        assert!(e.contains("SHA-256"), "{e}");
        assert!(!path.exists() && !partial(&path).exists());
        t.join().unwrap();
    }

    #[test]
    fn no_network_says_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let url = {
            let l = TcpListener::bind("127.0.0.1:0").unwrap();
            format!("http://{}/f", l.local_addr().unwrap())
        };
        let e = fetch(&url, &dir.path().join("f"), "f", &expect(b"x")).unwrap_err();
        assert!(format!("{e:#}").contains("--busybox"), "{e:#}");
    }
}
