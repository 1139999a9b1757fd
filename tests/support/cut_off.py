"""A peer that ends a connection while its other end still sends.

Which call of ours is told of it, and with what error, is chance: a write gives ECONNRESET or EPIPE,
a half-close ENOTCONN, which Python has no exception for (tcp(7), shutdown(2)).
"""

import errno
import socket
from types import TracebackType
from typing import Self

from waiting import DEADLINE_S

_ERRORS = frozenset({errno.ECONNRESET, errno.EPIPE, errno.ENOTCONN})


class CutOff:
    """`with CutOff() as cut:` goes on after its block where a peer has ended the connection.

    Every other error leaves it. `happened` says which it was.
    """

    happened = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None
    ) -> bool:
        self.happened = isinstance(error, OSError) and error.errno in _ERRORS
        return self.happened


def heard(
    port: int, *data: bytes, source: str = "127.0.0.1", most: int = 0, is_half_closed: bool = False
) -> bytes:
    """What comes back on a connection that sends this, to its end or to so many bytes.

    A peer that cuts the connection off may do so at any moment from its start.
    """
    got = b""
    with CutOff(), socket.create_connection(("127.0.0.1", port), DEADLINE_S, (source, 0)) as one:
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for part in data:
            one.sendall(part)
        if is_half_closed:
            one.shutdown(socket.SHUT_WR)
        while (most == 0 or len(got) < most) and (part := one.recv(65536)):
            got += part
    return got
