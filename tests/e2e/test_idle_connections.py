"""Connections that ask nothing do not keep others from the master, and messages have a limit."""

import re
import socket
import urllib.request
from contextlib import ExitStack
from pathlib import Path

import pytest
from cut_off import CutOff
from master_process import MasterProcess, call, master
from waiting import DEADLINE_S
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import connect

_SCRAPES = 20
"""How many connections the port of the metrics has."""


def line(url: str, stack: ExitStack) -> socket.socket:
    """A connection to the host of a URL that says nothing yet."""
    found = re.search(r"127\.0\.0\.1:(\d+)", url)
    assert found is not None
    one = socket.create_connection(("127.0.0.1", int(found[1])), DEADLINE_S)
    return stack.enter_context(one)


def metrics_url(one: MasterProcess) -> str:
    """Where the metrics are."""
    found = re.search(r"http://127\.0\.0\.1:\d+/metrics", one.text())
    assert found is not None, one.text()
    return found[0]


def is_ended(one: socket.socket) -> bool:
    """Waits until the master ended it, and says whether it did without a word."""
    with CutOff():
        return one.recv(1) == b""
    return True


@pytest.mark.timeout(300)
def test_connections_that_ask_nothing_are_closed_and_others_served(folder: Path) -> None:
    options = ("--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0")
    with master(folder, *options) as one, ExitStack() as stack:
        token = one.set_up()
        url = metrics_url(one)
        idle = [line(url, stack) for _ in range(_SCRAPES)]
        half = line(one.base, stack)
        half.sendall(b"GET /api/v1/health HTTP/1.1\r\n")
        assert all(is_ended(each) for each in [*idle, half])
        with urllib.request.urlopen(url, timeout=DEADLINE_S) as answer:  # noqa: S310 - a URL of ours
            assert answer.status == 200
        assert call(f"{one.base}/api/v1/workspaces", token=token)
        assert one.stop() == 0


def test_a_message_over_the_limit_is_refused(folder: Path) -> None:
    with master(folder, "--listen", "127.0.0.1:0") as one:
        url = one.base.replace("http", "ws", 1) + "/api/v1/fleet/session"
        with connect(url) as client:
            client.recv(timeout=DEADLINE_S)
            client.send(bytes((1 << 20) + 1))
            with pytest.raises(ConnectionClosedError) as closed:
                client.recv(timeout=DEADLINE_S)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009
