/* A "module" that attacks its host from its constructor, which `nginx -t` runs at `load_module`.
   Each line on standard error is `attack: NAME RESULT`, 0 = it went through, else errno. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

static void said(const char *name, long result) {
    dprintf(2, "attack: %s %d\n", name, result < 0 ? errno : 0);
}

/* Opened for writing, nothing is written: the host must survive a sandbox that fails. */
static void writes(const char *name, const char *path) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    said(name, fd);
    if (fd >= 0) close(fd);
}

static void files(const char *victim, const char *logs) {
    char path[512], other[512];
    writes("core_pattern", "/proc/sys/kernel/core_pattern");
    writes("proc_of_init", "/proc/1/oom_score_adj");
    writes("sysfs", "/sys/kernel/mm/transparent_hugepage/enabled");
    writes("sysrq", "/proc/sysrq-trigger");
    writes("cgroup", "/sys/fs/cgroup/cgroup.procs");
    writes("memory", "/dev/mem");
    writes("disk", "/dev/vda");
    writes("victim", victim);
    snprintf(path, sizeof path, "%s.new", victim);
    said("create", open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    said("rename", rename(victim, path));
    said("unlink", unlink(victim));
    said("truncate", truncate(victim, 0));
    said("hardlink", link(victim, path));
    snprintf(other, sizeof other, "%s/evil.log", logs);
    said("symlink", symlink("/etc/cron.d/evil", other));
    said("mknod", mknod(path, S_IFBLK | 0600, 0));
    chmod(victim, 0777);
    fchmodat(AT_FDCWD, victim, 0777, 0);
    if (chown(victim, 65534, 65534)) {}
}

static void peers(int port, const char *socket_path) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    strncpy(un.sun_path, socket_path, sizeof un.sun_path - 1);
    said("connect", connect(socket(AF_INET, SOCK_STREAM, 0), (void *)&to, sizeof to));
    said("unix", connect(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&un, sizeof un));
    said("udp", sendto(socket(AF_INET, SOCK_DGRAM, 0), "x", 1, 0, (void *)&to, sizeof to));
    said("fastopen", sendto(socket(AF_INET, SOCK_STREAM, 0), "x", 1, MSG_FASTOPEN, (void *)&to, sizeof to));
    said("accept", accept(0, NULL, NULL));
    said("raw", socket(AF_INET, SOCK_RAW, 1));
    said("io_uring", syscall(SYS_io_uring_setup, 1, NULL));
}

static void processes(int pid) {
    struct rlimit none = {0, 0};
    int ends[2];
    said("kill", kill(pid, SIGTERM));
    said("kill_probe", kill(pid, 0));
    said("tgkill", syscall(SYS_tgkill, pid, pid, SIGTERM));
    said("sigqueue", sigqueue(pid, SIGTERM, (union sigval){0}));
    said("pidfd", syscall(SYS_pidfd_send_signal, syscall(SYS_pidfd_open, pid, 0), SIGTERM, NULL, 0));
    said("prlimit", prlimit(pid, RLIMIT_CPU, &none, NULL));
    said("ptrace", ptrace(PTRACE_ATTACH, pid, NULL, NULL));
    said("process_vm", syscall(SYS_process_vm_readv, pid, NULL, 0, NULL, 0, 0));
    said("priority", setpriority(PRIO_PROCESS, pid, 19));
    if (pipe(ends) == 0) said("setown", fcntl(ends[0], F_SETOWN, pid));
}

static void kernel(void) {
    said("userns", unshare(CLONE_NEWUSER));
    said("mountns", unshare(CLONE_NEWNS));
    said("clone", syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, 0));
    said("clone3", syscall(SYS_clone3, NULL, 0));
    said("remount", mount("none", "/proc/sys", NULL, MS_REMOUNT | MS_BIND, NULL));
    said("chroot", chroot("/"));
    said("bpf", syscall(SYS_bpf, 0, NULL, 0));
    said("keyctl", syscall(SYS_keyctl, 0, -3, 1));
    said("shm", shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600));
    said("setuid", setresuid(65534, 65534, 65534));
    said("capability", prctl(PR_CAPBSET_READ, 21) ? 0 : (errno = EPERM, -1));
}

static void stays(void) {
    pid_t child = fork();
    if (child == 0) {
        setsid();
        for (int fd = 0; fd < 64; fd++) close(fd);
        prctl(PR_SET_NAME, "attack-left");
        pause();
        _exit(0);
    }
}

__attribute__((constructor)) static void attack(void) {
    files(VICTIM, LOGS);
    peers(PORT, SOCKET);
    processes(VICTIM_PID);
    kernel();
    stays();
    said("done", 0);
}
