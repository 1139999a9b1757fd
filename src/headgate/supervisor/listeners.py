"""Opens the listening sockets, keeps a duplicate of each, and lends them out.

A duplicate stays here so that the accept queues outlive a data plane that crashes.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from array import array

from headgate.supervisor import holder
from headgate.supervisor.events import OpenError

_MAX_PORT = 65_535
_ATTACH_FILTER = 26  # SO_ATTACH_FILTER, socket(7)
# load the flags of TCP; keep SYN and ACK of them; SYN alone: keep nothing; else keep all.
_STEPS = (
    (0x30, 0, 0, 13),
    (0x54, 0, 0, 0x12),
    (0x15, 0, 1, 0x02),
    (0x06, 0, 0, 0),
    (0x06, 0, 0, 0xFFFFFFFF),
)
_DROP_SYN = array("B", b"".join(struct.pack("HBBI", *step) for step in _STEPS))


_OF_UDP = "/udp"
_BUFFER = 4 << 20
"""Bytes of datagrams that may wait; the kernel allows up to net.core.rmem_max."""


def is_udp(address: str) -> bool:
    """Reports whether an address is one of UDP: `1.2.3.4:53/udp`.

    >>> is_udp("[::1]:53/udp"), is_udp("[::1]:53")
    (True, False)
    """
    return address.endswith(_OF_UDP)


def split_address(address: str) -> tuple[bool, str, int]:
    """Returns (is IPv6, host, port) of `1.2.3.4:80`, `[::1]:80` or one of UDP; ValueError for
    anything else.

    >>> split_address("[::1]:80")
    (True, '::1', 80)
    """
    host, separator, port = address.removesuffix(_OF_UDP).rpartition(":")
    is_v6 = host.startswith("[") and host.endswith("]")
    if not separator or not port.isascii() or not port.isdigit() or int(port) > _MAX_PORT:
        raise ValueError(f"{address!r} is not an address and port")
    host = host[1:-1] if is_v6 else host
    try:
        socket.inet_pton(socket.AF_INET6 if is_v6 else socket.AF_INET, host)
    except OSError as error:
        raise ValueError(f"{address!r} is not an address and port") from error
    return is_v6, host, int(port)


class Listeners:
    """Every open address, with one socket per worker."""

    def __init__(self, per_address: int) -> None:
        self._per_address = per_address
        self._sockets: dict[str, list[socket.socket]] = {}
        self._backlogs: dict[str, int] = {}

    def addresses(self) -> list[str]:
        """Returns the open addresses, in the order in which they were opened."""
        return list(self._sockets)

    def descriptors(self, address: str) -> list[int]:
        """Returns the descriptors of an address, by worker index; empty if it is not open."""
        return [one.fileno() for one in self._sockets.get(address, [])]

    def open(self, addresses: tuple[str, ...], backlog: int) -> tuple[OpenError, ...]:
        """Opens every address, or none; returns the errors of all that failed, empty
        when all are open.
        """
        opened: dict[str, list[socket.socket]] = {}
        errors: list[OpenError] = []
        for address in addresses:
            try:
                opened[address] = self._open_one(address, backlog)
            except OSError as error:
                errors.append(self._explain(address, error))
            except ValueError as error:
                errors.append(OpenError(address, str(error)))
        if errors:
            for sockets in opened.values():
                _close_all(sockets)
            return tuple(errors)
        self._sockets.update(opened)
        self._backlogs.update(dict.fromkeys(opened, backlog))
        return ()

    def widen(self, count: int) -> tuple[OpenError, ...]:
        """Opens at least `count` sockets for each address, now and later; returns what failed.

        An address that failed keeps the sockets it has. It keeps surplus sockets too: a closed one
        would lose what waits in its queue.
        """
        self._per_address = count
        errors: list[OpenError] = []
        for address, sockets in self._sockets.items():
            try:
                while len(sockets) < count:
                    one = _bind(address, reuse_port=True)
                    sockets.append(one)
                    _listen(one, address, self._backlogs[address])
            except OSError as error:
                errors.append(self._explain(address, error))
        return tuple(errors)

    def refuse_new(self, address: str) -> None:
        """Makes the kernel drop every further SYN to an address, as the data plane does itself.

        Linux 6.18 and later require CAP_NET_ADMIN for it, which the data plane does not have.
        Without it the kernel resets a connection that comes while the address closes. UDP has none.
        """
        if is_udp(address):
            return
        program = struct.pack("HL", len(_DROP_SYN) // 8, _DROP_SYN.buffer_info()[0])
        for one in self._sockets.get(address, []):
            try:
                one.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, program)
            except OSError:
                return  # nobody who could prevent a loss would read the error

    def close(self, address: str) -> None:
        """Closes our copies of an address; nothing if it is not open."""
        _close_all(self._sockets.pop(address, []))

    def _open_one(self, address: str, backlog: int) -> list[socket.socket]:
        # With SO_REUSEPORT a port that another process of this user already serves would silently
        # be shared; a bind without it finds out. Our own overlapping listener must not stop us: a
        # change from 127.0.0.1:80 to 0.0.0.0:80 opens the new one before the old one goes.
        try:
            _bind(address, reuse_port=False).close()
        except OSError as error:
            if error.errno != errno.EADDRINUSE or not self._held_by_us(address):
                raise
        sockets: list[socket.socket] = []
        try:
            for _ in range(self._per_address):
                sockets.append(_bind(address, reuse_port=True))
            for one in sockets:
                _listen(one, address, backlog)
        except OSError:
            _close_all(sockets)
            raise
        return sockets

    def _held_by_us(self, address: str) -> bool:
        held = holder.listening_inodes(_socket_of(address))
        fds = [one.fileno() for sockets in self._sockets.values() for one in sockets]
        return bool(held) and held <= {os.fstat(fd).st_ino for fd in fds}

    def _explain(self, address: str, error: OSError) -> OpenError:
        if error.errno == errno.EADDRINUSE:
            place = _socket_of(address)
            # A process of another user, or with more rights than we have, shows only its owner.
            who = holder.process_of(holder.listening_inodes(place)) or holder.owner(place)
            return OpenError(address, "address already in use", who)
        if error.errno == errno.EACCES:
            reason = "permission denied: a port below 1024 needs root or CAP_NET_BIND_SERVICE"
            return OpenError(address, reason)
        if error.errno == errno.EADDRNOTAVAIL:
            return OpenError(address, "this machine does not have the address")
        return OpenError(address, (error.strerror or str(error)).lower())


def _socket_of(address: str) -> holder.Place:
    return holder.Place(*split_address(address), is_udp=is_udp(address))


def _listen(one: socket.socket, address: str, backlog: int) -> None:
    if not is_udp(address):
        one.listen(backlog)


def _bind(address: str, *, reuse_port: bool) -> socket.socket:
    is_v6, host, port = split_address(address)
    family = socket.AF_INET6 if is_v6 else socket.AF_INET
    kind = socket.SOCK_DGRAM if is_udp(address) else socket.SOCK_STREAM
    one = socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        if is_udp(address):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        else:
            # With UDP it would let two processes have one port.
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if is_v6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if reuse_port:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        one.bind((host, port))
    except OSError:
        one.close()
        raise
    return one


def _close_all(sockets: list[socket.socket]) -> None:
    for one in sockets:
        one.close()
