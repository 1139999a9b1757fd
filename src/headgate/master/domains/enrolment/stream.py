"""Agents' frames over WebSocket, for where gRPC cannot pass. Agents prove themselves in `Hello`."""

import contextlib
from typing import Final

from starlette.websockets import WebSocket

from headgate.master.access import Permission
from headgate.master.api.fairness import NoPlaceError
from headgate.master.api.problems import ProblemError, answer
from headgate.master.fleet.websocket import WebSocketDoor
from headgate.master.services import Master

PERMISSION: Final = Permission.PUBLIC


async def session(websocket: WebSocket) -> None:
    """Serves one agent until either side leaves; answers 503 to one for whom there is no place."""
    master: Master = websocket.app.state.master
    with contextlib.ExitStack() as place, contextlib.ExitStack() as unproven:
        try:
            place.enter_context(master.sockets.agents.taken(""))
            unproven.enter_context(master.sockets.strangers.taken(""))
        except NoPlaceError:
            await websocket.send_denial_response(answer(_full()))
            return
        authority = master.authority
        await authority.authorities()
        door = WebSocketDoor(
            master.hub, lambda: [one.certificate for one in authority.current.listed], authority.now
        )
        await door(websocket, unproven.close)


def _full() -> ProblemError:
    return ProblemError(
        503,
        "no-place",
        "this master has no place for another WebSocket of an agent; use gRPC, or come again",
        headers={"retry-after": "10"},
    )
