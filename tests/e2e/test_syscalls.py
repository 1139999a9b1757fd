"""The system calls of a request in steady state, counted where they are exact: on the worker."""

import re
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from peers import peer, unavailable
from running_node import RunningNode, config
from socket_server import SocketServer
from waiting import DEADLINE_S

REQUESTS = 500
WARM_UP = 50
REQUEST = b"GET /a HTTP/1.1\r\nhost: a.example\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
HOUSE = 5
"""Waits that the clock ends each second: the worker keeps house."""
_CALL = re.compile(r"(?m)^(\w+)\(")


class SmallUpstream(SocketServer):
    """Answers every request of every connection with the same bytes, each in one write."""

    def serve(self, link: socket.socket) -> None:
        """Answers until the end."""
        while _read_until(link, b"\r\n\r\n"):
            link.sendall(ANSWER)


@pytest.fixture
def small() -> Iterator[SmallUpstream]:
    """An upstream of small answers."""
    with SmallUpstream() as upstream:
        yield upstream


def test_a_small_request_costs_two_reads_and_two_writes(
    folder: Path, port: int, small: SmallUpstream
) -> None:
    strace = peer("strace")
    text = config(port, small.address, extra="workers = 1\n")
    with RunningNode(folder, text, "--no-watch").until_ready() as node:
        worker = _worker(node.data_plane()[1])
        with socket.create_connection(("127.0.0.1", port), DEADLINE_S) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            _ask(client, WARM_UP)
            began = time.monotonic()
            with _traced(strace, worker, folder / "calls") as calls:
                _ask(client, REQUESTS)
    seconds = 1 + time.monotonic() - began
    assert calls["recvfrom"] == 2 * REQUESTS, calls
    assert calls["sendto"] + calls["writev"] == 2 * REQUESTS, calls
    assert calls["epoll_ctl"] == 0, calls
    waits = calls["epoll_wait"] + calls["epoll_pwait"] + calls["epoll_pwait2"]
    assert waits <= 2 * REQUESTS + HOUSE * seconds, calls


def _read_until(stream: socket.socket, end: bytes) -> bool:
    """Reads until what came ends so; false at the end of the stream."""
    got = b""
    while not got.endswith(end):
        more = stream.recv(4096)
        if not more:
            return False
        got += more
    return True


def _ask(client: socket.socket, times: int) -> None:
    for _ in range(times):
        client.sendall(REQUEST)
        assert _read_until(client, b"\r\n\r\nok")


def _worker(pid: int) -> int:
    """The thread of the only worker."""
    found = [
        int(task.name)
        for task in Path(f"/proc/{pid}/task").iterdir()
        if (task / "comm").read_text().startswith("worker-")
    ]
    assert len(found) == 1, found
    return found[0]


@contextmanager
def _traced(strace: Path, thread: int, output: Path) -> Iterator["Counter[str]"]:
    """Counts the system calls of a thread in the block; what it yields is filled at the end."""
    calls: Counter[str] = Counter()
    # Without -f: this thread alone.
    command = [str(strace), "-p", str(thread), "-o", str(output)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
        assert tracer.stderr is not None
        said = tracer.stderr.readline()
        if "attached" not in said:
            tracer.kill()
            unavailable(f"strace may not attach here: {said.strip()}")
        try:
            yield calls
        finally:
            tracer.terminate()  # it detaches, and writes what it still has
            tracer.wait(DEADLINE_S)
    calls.update(_CALL.findall(output.read_text()))
