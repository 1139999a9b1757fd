"""Makes the seccomp filter of a confined command: which system calls it does not get. Pure.

Standard library alone. Files are not its concern (bubblewrap and Landlock fence those); it denies
what needs no path: peers, signals, other processes' memory and limits, namespaces, mounts, keys.
Sources: seccomp(2), the kernel's unistd tables for x86_64 and aarch64.
"""

import errno
import struct
from typing import Final

_ARCHITECTURES: Final = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_X32: Final = 0x40000000
_NONE: Final = -1

NETWORK: Final = {
    "connect": (42, 203),
    "sendto": (44, 206),
    "sendmsg": (46, 211),
    "sendmmsg": (307, 269),
}
"""The calls that reach a peer, also root's Unix sockets: allowed only where nginx must ask DNS."""

DENIED: Final = {
    "accept": (43, 202),
    "accept4": (288, 242),
    "kill": (62, 129),
    "tkill": (200, 130),
    "tgkill": (234, 131),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "pidfd_send_signal": (424, 424),
    "pidfd_getfd": (438, 438),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "kcmp": (312, 272),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "shmget": (29, 194),
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "semget": (64, 190),
    "semop": (65, 193),
    "semtimedop": (220, 192),
    "semctl": (66, 191),
    "msgget": (68, 186),
    "msgsnd": (69, 189),
    "msgrcv": (70, 188),
    "msgctl": (71, 187),
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
    "setpriority": (141, 140),
    "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119),
    "sched_setaffinity": (203, 122),
    "sched_setattr": (314, 274),
    "ioprio_set": (251, 30),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    "truncate": (76, 45),
}

PRETENDED: Final = {
    "chmod": (90, _NONE),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "chown": (92, _NONE),
    "lchown": (94, _NONE),
    "fchown": (93, 55),
    "fchownat": (260, 54),
    "utime": (132, _NONE),
    "utimes": (235, _NONE),
    "futimesat": (261, _NONE),
    "utimensat": (280, 88),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    "setxattrat": (463, 463),
    "removexattrat": (466, 466),
    "file_setattr": (469, 469),
}
"""Owners, modes and times: they say that they succeeded and do nothing. nginx gives its folders and
sockets away when it is root, and Landlock does not fence this."""

_CLONE: Final = (56, 220)
_CLONE3: Final = (435, 435)
_FCNTL: Final = (72, 25)
_IOCTL: Final = (16, 29)
_PRLIMIT: Final = (302, 261)
_NEW_NAMESPACES: Final = 0x7E020000
_SIGNAL_OWNER: Final = (8, 10, 15)
"""F_SETOWN, F_SETSIG, F_SETOWN_EX: a signal of choice to a process of choice."""
_IOCTLS: Final = (0x8901, 0x8902, 0x5412, 0x541C, 0x40086602, 0x401C5820)
"""FIOSETOWN, SIOCSPGRP, TIOCSTI, TIOCLINUX, FS_IOC_SETFLAGS, FS_IOC_FSSETXATTR."""

_LOAD: Final = 0x20
_EQUAL: Final = 0x15
_AT_LEAST: Final = 0x35
_ANY_BIT: Final = 0x45
_RETURN: Final = 0x06
_ALLOW: Final = 0x7FFF0000
_ERRNO: Final = 0x00050000
_KILL_PROCESS: Final = 0x80000000
_NUMBER_AT: Final = 0
_ARCH_AT: Final = 4

_Instruction = tuple[int, int, int, int]


def program(machine: str, *, network: bool) -> bytes | None:
    """Returns the filter for `os.uname().machine`; None for a machine with unknown call numbers.

    `network`: it may reach peers.
    """
    if machine not in _ARCHITECTURES:
        return None
    column, audit = _ARCHITECTURES[machine]
    denied = DENIED if network else DENIED | NETWORK
    code: list[_Instruction] = [
        (_LOAD, 0, 0, _ARCH_AT),
        (_EQUAL, 1, 0, audit),
        (_RETURN, 0, 0, _KILL_PROCESS),
        (_LOAD, 0, 0, _NUMBER_AT),
    ]
    if machine == "x86_64":
        code += [(_AT_LEAST, 0, 1, _X32), _answer(errno.EACCES)]
    for calls, answer in ((denied, errno.EACCES), (PRETENDED, 0)):
        for numbers in calls.values():
            if numbers[column] != _NONE:
                code += [(_EQUAL, 0, 1, numbers[column]), _answer(answer)]
    code += [(_EQUAL, 0, 1, _CLONE3[column]), _answer(errno.ENOSYS)]
    code += _by_argument(_CLONE[column], 0, [(_ANY_BIT, 0, 1, _NEW_NAMESPACES)])
    code += _by_argument(_FCNTL[column], 1, [(_EQUAL, 0, 1, one) for one in _SIGNAL_OWNER])
    code += _by_argument(_IOCTL[column], 1, [(_EQUAL, 0, 1, one) for one in _IOCTLS])
    code += _by_argument(_PRLIMIT[column], 0, [(_EQUAL, 1, 0, 0)])
    code.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(struct.pack("=HBBI", *one) for one in code)


def _by_argument(number: int, argument: int, tests: list[_Instruction]) -> list[_Instruction]:
    """Denies a call for some values of one argument (its low half, little endian)."""
    inner: list[_Instruction] = [(_LOAD, 0, 0, 16 + 8 * argument)]
    for test in tests:
        inner += [test, _answer(errno.EACCES)]
    inner.append((_LOAD, 0, 0, _NUMBER_AT))
    return [(_EQUAL, 0, len(inner), number), *inner]


def _answer(number: int) -> _Instruction:
    return (_RETURN, 0, 0, _ERRNO | number)
