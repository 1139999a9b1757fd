"""Agents' frames over WebSocket, for where gRPC cannot pass. Agents prove themselves in `Hello`."""

from typing import Final

from starlette.websockets import WebSocket

from headgate.master.access import Permission
from headgate.master.fleet.websocket import WebSocketDoor
from headgate.master.services import Master

PERMISSION: Final = Permission.PUBLIC


async def session(websocket: WebSocket) -> None:
    """Serves one agent until either side leaves."""
    master: Master = websocket.app.state.master
    await master.authority.authorities()
    await WebSocketDoor(
        master.hub, lambda: [one.certificate for one in master.authority.current.listed]
    )(websocket)
