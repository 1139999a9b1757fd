//! Drops rights of a process that only serves, for good. Contains one of the crate's `unsafe`
//! calls, because `seccomp` has no safe wrapper.

use rustix::thread::{CapabilitySet, CapabilitySets};
use std::io;

/// Drops every capability of this thread and of the threads that it starts.
///
/// # Errors
/// Errors of `capset`. Dropping needs no right, so only a kernel without capabilities refuses.
pub fn drop_capabilities() -> io::Result<()> {
    let none = CapabilitySet::empty();
    let sets = CapabilitySets { effective: none, permitted: none, inheritable: none };
    // The ambient set follows: a capability that is not permitted leaves it.
    Ok(rustix::thread::set_capabilities(None, sets)?)
}

/// Refuses, with EPERM, system calls that a process which only serves never makes and that an
/// attacker within it would want, in this thread and in those it starts. All other calls work as
/// before, so that no library breaks.
///
/// # Errors
/// `Unsupported` on an architecture whose call numbers are unknown here; else errors of the kernel.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[allow(unsafe_code)]
pub fn deny_system_calls() -> io::Result<()> {
    rustix::thread::set_no_new_privs(true)?;
    let mut code = program();
    let len = u16::try_from(code.len()).map_err(io::Error::other)?;
    let program = libc::sock_fprog { len, filter: code.as_mut_ptr() };
    // Without the flag older kernels would slow this process down against Spectre variant 4, which
    // threatens only processes that run code of strangers.
    let flags = libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW;
    // SAFETY: `program` and the instructions it points to outlive the call, which copies them.
    let result = unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Fails on architectures whose call numbers are unknown here.
///
/// # Errors
/// Always.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub fn deny_system_calls() -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod filter {
    use libc::{c_long, sock_filter};

    const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
    const IF_EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
    #[cfg(target_arch = "x86_64")]
    const IF_AT_LEAST: u16 = 0x35; // BPF_JMP | BPF_JGE | BPF_K
    const RETURN: u16 = 0x06; // BPF_RET | BPF_K
    const NUMBER_AT: u32 = 0; // in struct seccomp_data
    const ARCH_AT: u32 = 4;
    const REFUSE: u32 = libc::SECCOMP_RET_ERRNO | 1; // EPERM

    #[cfg(target_arch = "x86_64")]
    const ARCH: u32 = 0xC000_003E; // AUDIT_ARCH_X86_64
    #[cfg(target_arch = "aarch64")]
    const ARCH: u32 = 0xC000_00B7; // AUDIT_ARCH_AARCH64
    /// The x32 calls begin here: the same ones with other numbers.
    #[cfg(target_arch = "x86_64")]
    const X32: u32 = 0x4000_0000;

    const fn step(code: u16, k: u32) -> sock_filter {
        sock_filter { code, jt: 0, jf: 0, k }
    }

    /// Refuses all calls of another architecture: they would be the same ones with other numbers.
    pub(super) fn program() -> Vec<sock_filter> {
        let refuse = step(RETURN, REFUSE);
        let mut code = vec![step(LOAD, ARCH_AT), sock_filter { jt: 1, ..step(IF_EQUAL, ARCH) }];
        code.extend([refuse, step(LOAD, NUMBER_AT)]);
        #[cfg(target_arch = "x86_64")]
        code.extend([sock_filter { jf: 1, ..step(IF_AT_LEAST, X32) }, refuse]);
        for call in DENIED.iter().chain(DENIED_HERE) {
            let number = u32::try_from(*call).unwrap_or(u32::MAX);
            code.extend([sock_filter { jf: 1, ..step(IF_EQUAL, number) }, refuse]);
        }
        code.push(step(RETURN, libc::SECCOMP_RET_ALLOW));
        code
    }

    /// Calls that run programs, change the user, reach into other processes, mounts and namespaces,
    /// kernel code, keys or clocks, and interfaces that had many vulnerabilities.
    pub(super) const DENIED: &[c_long] = &[
        libc::SYS_execve,
        libc::SYS_execveat,
        libc::SYS_setuid,
        libc::SYS_setgid,
        libc::SYS_setreuid,
        libc::SYS_setregid,
        libc::SYS_setresuid,
        libc::SYS_setresgid,
        libc::SYS_setgroups,
        libc::SYS_setfsuid,
        libc::SYS_setfsgid,
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
        libc::SYS_process_madvise,
        libc::SYS_pidfd_getfd,
        libc::SYS_kcmp,
        libc::SYS_mount,
        libc::SYS_umount2,
        libc::SYS_pivot_root,
        libc::SYS_chroot,
        libc::SYS_open_tree,
        libc::SYS_move_mount,
        libc::SYS_fsopen,
        libc::SYS_fsconfig,
        libc::SYS_fsmount,
        libc::SYS_fspick,
        libc::SYS_mount_setattr,
        libc::SYS_unshare,
        libc::SYS_setns,
        libc::SYS_name_to_handle_at,
        libc::SYS_open_by_handle_at,
        libc::SYS_mknodat,
        libc::SYS_init_module,
        libc::SYS_finit_module,
        libc::SYS_delete_module,
        libc::SYS_kexec_load,
        libc::SYS_bpf,
        libc::SYS_perf_event_open,
        libc::SYS_userfaultfd,
        libc::SYS_io_uring_setup,
        libc::SYS_io_uring_enter,
        libc::SYS_io_uring_register,
        libc::SYS_add_key,
        libc::SYS_request_key,
        libc::SYS_keyctl,
        libc::SYS_settimeofday,
        libc::SYS_clock_settime,
        libc::SYS_clock_adjtime,
        libc::SYS_adjtimex,
        libc::SYS_sethostname,
        libc::SYS_setdomainname,
        libc::SYS_reboot,
        libc::SYS_swapon,
        libc::SYS_swapoff,
        libc::SYS_acct,
        libc::SYS_syslog,
        libc::SYS_quotactl,
        libc::SYS_vhangup,
        libc::SYS_personality,
    ];

    #[cfg(target_arch = "x86_64")]
    const DENIED_HERE: &[c_long] = &[
        libc::SYS_mknod,
        libc::SYS_kexec_file_load,
        libc::SYS_iopl,
        libc::SYS_ioperm,
        libc::SYS_modify_ldt,
        libc::SYS_uselib,
        libc::SYS_ustat,
        libc::SYS__sysctl,
    ];
    #[cfg(target_arch = "aarch64")]
    const DENIED_HERE: &[c_long] = &[];
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use filter::program;

#[cfg(test)]
mod tests;
