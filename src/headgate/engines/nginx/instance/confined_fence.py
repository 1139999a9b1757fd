"""Takes rights, writes and system calls from a confined command before it runs.

Runs only inside the short-lived process of `confined.py`; standard library alone. Sources:
capabilities(7), landlock(7), seccomp(2), prctl(2).
"""

# System calls in a process that lives for milliseconds: no pathlib.
# ruff: noqa: PTH112
import ctypes
import os
import struct
from typing import Final

import confined_calls  # type: ignore[import-not-found,unused-ignore]

CLONE_NEWNS: Final = 0x00020000
CLONE_NEWUSER: Final = 0x10000000

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_SECCOMP: Final = 22
_PR_CAPBSET_READ: Final = 23
_PR_CAPBSET_DROP: Final = 24
_PR_SET_CHILD_SUBREAPER: Final = 36
_PR_SET_NO_NEW_PRIVS: Final = 38
_PR_CAP_AMBIENT: Final = 47
_PR_CAP_AMBIENT_LOWER: Final = 3
_SECCOMP_MODE_FILTER: Final = 2
_SIGKILL: Final = 9
_CAPABILITIES: Final = 64
_CAPABILITY_VERSION: Final = 0x20080522

_CAP_CHOWN: Final = 0
_CAP_DAC_OVERRIDE: Final = 1
_CAP_FOWNER: Final = 3
_CAP_NET_BIND_SERVICE: Final = 10
KEPT: Final = frozenset({_CAP_CHOWN, _CAP_DAC_OVERRIDE, _CAP_FOWNER, _CAP_NET_BIND_SERVICE})
"""The needs of `nginx -t` of a root master: it makes folders, reads other users' keys, binds."""

_CREATE_RULESET: Final = 444
_ADD_RULE: Final = 445
_RESTRICT_SELF: Final = 446
_WRITE_FILE: Final = 1 << 1
_REMOVE_DIR: Final = 1 << 4
_REMOVE_FILE: Final = 1 << 5
_MAKE_DIR: Final = 1 << 7
_MAKE_REG: Final = 1 << 8
_MAKE_SOCK: Final = 1 << 9
_FENCED: Final = 0x1FF2
"""Writing, removing and making of every kind (version 1 of Landlock)."""
_SINCE: Final = ((2, 1 << 13), (3, 1 << 14), (5, 1 << 15))
"""Moving between folders, truncating, commands to devices."""
_TRUNCATE: Final = 1 << 14
_IN_FOLDERS: Final = (
    _WRITE_FILE | _REMOVE_FILE | _REMOVE_DIR | _MAKE_DIR | _MAKE_REG | _MAKE_SOCK | _TRUNCATE
)
"""No links and no devices: whoever opens a log after us would follow them."""
_SCOPED: Final = 3
"""No signal to, and no abstract socket of, a process outside (version 6)."""
_HAS_SCOPES: Final = 6
_FILES: Final = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")

_LIBC: Final = ctypes.CDLL(None, use_errno=True)


def die_with_parent() -> None:
    """Kills this process (SIGKILL) when its parent ends."""
    _prctl(_PR_SET_PDEATHSIG, _SIGKILL)


def adopt_orphans() -> None:
    """Adopts the processes that commands leave behind, so that we can end them."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def unshare(flags: int) -> None:
    """Calls unshare(2)."""
    _checked(_LIBC.unshare(ctypes.c_int(flags)), "unshare")


def give_up_rights(*, is_root: bool, kept: frozenset[int] = KEPT) -> bool:
    """Keeps only the rights that `-t` needs, or `kept`, for good; returns False without
    CAP_SETPCAP.

    Without root it cannot lower the bounding set and need not: execve(2) passes on only ambient
    rights, and of those only the right to bind low ports stays.
    """
    _inherit_only(kept)
    for cap in range(_CAPABILITIES):
        if cap in kept:
            continue
        try:
            if not is_root:
                _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_LOWER, cap)
            elif _prctl(_PR_CAPBSET_READ, cap):
                _prctl(_PR_CAPBSET_DROP, cap)
        except PermissionError:
            return False
        except OSError:
            break  # past the last one this kernel knows
    return True


def keep_only(kept: frozenset[int]) -> None:
    """Gives up every other right of this process itself, for good."""
    _limit(kept, (0, 1, 2))


def _inherit_only(kept: frozenset[int]) -> None:
    """Limits the inheritable set too: root would regain it after execve(2)."""
    _limit(kept, (2,))


def _limit(kept: frozenset[int], places: tuple[int, ...]) -> None:
    """Limits sets of capabilities: 0 = effective, 1 = permitted, 2 = inheritable."""
    header = struct.pack("=Ii", _CAPABILITY_VERSION, 0)
    data = ctypes.create_string_buffer(24)
    _checked(_LIBC.capget(header, data), "capget")
    words = list(struct.unpack("=6I", data.raw))
    for place in places:
        words[place] &= sum(1 << cap for cap in kept)
        words[place + 3] = 0  # those from 32 on
    _checked(_LIBC.capset(header, struct.pack("=6I", *words)), "capset")


def landlock_version() -> int:
    """Returns the version of Landlock that this kernel has enabled; 0 = none."""
    found = int(_LIBC.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(1)))
    return max(found, 0)


def write_only_in(folders: list[str], version: int) -> None:
    """Restricts writes to these folders and the harmless devices, for good (landlock(7))."""
    fenced = _FENCED | sum(bit for since, bit in _SINCE if version >= since)
    attributes = struct.pack("=QQQ", fenced, 0, _SCOPED if version >= _HAS_SCOPES else 0)
    size = 24 if version >= _HAS_SCOPES else 8
    ruleset = _checked(
        _LIBC.syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(size), ctypes.c_uint32(0)),
        "landlock",
    )
    for path in (*folders, *_FILES):
        rights = _IN_FOLDERS if os.path.isdir(path) else _WRITE_FILE | _TRUNCATE
        try:
            place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue  # a missing place cannot be written
        rule = struct.pack("=Qi", rights & fenced, place)
        _checked(
            _LIBC.syscall(_ADD_RULE, ruleset, ctypes.c_int(1), rule, ctypes.c_uint32(0)), "landlock"
        )
        os.close(place)
    _checked(_LIBC.syscall(_RESTRICT_SELF, ruleset, ctypes.c_uint32(0)), "landlock")
    os.close(ruleset)


def no_new_rights() -> None:
    """Sets no_new_privs, which Landlock and seccomp require:
    no program gains rights from here on.
    """
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def filtered_calls(program: bytes) -> None:
    """Installs a filter of `confined_calls`, for good."""
    code = ctypes.create_string_buffer(program, len(program))
    filtered = struct.pack("@HP", len(program) // 8, ctypes.addressof(code))
    holder = ctypes.create_string_buffer(filtered, len(filtered))
    _prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(holder))


def filter_for(*, network: bool) -> bytes | None:
    """Returns the filter for this machine; None where its system calls are unknown."""
    found: bytes | None = confined_calls.program(os.uname().machine, network=network)
    return found


def _prctl(option: int, *arguments: int) -> int:
    padded = [ctypes.c_ulong(value) for value in (*arguments, 0, 0, 0, 0)[:4]]
    return _checked(_LIBC.prctl(ctypes.c_int(option), *padded), "prctl")


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return int(result)
