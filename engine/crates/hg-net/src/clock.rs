//! The worker's clock: read once per turn of its loop, and more often only for a reported figure.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Coarse time, in units of [`Clock::TICK_MS`] since the clock began.
pub type Ticks = u64;

/// The time before its process that a clock covers: flows that it takes over began then.
const BEFORE: Duration = Duration::from_secs(24 * 60 * 60);

/// Monotonic time since the clock began, which is a day before it was made.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Default for Clock {
    fn default() -> Self {
        let now = Instant::now();
        Self { start: now.checked_sub(BEFORE).unwrap_or(now) }
    }
}

impl Clock {
    /// Milliseconds of one tick: the resolution of every timeout.
    pub const TICK_MS: u64 = 4;

    /// Microseconds since the clock began; one vDSO read.
    pub fn micros(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Converts a time in microseconds to ticks.
    pub fn ticks(micros: u64) -> Ticks {
        micros / (Self::TICK_MS * 1000)
    }

    /// Returns the first tick at which `ms` milliseconds after `micros` have passed.
    pub fn after(micros: u64, ms: u64) -> Ticks {
        Self::ticks(micros.saturating_add(ms.saturating_mul(1000))).saturating_add(1)
    }
}

/// Microseconds since the Unix epoch, by the wall clock.
pub fn unix_micros() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| u64::try_from(d.as_micros()).unwrap_or(u64::MAX))
}

/// Returns a number to seed a generator with: another one at each time and for each `owner`. Not a
/// secret.
pub fn seed<T>(owner: &T) -> u64 {
    unix_micros() ^ (std::ptr::from_ref(owner) as u64).rotate_left(32)
}

/// Returns the CPU time of the calling thread, microseconds.
pub fn thread_cpu_micros() -> u64 {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    u64::try_from(t.tv_sec).unwrap_or(0) * 1_000_000 + u64::try_from(t.tv_nsec).unwrap_or(0) / 1000
}

/// Binds the calling thread to one CPU.
///
/// # Errors
/// Errors of `sched_setaffinity` (EINVAL for a CPU outside the cgroup's).
pub fn bind_to_cpu(cpu: usize) -> std::io::Result<()> {
    let mut set = rustix::thread::CpuSet::new();
    set.set(cpu);
    Ok(rustix::thread::sched_setaffinity(None, &set)?)
}
