"""Ports for what tests start: whoever asks for one has it for the life of the process.

A port that was bound, closed and named in a config is the next connection's as soon as the kernel
gives it out again. Ports from here lie outside the range it gives out
(`net.ipv4.ip_local_port_range`), and nobody else who asks here gets the same one: a process claims
whole blocks of them, and holds a claim until it ends.
"""

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

BLOCK = 128
_FIRST, _LAST = 10_000, 65_535
_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")


def blocks(ephemeral: tuple[int, int]) -> list[range]:
    """All whole blocks from 10000 on that share no port with the ephemeral range (both ends are in
    it). Where it leaves none, every block: the trial bind is all there is then."""
    low, high = ephemeral
    every = [range(first, first + BLOCK) for first in range(_FIRST, _LAST - BLOCK + 2, BLOCK)]
    return [one for one in every if one[-1] < low or one[0] > high] or every


class Ports:
    """Gives out every port once."""

    def __init__(self, choice: list[range]) -> None:
        """`choice`: the blocks to claim from, in this order."""
        self._choice = iter(choice)
        self._left: Iterator[int] = iter(())
        self._claims: list[socket.socket] = []
        self._lock = threading.Lock()

    def take(self) -> int:
        """A port that nobody has, on no address. Raises RuntimeError when all are given out."""
        with self._lock:
            while True:
                port = next(self._left, None)
                if port is None:
                    self._left = iter(self._claimed())
                elif _is_free(port):
                    return port

    def _claimed(self) -> range:
        """The next block that no other process has claimed."""
        for block in self._choice:
            # An abstract name: it ends with the process that bound it, whichever way that ends,
            # and holds, as ports do, in one network namespace.
            claim = socket.socket(socket.AF_UNIX)
            try:
                claim.bind(f"\0headgate-test-ports-{block[0]}")
            except OSError:
                claim.close()
                continue
            self._claims.append(claim)
            return block
        raise RuntimeError("no ports are left")


def _is_free(port: int) -> bool:
    with contextlib.ExitStack() as probes:
        for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
            if family == socket.AF_INET6 and not socket.has_dualstack_ipv6():
                continue
            probe = probes.enter_context(socket.socket(family))
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            try:
                probe.bind((address, port))
            except OSError:
                return False
    return True


def _ephemeral() -> tuple[int, int]:
    low, high = _EPHEMERAL.read_text().split()
    return int(low), int(high)


_ports = Ports(blocks(_ephemeral()))


def free_port() -> int:
    """A port for a listener that comes later; no other caller gets it, in no process."""
    return _ports.take()


def free_ports(count: int) -> list[int]:
    """So many of them."""
    return [_ports.take() for _ in range(count)]


def free_address() -> str:
    """The same, as an IPv4 loopback address."""
    return f"127.0.0.1:{_ports.take()}"


@contextlib.contextmanager
def dead_port() -> Iterator[int]:
    """A port on 127.0.0.1 that refuses connections for as long as the block lasts."""
    with socket.socket() as bound:  # it does not listen
        bound.bind(("127.0.0.1", _ports.take()))
        yield int(bound.getsockname()[1])


@contextlib.contextmanager
def deaf_port() -> Iterator[int]:
    """A port on 127.0.0.1 that nobody can connect to: with its queue full, the kernel drops further
    handshakes."""
    with contextlib.ExitStack() as stack:
        deaf = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(2):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(deaf.getsockname())
        yield int(deaf.getsockname()[1])
