"""Reads and sets the table of a running nginx, over its status socket."""

import http.client
import socket
from typing import Final

from headgate.engines.nginx.endpoints.table import BadTableError, Table, decode, encode

_PATH: Final = "/endpoints"
_TIMEOUT_S: Final = 2.0
_MOST_BYTES: Final = 64 * 1024 * 1024


class NotPushedError(Exception):
    """nginx did not take a table, or does not return it; says why."""


def read(path: str) -> dict[str, tuple[str, ...]]:
    """Returns the table that nginx's workers use. Raises NotPushedError."""
    try:
        return decode(_asked(path, "GET", b"", ""))
    except BadTableError as error:
        raise NotPushedError(
            f"nginx's answer about its endpoints is not a table: {error}"
        ) from error


def write(path: str, table: Table, key: str) -> None:
    """Sets the endpoints of each of these upstreams, one after the other. Raises NotPushedError."""
    for name, lines in table.items():
        _asked(path, "PUT", encode({name: lines}), key)


def _asked(path: str, method: str, body: bytes, key: str) -> bytes:
    connection = _Unix(path)
    headers = {"Host": "headgate", "Connection": "close", "HG-Key": key}
    try:
        connection.request(method, _PATH, body or None, headers)
        answer = connection.getresponse()
        text = answer.read(_MOST_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise NotPushedError(f"nginx does not answer for its endpoints: {error!r}") from error
    finally:
        connection.close()
    if answer.status != http.client.OK:
        said = text[:200].decode(errors="replace").strip()
        raise NotPushedError(f"nginx did not take the endpoints: {answer.status} {said}")
    return text


class _Unix(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
