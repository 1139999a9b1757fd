"""Defines what the two ends of a control link over TCP say first: one JSON line each. Pure.

A connection is for the supervisor (JSON lines, as on its Unix socket) or for one data plane (gRPC).
The control plane says which; after the answer the bytes are those of the Unix socket.
"""

import re
from typing import Final, Literal

import msgspec

OLDEST: Final = 1
NEWEST: Final = 1
"""The versions of the link's protocol that this program speaks."""
MAX_LINE: Final = 4096
SUPERVISOR: Final = "supervisor.sock"
_DATA_PLANE: Final = re.compile(r"dp-(?:[0-9a-f]{1,16}-)?[0-9]{1,12}\.sock")

Reason = Literal["", "greeting", "version", "held", "name", "away", "busy"]


class GreetingError(Exception):
    """The other end said something else than a greeting."""


class Hello(msgspec.Struct, frozen=True):
    """The first line of a control plane.

    `to` is the file name of the Unix socket that the connection is for. `instance` tells the
    processes of control planes apart.
    """

    link: tuple[int, int]
    to: str
    instance: str
    version: str
    host: str
    pid: int

    def is_for_supervisor(self) -> bool:
        """Reports whether this connection is the link itself."""
        return self.to == SUPERVISOR

    def names_a_socket(self) -> bool:
        """Reports whether `to` is a name that a supervisor gives; it becomes part of a path."""
        return self.is_for_supervisor() or _DATA_PLANE.fullmatch(self.to) is not None


class Welcome(msgspec.Struct, frozen=True):
    """The answer; with an `error` the connection ends."""

    link: int = 0
    version: str = ""
    host: str = ""
    pid: int = 0
    reason: Reason = ""
    error: str = ""


def agreed(theirs: tuple[int, int], ours: tuple[int, int] = (OLDEST, NEWEST)) -> int | None:
    """Returns the newest version that both ends speak; None without one.

    >>> agreed((1, 2), (2, 3)), agreed((1, 1), (2, 3))
    (2, None)
    """
    newest = min(theirs[1], ours[1])
    return newest if newest >= max(theirs[0], ours[0]) else None


def disagreement(hello: Hello, version: str, ours: tuple[int, int] = (OLDEST, NEWEST)) -> str:
    """Returns why two versions cannot work together, and which one to upgrade."""
    older = "control plane" if hello.link[1] < ours[0] else "data plane"
    return (
        f"the control plane ({hello.version}) speaks version {_span(hello.link)} of the control "
        f"link, the data plane ({version}) version {_span(ours)}; upgrade the {older}"
    )


def line(message: Hello | Welcome) -> bytes:
    """Returns a message as it is sent."""
    return msgspec.json.encode(message) + b"\n"


def hello_of(raw: bytes) -> Hello:
    """Returns the greeting in a line; raises GreetingError."""
    try:
        hello = msgspec.json.decode(raw, type=Hello)
    except ValueError as error:
        raise GreetingError(f"the first line is no greeting of a control plane: {error}") from error
    if not hello.names_a_socket():
        raise GreetingError(
            f"{hello.to!r} is not the name of a supervisor's or data plane's socket"
        )
    return hello


def welcome_of(raw: bytes) -> Welcome:
    """Returns the answer in a line; raises GreetingError."""
    try:
        return msgspec.json.decode(raw, type=Welcome)
    except ValueError as error:
        raise GreetingError(f"no `headgate dataplane` answers there: {error}") from error


def _span(versions: tuple[int, int]) -> str:
    oldest, newest = versions
    return str(newest) if oldest == newest else f"{oldest} to {newest}"
