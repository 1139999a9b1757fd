"""Talks to a running node: to its admin API by Unix socket, to its supervisor when needed."""

import http.client
import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from headgate.cli.told import ToldError

_ASK_S = 90.0
_CONNECT_S = 5.0


class NoNodeError(ToldError):
    """No node answers there; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of the admin API."""

    status: int
    body: bytes


class AwayError(NoNodeError):
    """The supervisor runs and the control process does not come up; the message says so."""


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("headgate", timeout=_ASK_S)
        self._path = path

    def connect(self) -> None:
        self.sock = _connected(self._path)


def connection(state_dir: Path) -> http.client.HTTPConnection:
    """Returns a connection to the admin API of the node at `state_dir`; not yet made."""
    return _UnixConnection(state_dir / "admin.sock")


def call(state_dir: Path, method: str, path: str, body: bytes | None = None) -> Answer:
    """Sends one request to the admin API of the node at `state_dir`; raises NoNodeError."""
    asked = connection(state_dir)
    headers = {"content-type": "application/json"} if body is not None else {}
    try:
        asked.request(method, path, body, headers)
        response = asked.getresponse()
        answer = Answer(response.status, response.read())
        if response.getheader("retry-after"):  # only the supervisor asks for that
            raise AwayError(f"the control process of the node at {state_dir} is away")
        return answer
    except (OSError, http.client.HTTPException) as error:
        raise no_node(state_dir, error) from error
    finally:
        asked.close()


def supervisor(state_dir: Path, op: str, door: str = "supervisor.sock") -> dict[str, object]:
    """Sends one request to the supervisor of the node at `state_dir`, or, by its `door`, to the
    process of an agent with several instances; raises NoNodeError."""
    try:
        with _connected(state_dir / door) as connection:
            connection.sendall(json.dumps({"id": 1, "op": op}).encode() + b"\n")
            for line in _lines(connection):
                answer = json.loads(line)
                if isinstance(answer, dict) and answer.get("id") == 1:
                    return answer
    except (OSError, ValueError) as error:
        raise no_node(state_dir, error) from error
    raise NoNodeError(f"the node at {state_dir} hung up")


def wait_until_gone(state_dir: Path, door: str = "supervisor.sock") -> None:
    """Returns when what is behind the door has ended; at once if there is none."""
    try:
        with _connected(state_dir / door) as connection:
            connection.settimeout(None)
            for _ in _lines(connection):
                pass
    except OSError:
        return


def _connected(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(_CONNECT_S)
        connection.connect(str(path))
        connection.settimeout(_ASK_S)
    except OSError:
        connection.close()
        raise
    return connection


def _answers(path: Path) -> bool:
    try:
        _connected(path).close()
    except OSError:
        return False
    return True


def _lines(connection: socket.socket) -> Iterator[bytes]:
    with connection.makefile("rb") as lines:
        yield from lines


def no_node(state_dir: Path, error: Exception) -> NoNodeError:
    """Returns the error that says why no node answers."""
    if isinstance(error, FileNotFoundError | ConnectionRefusedError):
        if _answers(state_dir / "admin.sock"):
            return NoNodeError(
                f"the node at {state_dir} is a control plane without a supervisor; "
                "give this command on the host of its data plane"
            )
        return NoNodeError(
            f"no node runs at {state_dir}; choose another with --node or --state-dir"
        )
    if isinstance(error, PermissionError):
        return NoNodeError(f"the node at {state_dir} belongs to another user")
    return NoNodeError(f"the node at {state_dir} does not answer: {error}")
