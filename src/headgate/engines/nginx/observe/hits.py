"""Defines a request of an access log as far as metrics count it,
and parses our JSON lines. Pure.
"""

from typing import Final, Protocol

import msgspec

UNTIMED: Final = -1.0
"""The duration of a request whose log does not have it."""


class Hit(msgspec.Struct, gc=False):
    """One request in nginx's words; the keys are those of `fields.VARIABLES`.

    `endpoint` and the times and statuses of upstreams are lists as nginx writes them: `, ` between
    tries of one upstream, ` : ` where an internal redirect led to another; `-` for none. `site` is
    the virtual host if the routes are not ours. `tcp` is why a TCP connection ended, `udp` why
    a flow of UDP did; empty for requests. Not frozen, as that costs time on every line.
    """

    route: str = ""
    upstream: str = ""
    endpoint: str = ""
    method: str = ""
    status: str = ""
    bytes_in: int = 0
    bytes_out: int = 0
    connect_s: str = ""
    first_byte_s: str = ""
    upstream_s: str = ""
    upstream_status: str = ""
    total_s: float = UNTIMED
    site: str = ""
    tcp: str = ""
    udp: str = ""


class Parser(Protocol):
    """Reads the lines of one log."""

    def hits(self, block: bytes) -> tuple[list[Hit], int]:
        """Returns the requests of a block of whole lines, and how many lines held none."""
        ...


_DECODER: Final = msgspec.json.Decoder(Hit, strict=False)


class JsonLines:
    """Parses our own lines; about 1 µs each."""

    def hits(self, block: bytes) -> tuple[list[Hit], int]:
        """Returns the requests of a block of whole lines, and how many lines held none.

        It replaces bytes that are not UTF-8 by U+FFFD, since nginx passes on what clients send.
        """
        try:
            return _DECODER.decode_lines(block), 0
        except ValueError:
            return _one_by_one(block)


def _one_by_one(block: bytes) -> tuple[list[Hit], int]:
    found: list[Hit] = []
    bad = 0
    for line in block.splitlines():
        try:
            found.append(_DECODER.decode(line.decode(errors="replace")))
        except ValueError:
            bad += bool(line.strip())
    return found, bad
