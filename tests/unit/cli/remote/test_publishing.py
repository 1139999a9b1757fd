"""What is made of a workspace's resources for a fleet, and when its agents serve it."""

from pathlib import Path

import pytest
from scripted_master import SHOP, ScriptedMaster, installed
from told_clock import ToldClock

from headgate.cli.remote import publishing
from headgate.cli.remote.client import Json, Master
from headgate.cli.remote.errors import MasterError
from headgate.cli.remote.publishing import (
    Published,
    Terms,
    await_serving,
    begin,
    chosen_fleet,
    new_revision,
    publish,
)
from headgate.cli.remote.waiting import Code, Patience
from headgate.cli.remote_commands import opened

EDGE: Json = {"id": "f1", "name": "edge", "revision": 7}
CORE: Json = {"id": "f2", "name": "core", "revision": None}
TERMS = Terms("1, rest", 5.0, 20)
ROLLOUT: Json = {
    "id": "r1",
    "fleet": "f1",
    "revision": 8,
    "base": 7,
    "status": "rolling",
    "reason": "",
    "agents": [],
}


@pytest.fixture
def scripted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ScriptedMaster:
    one = installed(monkeypatch, tmp_path / "home")
    one.answers = {
        f"GET {SHOP}/fleets": {"items": [CORE, EDGE]},
        f"GET {SHOP}/revisions": {"items": [{"number": 8}, {"number": 7}]},
        f"POST {SHOP}/revisions": {"number": 9},
        f"POST {SHOP}/preview": {"objects": [], "fleets": [{"changed_nodes": []}]},
        f"GET {SHOP}/rollouts": {"items": []},
        f"POST {SHOP}/rollouts": {"id": "r2"},
    }
    return one


@pytest.fixture
def master(scripted: ScriptedMaster) -> Master:
    return opened()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> ToldClock:
    one = ToldClock()
    monkeypatch.setattr(publishing, "time", one)
    return one


def test_terms_say_a_revision_or_a_program() -> None:
    asked = TERMS.body("edge", 8)
    rest = {"waves": ["1", "rest"], "soak_s": 5.0, "gates": {"min_requests": 20}}
    assert asked == {"fleet": "edge", "revision": 8, **rest}
    assert TERMS.body("edge", "1.5.0") == {"fleet": "edge", "program": "1.5.0", **rest}


def test_a_fleet_must_be_named_where_there_is_more_than_one(
    scripted: ScriptedMaster, master: Master
) -> None:
    assert chosen_fleet(master, "edge") == EDGE
    with pytest.raises(MasterError, match="with --fleet; the workspace has core, edge"):
        chosen_fleet(master, "")
    scripted.answers[f"GET {SHOP}/fleets"] = {"items": [EDGE]}
    assert chosen_fleet(master, "") == EDGE
    scripted.answers[f"GET {SHOP}/fleets"] = {"items": []}
    with pytest.raises(MasterError, match="has no fleet; make one with `headgate create fleet"):
        chosen_fleet(master, "")


def test_a_revision_is_made_and_not_served(scripted: ScriptedMaster, master: Master) -> None:
    assert new_revision(master, EDGE, "new", "sale") == 9
    assert new_revision(master, EDGE, "new", "sale", "3-d1") == 9
    body = {"fleet": "f1", "message": "new", "draft": "sale", "is_served": False}
    assert scripted.bodies("POST", f"{SHOP}/revisions") == [body, body | {"draft_tag": "3-d1"}]
    assert begin(master, "edge", "1.5.0", TERMS) == "r2"
    assert scripted.bodies("POST", f"{SHOP}/rollouts") == [TERMS.body("edge", "1.5.0")]


@pytest.mark.parametrize(
    "said",
    [
        {"objects": ["routes/a"], "fleets": [{"changed_nodes": []}]},
        {"objects": [], "fleets": [{"changed_nodes": []}, {"changed_nodes": ["n1"]}]},
    ],
)
def test_resources_that_differ_become_a_new_revision(
    scripted: ScriptedMaster, master: Master, said: Json
) -> None:
    scripted.answers[f"POST {SHOP}/preview"] = said
    assert publish(master, EDGE, "new", TERMS) == Published(EDGE, 9, "r2", is_new=True)
    (asked,) = [one for one in scripted.asked if one.method == "GET"]
    assert (asked.path, asked.query) == (f"{SHOP}/revisions", {"fleet": "f1", "limit": "1"})
    assert scripted.bodies("POST", f"{SHOP}/preview") == [{"fleet": "f1"}]
    assert scripted.bodies("POST", f"{SHOP}/rollouts") == [TERMS.body("f1", 9)]


def test_the_first_revision_of_a_fleet_is_compared_with_nothing(
    scripted: ScriptedMaster, master: Master
) -> None:
    scripted.answers[f"GET {SHOP}/revisions"] = {"items": []}
    assert publish(master, CORE, "new", TERMS) == Published(CORE, 9, "r2", is_new=True)
    assert scripted.bodies("POST", f"{SHOP}/preview") == []


def test_a_revision_that_the_fleet_has_needs_nothing(
    scripted: ScriptedMaster, master: Master
) -> None:
    there = {**EDGE, "revision": 8}
    assert publish(master, there, "new", TERMS) == Published(there, 8, "", is_new=False)
    assert scripted.bodies("POST", f"{SHOP}/revisions") == []
    assert scripted.bodies("POST", f"{SHOP}/rollouts") == []


def test_a_revision_without_a_rollout_of_its_own_gets_one(
    scripted: ScriptedMaster, master: Master
) -> None:
    others = [{**ROLLOUT, "fleet": "f2"}, {**ROLLOUT, "revision": 7}]
    scripted.answers[f"GET {SHOP}/rollouts"] = {"items": others}
    assert publish(master, EDGE, "new", TERMS) == Published(EDGE, 8, "r2", is_new=False)
    assert scripted.bodies("POST", f"{SHOP}/rollouts") == [TERMS.body("f1", 8)]
    assert scripted.bodies("POST", f"{SHOP}/revisions") == []


def test_a_rollout_that_is_under_way_is_not_begun_again(
    scripted: ScriptedMaster, master: Master
) -> None:
    items = [{**ROLLOUT, "id": "r0", "status": "undone"}, ROLLOUT, {**ROLLOUT, "revision": 7}]
    scripted.answers[f"GET {SHOP}/rollouts"] = {"items": items}
    assert publish(master, EDGE, "new", TERMS) == Published(EDGE, 8, "r1", is_new=False)
    assert scripted.bodies("POST", f"{SHOP}/rollouts") == []


@pytest.mark.parametrize(
    ("end", "said"),
    [
        (
            {"status": "undone", "reason": "gate"},
            "rollout r1 of revision 8 was undone: gate; the fleet goes on with revision 7; publish"
            " a corrected one",
        ),
        (
            {"status": "succeeded"},
            "revision 8 was rolled out before, and the fleet has gone back to revision 7 since;"
            " change the config",
        ),
    ],
)
def test_a_revision_that_the_fleet_went_back_from_is_not_tried_again(
    scripted: ScriptedMaster, master: Master, end: dict[str, object], said: str
) -> None:
    scripted.answers[f"GET {SHOP}/rollouts"] = {"items": [{**ROLLOUT, "status": end["status"]}]}
    scripted.answers[f"GET {SHOP}/rollouts/r1"] = {**ROLLOUT, **end}
    with pytest.raises(MasterError) as refused:
        publish(master, EDGE, "new", TERMS)
    again = "or bring the same one again with `headgate rollout start edge 8`"
    assert str(refused.value) == f"{said}\n{again}"
    assert scripted.bodies("POST", f"{SHOP}/rollouts") == []


def agent(name: str, serving: int, state: str = "online") -> dict[str, object]:
    return {"id": name, "state": state, "revisions": {"serving": serving}}


def test_every_agent_but_those_that_are_revoked_is_waited_for(
    scripted: ScriptedMaster, master: Master, clock: ToldClock
) -> None:
    scripted.answers[f"GET {SHOP}/agents"] = [
        {"items": [agent("a", 7), agent("b", 8), agent("c", 7, "revoked")]},
        {"items": [agent("a", 8), agent("b", 8), agent("c", 7, "revoked")]},
    ]
    end = await_serving(master, Published(EDGE, 8, "", is_new=False), Patience())
    assert (end.code, end.text) == (Code.SERVING, "revision 8 is serving on all 2 agents")
    assert [one.query["fleet"] for one in scripted.asked] == ["f1", "f1"]
    assert clock.waits == [1.0]


def test_agents_that_do_not_serve_in_time_are_named(
    scripted: ScriptedMaster, master: Master, clock: ToldClock
) -> None:
    items = [agent("a", 7), agent("b", 8), agent("c", 6)]
    scripted.answers[f"GET {SHOP}/agents"] = {"items": items}
    end = await_serving(master, Published(EDGE, 8, "", is_new=False), Patience(timeout_s=3))
    assert end.code is Code.PARTLY
    assert end.text == ("a, c does not serve revision 8; see why with `headgate describe agent ID`")
    assert clock.waits == [1.0, 1.0, 1.0]
