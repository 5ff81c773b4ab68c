//! What every chip can do besides its job: reset, save and restore, stop and go on.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The state of one device, tagged with what wrote it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Snapshot {
    /// [`Device::kind`] of the writer.
    pub kind: String,
    /// Version of the payload's layout, counted from 1 per kind.
    pub version: u32,
    /// The state, in postcard's encoding.
    pub data: Vec<u8>,
}

/// Why a snapshot was not taken or not accepted. The device is unchanged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// It is the state of something else.
    #[error("snapshot of {found} offered to {expected}")]
    WrongKind {
        /// Kind of the device.
        expected: &'static str,
        /// Kind in the snapshot.
        found: String,
    },
    /// Written by a version with another layout.
    #[error("{kind}: snapshot version {found}, but this version reads {expected}")]
    WrongVersion {
        /// Kind of the device.
        kind: &'static str,
        /// Version the device reads.
        expected: u32,
        /// Version in the snapshot.
        found: u32,
    },
    /// Truncated, corrupt, with bytes left over, or of a device with another configuration.
    #[error("{kind}: snapshot {problem}")]
    Malformed {
        /// Kind of the device.
        kind: &'static str,
        /// What is wrong with it.
        problem: String,
    },
}

impl SnapshotError {
    /// A snapshot that decodes, but does not fit the device it is offered to.
    pub fn mismatch(kind: &'static str, problem: impl Into<String>) -> SnapshotError {
        SnapshotError::Malformed { kind, problem: problem.into() }
    }
}

impl Snapshot {
    /// Encodes `state` under a tag.
    pub fn encode<T: Serialize>(
        kind: &'static str,
        version: u32,
        state: &T,
    ) -> Result<Snapshot, SnapshotError> {
        let data = postcard::to_stdvec(state)
            .map_err(|e| SnapshotError::mismatch(kind, format!("not encodable: {e}")))?;
        Ok(Snapshot { kind: kind.to_owned(), version, data })
    }

    /// Decodes what [`Snapshot::encode`] made of the same tag; all of it must be used up.
    pub fn decode<T: DeserializeOwned>(&self, kind: &'static str, version: u32) -> Result<T, SnapshotError> {
        if self.kind != kind {
            return Err(SnapshotError::WrongKind { expected: kind, found: self.kind.clone() });
        }
        if self.version != version {
            return Err(SnapshotError::WrongVersion { kind, expected: version, found: self.version });
        }
        let (state, rest) = postcard::take_from_bytes(&self.data)
            .map_err(|e| SnapshotError::mismatch(kind, e.to_string()))?;
        match rest.len() {
            0 => Ok(state),
            n => Err(SnapshotError::mismatch(kind, format!("has {n} bytes left over"))),
        }
    }
}

/// The lifecycle of a chip. All methods take `&self`: a chip has its own lock.
pub trait Device: Send + Sync {
    /// Name of the chip's type, as in its manual. Tags its snapshots.
    fn kind(&self) -> &'static str;

    /// Back to the state after power-on. Levels that others drive into the chip stay as they are.
    fn reset(&self);

    /// The state now. Only called while the machine is paused, or from a thread that may race the guest.
    fn save(&self) -> Result<Snapshot, SnapshotError>;

    /// Replaces the state and drives the output pins accordingly. On an error nothing has changed.
    fn restore(&self, snapshot: &Snapshot) -> Result<(), SnapshotError>;

    /// The machine stops (`true`) or goes on (`false`). Chips that run with host time care, the rest does not.
    fn pause(&self, paused: bool) {
        let _ = paused;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_is_refused_by_name() {
        let s = Snapshot::encode("pl011", 1, &(7u32, 8u8)).expect("encodable");
        assert_eq!(s.decode::<(u32, u8)>("pl011", 1), Ok((7, 8)));
        assert!(matches!(s.decode::<(u32, u8)>("pl061", 1), Err(SnapshotError::WrongKind { .. })));
        let newer = Snapshot { version: 2, ..s.clone() };
        assert_eq!(
            newer.decode::<(u32, u8)>("pl011", 1).map_err(|e| e.to_string()),
            Err("pl011: snapshot version 2, but this version reads 1".to_owned())
        );
        assert!(matches!(s.decode::<(u32, u8, u8)>("pl011", 1), Err(SnapshotError::Malformed { .. })));
        assert!(matches!(s.decode::<u32>("pl011", 1), Err(SnapshotError::Malformed { .. })));
    }
}
