"""A master, a real nginx and a native node: an edit by hand is shown three ways, and healed when a
person orders it or the fleet's policy says so, without a restart of the node."""

from pathlib import Path
from typing import Any

import pytest
from fleet_node import Node
from master_operator import Operator, W, put
from master_process import MasterProcess, master
from peers import peer
from running_node import Upstream, get
from waiting import until

EDIT = 'proxy_set_header Authorization "Basic c2VjcmV0";\n'
_LONG_S = 120.0


class Fleets:
    """A fleet `edge` with an nginx, a fleet `plain` with a native node."""

    def __init__(self, running: MasterProcess, folder: Path) -> None:
        self.person = Operator(running)
        self._grpc = running.agents_port()
        self._folder = folder

    def node(self, fleet: str, engine: str) -> Node:
        """A node of a new fleet."""
        self.person.ask(f"{W}/fleets", {"name": fleet})
        token = self.person.ask(f"{W}/join-tokens", {"fleet": fleet})["token"]
        (self._folder / fleet).mkdir()
        rest = self.person.base.rpartition(":")[2]
        url = f"grpcs://127.0.0.1:{self._grpc}?rest={rest}"
        return Node(self._folder / fleet, url, token, engine)

    def agent(self, fleet: str) -> dict[str, Any]:
        """The only agent of a fleet; empty before it enrolled."""
        items = self.person.ask(f"{W}/agents?fleet={fleet}")["items"]
        return dict(items[0]) if items else {}

    def drift(self, fleet: str = "edge") -> dict[str, Any]:
        """What is known of its drift."""
        found: dict[str, Any] = self.person.ask(f"{W}/agents/{self.agent(fleet)['id']}/drift")
        return found

    def states(self) -> list[str]:
        """How the nginx differs."""
        states: list[str] = (self.drift()["drift"] or {"states": []})["states"]
        return states

    def policy(self, word: str, after_s: int, fleet: str = "edge") -> None:
        """Changes a fleet's policy."""
        body = {"policies": {"drift": word, "heal_after_s": after_s}}
        self.person.ask(f"{W}/fleets/{fleet}", body, "PATCH")

    def policy_in_force(self) -> str:
        """What the node does about drift now."""
        word: str = (self.drift()["drift"] or {"policy": ""})["policy"]
        return word

    def told(self) -> list[bool]:
        """Whether it drifted, by the events."""
        found = self.person.ask(f"{W}/events?type=agents.drift")["items"]
        return [one["detail"]["drifts"] for one in found]


@pytest.mark.timeout(600)
def test_an_edit_by_hand_is_shown_and_healed_as_the_fleet_wants(
    folder: Path, port: int, one: Upstream
) -> None:
    peer("nginx")
    (folder / "m").mkdir()
    with master(folder / "m", "--listen", "127.0.0.1:0", "--fleet-tls") as running:
        fleets = Fleets(running, folder)
        with fleets.node("edge", "nginx") as node, fleets.node("plain", "native"):
            put(fleets.person, port, one.address)
            made = fleets.person.ask(f"{W}/revisions", {"fleet": "edge"})["number"]

            def serves() -> bool:
                return bool(fleets.agent("edge").get("revisions", {}).get("serving") == made)

            until(serves, "it is serving", deadline_s=_LONG_S)
            _is_shown_and_healed_by_order(fleets, node.state / "nginx/current/http.conf")
            _has_no_drift_where_it_is_native(fleets)
            _is_healed_by_policy(fleets, node.state / "nginx/current/http.conf")
            assert get(port)[1] == b"one"
        assert running.stop() == 0


def _is_shown_and_healed_by_order(fleets: Fleets, edited: Path) -> None:
    fleets.policy("report", 0)
    until(lambda: fleets.policy_in_force() == "report", "the policy", deadline_s=_LONG_S)
    assert fleets.drift()["ignores_policy"] == ""
    before = edited.read_text()
    _write(edited, before + EDIT)
    until(lambda: fleets.states() == ["disk drift"], "drift is told", deadline_s=_LONG_S)
    (file,) = fleets.drift()["files"]
    assert (file["path"].rpartition("/")[2], file["how"]) == ("http.conf", "edited")
    assert "+proxy_set_header Authorization (secret)" in file["diff"].splitlines()
    assert "c2VjcmV0" not in str(fleets.drift())
    assert file["next"] == "same"
    assert fleets.agent("edge")["drifts"] is True
    fleets.person.ask(f"{W}/agents/{fleets.agent('edge')['id']}/heal", {}, "POST")
    until(lambda: fleets.drift()["heal"]["state"] == "done", "it is healed", deadline_s=_LONG_S)
    assert edited.read_text() == before
    until(lambda: fleets.states() == ["in sync"], "that is told", deadline_s=_LONG_S)


def _has_no_drift_where_it_is_native(fleets: Fleets) -> None:
    fleets.policy("heal", 0, "plain")
    until(
        lambda: fleets.agent("plain").get("state") == "connected",
        "it is connected",
        deadline_s=_LONG_S,
    )
    native = fleets.drift("plain")
    assert native["drift"] is None
    assert native["ignores_policy"] == "its engine has no files that drift"


def _is_healed_by_policy(fleets: Fleets, edited: Path) -> None:
    """The node is the same process as before."""
    before = edited.read_text()
    fleets.policy("heal", 0)
    until(lambda: fleets.policy_in_force() == "heal", "the policy", deadline_s=_LONG_S)
    _write(edited, before + EDIT)
    until(lambda: edited.read_text() == before, "it is healed", deadline_s=_LONG_S)
    until(lambda: fleets.told()[:2] == [True, False], "the events", deadline_s=_LONG_S)


def _write(path: Path, text: str) -> None:
    # In one step: a look at half of it would tell of another drift.
    new = path.parents[3].with_suffix(".new")
    new.write_text(text)
    new.chmod(0o640)
    new.replace(path)
