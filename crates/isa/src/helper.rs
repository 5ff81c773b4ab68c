//! Helpers: plain Rust functions that instructions call for what is rare or large.

/// The one signature of helpers, so that compiled code can call any of them.
///
/// Arguments that a helper does not use are passed as 0. A helper reports a guest fault by recording it in
/// the CPU and setting [`crate::Core::fault`]; its return value is then ignored.
pub type HelperFn<C> = extern "C" fn(&mut C, u64, u64, u64) -> u64;

/// What a helper may touch, weakest first; the compiler keeps in registers what a helper cannot see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effects {
    /// Arguments to result only. Cannot fault.
    Pure,
    /// Also reads and writes vector registers, floating-point control and status, and the exclusive monitor. Cannot
    /// fault.
    Fp,
    /// Reads and writes system registers and devices, and what it reads may change by itself (counters). Sees no
    /// register of [`crate::Core`]. Cannot fault. Engines that run code twice call it once.
    Sys,
    /// Anything: general registers, flags, memory, system registers. May fault.
    Cpu,
}

/// A helper with its name (for CLIF dumps and profiles) and effects.
pub struct Helper<C> {
    /// Name shown in dumps.
    pub name: &'static str,
    /// The function.
    pub f: HelperFn<C>,
    /// What it may touch.
    pub effects: Effects,
}

impl<C> Helper<C> {
    /// A helper with [`Effects::Pure`].
    pub const fn pure(name: &'static str, f: HelperFn<C>) -> Helper<C> {
        Helper { name, f, effects: Effects::Pure }
    }

    /// A helper with [`Effects::Fp`].
    pub const fn fp(name: &'static str, f: HelperFn<C>) -> Helper<C> {
        Helper { name, f, effects: Effects::Fp }
    }

    /// A helper with [`Effects::Sys`].
    pub const fn sys(name: &'static str, f: HelperFn<C>) -> Helper<C> {
        Helper { name, f, effects: Effects::Sys }
    }

    /// A helper with [`Effects::Cpu`].
    pub const fn cpu(name: &'static str, f: HelperFn<C>) -> Helper<C> {
        Helper { name, f, effects: Effects::Cpu }
    }
}

impl<C> Clone for Helper<C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C> Copy for Helper<C> {}

impl<C> std::fmt::Debug for Helper<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Helper").field("name", &self.name).field("effects", &self.effects).finish()
    }
}
