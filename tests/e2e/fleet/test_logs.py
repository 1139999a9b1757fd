"""A master, a native node and a real nginx in one fleet: what was requested there is found from the
master, the newest first, and no secret of it."""

from pathlib import Path
from typing import Any

import pytest
from fleet_node import Node
from master_operator import Operator, W, put
from master_process import MasterProcess, master
from peers import peer
from ports import free_port
from running_node import Upstream, get
from waiting import until

_LONG_S = 120.0
SECRET = "hunter2hunter2"  # noqa: S105 - of tests


class Fleet:
    """The fleet `edge`, whose nodes write access logs to files of their own."""

    def __init__(self, running: MasterProcess, folder: Path) -> None:
        self.person = Operator(running)
        self._folder = folder
        rest = self.person.base.rpartition(":")[2]
        self._url = f"grpcs://127.0.0.1:{running.agents_port()}?rest={rest}"
        self.person.ask(f"{W}/fleets", {"name": "edge"})

    def node(self, engine: str, port: int, form: str) -> Node:
        """A node that opens the fleet's listener at this port."""
        token = self.person.ask(f"{W}/join-tokens", {"fleet": "edge"})["token"]
        home = self._folder / engine
        home.mkdir()
        own = f"""
listener_addresses = {{ web = "127.0.0.1:{port}" }}
access_log = {{ format = "{form}", sink = {{ path = "{home}/access.log" }} }}
"""
        return Node(home, self._url, token, engine, own)

    def agents(self) -> dict[str, Any]:
        """The agents by id."""
        return {one["id"]: one for one in self.person.ask(f"{W}/agents?fleet=edge")["items"]}

    def serving(self) -> list[int | None]:
        """What each agent is proven to serve."""
        return [one["revisions"]["serving"] for one in self.agents().values()]

    def search(self, where: str = "fleets/edge", /, **query: object) -> dict[str, Any]:
        """What a search finds."""
        found: dict[str, Any] = self.person.ask(f"{W}/{where}/logs", query, "POST")
        return found


@pytest.mark.timeout(600)
def test_what_was_requested_at_the_nodes_is_found_without_its_secrets(
    folder: Path, port: int, one: Upstream
) -> None:
    peer("nginx")
    other = free_port()
    (folder / "m").mkdir()
    with master(folder / "m", "--listen", "127.0.0.1:0", "--fleet-tls") as running:
        fleet = Fleet(running, folder)
        with fleet.node("native", port, "json"), fleet.node("nginx", other, "combined") as nginx:
            put(fleet.person, free_port(), one.address)
            until(lambda: len(fleet.agents()) == 2, "both agents", deadline_s=_LONG_S)
            made = fleet.person.ask(f"{W}/revisions", {"fleet": "edge"})["number"]
            until(lambda: fleet.serving() == [made] * 2, "it is serving", deadline_s=_LONG_S)
            for number in (port, other):
                assert get(number, f"/api/x?access_token={SECRET}")[1] == b"one"
                assert get(number, "/other")[1] == b"one"
            _finds_them(fleet)
            nginx.process.terminate()
            nginx.process.wait()
            until(lambda: "away" in _states(fleet.search()), "it is away", deadline_s=_LONG_S)
            assert _states(fleet.search()) == ["away", "searched"]
        assert running.stop() == 0


def _states(found: dict[str, Any]) -> list[str]:
    return sorted(one["state"] for one in found["agents"])


def _finds_them(fleet: Fleet) -> None:
    def lines(**query: object) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = fleet.search(**query)["lines"]
        return found

    # Lines are written after their answers.
    until(lambda: len(lines(path="/api/x")) == 2, "both lines", deadline_s=_LONG_S)
    until(lambda: len(lines(path="/other", since_s=3_600)) == 2, "others", deadline_s=_LONG_S)
    found = fleet.search()
    assert _states(found) == ["searched", "searched"]
    times = [line["at"] for line in found["lines"]]
    assert times == sorted(times, reverse=True)
    assert {line["agent"] for line in lines(path="/api/x")} == set(fleet.agents())
    assert SECRET not in str(found)
    assert str(found).count("access_token=(secret)") == 2
    assert lines(text=SECRET[:6]) == lines(status="5xx") == []
    for agent in fleet.agents():
        assert {line["agent"] for line in fleet.search(f"agents/{agent}")["lines"]} == {agent}
        assert fleet.search(f"agents/{agent}", source="events", text="config.applied")["lines"]
    assert _states(fleet.search(limit=1)).count("cut") >= 1
