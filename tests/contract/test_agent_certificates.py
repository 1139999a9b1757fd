"""Single certificates of agents: revoked by number, and agents that come back after a long time."""

import base64
import datetime as dt

import pytest
from cryptography import x509
from master_world import PASSWORD, World
from said_agent import Agent, W

from headgate.certificates.authority import new_csr
from headgate.fleet.frames import Heartbeat, Held
from headgate.fleet.signing import sign_challenge
from headgate.master.domains.enrolment.service import RENEWALS_PER_MINUTE
from headgate.master.domains.sessions import shared
from headgate.master.domains.sessions.throttle import ADDRESS
from headgate.master.fleet.book import AgentFacts, Enrolled
from headgate.master.store.scope import MASTER
from headgate.master.store.transaction import Transaction


@pytest.fixture
def admin(world: World) -> str:
    """A master with a fleet; the administrator's token."""
    token = world.set_up()
    made = world.ask("POST", f"{W}/fleets", {"name": "edge"}, token)
    assert made.status == 201, made.text
    return token


def serial(given: Enrolled) -> str:
    return f"{x509.load_pem_x509_certificate(given.certificate_pem).serial_number:x}"


def test_a_revoked_certificate_is_nobodys_and_the_next_one_is(world: World, admin: str) -> None:
    agent = Agent(world, admin)
    book, run = world.master.book, world.runner.run
    old = serial(agent.given)
    agent.renew()
    new = serial(agent.given)
    cut: list[tuple[str, frozenset[str]]] = []
    book.cut_certificates = lambda one, serials: cut.append((one, serials))
    path = f"{W}/agents/{agent.id}/certificates"
    done = world.ask("POST", f"{path}/{old}/revocation", None, admin)
    assert (done.status, done["certificate_serial"]) == (200, new)
    assert run(book.identify(agent.id, old)) is None
    assert run(book.identify(agent.id, new)) is not None
    # A master that has the stream sees it with the next heartbeat.
    run(book.seen(agent.id, Heartbeat(Held())))
    assert cut == [(agent.id, frozenset({old}))]
    world.close()
    world.open()
    assert world.runner.run(world.master.book.identify(agent.id, old)) is None
    assert world.ask("POST", f"{path}/XYZ/revocation", None, admin).status == 422


def renewal(world: World, agent: Agent) -> tuple[int, str]:
    """What the master answers to a renewal by the agent's certificate."""
    csr = new_csr(agent.key).decode()

    signature = sign_challenge(agent.key, agent.id, csr.encode())
    body = {
        "certificate": agent.given.certificate_pem.decode(),
        "csr": csr,
        "signature": base64.b64encode(signature).decode(),
    }
    answer = world.ask("POST", "/enrolment/renewal", body)
    return answer.status, answer.json.get("type", "")  # type: ignore[return-value]


def test_an_agent_comes_back_by_its_old_key_for_thirty_days(world: World, admin: str) -> None:
    agent = Agent(world, admin)
    world.runner.run(world.master.book.left(agent.id, 1))
    world.advance(days=30)
    assert renewal(world, agent) == (200, "")
    world.advance(days=32)
    assert renewal(world, agent)[1] == "urn:headgate:problem:enrolment-approval"
    token = again(world)
    done = world.ask("POST", f"{W}/agents/{agent.id}/approval", None, token)
    assert done.status == 200, done.text
    assert renewal(world, agent) == (200, "")
    # The approval is used up.
    assert renewal(world, agent)[1] == "urn:headgate:problem:enrolment-approval"


def lines(world: World, admin: str) -> int:
    """The lines of the audit log that agents wrote by their renewals."""
    found = world.ask("GET", "/audit?limit=200", token=admin).items
    return sum("an agent " in str(one["action"]) for one in found)


def test_an_agent_gets_so_many_certificates_a_minute(world: World, admin: str) -> None:
    agent, other = Agent(world, admin), Agent(world, admin)
    for _ in range(RENEWALS_PER_MINUTE):
        assert renewal(world, agent) == (200, "")
    assert renewal(world, agent) == (429, "urn:headgate:problem:throttled")
    assert lines(world, admin) == RENEWALS_PER_MINUTE
    assert renewal(world, other) == (200, "")
    world.advance(minutes=1)
    assert renewal(world, agent) == (200, "")


def test_refusals_to_come_back_are_as_few_and_do_not_hold_up_renewals(
    world: World, admin: str
) -> None:
    agent = Agent(world, admin)
    expired = agent.given
    world.advance(days=2)
    world.runner.run(world.master.book.seen(agent.id, Heartbeat(Held())))
    for _ in range(RENEWALS_PER_MINUTE):
        assert renewal(world, agent)[1] == "urn:headgate:problem:enrolment-live"
    assert renewal(world, agent) == (429, "urn:headgate:problem:throttled")
    assert lines(world, again(world)) == RENEWALS_PER_MINUTE
    agent.renew()
    assert agent.given != expired


def again(world: World) -> str:

    return world.ask("POST", "/auth/login", {"name": "ann", "password": PASSWORD})["access_token"]


def test_who_is_connected_revoked_or_elsewhere_does_not_come_back(world: World, admin: str) -> None:
    book, run = world.master.book, world.runner.run
    agent = Agent(world, admin)
    world.advance(days=2)
    run(book.seen(agent.id, Heartbeat(Held())))
    assert renewal(world, agent)[1] == "urn:headgate:problem:enrolment-live"
    world.advance(minutes=2)
    world.ask("POST", f"{W}/agents/{agent.id}/revocation", {}, again(world))
    assert renewal(world, agent)[1] == "urn:headgate:problem:enrolment-revoked"

    body = {"fleet": "edge", "addresses": ["10.0.0.0/8"]}
    near = world.ask("POST", f"{W}/join-tokens", body, again(world))["token"]
    other = Agent(world, again(world))
    other.given = run(book.enrol(near, new_csr(other.key), AgentFacts("n", "1"), "10.1.1.1"))
    other.id = other.given.agent
    world.advance(days=2)
    assert renewal(world, other)[1] == "urn:headgate:problem:enrolment-approval"
    expired = dt.datetime.fromtimestamp(world.now_ms / 1_000, dt.UTC)
    assert run(book.rejoin(other.id, new_csr(other.key), "10.2.2.2", expired)).agent == other.id


def test_failures_count_for_all_masters(world: World, admin: str) -> None:
    del admin
    for _ in range(5):
        answer = world.ask("POST", "/auth/login", {"name": "ann", "password": "wrong wrong"})
        assert answer.status == 401
    world.close()
    world.open()  # another master, or this one after a restart
    assert world.ask("POST", "/auth/login", {"name": "ann", "password": "x" * 12}).status == 429
    assert again_status(world) == 429
    world.advance(minutes=20)
    assert again_status(world) == 200


def again_status(world: World) -> int:

    return world.ask("POST", "/auth/login", {"name": "ann", "password": PASSWORD}).status


def test_the_rows_of_failures_are_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:

    monkeypatch.setattr(shared, "MOST_ROWS", 20)
    monkeypatch.setattr(shared, "_PRUNED", 10)
    for number in range(50):
        world.advance(ms=1)
        world.runner.run(world.master.logins.failed({ADDRESS: f"login {number}"}))

    async def count(tx: Transaction) -> int:
        return await tx.count(shared.THROTTLES)

    assert world.runner.run(world.database.write(MASTER, count)) <= 20
    # The newest ones count.
    newest = {ADDRESS: "login 49"}
    for _ in range(60):
        world.runner.run(world.master.logins.failed(newest))
    assert world.runner.run(world.master.logins.wait_ms(newest)) > 0
