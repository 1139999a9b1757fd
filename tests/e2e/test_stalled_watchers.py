"""A client that watches events and never reads is cut off; others have every event meanwhile."""

import json
import re
import socket
import urllib.request
from pathlib import Path

import pytest
from cut_off import CutOff
from master_process import MasterProcess, call, master
from waiting import DEADLINE_S, until
from websockets.sync.client import connect

W = "/api/v1/workspaces/default"
_ROOM = 2_048
_CHANGES = 120
"""Whose events are more than a window of the kernel's least size takes."""


def deaf(one: MasterProcess, token: str) -> socket.socket:
    """A client that watches with little room, and reads nothing after the master's consent."""
    host, _, port = one.base.rpartition("/")[2].partition(":")
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _ROOM)
    line.settimeout(DEADLINE_S)
    line.connect((host, int(port)))
    lines = [
        "GET /api/v1/events?workspace=default HTTP/1.1",
        f"host: {host}",
        f"authorization: Bearer {token}",
        "connection: Upgrade",
        "upgrade: websocket",
        "sec-websocket-version: 13",
        "sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==",
    ]
    line.sendall("\r\n".join([*lines, "", ""]).encode())
    head = b""
    while b"\r\n\r\n" not in head:
        head += line.recv(1)
    assert head.startswith(b"HTTP/1.1 101"), head
    return line


def measured(one: MasterProcess, name: str) -> float:
    """A metric of the master without labels."""
    where = re.search(r"http://127\.0\.0\.1:\d+/metrics", one.text())
    assert where is not None, one.text()
    with urllib.request.urlopen(where[0], timeout=DEADLINE_S) as answer:  # noqa: S310 - a URL of ours
        found = re.search(rf"^{name} (\S+)$", answer.read().decode(), re.MULTILINE)
    assert found is not None
    return float(found[1])


@pytest.mark.timeout(300)
def test_a_watcher_that_never_reads_is_cut_off_and_others_have_every_event(folder: Path) -> None:
    options = ("--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0")
    with master(folder, *options) as one:
        token = one.set_up()
        url = f"{one.base.replace('http', 'ws', 1)}/api/v1/events?workspace=default"
        headers = {"authorization": f"Bearer {token}"}
        with deaf(one, token) as line, connect(url, additional_headers=headers) as client:
            until(lambda: measured(one, "headgate_event_watchers") == 2, "both watch")
            for number in range(_CHANGES):
                spec = {"spec": {"endpoints": ["127.0.0.1:9000"]}}
                path = f"{one.base}{W}/resources/upstreams/{'x' * 150}{number}"
                call(path, spec, token, method="PUT")
                assert json.loads(client.recv(timeout=DEADLINE_S))["seq"] == number + 1
            until(
                lambda: measured(one, "headgate_master_stalled_clients_total") == 1,
                "the client that never reads is cut off",
            )
            until(lambda: measured(one, "headgate_event_watchers") == 1, "it watches no more")
            with CutOff() as cut:
                while line.recv(_ROOM):
                    pass
            assert cut.happened
            call(f"{one.base}{W}/resources/upstreams/last", spec, token, method="PUT")
            assert json.loads(client.recv(timeout=DEADLINE_S))["seq"] == _CHANGES + 1
        assert one.stop() == 0
