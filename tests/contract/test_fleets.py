"""Fleets, join tokens, agents, and the agents' book on both databases."""

import asyncio
import json

import pytest
from master_world import PASSWORD, World
from peopled_fleet import HERE, Fleet, W
from sqlalchemy import update

from headgate.certificates.authority import new_csr, new_key
from headgate.fleet.frames import (
    Fault,
    Heartbeat,
    Held,
    Notice,
    Notices,
    Phase,
    Version,
)
from headgate.fleet.master_events import AgentReport
from headgate.fleet.signing import offer_content, offer_is_bound
from headgate.master.domains.agents.losing import Losing
from headgate.master.domains.agents.store import AGENTS
from headgate.master.domains.revisions.store import BLOBS
from headgate.master.domains.revisions.sweeping import sweep
from headgate.master.fleet.book import AgentFacts, EnrolmentRefusedError
from headgate.master.store.scope import MASTER
from headgate.master.store.sealing import SealError
from headgate.master.store.transaction import Transaction


@pytest.fixture
def fleet(world: World) -> Fleet:
    return Fleet(world)


def test_a_fleet_is_changed_and_removed_when_it_is_empty(fleet: Fleet) -> None:
    ask, path = fleet.world.ask, f"{W}/fleets/edge"
    again = ask("POST", f"{W}/fleets", {"name": "edge"}, fleet.admin)
    assert again["type"] == "urn:headgate:problem:taken"
    changed = ask("PATCH", path, {"labels": {"env": "prod"}}, fleet.admin, if_match='"1"')
    assert changed.json["labels"] == {"env": "prod"}
    assert ask("PATCH", path, {"engine": "nginx"}, fleet.admin, if_match='"1"').status == 412
    agent = fleet.enrolled(fleet.token()).agent
    assert ask("DELETE", path, token=fleet.admin)["type"] == "urn:headgate:problem:not-empty"
    assert ask("DELETE", f"{W}/agents/{agent}", token=fleet.admin).status == 204
    assert ask("DELETE", path, token=fleet.admin).status == 204
    assert ask("GET", f"{W}/join-tokens", token=fleet.admin).items == []


def test_a_removed_fleet_leaves_no_revision_and_no_content(fleet: Fleet) -> None:
    world, ask = fleet.world, fleet.world.ask
    for key in (b"very secret", b"another secret"):
        fleet.published({"routes/api.json": b"{}", "secrets/web.key": key})
        world.advance(ms=1)
    rollout = ask("POST", f"{W}/rollouts", {"fleet": "edge", "revision": 1}, fleet.admin)
    assert rollout.status == 201, rollout.text
    assert ask("DELETE", f"{W}/fleets/edge", token=fleet.admin).status == 204
    for noun in ("revisions", "rollouts"):
        assert ask("GET", f"{W}/{noun}", token=fleet.admin).items == []

    async def contents() -> int:
        async with world.database.read(MASTER) as tx:
            return await tx.count(BLOBS)

    assert world.runner.run(contents()) == 3
    world.advance(days=2)
    assert world.runner.run(sweep(world.database, world.now_ms)) == 3
    assert world.runner.run(contents()) == 0


def test_bad_fleets_and_tokens_are_refused_with_their_place(fleet: Fleet) -> None:
    def path(noun: str, body: dict[str, object]) -> str:
        answer = fleet.world.ask("POST", f"{W}/{noun}", body, fleet.admin)
        assert answer.status == 422
        return answer["path"]

    assert path("fleets", {"name": "x", "policies": {"certificate_hours": 0}}) == (
        "$.policies.certificate_hours"
    )
    assert path("fleets", {"name": "x", "engine": "apache"}) == "$.engine"
    assert path("join-tokens", {"fleet": "nowhere"}) == "$.fleet"
    assert path("join-tokens", {"fleet": "edge", "addresses": ["10.0.0.1/8"]}) == "$.addresses"


def test_a_change_of_one_policy_leaves_the_others(fleet: Fleet) -> None:
    path = "/workspaces/default/fleets/edge"
    every = {"certificate_hours": 48, "most_agents": 9, "drift": "heal", "heal_after_s": 5}
    every["approvals"] = 2
    ask = fleet.world.ask
    assert ask("PATCH", path, {"policies": every}, fleet.admin).status == 200
    for name, value in {**every, "drift": "report", "approvals": 0}.items():
        every[name] = value
        changed = ask("PATCH", path, {"policies": {name: value}}, fleet.admin)
        assert changed.json["policies"] == every, changed.text


def test_a_node_enrols_and_its_secret_is_nowhere(fleet: Fleet) -> None:
    token = fleet.token(labels={"env": "prod"})
    body = {"token": token, "csr": new_csr(new_key()).decode(), "hostname": "node-1"}
    answer = fleet.world.ask("POST", "/enrolment", body)
    assert answer.status == 200, answer.text
    shown = fleet.agent(answer["agent"])
    assert (shown["state"], shown["name"]) == ("new", "node-1")
    assert shown.json["labels"] == {"env": "prod"}
    listed = fleet.world.ask("GET", f"{W}/join-tokens", token=fleet.admin)
    assert listed.items[0]["used"] == 1
    assert token not in listed.text
    audit = fleet.world.ask("GET", "/audit", token=fleet.admin)
    assert audit.items[0]["action"] == "a node enrolled"


def test_a_token_is_used_as_often_as_it_says_by_many_at_once(fleet: Fleet) -> None:
    token = fleet.token(uses=3)
    facts = AgentFacts("n", "1")

    async def one() -> str:
        try:
            await fleet.world.master.book.enrol(token, new_csr(new_key()), facts, HERE)
        except EnrolmentRefusedError as error:
            return error.code
        return "enrolled"

    async def many() -> list[str]:
        return await asyncio.gather(*(one() for _ in range(12)))

    outcomes = fleet.world.runner.run(many())
    assert sorted(outcomes) == ["enrolled"] * 3 + ["used-up"] * 9


def test_a_lost_answer_costs_no_second_use(fleet: Fleet) -> None:
    token, csr = fleet.token(), new_csr(new_key())
    first = fleet.enrolled(token, csr)
    assert fleet.enrolled(token, csr).agent == first.agent
    assert fleet.refusal(token) == "used-up"


def test_a_token_that_is_not_good_is_refused_and_written_down(fleet: Fleet) -> None:
    assert fleet.refusal("hgj_" + "a" * 43) == "unknown"
    near = fleet.token(uses=9, addresses=["10.0.0.0/8", "2001:db8::/32"])
    assert fleet.refusal(near) == "address"
    assert fleet.enrolled(near, address="::ffff:10.1.2.3").agent
    assert fleet.enrolled(near, address="2001:db8::1").agent
    made = fleet.world.ask("POST", f"{W}/join-tokens", {"fleet": fleet.id}, fleet.admin)
    path = f"{W}/join-tokens/{made['id']}"
    assert fleet.world.ask("DELETE", path, token=fleet.admin).status == 204
    assert fleet.refusal(made["token"]) == "revoked"
    old = fleet.token(hours=1)
    fleet.world.advance(hours=1)
    assert fleet.refusal(old) == "expired"
    fleet.world.ask("POST", "/enrolment", {"token": "x", "csr": "y"})
    body = {"token": old, "csr": new_csr(new_key()).decode()}
    assert fleet.world.ask("POST", "/enrolment", body).status == 401
    token = fleet.world.ask("POST", "/auth/login", {"name": "ann", "password": PASSWORD})
    audit = fleet.world.ask("GET", "/audit", token=token["access_token"])
    refused = [one["action"] for one in audit.items if one["outcome"] == "refused"]
    assert {one.partition(": ")[2] for one in map(str, refused)} == {
        "address",
        "revoked",
        "expired",
    }


def test_guesses_are_throttled_and_others_are_not(fleet: Fleet) -> None:
    codes = [fleet.refusal("hgj_" + "b" * 43) for _ in range(51)]
    assert codes == ["unknown"] * 50 + ["throttled"]
    assert fleet.enrolled(fleet.token(), address="192.0.2.8").agent


def test_wrong_requests_are_written_down_and_throttled(fleet: Fleet) -> None:
    token, codes = fleet.token(), []
    for _ in range(51):
        with pytest.raises(EnrolmentRefusedError) as caught:
            fleet.enrolled(token, b"no csr")
        codes.append(caught.value.code)
    assert codes == ["csr"] * 50 + ["throttled"]
    lines = fleet.world.ask("GET", "/audit?outcome=refused&limit=1000", token=fleet.admin).items
    assert [one["action"] for one in lines] == ["an enrolment was refused: csr"] * 50


def test_a_wrong_request_costs_no_use(fleet: Fleet) -> None:
    token = fleet.token()
    with pytest.raises(EnrolmentRefusedError):
        fleet.enrolled(token, b"no csr")
    assert fleet.enrolled(token).agent


def test_a_full_fleet_takes_no_more(fleet: Fleet) -> None:
    body = {"policies": {"most_agents": 1}}
    fleet.world.ask("PATCH", f"{W}/fleets/edge", body, fleet.admin)
    token = fleet.token(uses=2)
    assert fleet.enrolled(token).agent
    assert fleet.refusal(token) == "full"


def test_a_revoked_agent_is_nobody_at_once(fleet: Fleet) -> None:
    book, run = fleet.world.master.book, fleet.world.runner.run
    agent = fleet.enrolled(fleet.token()).agent
    found = run(book.identify(agent, "1"))
    assert found is not None
    assert found.fleet == fleet.id
    done = fleet.world.ask("POST", f"{W}/agents/{agent}/revocation", {}, fleet.admin)
    assert (done.status, done["state"]) == (200, "revoked")
    assert run(book.identify(agent, "1")) is None
    assert run(book.desired(agent)) is None
    with pytest.raises(EnrolmentRefusedError):
        run(book.renew(agent, new_csr(new_key())))


def test_fences_only_grow_and_an_old_session_ends_nothing(fleet: Fleet) -> None:
    agent = fleet.enrolled(fleet.token()).agent
    book, run = fleet.world.master.book, fleet.world.runner.run
    first = fleet.joined(agent)
    fleet.world.close()
    fleet.world.open()
    book = fleet.world.master.book
    second = fleet.joined(agent)
    assert second > first
    run(book.left(agent, first))
    assert fleet.agent(agent)["state"] == "connected"
    run(book.left(agent, second))
    assert fleet.agent(agent)["state"] == "away"


def test_an_older_database_that_was_restored_is_not_behind_the_agents(fleet: Fleet) -> None:
    agent = fleet.enrolled(fleet.token()).agent
    first = fleet.joined(agent)

    async def restore(tx: Transaction) -> int:
        return await tx.change(update(AGENTS).where(AGENTS.c.id == agent).values(fence=0))

    world = fleet.world
    assert world.runner.run(world.database.write(MASTER, restore)) == 1
    world.advance(minutes=1)
    assert fleet.joined(agent) > first


def test_offers_are_bound_by_a_key_that_agents_know(fleet: Fleet) -> None:
    enrolled = fleet.enrolled(fleet.token())
    fleet.published({"routes/api.json": b"{}"})
    wanted = fleet.world.runner.run(fleet.world.master.book.desired(enrolled.agent))
    assert wanted is not None
    content = offer_content(enrolled.agent, 7, 1, wanted.version.hash)
    assert offer_is_bound(enrolled.manifest_keys, content, wanted.bind(content))
    other = offer_content(enrolled.agent, 6, 1, wanted.version.hash)
    assert not offer_is_bound(enrolled.manifest_keys, other, wanted.bind(content))


def test_the_five_revisions_and_the_error_are_kept(fleet: Fleet) -> None:
    agent = fleet.enrolled(fleet.token()).agent
    book, run = fleet.world.master.book, fleet.world.runner.run
    made = fleet.published({"routes/api.json": b"{}"})
    version = Version(made.number, made.hash)
    fleet.joined(agent)
    wanted = run(book.desired(agent))
    assert wanted is not None
    assert (wanted.scope, wanted.version) == (fleet.id, version)
    fleet.report(agent, AgentReport(fleet.id, version, Phase.OFFERED, Held()))
    held = Held(fleet.id, acknowledged=version, applied=version)
    fault = Fault("config", "no such upstream", False, "routes/api", "routes/api.json", 3)
    fleet.report(agent, AgentReport(fleet.id, version, Phase.REJECTED, held, (), fault))
    shown = fleet.agent(agent).json
    assert shown["revisions"] == {
        "desired": 1,
        "offered": 1,
        "acknowledged": 1,
        "applied": 1,
        "serving": None,
    }
    assert shown["phase"] == "rejected"
    error = shown["error"]
    assert isinstance(error, dict)
    assert (error["file"], error["line"]) == ("routes/api.json", 3)
    held = Held(fleet.id, version, version, version)
    run(book.seen(agent, Heartbeat(held)))
    fleet.report(agent, AgentReport(fleet.id, version, Phase.SERVING, held))
    shown = fleet.agent(agent).json
    assert shown["revisions"]["serving"] == 1  # type: ignore[index]
    assert (shown["phase"], shown["error"]) == ("serving", None)


def test_what_an_agent_refused_is_known_though_its_report_was_lost(fleet: Fleet) -> None:
    agent = fleet.enrolled(fleet.token()).agent
    made = fleet.published({"routes/api.json": b"{}"})
    version = Version(made.number, made.hash)
    held = Held(fleet.id, acknowledged=version, refused=version)
    fault = Fault("config", "no such upstream", False, "routes/api", "routes/api.json", 3)
    fleet.joined(agent, held, fault, version)
    error = fleet.agent(agent).json["error"]
    assert isinstance(error, dict)
    assert (error["revision"], error["text"]) == (made.number, "no such upstream")
    fleet.joined(agent, held)
    assert fleet.agent(agent).json["error"] == error, "what a hello does not say stays"
    older = Fault("config", "an older agent", False)
    fleet.joined(agent, held, older)
    found = fleet.agent(agent).json["error"]
    assert isinstance(found, dict)
    assert (found["revision"], found["text"]) == (made.number, "an older agent")
    fleet.joined(agent, Held(fleet.id), Fault("disk", "full", True))
    assert fleet.agent(agent).json["error"] == found, "of which revision that was is not known"


def test_an_agent_gets_only_what_its_manifest_names(fleet: Fleet) -> None:
    book, run = fleet.world.master.book, fleet.world.runner.run
    agent = fleet.enrolled(fleet.token()).agent
    fleet.published({"routes/old.json": b"old"})
    old = json.loads((run(book.desired(agent)) or pytest.fail("none")).manifest)
    fleet.published({"routes/new.json": b"new", "secrets/key.pem": b"secret"})
    entries = json.loads((run(book.desired(agent)) or pytest.fail("none")).manifest)["entries"]
    hashes = [one["sha256"] for one in entries]
    named = dict(zip(hashes, [b"new", b"secret"], strict=True))
    assert run(book.blobs(agent, [*hashes, old["entries"][0]["sha256"]])) == named
    fleet.world.ask("DELETE", f"{W}/agents/{agent}", token=fleet.admin)
    assert run(book.blobs(agent, hashes)) == {}


def test_an_agent_that_moves_serves_what_its_new_fleet_does(fleet: Fleet) -> None:
    agent = fleet.enrolled(fleet.token()).agent
    fleet.published({"routes/a.json": b"a"})
    fleet.world.ask("POST", f"{W}/fleets", {"name": "core"}, fleet.admin)
    moved = fleet.world.ask("PATCH", f"{W}/agents/{agent}", {"fleet": "core"}, fleet.admin)
    assert moved.status == 200, moved.text
    assert moved.json["revisions"]["desired"] is None  # type: ignore[index]
    assert fleet.world.runner.run(fleet.world.master.book.desired(agent)) is None
    listed = fleet.world.ask("GET", f"{W}/agents?fleet=edge", token=fleet.admin)
    assert listed.items == []


def test_a_node_that_joins_later_serves_what_the_fleet_does(fleet: Fleet) -> None:
    made = fleet.published({"routes/a.json": b"a"})
    agent = fleet.enrolled(fleet.token()).agent
    wanted = fleet.world.runner.run(fleet.world.master.book.desired(agent))
    assert wanted is not None
    assert wanted.version.revision == made.number


def test_revocation_by_another_master_shows_with_the_next_heartbeat(fleet: Fleet) -> None:
    agent = fleet.enrolled(fleet.token()).agent
    fleet.joined(agent)
    cut: list[str] = []
    fleet.world.master.book.cut = cut.append
    fleet.world.ask("POST", f"{W}/agents/{agent}/revocation", {}, fleet.admin)
    fleet.world.runner.run(fleet.world.master.book.seen(agent, Heartbeat(Held())))
    assert cut == [agent]


def test_the_authority_stays_and_its_key_is_sealed(fleet: Fleet) -> None:
    first = fleet.world.ask("GET", "/enrolment/authorities").text
    fleet.world.close()
    fleet.world.open()
    assert fleet.world.ask("GET", "/enrolment/authorities").text == first
    fleet.world.close()
    (fleet.world.directory / "master.key").unlink()
    with pytest.raises(SealError, match="cannot be opened"):
        fleet.world.open()


def test_others_see_no_agent_and_viewers_change_none(fleet: Fleet) -> None:
    agent = fleet.enrolled(fleet.token()).agent
    fleet.world.ask("POST", "/organisations", {"name": "other"}, fleet.admin)
    theirs = fleet.world.invite(fleet.admin, "bob", "admin", query="?organisation=other")
    assert fleet.world.ask("GET", f"{W}/agents/{agent}", token=theirs).status == 404
    viewer = fleet.world.invite(fleet.admin, "eve", "viewer", query="?organisation=main")
    assert fleet.world.ask("GET", f"{W}/agents/{agent}", token=viewer).status == 200
    assert fleet.world.ask("DELETE", f"{W}/agents/{agent}", token=viewer).status == 403
    body = {"fleet": "edge"}
    assert fleet.world.ask("POST", f"{W}/join-tokens", body, viewer).status == 403


def test_what_an_agent_reports_becomes_events(fleet: Fleet) -> None:
    agent = fleet.enrolled(fleet.token()).agent
    book, run = fleet.world.master.book, fleet.world.runner.run
    made = fleet.published({"routes/api.json": b"{}"})
    version, held = Version(made.number, made.hash), Held(fleet.id)
    fleet.joined(agent)
    fleet.joined(agent)
    fault = Fault("config", "no such upstream", False, "routes/api", "routes/api.json", 3)
    fleet.report(agent, AgentReport(fleet.id, version, Phase.OFFERED, held))
    fleet.report(agent, AgentReport(fleet.id, version, Phase.RECEIVED, held))
    fleet.report(agent, AgentReport(fleet.id, version, Phase.REJECTED, held, ("w",), fault))
    drift = Notice("warn", "nginx.drift", "", "disk drift: nginx.conf edited", 7, 2)
    run(book.noticed(agent, Notices((drift,), 3)))
    found = fleet.events()
    assert [(one["type"], one["object"]) for one in found] == [
        ("agents.connected", agent),
        ("agents.received", agent),
        ("agents.rejected", agent),
        ("agents.nginx.drift", agent),
        ("agents.dropped", agent),
    ]
    details = [one["detail"] for one in found]
    assert details[2] == {
        "agent": "node-1",
        "fleet": fleet.id,
        "revision": 1,
        "warnings": ["w"],
        "fault": {
            "code": "config",
            "text": "no such upstream",
            "is_transient": False,
            "object": "routes/api",
            "file": "routes/api.json",
            "line": 3,
        },
    }
    assert isinstance(details[3], dict)
    assert details[3]["text"] == "disk drift: nginx.conf edited"
    assert details[3]["count"] == 2


def test_an_agent_that_stays_away_is_lost_once_and_one_that_comes_back_is_not(
    fleet: Fleet,
) -> None:
    world, book = fleet.world, fleet.world.master.book
    token = fleet.token(uses=3)
    gone, back, silent = (fleet.enrolled(token).agent for _ in range(3))
    losing = Losing(world.database, world.master.feeds, lambda: world.now_ms)
    fences = [fleet.joined(one) for one in (gone, back, silent)]
    for agent, fence in zip((gone, back), fences, strict=False):
        world.runner.run(book.left(agent, fence))
    world.advance(seconds=10)
    fleet.joined(back)
    world.advance(seconds=10)
    world.runner.run(losing.look())
    assert [one["object"] for one in fleet.events("agents.lost")] == [gone]
    world.advance(seconds=40)
    world.runner.run(book.seen(back, Heartbeat(Held())))
    world.runner.run(losing.look())
    world.runner.run(losing.look())
    assert [one["object"] for one in fleet.events("agents.lost")] == [gone, silent]
    fleet.joined(gone)
    assert [one["object"] for one in fleet.events("agents.connected")] == [gone, back, silent, gone]


def test_an_agent_that_was_told_as_lost_and_speaks_on_in_its_session_is_connected(
    fleet: Fleet,
) -> None:
    world, book = fleet.world, fleet.world.master.book
    agent = fleet.enrolled(fleet.token()).agent
    losing = Losing(world.database, world.master.feeds, lambda: world.now_ms)
    fence = fleet.joined(agent)
    world.advance(seconds=60)  # its master cannot write
    world.runner.run(losing.look())
    for _ in range(2):
        world.runner.run(book.seen(agent, Heartbeat(Held())))
    world.runner.run(losing.look())
    assert [one["object"] for one in fleet.events("agents.lost")] == [agent]
    assert [one["object"] for one in fleet.events("agents.connected")] == [agent, agent]

    world.runner.run(book.left(agent, fence))
    world.advance(seconds=16)
    world.runner.run(losing.look())
    assert [one["object"] for one in fleet.events("agents.lost")] == [agent, agent]


def test_many_agents_that_say_the_same_at_once_are_one_event(fleet: Fleet) -> None:
    token = fleet.token(uses=20)
    agents = [fleet.enrolled(token).agent for _ in range(20)]
    made = fleet.published({"routes/api.json": b"{}"})
    report = AgentReport(fleet.id, Version(made.number, made.hash), Phase.SERVING, Held(fleet.id))
    book = fleet.world.master.book

    async def all_at_once() -> None:
        for agent in agents:
            book.reported(agent, 0, report)
        await book.settled()

    fleet.world.runner.run(all_at_once())
    (told,) = fleet.events("agents.serving")
    assert (told["object"], told["detail"]) == (
        fleet.id,
        {"agents": 20, "named": ["node-1"] * 10, "fleet": fleet.id, "revision": 1},
    )
