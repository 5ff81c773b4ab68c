//! Delivery of exceptions and interrupts through the IDT (SDM Vol. 3, 6.11 to 6.14).

use crate::X86Cpu;
use crate::exception::Fault;

impl X86Cpu {
    /// Delivers the exception of the instruction at [`lyrebird_isa::Core::pc`]; on failure a double fault, then
    /// shutdown.
    pub(crate) fn deliver_fault(&mut self, f: Fault) {
        let _ = f;
        self.counters.shutdowns += 1;
        self.platform.shutdown();
    }

    /// Delivers an external interrupt or NMI before the instruction at [`lyrebird_isa::Core::pc`].
    pub(crate) fn interrupt(&mut self, vector: u8) {
        let _ = vector;
        self.counters.shutdowns += 1;
        self.platform.shutdown();
    }
}
