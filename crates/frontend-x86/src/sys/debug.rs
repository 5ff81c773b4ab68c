//! Debug exceptions: single-stepping and breakpoints (SDM Vol. 3, chapter 17).

use crate::X86Cpu;

/// Executes one instruction with the checks of the careful mode around it; whether it completed.
pub(crate) fn execute(cpu: &mut X86Cpu, bytes: &[u8]) -> bool {
    cpu.execute(bytes)
}
