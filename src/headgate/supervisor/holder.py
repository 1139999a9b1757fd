"""Finds who holds a busy port, from /proc/net/{tcp,udp}, their IPv6 forms, and /proc/PID/fd."""

from __future__ import annotations

import os
import pwd
import socket
import sys

_LISTEN = "0A"
_UNCONNECTED = "07"  # of UDP: bound, and open to everybody
_MAX_PROCESSES = 32_768


class Place:
    """The address and port where a socket listens; `host` is an address in its usual text form."""

    __slots__ = ("family6", "host", "is_udp", "port")

    def __init__(self, family6: bool, host: str, port: int, *, is_udp: bool = False) -> None:
        self.family6 = family6
        self.host = host
        self.port = port
        self.is_udp = is_udp


def listening_inodes(place: Place, proc: str = "/proc") -> set[int]:
    """Returns inodes of the listening sockets that keep us from a place.

    A wildcard meets every address of its family, and `::` without IPV6_V6ONLY meets IPv4 as well.
    Empty when there are none or /proc is not readable.
    """
    return {inode for inode, _ in _holding(place, proc)}


def owner(place: Place, proc: str = "/proc") -> str:
    """Returns `a process of root`: what every user may know of the listener; empty without one."""
    for _, uid in _holding(place, proc):
        try:
            return f"a process of {pwd.getpwuid(uid).pw_name}"
        except KeyError:
            return f"a process of user {uid}"
    return ""


def _holding(place: Place, proc: str) -> list[tuple[int, int]]:
    """Returns (inode, user) of the sockets that are in the way."""
    kind, state = ("udp", _UNCONNECTED) if place.is_udp else ("tcp", _LISTEN)
    return [
        (inode, uid)
        for is_v6 in (True, False)
        for address, inode, uid in _listeners(
            f"{proc}/net/{kind}{'6' if is_v6 else ''}", place.port, state
        )
        if _meets(place.family6, place.host, is_v6, address)
    ]


def _listeners(path: str, port: int, state: str) -> list[tuple[str, int, int]]:
    """Returns (address in the kernel's hex, inode, user) of every socket
    that listens on the port.
    """
    rows: list[tuple[str, int, int]] = []
    try:
        with open(path) as file:
            next(file, None)
            for line in file:
                columns = line.split()
                address, _, hex_port = columns[1].partition(":")
                if columns[3] == state and int(hex_port, 16) == port:
                    rows.append((address, int(columns[9]), int(columns[7])))
    except (OSError, IndexError, ValueError):
        pass  # an unreadable row names nobody
    return rows


def _meets(wanted6: bool, host: str, held6: bool, held: str) -> bool:
    wildcard = not held.strip("0")
    if wanted6 != held6:
        return held6 and wildcard  # an IPv6 wildcard may take IPv4 too
    return wildcard or host in {"0.0.0.0", "::"} or held == kernel_hex(wanted6, host)  # noqa: S104


def kernel_hex(family6: bool, host: str) -> str:
    """Returns an address as /proc/net/tcp writes it: 32-bit words in the machine's byte order.

    >>> kernel_hex(False, "127.0.0.1")
    '0100007F'
    """
    packed = socket.inet_pton(socket.AF_INET6 if family6 else socket.AF_INET, host)
    words = [packed[i : i + 4] for i in range(0, len(packed), 4)]
    if sys.byteorder == "little":
        words = [word[::-1] for word in words]
    return b"".join(words).hex().upper()


def process_of(inodes: set[int], proc: str = "/proc") -> str:
    """Returns `nginx (pid 123)`: a process that has one of the sockets open.

    The empty text when none is found: another user's processes are only visible to root.
    """
    targets = {f"socket:[{inode}]" for inode in inodes}
    pids = sorted(int(name) for name in os.listdir(proc) if name.isdigit())[:_MAX_PROCESSES]
    for pid in pids:
        folder = f"{proc}/{pid}/fd"
        try:
            held = any(os.readlink(f"{folder}/{fd}") in targets for fd in os.listdir(folder))
        except OSError:
            continue
        if held:
            return f"{_name(pid, proc)} (pid {pid})"
    return ""


def _name(pid: int, proc: str) -> str:
    try:
        with open(f"{proc}/{pid}/comm") as file:
            return file.read().strip()
    except OSError:
        return "process"
