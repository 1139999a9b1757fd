"""What a master's metrics say of its database; both of them."""

import asyncio
import re

import pytest
from asgi import ask
from master_world import LISTENER, World
from rollout_driver import driver_of
from said_agent import Agent, W
from sqlalchemy import update

from headgate.fleet.frames import (
    Heartbeat,
    Held,
    Hello,
    Inventory,
    SeenCertificate,
    UpgradeEnded,
)
from headgate.master.domains.agents.store import AGENTS
from headgate.master.store.errors import StoreUnavailableError
from headgate.master.store.scope import MASTER
from headgate.master.store.transaction import Transaction
from headgate.master.telemetry import standing
from headgate.master.telemetry.port import Metrics, metrics_application

DAY_MS = 86_400_000


def scrape(world: World, accept: str = "") -> str:
    """The page, as a scraper gets it."""
    app = metrics_application(Metrics(world.master, "0.1"))
    reply = world.runner.run(ask(app, "GET", "/metrics", b"", {"accept": accept}))
    assert reply.status == 200, reply.body
    return reply.body.decode()


def values(page: str, name: str) -> dict[str, float]:
    """The samples of a name by their labels."""
    found = re.findall(rf"^{name}(?:{{(.*)}})? (\S+)$", page, re.MULTILINE)
    return {labels: float(value) for labels, value in found}


def test_fleets_sessions_requests_and_certificates_are_shown(world: World) -> None:
    admin = world.set_up()
    world.ask("POST", f"{W}/fleets", {"name": "edge"}, admin)
    world.runner.run(world.master.authority.authorities())
    agent = Agent(world, admin)
    ends = world.now_ms + 10 * DAY_MS
    seen = SeenCertificate("site", ("site.example",), "CN=ca", "ab" * 32, ends)
    beat = Heartbeat(Held(), inventory=Inventory(1, (seen,)))
    world.runner.run(world.master.book.seen(agent.id, beat))
    world.ask("POST", "/auth/login", {"name": "ann", "password": "wrong words here"})
    world.ask("GET", "/nowhere")
    page = scrape(world)

    fleet = 'organisation="main",workspace="default",fleet="edge"'
    assert values(page, "headgate_agents") == {
        f'{fleet},state="new"': 0,
        f'{fleet},state="connected"': 1,
        f'{fleet},state="away"': 0,
        f'{fleet},state="failing"': 0,
        f'{fleet},state="revoked"': 0,
    }
    labels = f'{fleet},agent="{agent.id}",certificate="site"'
    assert values(page, "headgate_served_certificate_expiry_days") == {labels: 10}
    assert values(page, "headgate_served_certificates") == {"": 1}
    (days,) = values(page, "headgate_fleet_authority_expiry_days").values()
    assert days > 365
    logins = values(page, "headgate_logins_total")
    assert logins == {'result="passed"': 0, 'result="refused"': 1, 'result="throttled"': 0}
    requests = values(page, "headgate_rest_requests_total")
    assert requests['method="POST",route="/api/v1/workspaces/{workspace}/fleets",status="201"'] == 1
    assert requests['method="GET",route="(none)",status="404"'] == 1
    assert values(page, "headgate_events_total")[""] >= 2
    assert values(page, "headgate_master_database_writes_total")['outcome="done"'] > 5
    assert values(page, "headgate_master_database_write_seconds_count")[""] > 5
    assert "# TYPE headgate_events_total counter" in scrape(world, "text/plain")

    world.advance(minutes=2)
    assert values(scrape(world), "headgate_agents")[f'{fleet},state="away"'] == 1


def test_series_are_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    admin = world.set_up()
    world.runner.run(world.master.authority.authorities())
    for name in ("edge", "core", "far"):
        world.ask("POST", f"{W}/fleets", {"name": name}, admin)
    agent = Agent(world, admin)
    monkeypatch.setattr(standing, "MOST_FLEETS", 0)
    monkeypatch.setattr(standing, "MOST_CERTIFICATES", 2)
    said = tuple(
        SeenCertificate(f"c{n}", (), "", "ab" * 32, world.now_ms + n * DAY_MS) for n in range(5)
    )
    beat = Heartbeat(Held(), inventory=Inventory(5, said))
    world.runner.run(world.master.book.seen(agent.id, beat))
    page = scrape(world)
    other = 'organisation="(other)",workspace="(other)",fleet="(other)"'
    assert values(page, "headgate_agents") == {f'{other},state="connected"': 1}
    shown = values(page, "headgate_served_certificate_expiry_days")
    assert sorted(shown.values()) == [0, 1]
    assert values(page, "headgate_served_certificates") == {"": 5}


def test_certificates_of_revoked_agents_hide_none_of_nodes_that_serve(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin = world.set_up()
    world.ask("POST", f"{W}/fleets", {"name": "edge"}, admin)
    world.runner.run(world.master.authority.authorities())
    gone, here = Agent(world, admin), Agent(world, admin)
    monkeypatch.setattr(standing, "MOST_CERTIFICATES", 2)
    for agent, days in ((gone, (-2, -1)), (here, (5,))):
        said = tuple(
            SeenCertificate(f"c{n}", (), "", "ab" * 32, world.now_ms + n * DAY_MS) for n in days
        )
        beat = Heartbeat(Held(), inventory=Inventory(len(said), said))
        world.runner.run(world.master.book.seen(agent.id, beat))
    name = "headgate_served_certificate_expiry_days"
    assert sorted(values(scrape(world), name).values()) == [-2, -1]
    assert world.ask("POST", f"{W}/agents/{gone.id}/revocation", {}, admin).status == 200
    page = scrape(world)
    assert list(values(page, name).values()) == [5]
    assert values(page, "headgate_served_certificates") == {"": 1}


def test_scrapes_at_once_look_once_and_one_without_a_database_still_answers(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.set_up()
    world.runner.run(world.master.authority.authorities())
    looks = 0

    async def away(*_: object) -> None:
        nonlocal looks
        looks += 1
        raise StoreUnavailableError("the database is away")

    monkeypatch.setattr(standing, "look", away)
    metrics = Metrics(world.master, "0.1")

    async def both() -> list[bytes]:
        return list(await asyncio.gather(metrics.page(), metrics.page()))

    one, two = world.runner.run(both())
    assert looks == 1
    for page in (one, two):
        assert b"headgate_master_database_up{" in page
        assert b"} 0\n" in page
        assert b"headgate_agents{" not in page


def test_upgrades_of_agents_are_shown_by_fleet_version_and_state(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin = world.set_up()
    world.ask("POST", f"{W}/fleets", {"name": "edge"}, admin)
    world.runner.run(world.master.authority.authorities())
    agent = Agent(world, admin)
    hello = Hello(agent.id, 1, "1.0.0", can_upgrade=True)
    world.runner.run(world.master.book.joined(agent.id, hello, "192.0.2.1"))
    begun = {"fleet": "edge", "program": "2.0.0", "waves": ["rest"]}
    rollout = world.ask("POST", f"{W}/rollouts", begun, admin)["id"]
    ordered = world.now_ms
    values_of = {"wanted_program": "2.0.0", "upgrade_order": ordered, "upgrade_state": "asked"}

    async def order(tx: Transaction) -> None:
        await tx.change(update(AGENTS).where(AGENTS.c.id == agent.id).values(values_of))

    world.runner.run(world.database.write(MASTER, order))
    fleet = 'organisation="main",workspace="default",fleet="edge"'
    page = scrape(world)
    assert values(page, "headgate_master_agent_programs") == {f'{fleet},version="1.0.0"': 1}
    assert values(page, "headgate_master_agent_upgrades")[f'{fleet},state="asked"'] == 1
    assert values(page, "headgate_master_program_rollouts")['state="queued"'] == 1, rollout
    assert values(page, "headgate_rollouts")['state="queued"'] == 1
    world.advance(seconds=20)
    beat = Heartbeat(Held(), upgrade_ended=UpgradeEnded(ordered, "2.0.0", "no such wheel"))
    world.runner.run(world.master.book.seen(agent.id, beat))
    monkeypatch.setattr(standing, "MOST_PROGRAMS", 0)
    page = scrape(world)
    assert values(page, "headgate_master_agent_programs") == {f'{fleet},version="(other)"': 1}
    assert values(page, "headgate_master_agent_upgrades")[f'{fleet},state="failed"'] == 1
    ended = values(page, "headgate_master_agent_upgrades_ended_total")
    assert ended == {'result="done"': 0, 'result="failed"': 1}
    assert values(page, "headgate_master_agent_upgrade_seconds_sum") == {"": 20}


def test_a_rollout_that_holds_shows_for_how_long(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin = world.set_up()
    for name in ("edge", "core"):
        world.ask("POST", f"{W}/fleets", {"name": name}, admin)
    world.runner.run(world.master.authority.authorities())
    Agent(world, admin)
    world.ask("PUT", f"{W}/resources/listeners/web", {"spec": LISTENER}, admin)
    assert world.ask("POST", f"{W}/revisions", {"fleet": "edge"}, admin).status == 201
    driver = driver_of(world)
    for _ in range(12):  # nobody is connected any more, and nobody is waited for
        world.runner.run(driver.tick())
        world.advance(seconds=10)
    body = {"fleet": "edge", "revision": 1}
    rollout = world.ask("POST", f"{W}/rollouts", body, admin)["id"]
    for _ in range(7):
        world.runner.run(driver.tick())
        world.advance(seconds=10)
    place = 'organisation="main",workspace="default"'
    name = "headgate_rollout_hold_seconds"
    found = values(scrape(world), name)
    assert found == {f'{place},fleet="edge"': 70, f'{place},fleet="core"': 0}
    with monkeypatch.context() as patched:
        patched.setattr(standing, "MOST_FLEETS", 0)
        other = 'organisation="(other)",workspace="(other)",fleet="(other)"'
        assert values(scrape(world), name) == {other: 70}
    orders = f"{W}/rollouts/{rollout}/orders"
    assert world.ask("POST", orders, {"verb": "abort"}, admin).status == 200
    assert set(values(scrape(world), name).values()) == {0}


def test_searches_and_previews_are_counted_by_how_they_went(world: World) -> None:
    admin = world.set_up()
    world.ask("POST", f"{W}/fleets", {"name": "edge"}, admin)
    world.runner.run(world.master.authority.authorities())
    agent = Agent(world, admin)
    world.advance(minutes=2)
    assert world.ask("POST", f"{W}/fleets/edge/logs", {}, admin).status == 200
    assert world.ask("POST", f"{W}/agents/{agent.id}0/logs", {}, admin).status == 404
    route = {"listeners": ["web"], "respond": {"body": "one"}}
    changes = [
        {"kind": "listeners", "name": "web", "spec": {"address": "127.0.0.1:8000"}},
        {"kind": "routes", "name": "all", "spec": route},
    ]
    assert world.ask("POST", f"{W}/preview", {"changes": changes}, admin).status == 200
    wrong = [{"kind": "routes", "name": "all", "spec": route | {"listeners": ["none"]}}]
    assert world.ask("POST", f"{W}/preview", {"changes": wrong}, admin).status == 200
    page = scrape(world)
    found = values(page, "headgate_master_log_searches_total")
    assert found == {'result="answered"': 1, 'result="throttled"': 0, 'result="refused"': 1}
    assert values(page, "headgate_master_log_search_seconds_count") == {"": 1}
    assert values(page, "headgate_master_log_searches_in_progress") == {"": 0}
    assert values(page, "headgate_master_log_search_agents_total")['state="away"'] == 1
    assert values(page, "headgate_master_previews_total") == {
        'result="passed"': 1,
        'result="refused"': 1,
    }
    asked = values(page, "headgate_master_preview_requests_total")
    assert asked['fate="elsewhere"'] >= 1
