"""Makes the world in which a foreign program is tried out: a copy of the tree that may be written.

Runs only inside the short-lived process of `confined.py`; standard library alone. Nothing here may
be imported after `chroot`, so all of it is imported before. Sources: mount_namespaces(7),
user_namespaces(7), pid_namespaces(7), capabilities(7), Linux' filesystems/overlayfs.
"""

# System calls in a process that lives for milliseconds: no pathlib.
# ruff: noqa: PTH101, PTH102, PTH110, PTH112, PTH114, PTH116, PTH211
import ctypes
import os
import re
import stat
from typing import Final

CLONE_NEWNS: Final = 0x00020000
CLONE_NEWUTS: Final = 0x04000000
CLONE_NEWIPC: Final = 0x08000000
CLONE_NEWUSER: Final = 0x10000000
CLONE_NEWPID: Final = 0x20000000
CLONE_NEWNET: Final = 0x40000000

_MS_RDONLY: Final = 0x1
_MS_NOSUID: Final = 0x2
_MS_NODEV: Final = 0x4
_MS_REMOUNT: Final = 0x20
_MS_BIND: Final = 0x1000
_MS_REC: Final = 0x4000
_MS_PRIVATE: Final = 1 << 18

_PR_SET_PDEATHSIG: Final = 1
_PR_CAPBSET_DROP: Final = 24
_PR_SET_NO_NEW_PRIVS: Final = 38
_PR_CAP_AMBIENT: Final = 47
_PR_CAP_AMBIENT_LOWER: Final = 3
_SIGKILL: Final = 9

_CAP_CHOWN: Final = 0
_CAP_DAC_OVERRIDE: Final = 1
_CAP_FOWNER: Final = 3
_CAP_NET_BIND_SERVICE: Final = 10
KEPT: Final = frozenset({_CAP_CHOWN, _CAP_DAC_OVERRIDE, _CAP_FOWNER, _CAP_NET_BIND_SERVICE})
"""What `nginx -t` of a root master needs: it makes and chowns directories, reads keys, binds."""

_SCRATCH_PLACES: Final = ("/tmp", "/mnt", "/media", "/srv", "/opt", "/home", "/var/tmp", "/run")  # noqa: S108
_DEVICES: Final = ("null", "zero", "full", "random", "urandom")
_LINKS: Final = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
}
_KERNELS_OWN: Final = (
    "autofs binfmt_misc bpf cgroup cgroup2 configfs debugfs devpts devtmpfs efivarfs fusectl "
    "hugetlbfs mqueue nsfs proc pstore rpc_pipefs securityfs selinuxfs tracefs"
)
_LEFT_OUT: Final = frozenset(_KERNELS_OWN.split())
"""File systems that are not there at all inside."""

_ESCAPED: Final = re.compile(rb"\\([0-7]{3})")
"""How proc(5) writes a space, tab, newline or backslash."""

_LIBC: Final = ctypes.CDLL(None, use_errno=True)


def unshare(flags: int) -> None:
    """unshare(2)."""
    _checked(_LIBC.unshare(ctypes.c_int(flags)), "unshare")


def setns(fd: int, kind: int) -> None:
    """setns(2)."""
    _checked(_LIBC.setns(ctypes.c_int(fd), ctypes.c_int(kind)), "setns")


def die_with_parent() -> None:
    """SIGKILL for this process when the one that started it ends."""
    _prctl(_PR_SET_PDEATHSIG, _SIGKILL)


def give_up_rights(*, is_root: bool) -> bool:
    """Leaves what `-t` needs and nothing else, for good; False when that takes CAP_SETPCAP.

    Without root the bounding set cannot be lowered and need not be: only what is ambient would be
    handed on, and of that only the right to bind low ports stays.
    """
    for cap in range(64):
        if cap in KEPT:
            continue
        try:
            if is_root:
                _prctl(_PR_CAPBSET_DROP, cap)
            else:
                _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_LOWER, cap)
        except PermissionError:
            return False
        except OSError:
            break  # past the last one this kernel knows
    if is_root:
        _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    return True


def own_proc() -> None:
    """A /proc that shows the processes of the new pid namespace only."""
    if os.path.isdir("/proc"):
        _mount("proc", "/proc", "proc", _MS_NOSUID | _MS_NODEV, "")


def private_mounts() -> None:
    """What is mounted from here on is seen by this process alone."""
    _mount("none", "/", None, _MS_REC | _MS_PRIVATE, "")


def copied_tree(mountinfo: str) -> str:
    """Mounts a writable copy of everything below `/` and returns where it is.

    Each file system is the lower layer of an overlay whose upper layer is in memory: what is
    written is seen inside, never outside. What cannot be copied so (single files, file systems
    overlayfs refuses) is there read-only. Raises OSError when `/` itself cannot be copied.
    """
    mounts = _mounts(mountinfo)
    scratch = _scratch_place({point for point, _ in mounts})
    _mount("tmpfs", scratch, "tmpfs", _MS_NOSUID | _MS_NODEV, "size=256m,mode=0700")
    root = f"{scratch}/root"
    os.mkdir(root)
    _overlay("/", scratch, root, 0)
    for number, (point, kind) in enumerate(mounts, start=1):
        if point == "/" or _is_below(point, scratch) or _is_below(point, "/dev"):
            continue
        if kind in _LEFT_OUT or _is_below(point, "/proc"):
            continue
        _copied_mount(point, kind, scratch, number)
    _devices(root)
    return root


def _copied_mount(point: str, kind: str, scratch: str, number: int) -> None:
    inside = f"{scratch}/root{point}"
    try:
        if stat.S_ISDIR(os.stat(point).st_mode) and kind != "sysfs":
            try:
                _overlay(point, scratch, inside, number)
            except OSError:
                _read_only(point, inside)
        else:
            _read_only(point, inside)
    except OSError:
        # It is hidden below another mount or gone: inside there is what `/` has at that place.
        return


def _overlay(lower: str, scratch: str, at: str, number: int) -> None:
    for layer in ("upper", "work"):
        os.mkdir(f"{scratch}/{layer}{number}")
    # The upper layer is the directory inside: it must look like the one it covers.
    found = os.stat(lower)
    os.chmod(f"{scratch}/upper{number}", stat.S_IMODE(found.st_mode))
    os.chown(f"{scratch}/upper{number}", found.st_uid, found.st_gid)
    os.chdir(lower)
    # `.`, since a path could have characters that mean something in these options.
    options = f"lowerdir=.,upperdir={scratch}/upper{number},workdir={scratch}/work{number}"
    try:
        _mount("overlay", at, "overlay", _MS_NOSUID | _MS_NODEV, options)
    finally:
        os.chdir("/")


def _read_only(source: str, at: str) -> None:
    _mount(source, at, None, _MS_BIND, "")
    flags = _MS_REMOUNT | _MS_BIND | _MS_RDONLY | _MS_NOSUID | _MS_NODEV
    _mount("none", at, None, flags, "")


def _devices(root: str) -> None:
    if not os.path.isdir(f"{root}/dev"):
        return
    _mount("tmpfs", f"{root}/dev", "tmpfs", _MS_NOSUID, "size=16m,mode=0755")
    os.mkdir(f"{root}/dev/shm", 0o1777)  # noqa: S108
    for name in _DEVICES:
        if os.path.exists(f"/dev/{name}"):
            os.close(os.open(f"{root}/dev/{name}", os.O_CREAT | os.O_WRONLY, 0o600))
            _mount(f"/dev/{name}", f"{root}/dev/{name}", None, _MS_BIND, "")
    for name, target in _LINKS.items():
        os.symlink(target, f"{root}/dev/{name}")


def _mounts(mountinfo: str) -> list[tuple[str, str]]:
    """(mount point, file system) of each line, in the order they were mounted (proc(5))."""
    found = []
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        raw = os.fsencode(left.split(" ")[4])
        point = _ESCAPED.sub(lambda octal: bytes([int(octal[1], 8)]), raw)
        found.append((os.fsdecode(point), right.split(" ")[0]))
    return found


def _scratch_place(points: set[str]) -> str:
    for place in _SCRATCH_PLACES:
        hides = any(_is_below(point, place) for point in points)
        if not hides and os.path.isdir(place) and not os.path.islink(place):
            return place
    raise FileNotFoundError(f"none of {' '.join(_SCRATCH_PLACES)} is free to mount over")


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _mount(source: str, at: str, kind: str | None, flags: int, options: str) -> None:
    result = _LIBC.mount(
        os.fsencode(source),
        os.fsencode(at),
        None if kind is None else kind.encode(),
        ctypes.c_ulong(flags),
        os.fsencode(options),
    )
    _checked(result, f"mount of {kind or 'a bind'} at {at}")


def _prctl(option: int, *arguments: int) -> None:
    padded = [ctypes.c_ulong(value) for value in (*arguments, 0, 0, 0, 0)[:4]]
    _checked(_LIBC.prctl(ctypes.c_int(option), *padded), "prctl")


def _checked(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
