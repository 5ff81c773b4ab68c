//! What a user may choose about the engine.

/// Which tiers run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tier {
    /// Interpreter only.
    T0,
    /// Every block is compiled before its second execution, on the vCPU's own thread.
    T1,
    /// Interpreter first, hot regions compiled in the background.
    #[default]
    Auto,
}

/// Engine settings.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Which tiers run.
    pub tier: Tier,
    /// Executions of a block before it is compiled ([`Tier::Auto`]).
    pub hot_threshold: u32,
    /// Instructions between two looks at interrupts and the clock.
    pub slice: i64,
    /// Run T0 beside T1 and stop at the first difference.
    pub verify: bool,
    /// Guest instructions in decoded blocks at most; beyond, all blocks are dropped and decoded anew.
    pub max_decoded: usize,
    /// Size limit of the T1 code arena in bytes.
    pub code_bytes: usize,
    /// Keep account of which region compiled code is in, and of its helpers, in [`lyrebird_isa::Core::activity`].
    pub account: bool,
}

impl EngineConfig {
    /// Executions after which a block asks to be compiled.
    pub fn threshold(&self) -> u32 {
        match self.tier {
            Tier::T1 => 1,
            Tier::T0 | Tier::Auto => self.hot_threshold.max(1),
        }
    }
}

impl Default for EngineConfig {
    fn default() -> Self {
        EngineConfig {
            tier: Tier::Auto,
            hot_threshold: 1000,
            slice: 20_000,
            verify: false,
            max_decoded: 4_000_000,
            code_bytes: 256 << 20,
            account: false,
        }
    }
}
