//! QEMU's firmware configuration device (docs/specs/fw_cfg of QEMU): named blobs for firmware and kernels, read by
//! the byte or by DMA. Nothing can be written to the blobs.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use lyrebird_isa::Size;
use lyrebird_softmmu::phys::PhysMem;
use serde::{Deserialize, Serialize};

use crate::lifecycle::{Device, Snapshot, SnapshotError};
use crate::lock;
use crate::port::PortDevice;
use crate::regmap::Stray;

/// Key of the signature.
const SIGNATURE: u16 = 0x0000;
/// Key of the features: bit 0 the byte interface, bit 1 DMA.
const ID: u16 = 0x0001;
/// Key of the directory of named blobs.
const FILE_DIR: u16 = 0x0019;
/// Key of the first named blob.
const FILE_FIRST: u16 = 0x0020;
/// The largest key; the two bits above are flags.
const KEY_MAX: u16 = 0x3fff;
/// Bytes of a name in the directory, with the terminating zero.
const NAME_BYTES: usize = 56;

/// Control word of a DMA access.
mod dma {
    pub const ERROR: u32 = 1 << 0;
    pub const READ: u32 = 1 << 1;
    pub const SKIP: u32 = 1 << 2;
    pub const SELECT: u32 = 1 << 3;
    pub const WRITE: u32 = 1 << 4;
}

/// A blob cannot be added.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FwCfgError {
    /// The key is the device's own, one of a named blob's, too large, or taken.
    #[error("fw_cfg key {0:#x} is reserved or taken")]
    Key(u16),
    /// Empty, longer than 55 bytes, with a zero byte in it, or taken.
    #[error("fw_cfg file name {0:?} is taken, or not 1 to 55 bytes long")]
    Name(String),
    /// 4 GiB or more.
    #[error("fw_cfg file {0:?} is too large")]
    Size(String),
}

/// What a [`FwCfg`] holds.
#[derive(Clone, Debug, Default)]
pub struct FwCfgItems {
    items: BTreeMap<u16, Arc<[u8]>>,
    files: BTreeMap<String, Arc<[u8]>>,
}

impl FwCfgItems {
    /// Adds a blob under a fixed key, such as 0x0005 for the number of CPUs.
    ///
    /// # Errors
    /// The key is not for this.
    pub fn item(mut self, key: u16, data: impl Into<Arc<[u8]>>) -> Result<FwCfgItems, FwCfgError> {
        // Keys with bit 15 set are specific to the architecture.
        let plain = key & !0x8000;
        let own = [SIGNATURE, ID, FILE_DIR].contains(&key);
        if own || plain > KEY_MAX || key == plain && key >= FILE_FIRST || self.items.contains_key(&key) {
            return Err(FwCfgError::Key(key));
        }
        self.items.insert(key, data.into());
        Ok(self)
    }

    /// Adds a blob with a name, such as `etc/e820`. Keys are given in the order of names.
    ///
    /// # Errors
    /// The name or the size does not fit into the directory.
    pub fn file(mut self, name: &str, data: impl Into<Arc<[u8]>>) -> Result<FwCfgItems, FwCfgError> {
        let data = data.into();
        let fits = (1..NAME_BYTES).contains(&name.len()) && !name.contains('\0');
        let room = self.files.len() < usize::from(KEY_MAX - FILE_FIRST);
        if !fits || !room || self.files.contains_key(name) {
            return Err(FwCfgError::Name(name.to_owned()));
        }
        if u32::try_from(data.len()).is_err() {
            return Err(FwCfgError::Size(name.to_owned()));
        }
        self.files.insert(name.to_owned(), data);
        Ok(self)
    }

    /// All blobs by key, with the directory.
    fn by_key(self) -> BTreeMap<u16, Arc<[u8]>> {
        let FwCfgItems { mut items, files } = self;
        let mut directory = (files.len() as u32).to_be_bytes().to_vec();
        for (key, (name, data)) in (FILE_FIRST..).zip(files) {
            directory.extend((data.len() as u32).to_be_bytes());
            directory.extend(key.to_be_bytes());
            directory.extend([0; 2]);
            let mut field = [0; NAME_BYTES];
            field[..name.len()].copy_from_slice(name.as_bytes());
            directory.extend(field);
            items.insert(key, data);
        }
        items.insert(SIGNATURE, b"QEMU".as_slice().into());
        items.insert(ID, 3u32.to_le_bytes().as_slice().into());
        items.insert(FILE_DIR, directory.into());
        items
    }
}

/// What is selected.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Cursor {
    key: u16,
    /// Bytes of the blob that are read already.
    offset: u64,
    /// High half of the address of the next DMA access, until the low half is written.
    dma_high: u32,
}

/// The device. Registers 0 to 1 are for port 0x510 (selector, 16 bits; data at 1), 4 to 11 for 0x514 (DMA address).
pub struct FwCfg {
    items: BTreeMap<u16, Arc<[u8]>>,
    cursor: Mutex<Cursor>,
    phys: Arc<PhysMem>,
    stray: Stray,
}

impl FwCfg {
    const KIND: &str = "fw-cfg";
    const VERSION: u32 = 1;

    /// Registers of the selector and the data port, for ports 0x510 and 0x511.
    pub const PORTS: std::ops::Range<u16> = 0..2;
    /// Registers of the DMA address, for ports 0x514 to 0x51b.
    pub const DMA_PORTS: std::ops::Range<u16> = 4..12;

    /// A device with these blobs, whose DMA goes to `phys`.
    pub fn new(items: FwCfgItems, phys: Arc<PhysMem>) -> FwCfg {
        FwCfg { items: items.by_key(), cursor: Mutex::default(), phys, stray: Stray::new() }
    }

    /// The blob that is selected; a key that does not exist is an empty one.
    fn selected(&self, cursor: &Cursor) -> &[u8] {
        self.items.get(&cursor.key).map_or(&[], |data| data)
    }

    /// What is left of the blob; behind its end are zeros.
    fn rest(&self, cursor: &Cursor) -> &[u8] {
        let data = self.selected(cursor);
        usize::try_from(cursor.offset).ok().and_then(|at| data.get(at..)).unwrap_or(&[])
    }

    fn select(cursor: &mut Cursor, key: u16) {
        // Bit 14 asked for writing, which is gone.
        cursor.key = key & !0x4000;
        cursor.offset = 0;
    }

    /// The DMA access whose description is at `at`.
    fn dma(&self, cursor: &mut Cursor, at: u64) {
        let mut access = [0; 16];
        if self.phys.read_bytes(at, &mut access).is_err() {
            self.stray.note(at);
            return;
        }
        let access = u128::from_be_bytes(access);
        let (control, length, address) = ((access >> 96) as u32, (access >> 64) as u32, access as u64);
        if control & dma::SELECT != 0 {
            FwCfg::select(cursor, (control >> 16) as u16);
        }
        let failed = if control & dma::READ != 0 {
            let failed = self.copy(cursor, address, length.into()).is_err();
            cursor.offset = cursor.offset.saturating_add(length.into());
            failed
        } else if control & dma::WRITE != 0 {
            true
        } else {
            if control & dma::SKIP != 0 {
                cursor.offset = cursor.offset.saturating_add(length.into());
            }
            false
        };
        let result = if failed { dma::ERROR } else { 0 };
        if self.phys.write_bytes(at, &result.to_be_bytes()).is_err() {
            self.stray.note(at);
        }
    }

    fn copy(
        &self,
        cursor: &Cursor,
        address: u64,
        length: u64,
    ) -> Result<(), lyrebird_softmmu::phys::BusError> {
        let rest = self.rest(cursor);
        let data = &rest[..rest.len().min(usize::try_from(length).unwrap_or(usize::MAX))];
        self.phys.write_bytes(address, data)?;
        let mut done = data.len() as u64;
        const ZEROS: [u8; 4096] = [0; 4096];
        while done < length {
            let n = (length - done).min(4096);
            self.phys.write_bytes(address.wrapping_add(done), &ZEROS[..n as usize])?;
            done += n;
        }
        Ok(())
    }

    /// DMA accesses whose description is not in memory, and accesses of widths that the device does not have.
    pub fn stray(&self) -> &Stray {
        &self.stray
    }
}

impl PortDevice for FwCfg {
    fn name(&self) -> &str {
        FwCfg::KIND
    }

    fn read(&self, reg: u16) -> u8 {
        match reg {
            0..2 => {
                let mut cursor = lock(&self.cursor);
                let byte = self.rest(&cursor).first().copied().unwrap_or(0);
                cursor.offset = cursor.offset.saturating_add(1);
                byte
            }
            4..12 => b"QEMU CFG"[usize::from(reg - 4)],
            _ => 0xff,
        }
    }

    fn write(&self, reg: u16, _value: u8) {
        // The data port cannot be written any more, and the other registers are wider than a byte.
        self.stray.note(reg.into());
    }

    fn write_wide(&self, reg: u16, size: Size, value: u32) {
        let mut cursor = lock(&self.cursor);
        match (reg, size) {
            (0, Size::B2) => FwCfg::select(&mut cursor, value as u16),
            // Big-endian, unlike the selector.
            (4, Size::B4) => cursor.dma_high = value.swap_bytes(),
            (8, Size::B4) => {
                let high = std::mem::take(&mut cursor.dma_high);
                self.dma(&mut cursor, u64::from(high) << 32 | u64::from(value.swap_bytes()));
            }
            _ => {
                self.stray.note(reg.into());
            }
        }
    }
}

impl Device for FwCfg {
    fn kind(&self) -> &'static str {
        FwCfg::KIND
    }

    fn reset(&self) {
        *lock(&self.cursor) = Cursor::default();
    }

    /// Of what is selected; the blobs are the board's.
    fn save(&self) -> Result<Snapshot, SnapshotError> {
        Snapshot::encode(FwCfg::KIND, FwCfg::VERSION, &*lock(&self.cursor))
    }

    fn restore(&self, snapshot: &Snapshot) -> Result<(), SnapshotError> {
        *lock(&self.cursor) = snapshot.decode(FwCfg::KIND, FwCfg::VERSION)?;
        Ok(())
    }
}

impl fmt::Debug for FwCfg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sizes: Vec<(u16, usize)> = self.items.iter().map(|(k, d)| (*k, d.len())).collect();
        f.debug_struct("FwCfg").field("items", &sizes).field("cursor", &self.cursor).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::PortBus;

    struct Board {
        ports: PortBus,
        dev: Arc<FwCfg>,
        phys: Arc<PhysMem>,
    }

    fn board() -> Board {
        let phys = PhysMem::builder().ram(0, 0x1_0000).build().expect("RAM");
        let items = FwCfgItems::default()
            .item(5, 2u16.to_le_bytes().as_slice())
            .and_then(|i| i.file("etc/zeta", b"last".as_slice()))
            .and_then(|i| i.file("etc/alpha", b"first file".as_slice()))
            .expect("items");
        let dev = Arc::new(FwCfg::new(items, phys.clone()));
        let ports = PortBus::new();
        ports.map(0x510, FwCfg::PORTS, dev.clone()).expect("mapped");
        ports.map(0x514, FwCfg::DMA_PORTS, dev.clone()).expect("mapped");
        Board { ports, dev, phys }
    }

    impl Board {
        fn bytes(&self, key: u32, n: usize) -> Vec<u8> {
            self.ports.write(0x510, Size::B2, key);
            (0..n).map(|_| self.ports.read(0x511, Size::B1) as u8).collect()
        }

        /// Runs a DMA access; returns the control word after it.
        fn dma(&self, control: u32, length: u32, address: u64) -> u32 {
            let mut access = control.to_be_bytes().to_vec();
            access.extend(length.to_be_bytes());
            access.extend(address.to_be_bytes());
            self.phys.write_bytes(0x100, &access).expect("RAM");
            self.ports.write(0x514, Size::B4, 0);
            self.ports.write(0x518, Size::B4, 0x100u32.swap_bytes());
            let mut result = [0; 4];
            self.phys.read_bytes(0x100, &mut result).expect("RAM");
            u32::from_be_bytes(result)
        }

        fn memory(&self, at: u64, n: usize) -> Vec<u8> {
            let mut bytes = vec![0; n];
            self.phys.read_bytes(at, &mut bytes).expect("RAM");
            bytes
        }
    }

    #[test]
    fn identifies_itself() {
        let b = board();
        assert_eq!(b.bytes(0, 5), b"QEMU\0");
        assert_eq!(b.bytes(1, 4), [3, 0, 0, 0], "traditional interface and DMA");
        assert_eq!(b.bytes(5, 3), [2, 0, 0]);
        assert_eq!(b.bytes(0x4005, 2), [2, 0], "the write flag is ignored");
        assert_eq!(b.bytes(0x77, 2), [0, 0]);
        let signature: Vec<u8> = (0..8).map(|i| b.ports.read(0x514 + i, Size::B1) as u8).collect();
        assert_eq!(signature, b"QEMU CFG");
        assert_eq!(b.ports.read(0x514, Size::B4).swap_bytes(), 0x5145_4d55);
        assert_eq!(b.ports.read(0x518, Size::B4).swap_bytes(), 0x2043_4647);
    }

    #[test]
    fn files_are_listed_in_big_endian() {
        let b = board();
        let directory = b.bytes(0x19, 4 + 2 * 64);
        assert_eq!(directory[..4], [0, 0, 0, 2]);
        let (first, second) = directory[4..].split_at(64);
        assert_eq!(first[..8], [0, 0, 0, 10, 0, 0x20, 0, 0]);
        assert_eq!(&first[8..18], b"etc/alpha\0");
        assert_eq!(second[..8], [0, 0, 0, 4, 0, 0x21, 0, 0]);
        assert_eq!(b.bytes(0x20, 11), b"first file\0");
        assert_eq!(b.bytes(0x21, 4), b"last");
    }

    #[test]
    fn dma_reads_and_skips() {
        let b = board();
        b.phys.write_bytes(0x200, &[0xee; 16]).expect("RAM");
        assert_eq!(b.dma(0x20 << 16 | dma::SELECT | dma::READ, 5, 0x200), 0);
        assert_eq!(b.memory(0x200, 6), b"first\xee");
        assert_eq!(b.dma(dma::SKIP, 1, 0), 0);
        assert_eq!(b.dma(dma::READ, 6, 0x200), 0);
        assert_eq!(b.memory(0x200, 7), b"file\0\0\xee", "zeros behind the end");
        assert_eq!(b.dma(0x21 << 16 | dma::SELECT, 0, 0), 0);
        assert_eq!(b.ports.read(0x511, Size::B1), u32::from(b'l'), "one cursor for both interfaces");
    }

    #[test]
    fn dma_fails_where_it_cannot_be_done() {
        let b = board();
        assert_eq!(b.dma(0x20 << 16 | dma::SELECT | dma::WRITE, 1, 0x200), dma::ERROR);
        assert_eq!(b.dma(0x20 << 16 | dma::SELECT | dma::READ, 4, 0xfffe), dma::ERROR);
        assert_eq!(b.dma(0x20 << 16 | dma::SELECT | dma::READ, u32::MAX, 0x200), dma::ERROR);
        b.ports.write(0x514, Size::B4, u32::MAX);
        b.ports.write(0x518, Size::B4, u32::MAX);
        assert_eq!(b.dev.stray().count(), 1);
    }

    #[test]
    fn blobs_that_do_not_fit_are_refused() {
        let items = FwCfgItems::default().file("a", [].as_slice()).expect("fits");
        let refused = |r: Result<FwCfgItems, FwCfgError>| r.err().map(|e| e.to_string());
        for key in [0, 1, 0x19, 0x20, 0x3fff, 0x4000, 0xc000] {
            assert!(items.clone().item(key, [].as_slice()).is_err(), "{key:#x}");
        }
        assert!(items.clone().item(0x8000, [].as_slice()).is_ok());
        assert_eq!(
            refused(items.clone().file("a", [].as_slice())),
            Some("fw_cfg file name \"a\" is taken, or not 1 to 55 bytes long".to_owned())
        );
        assert!(items.clone().file(&"x".repeat(55), [].as_slice()).is_ok());
        assert!(items.file(&"x".repeat(56), [].as_slice()).is_err());
    }

    #[test]
    fn saves_restores_and_resets() {
        let b = board();
        b.bytes(0x20, 3);
        let saved = b.dev.save().expect("saved");
        b.dev.reset();
        assert_eq!(b.ports.read(0x511, Size::B1), u32::from(b'Q'));
        b.dev.restore(&saved).expect("restored");
        assert_eq!(b.ports.read(0x511, Size::B1), u32::from(b's'));
    }

    #[test]
    fn nothing_that_a_guest_does_panics() {
        let b = board();
        for port in 0x50c..0x520 {
            for size in [Size::B1, Size::B2, Size::B4] {
                for value in [0, 0x19, u32::MAX, 0x0001_0000] {
                    b.ports.write(port, size, value);
                    b.ports.read(port, size);
                }
            }
        }
        for control in 0..32 {
            for (length, address) in [(0, 0), (1, u64::MAX), (u32::MAX, 0), (u32::MAX, u64::MAX), (64, 0xf0)]
            {
                b.dma(control, length, address);
            }
        }
    }
}
