"""The WebSocket of events, with a client that is not ours."""

import json
from pathlib import Path

import pytest
from master_process import MasterProcess, call, master
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

W = "/api/v1/workspaces/default"


def watch(one: MasterProcess, token: str, query: str = "") -> ClientConnection:
    url = one.base.replace("http", "ws", 1) + f"/api/v1/events?workspace=default{query}"
    return connect(url, additional_headers={"authorization": f"Bearer {token}"}, open_timeout=45)


def received(client: ClientConnection) -> tuple[int, str]:
    event = json.loads(client.recv(timeout=45))
    return event["seq"], event["type"]


def test_events_come_live_and_are_resumed_by_number(folder: Path) -> None:
    with master(folder, "--listen", "127.0.0.1:0") as one:
        token = one.set_up()
        with watch(one, token) as client:
            for name in ("a", "b"):
                spec = {"spec": {"endpoints": ["127.0.0.1:9000"]}}
                call(f"{one.base}{W}/resources/upstreams/{name}", spec, token, method="PUT")
                assert received(client) == (1 if name == "a" else 2, "resources.changed")
        with watch(one, token, "&after=0") as client:
            assert [received(client)[0] for _ in range(2)] == [1, 2]
        with watch(one, token, "&after=1") as client:
            assert received(client)[0] == 2
        with watch(one, token, "&after=7") as client:
            assert json.loads(client.recv(timeout=45)) == {"type": "gap", "from": 3, "to": 7}
        assert one.stop() == 0


def test_who_may_not_watch_gets_a_problem(folder: Path) -> None:
    with master(folder, "--listen", "127.0.0.1:0") as one:
        token = one.set_up()
        for given, query, status in (("x", "", 401), (token, "&after=x", 422)):
            with pytest.raises(InvalidStatus) as refused, watch(one, given, query):
                pass
            assert refused.value.response.status_code == status
        assert one.stop() == 0
