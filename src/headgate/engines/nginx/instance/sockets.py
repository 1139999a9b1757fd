"""Finds who listens on an address, from /proc; never by a trial bind, which would take it."""

import ipaddress
import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from headgate.engines.nginx.instance.openfiles import open_files
from headgate.engines.nginx.instance.procfs import Procfs

Ip = ipaddress.IPv4Address | ipaddress.IPv6Address

_LISTEN: Final = "0A"
_UNCONNECTED: Final = "07"
_UDP: Final = "udp:"
_MAX_PORT: Final = 65535


@dataclass(frozen=True, slots=True)
class Listening:
    """A socket that listens on TCP, or reads datagrams of anybody: where, by which uid, under which
    inode.
    """

    ip: Ip
    port: int
    uid: int
    inode: int


def parsed(address: str) -> tuple[Ip, int]:
    """Parses `127.0.0.1:80`, `[::1]:80`, `*:80` into ip and port;
    raises ValueError for anything else.
    """
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit() or int(port) > _MAX_PORT:
        raise ValueError(f"{address!r} is not an address with a port")
    host = "0.0.0.0" if host == "*" else host.removeprefix("[").removesuffix("]")  # noqa: S104
    return ipaddress.ip_address(host), int(port)


def listening(procfs: Procfs, pid: int | None, kind: str = "tcp") -> Iterator[Listening]:
    """Yields every listening TCP socket in the network namespace of a process (None: ours), or with
    `udp` each one that reads datagrams of anybody.
    """
    state = _LISTEN if kind == "tcp" else _UNCONNECTED
    for name in (kind, f"{kind}6"):
        try:
            lines = (procfs.path / str(pid or "self") / "net" / name).read_text().splitlines()
        except FileNotFoundError:
            continue  # a kernel without IPv6
        for line in lines[1:]:
            fields = line.split()
            if fields[3] == state:
                host, _, port = fields[1].partition(":")
                yield Listening(_ip(host), int(port, 16), int(fields[7]), int(fields[9]))


def in_the_way(wanted: tuple[Ip, int], socket: Listening) -> bool:
    """Reports whether a listening socket keeps nginx from binding this address.

    nginx opens IPv6 sockets with `ipv6only=on`, so an IPv4 one never conflicts with them. A foreign
    wildcard `[::]` usually takes IPv4 too (bindv6only = 0); /proc does not say.
    """
    ip, port = wanted
    if port != socket.port:
        return False
    if ip.version == socket.ip.version:
        return ip == socket.ip or ip.is_unspecified or socket.ip.is_unspecified
    return isinstance(ip, ipaddress.IPv4Address) and _as_ipv4(socket.ip) in {None, ip}


def owners(procfs: Procfs, inode: int) -> Iterator[int]:
    """Yields the processes with this socket open, of those whose files we may see."""
    wanted = f"socket:[{inode}]"
    for name in os.listdir(procfs.path):  # noqa: PTH208 - names, thousands of them
        if name.isdigit() and wanted in open_files(procfs, int(name)):
            yield int(name)


def holder(
    procfs: Procfs, address: str, master: int | None, is_own: Callable[[int], bool]
) -> str | None:
    """Returns who, other than the instance, listens where this address would; as `name (pid 1)`.
    An address of UDP begins with `udp:`.

    `is_own` says of a pid whether it belongs to the instance. Without the right to see a process's
    files we know only the socket's uid: while the master's are hidden, a socket of its uid counts
    as its own.
    """
    kind = "udp" if address.startswith(_UDP) else "tcp"
    wanted = parsed(address.removeprefix(_UDP))
    hidden = master is not None and not _may_see_files(procfs, master)
    own = procfs.rights(master) if master is not None and hidden else None
    for socket in listening(procfs, master, kind):
        if not in_the_way(wanted, socket):
            continue
        pids = list(owners(procfs, socket.inode))
        if any(is_own(pid) for pid in pids):
            continue
        if pids:
            return f"{_name(procfs, pids[0])} (pid {pids[0]})"
        if own is None or socket.uid != own.uid:
            return f"a process of uid {socket.uid} that headgate cannot examine"
    return None


def _may_see_files(procfs: Procfs, pid: int) -> bool:
    folder = procfs.path / str(pid) / "fd"
    try:
        # Who bypasses permissions may list them and still not know where they lead.
        for name in os.listdir(folder)[:1]:  # noqa: PTH208
            (folder / name).readlink()
    except OSError:
        return False
    return True


def _name(procfs: Procfs, pid: int) -> str:
    try:
        return (procfs.path / str(pid) / "comm").read_text().strip()
    except OSError:
        return "a process"


def _ip(text: str) -> Ip:
    """Parses 32-bit words in the machine's byte order, as hexadecimal (proc(5))."""
    words = bytes.fromhex(text)
    raw = b"".join(
        struct.pack("=I", int.from_bytes(words[at : at + 4])) for at in range(0, len(words), 4)
    )
    return ipaddress.ip_address(raw)


def _as_ipv4(ip: Ip) -> Ip | None:
    """Returns the IPv4 address that an IPv6 socket also takes, None for the wildcard; else `ip`."""
    if isinstance(ip, ipaddress.IPv4Address) or ip.ipv4_mapped is None:
        return None if ip.is_unspecified else ip
    return None if ip.ipv4_mapped.is_unspecified else ip.ipv4_mapped
