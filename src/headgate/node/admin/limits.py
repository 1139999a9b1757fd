"""Limits what one client may take of the admin API:
time for a head, a place among the connections.
"""

import asyncio
import resource
from typing import Any, Final, cast

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

HEAD_S: Final = 5.0
"""From the connection, or the answer before, until a whole head is there."""

STALL_S: Final = 10.0
"""The time that a client may leave unread what does not fit the socket's buffer."""

_MOST: Final = 64
_SHARE: Final = 4


def most_connections() -> int:
    """Returns how many connections all addresses may have at once,
    and the Unix socket as many more.

    So neither takes the other's descriptors, and half of all remains for files and engines.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST if soft == resource.RLIM_INFINITY else max(2, min(_MOST, soft // _SHARE))


class Places:
    """The connections of one door; above the most, the one that waits longest gives way.

    A client that asks at once is served even while another holds every place without asking.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: dict[LimitedProtocol, bool] = {}
        """True for each that is asking: its head has come and its answer is not yet complete."""

    def __len__(self) -> int:
        """Returns how many connections there are."""
        return len(self._open)

    def take(self, one: "LimitedProtocol") -> bool:
        """Takes a place; False when every other connection is waiting for its answer."""
        if len(self._open) >= self._most:
            waiting = next((other for other, asks in self._open.items() if not asks), None)
            if waiting is None:
                return False
            self.leave(waiting)
            waiting.abort()
        self._open[one] = False
        return True

    def asks(self, one: "LimitedProtocol", *, asks: bool) -> None:
        """Notes that a request begins or has ended;
        the connection becomes the last in the order of waiting.
        """
        if one in self._open and self._open[one] is not asks:
            del self._open[one]
            self._open[one] = asks

    def leave(self, one: "LimitedProtocol") -> None:
        """Gives a place back; does nothing without one."""
        self._open.pop(one, None)


class LimitedConfig(uvicorn.Config):
    """uvicorn's settings, with the places of this server's connections."""

    places: Places


class LimitedProtocol(H11Protocol):
    """uvicorn's protocol with a limit on every wait for the client."""

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._places = cast(LimitedConfig, config).places
        self._deadline: asyncio.TimerHandle | None = None
        self._stall: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Waits for a head, if there is a place."""
        super().connection_made(transport)
        if self._places.take(self):
            self._await_head()
        else:
            transport.abort()

    def data_received(self, data: bytes) -> None:
        """Takes bytes; only a whole head ends the wait for one."""
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        """Waits for the next head, unless it is there."""
        self._places.asks(self, asks=False)
        self._await_head()
        super().on_response_complete()
        self._look()

    def pause_writing(self) -> None:
        """Gives the client a time to read on."""
        super().pause_writing()
        self._stall = _renewed(self._stall, self.loop.call_later(STALL_S, self.abort))

    def resume_writing(self) -> None:
        """Ends that time."""
        super().resume_writing()
        self._stall = _renewed(self._stall, None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Gives back everything it took."""
        self._places.leave(self)
        self._deadline = _renewed(self._deadline, None)
        self._stall = _renewed(self._stall, None)
        super().connection_lost(exc)

    def abort(self) -> None:
        """Ends the connection without waiting for the client."""
        self.transport.abort()

    def _await_head(self) -> None:
        self._deadline = _renewed(self._deadline, self.loop.call_later(HEAD_S, self.abort))

    def _look(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            self._places.asks(self, asks=True)
            self._deadline = _renewed(self._deadline, None)


def _renewed(
    before: asyncio.TimerHandle | None, after: asyncio.TimerHandle | None
) -> asyncio.TimerHandle | None:
    if before is not None:
        before.cancel()
    return after
