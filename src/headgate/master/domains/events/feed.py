"""Hands the events of watched workspaces to those who watch: one reader for each workspace, a ring
of the newest ones, and no queue for each client, so that none slows another."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator
from typing import Final

import structlog

from headgate.master.domains.events import store
from headgate.master.store.database import Database
from headgate.master.store.errors import StoreUnavailableError
from headgate.master.store.scope import Scope

RING: Final = 2_000
_AT_ONCE = 500
_POLLED_S = 2.0
"""Other masters on the same database tell nothing here: their events are found by looking."""


class Feed:
    """The newest events of one workspace, encoded once for everybody."""

    def __init__(self, database: Database, scope: Scope) -> None:
        self._database = database
        self._scope = scope
        self._ring: deque[tuple[int, str]] = deque(maxlen=RING)
        self._told = asyncio.Event()
        self._turned = asyncio.Event()
        self.watchers = 0
        self.newest = 0

    async def begin(self) -> None:
        """Learns where the workspace is; raises StoreUnavailableError."""
        async with self._database.read(self._scope) as tx:
            self.newest = (await store.bounds(tx)).newest

    def tell(self) -> None:
        """Something was written: looks at once."""
        self._told.set()

    async def run(self) -> None:
        """Reads what is new, whenever it is told to and every two seconds."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_POLLED_S):
                    await self._told.wait()
            self._told.clear()
            try:
                await self._look()
            except StoreUnavailableError as error:
                structlog.get_logger().warning("events wait for the database", reason=str(error))
            except Exception:  # people watch; the next look may do better
                structlog.get_logger().exception("a look for events failed")

    async def _look(self) -> None:
        while True:
            async with self._database.read(self._scope) as tx:
                found = await store.after(tx, self.newest, _AT_ONCE)
            for event in found:
                self._ring.append((event.seq, event.model_dump_json()))
                self.newest = event.seq
            if found:
                self._turned.set()
                self._turned = asyncio.Event()
            if len(found) < _AT_ONCE:
                return

    def following(self, seq: int) -> list[tuple[int, str]] | None:
        """Returns events after a number; None if the ring does not reach back so far."""
        if seq >= self.newest:
            return []
        if not self._ring or self._ring[0][0] > seq + 1:
            return None
        start = seq + 1 - self._ring[0][0]
        return [self._ring[index] for index in range(start, min(start + _AT_ONCE, len(self._ring)))]

    async def more(self, seq: int) -> None:
        """Returns once there are events after that number."""
        while seq >= self.newest:
            await self._turned.wait()


class Feeds:
    """The feeds of all workspaces that somebody watches."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._feeds: dict[str, tuple[Feed, asyncio.Task[None]]] = {}

    @property
    def watchers(self) -> int:
        """The number of clients that watch events."""
        return sum(feed.watchers for feed, _ in self._feeds.values())

    def tell(self, workspace_id: str) -> None:
        """Something was written in a workspace."""
        if workspace_id in self._feeds:
            self._feeds[workspace_id][0].tell()

    @contextlib.asynccontextmanager
    async def watched(self, scope: Scope) -> AsyncIterator[Feed]:
        """Gives the feed of a workspace; it runs for as long as somebody watches."""
        key = scope.workspace_id
        if key not in self._feeds:
            feed = Feed(self._database, scope)
            await feed.begin()
            if key not in self._feeds:
                task = asyncio.create_task(feed.run(), name=f"events of {key}")
                self._feeds[key] = (feed, task)
        feed, task = self._feeds[key]
        feed.watchers += 1
        try:
            yield feed
        finally:
            feed.watchers -= 1
            if not feed.watchers:
                del self._feeds[key]
                task.cancel()
