//! The clock: it stands still but for what the kernel makes pass.

use crate::kernel::with;

/// Monotonic time since the clock began.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: u64,
}

impl Default for Clock {
    fn default() -> Self {
        Self { start: with(|k| k.now) }
    }
}

impl Clock {
    /// Milliseconds of one tick: the resolution of every timeout.
    pub const TICK_MS: u64 = real::Clock::TICK_MS;

    /// Microseconds since the clock began.
    pub fn micros(&self) -> u64 {
        with(|k| k.now.saturating_sub(self.start))
    }

    /// Converts a time in microseconds to ticks.
    pub fn ticks(micros: u64) -> crate::Ticks {
        real::Clock::ticks(micros)
    }

    /// Returns the first tick at which `ms` milliseconds after `micros` have passed.
    pub fn after(micros: u64, ms: u64) -> crate::Ticks {
        real::Clock::after(micros, ms)
    }
}

/// Microseconds since the Unix epoch.
pub fn unix_micros() -> u64 {
    1_700_000_000_000_000 + with(|k| k.now)
}

/// Returns a number to seed a generator with.
pub fn seed<T>(_owner: &T) -> u64 {
    with(|k| k.rng.bits())
}

/// Returns no CPU time: nothing takes any.
pub fn thread_cpu_micros() -> u64 {
    0
}

/// Binds nothing.
///
/// # Errors
/// None.
pub fn bind_to_cpu(_cpu: usize) -> std::io::Result<()> {
    Ok(())
}

/// Returns no memory: the simulator has no limit of it.
pub fn resident_bytes() -> u64 {
    0
}

/// Returns no limit: the weather says when there are no descriptors.
pub fn descriptor_limit() -> u64 {
    u64::MAX
}

/// Gives nothing back.
pub fn give_memory_back() {}
