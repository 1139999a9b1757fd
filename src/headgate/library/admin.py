"""Asks a node by the Unix socket of its admin API (docs/reference/admin-api.md)."""

import http.client
import socket
from pathlib import Path
from typing import Final

_ASK_S: Final = 90.0


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("headgate", timeout=_ASK_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_ASK_S)
        self.sock.connect(str(self._path))


def asked(state: Path, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
    """Returns status and body of an answer. Raises `OSError` while no node answers."""
    connection = _Connection(state / "admin.sock")
    try:
        connection.request(method, path, body, {"content-type": "application/json"} if body else {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    except http.client.HTTPException as error:
        raise OSError(f"the node broke off: {error}") from error
    finally:
        connection.close()
