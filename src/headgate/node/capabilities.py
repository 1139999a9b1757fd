"""Limits what this process and its successors may do: capabilities(7) and prctl(2) through libc."""

import ctypes
import os
import pwd
import socket
import struct
from array import array
from collections.abc import Iterable
from pathlib import Path
from typing import Final

NET_BIND_SERVICE: Final = 10
"""Opens ports below 1024."""
READERS: Final = (2, 1)
"""Read keys that only root may: CAP_DAC_READ_SEARCH; CAP_DAC_OVERRIDE in many containers."""

NET_ADMIN: Final = 12
"""Closes a listener without loss: Linux 6.18 and later require it for a filter on a TCP socket."""

_ATTACH_FILTER: Final = 26
_VERSION: Final = 0x20080522
_KEEP_THROUGH_SETUID, _NO_NEW_PRIVS, _DROP_FROM_BOUNDS, _AMBIENT = 8, 38, 24, 47
_RAISE = 2
_DUMPABLE = 4
_LAST: Final = Path("/proc/sys/kernel/cap_last_cap")

_libc = ctypes.CDLL(None, use_errno=True)


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    """Bits 0 to 31 in the first of two, 32 to 63 in the second."""

    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


def no_new_rights() -> None:
    """Sets no_new_privs: no executed program has more rights than this process; raises OSError."""
    _prctl(_NO_NEW_PRIVS, 1)


def keep(entry: pwd.struct_passwd | None = None) -> None:
    """Keeps what opens and closes ports and reads files, for good; as `entry` if given.

    Raises OSError; a process that has become `entry` never keeps more than that.
    """
    held = _held()
    wanted = {NET_BIND_SERVICE, next((bit for bit in READERS if bit in held), READERS[0])} & held
    if NET_ADMIN in held and _filters_want_a_right():
        wanted.add(NET_ADMIN)
    refused = _narrow_bounds(wanted)
    if entry is not None:
        _prctl(_KEEP_THROUGH_SETUID, 1)
        os.setgroups(os.getgrouplist(entry.pw_name, entry.pw_gid))
        os.setresgid(entry.pw_gid, entry.pw_gid, entry.pw_gid)
        os.setresuid(entry.pw_uid, entry.pw_uid, entry.pw_uid)
    _write(wanted, wanted)
    if entry is not None:
        for bit in wanted:  # a process that is not root loses the others when it executes a program
            _prctl(_AMBIENT, _RAISE, bit)
    if refused is not None:
        raise refused


def keep_only(bits: Iterable[int]) -> None:
    """Keeps these of the capabilities that this process has, for good; raises OSError if its
    programs may have others."""
    wanted = set(bits) & _held()
    refused = _narrow_bounds(wanted)
    _write(wanted, wanted)
    if refused is not None:
        raise refused


def settle() -> None:
    """Does what executing a program does after a change of the user: /proc shows the process to
    that user again. See PR_SET_DUMPABLE in prctl(2)."""
    _prctl(_DUMPABLE, 1)


def give_up(bit: int) -> None:
    """Takes a capability from this process for good; raises OSError."""
    held = _held() - {bit}
    _write(held, held)


def _filters_want_a_right() -> bool:
    held = _held()
    _write(held, set())
    try:
        with socket.socket() as one:
            # BPF_RET | BPF_K: all of every segment is kept.
            code = array("B", struct.pack("HBBI", 6, 0, 0, 0xFFFFFFFF))
            program = struct.pack("HL", 1, code.buffer_info()[0])
            one.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, program)
    except PermissionError:
        return True
    except OSError:
        return False
    finally:
        _write(held, held)
    return False


def _held() -> set[int]:
    sets = _read()
    return {bit for bit in range(64) if sets[bit // 32].permitted >> bit % 32 & 1}


def _write(permitted: set[int], effective: set[int]) -> None:
    """Makes the permitted set inheritable."""
    sets = (_Sets * 2)()
    for half in (0, 1):
        bits = sum(1 << bit % 32 for bit in permitted if bit // 32 == half)
        sets[half].permitted = sets[half].inheritable = bits
        sets[half].effective = sum(1 << bit % 32 for bit in effective if bit // 32 == half)
    _call(_libc.capset, ctypes.byref(_Header(_VERSION, 0)), ctypes.byref(sets))


def _read() -> "ctypes.Array[_Sets]":
    sets = (_Sets * 2)()
    _call(_libc.capget, ctypes.byref(_Header(_VERSION, 0)), ctypes.byref(sets))
    return sets


def _narrow_bounds(wanted: set[int]) -> OSError | None:
    """Limits what root's programs may have; returns why it could not, if we are root."""
    try:
        for bit in range(int(_LAST.read_text()) + 1):
            if bit not in wanted:
                _prctl(_DROP_FROM_BOUNDS, bit)
    except OSError as error:
        return error if os.geteuid() == 0 else None
    return None


def _prctl(option: int, *arguments: int) -> None:
    padded = (*arguments, 0, 0, 0, 0)[:4]
    _call(_libc.prctl, option, *(ctypes.c_ulong(one) for one in padded))


def _call(function: "ctypes._NamedFuncPointer", *arguments: object) -> None:
    if function(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
