//! The memory and the descriptors of this process. Contains one of the crate's `unsafe` calls, because the
//! allocator's crate has no safe wrapper for it.

// Links the allocator: the declaration below has no other owner.
use libmimalloc_sys as _;
use std::fs;

#[allow(unsafe_code)]
unsafe extern "C" {
    fn mi_collect(force: bool);
}

/// Returns the resident memory of this process in bytes; 0 if the kernel does not tell.
pub fn resident_bytes() -> u64 {
    let page = u64::try_from(rustix::param::page_size()).unwrap_or(0);
    let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|field| field.parse::<u64>().ok());
    pages.unwrap_or(0).saturating_mul(page)
}

/// Gives memory that was freed back to the kernel. The allocator keeps it otherwise until some
/// thread frees more. Does nothing in a process whose allocator is another one.
#[allow(unsafe_code)]
pub fn give_memory_back() {
    // SAFETY: it takes no pointer, any thread may call it at any time, and memory in use stays.
    unsafe { mi_collect(true) }
}

/// Returns how many descriptors this process may have open; the largest number if there is no limit.
pub fn descriptor_limit() -> u64 {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_process_has_memory() {
        assert!(super::resident_bytes() > 100_000);
    }
}
