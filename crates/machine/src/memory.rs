//! Checks on the size of guest RAM.

use crate::error::MachineError;
use crate::host;

const MIB: u64 = 1 << 20;
/// RAM comes in pieces of this many bytes.
const UNIT: u64 = MIB;
/// Less RAM than this holds no kernel.
const MIN: u64 = 4 * MIB;

/// Checks `bytes` of RAM against the most that a board has room for, and against the host.
pub(crate) fn check(bytes: u64, max: u64) -> Result<(), MachineError> {
    let min_mib = MIN / MIB;
    if bytes == 0 {
        return Err(MachineError::MemoryZero { min_mib });
    }
    if bytes < MIN {
        return Err(MachineError::MemoryTooSmall { bytes, min_mib });
    }
    if !bytes.is_multiple_of(UNIT) {
        return Err(MachineError::MemoryUnaligned { bytes, unit_mib: UNIT / MIB });
    }
    if bytes > max {
        return Err(MachineError::MemoryTooLarge { bytes, max_mib: max / MIB });
    }
    match host::physical_memory() {
        Some(host) if bytes > host => Err(MachineError::MemoryBeyondHost { bytes, host }),
        _ => Ok(()),
    }
}
