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
    authority = master.authority
    await authority.authorities()
    door = WebSocketDoor(
        master.hub, lambda: [one.certificate for one in authority.current.listed], authority.now
    )
    await door(websocket)
