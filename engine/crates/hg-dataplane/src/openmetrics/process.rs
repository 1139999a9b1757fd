//! The kernel's figures of this process.

use std::fs;
use std::time::Duration;

/// Figures of the process; a figure that cannot be read is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ProcessReport {
    /// Resident memory, bytes.
    pub resident_bytes: u64,
    /// CPU time of all threads, user and system.
    pub cpu: Duration,
    /// Open descriptors.
    pub open_fds: u64,
    /// Descriptors allowed.
    pub max_fds: u64,
}

impl ProcessReport {
    /// Reads the figures of this process.
    pub fn now() -> Self {
        let fds = fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        Self {
            resident_bytes: hg_net::resident_bytes(),
            cpu: cpu(),
            open_fds: u64::try_from(fds).unwrap_or(0),
            max_fds: limit.unwrap_or(u64::MAX),
        }
    }
}

fn cpu() -> Duration {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::try_from(spent).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_memory_descriptors_and_time() {
        let report = ProcessReport::now();
        assert!(report.resident_bytes > 100_000, "{report:?}");
        assert!(report.open_fds >= 3 && report.max_fds >= report.open_fds, "{report:?}");
        assert!(report.cpu > Duration::ZERO, "{report:?}");
    }
}
