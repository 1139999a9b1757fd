//! The memory of this process.

use std::fs;

/// Returns the resident memory of this process in bytes; 0 if the kernel does not tell.
pub fn resident_bytes() -> u64 {
    let page = u64::try_from(rustix::param::page_size()).unwrap_or(0);
    let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|field| field.parse::<u64>().ok());
    pages.unwrap_or(0).saturating_mul(page)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_process_has_memory() {
        assert!(super::resident_bytes() > 100_000);
    }
}
