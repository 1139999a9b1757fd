//! The memory and the descriptors of this process. Contains one of the crate's `unsafe` calls, because the
//! allocator's crate has no safe wrapper for it.

// Links the allocator: the declaration below has no other owner.
use libmimalloc_sys as _;
use std::fs::{self, File};
use std::io;

/// Descriptors for which there is room from the start: 512 KiB of the kernel's memory.
const TABLE: i32 = 64 * 1024;

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

/// Has the kernel make the table of this process's descriptors large enough for most, while there is
/// one thread. Each time a table of a process with threads doubles, the thread that opened one
/// descriptor more waits for every other core (`expand_fdtable` of Linux' `fs/file.c` calls
/// `synchronize_rcu`), 10 to 25 ms.
///
/// # Errors
/// If the kernel has no memory for it, or the limit was lowered meanwhile.
pub fn make_room_for_descriptors() -> io::Result<()> {
    let most = i32::try_from(descriptor_limit()).unwrap_or(TABLE).min(TABLE);
    let any = File::open("/dev/null")?;
    // It is closed at once; the table stays.
    rustix::io::fcntl_dupfd_cloexec(any, most - 1)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_for_descriptors_before_they_are_open() {
        make_room_for_descriptors().unwrap();
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let size = status.lines().find_map(|line| line.strip_prefix("FDSize:")).unwrap();
        assert!(size.trim().parse::<u64>().unwrap() >= descriptor_limit().min(65_536), "{size}");
    }

    #[test]
    fn a_process_has_memory() {
        assert!(super::resident_bytes() > 100_000);
    }
}
