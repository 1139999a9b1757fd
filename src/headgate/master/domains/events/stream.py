"""The WebSocket of events: resumed by number, with a marker where events are gone."""

import asyncio
import contextlib
import json
from collections.abc import Iterator
from typing import Final

from starlette.websockets import WebSocket, WebSocketDisconnect

from headgate.master.access import Permission
from headgate.master.api.call import Call
from headgate.master.api.fairness import NoPlaceError
from headgate.master.api.gate import opened, still_may
from headgate.master.api.problems import ProblemError, answer, invalid, unavailable
from headgate.master.domains.events import store
from headgate.master.domains.events.feed import Feed
from headgate.master.services import Master
from headgate.master.store.errors import StoreUnavailableError
from headgate.master.store.scope import Scope

PERMISSION: Final = Permission.EVENTS_READ
_AT_ONCE = 500
_SLOWEST_S = 30.0
"""The time that a client may take for one message."""
_CHECKED_S = 60.0
"""The interval at which a client proves again that it may watch: tokens expire and are revoked."""
_UNAUTHORISED = 4401
_SLOW = 4408
_AWAY = 1013


async def events(websocket: WebSocket) -> None:
    """Sends the events of a workspace (`?workspace=NAME`) after a number (`&after=SEQ`).

    Without `after` it begins with the next event. A message is an event, or `{"type": "gap",
    "from": …, "to": …}` for events that are gone.
    """
    with contextlib.ExitStack() as place:
        try:
            call = await opened(websocket, PERMISSION)
            seq = _after(websocket)
            place.enter_context(_place(call))
            await websocket.accept()
        except ProblemError as error:
            await websocket.send_denial_response(answer(error))
            return
        except StoreUnavailableError:
            await websocket.send_denial_response(unavailable())
            return
        with contextlib.suppress(WebSocketDisconnect):
            await _served(websocket, call.master, call.scope, seq)


@contextlib.contextmanager
def _place(call: Call) -> Iterator[None]:
    """Keeps a place among those who watch for the block; raises ProblemError if none is free."""
    with contextlib.ExitStack() as place:
        try:
            place.enter_context(call.master.sockets.watchers.taken(call.caller.id))
        except NoPlaceError as error:
            raise _full(is_own_fault=error.is_own_fault) from None
        yield


def _full(*, is_own_fault: bool) -> ProblemError:
    headers = {"retry-after": "10"}
    if is_own_fault:
        text = "you watch events with as many WebSockets as one caller may have; close others"
        return ProblemError(429, "throttled", text, headers=headers)
    text = "too many watch the events of this master; wait, or list the events instead"
    return ProblemError(503, "no-place", text, headers=headers)


def _after(websocket: WebSocket) -> int | None:
    text = websocket.query_params.get("after")
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 18:  # noqa: PLR2004 - 64 bits
        raise invalid("after", "this is not the number of an event", "write `seq` of the last one")
    return int(text)


async def _served(websocket: WebSocket, master: Master, scope: Scope, seq: int | None) -> None:
    """Sends events until the client leaves, is too slow, or may not watch any more."""
    tasks = [
        asyncio.create_task(_until_gone(websocket)),
        asyncio.create_task(_proven(websocket, scope)),
    ]
    try:
        async with master.feeds.watched(scope) as feed:
            tasks.append(asyncio.create_task(_send_all(websocket, master, feed, scope, seq)))
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            code = next(iter(done)).result()
    except TimeoutError:
        code = _SLOW
    except StoreUnavailableError:
        code = _AWAY
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    if code:
        with contextlib.suppress(RuntimeError):
            await websocket.close(code)


async def _until_gone(websocket: WebSocket) -> int:
    """Reads, and ignores, what the client says until it leaves."""
    while (await websocket.receive())["type"] != "websocket.disconnect":
        pass
    return 0


async def _proven(websocket: WebSocket, scope: Scope) -> int:
    while True:
        await asyncio.sleep(_CHECKED_S)
        # Another workspace may have the name by now; a role there proves nothing.
        if not await still_may(websocket, PERMISSION, scope):
            return _UNAUTHORISED


async def _send_all(
    websocket: WebSocket, master: Master, feed: Feed, scope: Scope, after: int | None
) -> int:
    seq = feed.newest if after is None else after
    while True:
        found = feed.following(seq)
        if found is None or seq > feed.newest:
            seq, found = await _from_database(websocket, master, scope, seq)
        for number, text in found:
            async with asyncio.timeout(_SLOWEST_S):
                await websocket.send_text(text)
            seq = number
        if not found:
            await feed.more(seq)


async def _from_database(
    websocket: WebSocket, master: Master, scope: Scope, seq: int
) -> tuple[int, list[tuple[int, str]]]:
    """Returns events that the ring does not have; says which ones are gone for good."""
    async with master.database.read(scope) as tx:
        found = await store.bounds(tx)
        rows = await store.after(tx, seq, _AT_ONCE)
    if seq > found.newest:  # of a database that was restored: begin at its end
        await _gap(websocket, found.newest + 1, seq)
        return found.newest, []
    if rows and rows[0].seq > seq + 1:
        await _gap(websocket, seq + 1, rows[0].seq - 1)
    return seq, [(row.seq, row.model_dump_json()) for row in rows]


async def _gap(websocket: WebSocket, first: int, last: int) -> None:
    async with asyncio.timeout(_SLOWEST_S):
        await websocket.send_text(json.dumps({"type": "gap", "from": first, "to": last}))
