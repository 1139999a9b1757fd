"""The agents' WebSocket of a master: no token of the REST API opens it, and no certificate but one
that counts now, with its key; both databases."""

from collections.abc import Callable

import pytest
from asgi import SWITCHED, dialled
from master_world import PASSWORD, World
from said_agent import Agent, W
from waiting import until_async

from headgate.certificates.authority import create, new_csr
from headgate.fleet import codec
from headgate.fleet import frames as fr
from headgate.fleet.signing import sign_challenge
from headgate.master.access import ROLE_NAMES
from headgate.master.api.fairness import Places
from headgate.master.fleet.websocket import PATH

Prove = Callable[[bytes], fr.Proof | None]
"""Returns the answer to a challenge."""


@pytest.fixture
def admin(world: World) -> str:
    """A master with a fleet; the administrator's token."""
    token = world.set_up()
    assert world.ask("POST", f"{W}/fleets", {"name": "edge"}, token).status == 201
    return token


def told(world: World, agent: str, prove: Prove, token: str | None = None) -> fr.MasterBody:
    """The master's answer to a Hello in this agent's name."""

    async def talk() -> fr.MasterBody:
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        async with dialled(world.app, PATH, headers) as socket:
            assert socket.status == SWITCHED
            challenge = codec.decode_master(await socket.receive()).body
            assert isinstance(challenge, fr.Challenge)
            hello = fr.Hello(agent, 1, "1", proof=prove(challenge.nonce))
            await socket.send(codec.encode_agent(fr.AgentFrame(0, 1, hello)))
            answer = codec.decode_master(await socket.receive()).body
            if not isinstance(answer, fr.Welcome):
                assert world.master.hub.connected() == frozenset()
        await until_async(lambda: not world.master.hub.connected(), "the end of the session")
        return answer

    return world.runner.run(talk())


def own(agent: Agent) -> Prove:
    return lambda nonce: fr.Proof(
        agent.given.certificate_pem, sign_challenge(agent.key, agent.id, nonce)
    )


def refused(answer: fr.MasterBody) -> str:
    assert isinstance(answer, fr.Goodbye), answer
    return answer.code


def test_an_agent_proves_itself_with_its_key_and_certificate(world: World, admin: str) -> None:
    agent = Agent(world, admin)
    assert isinstance(told(world, agent.id, own(agent)), fr.Welcome)


def test_no_token_stands_for_an_agent(world: World, admin: str) -> None:
    agent = Agent(world, admin)
    world.ask("POST", "/organisations", {"name": "other"}, admin)

    def token(name: str, role: str, organisation: str = "main", days: int = 90) -> str:
        body = {"name": name, "role": role, "days": days}
        return world.ask("POST", f"/tokens?organisation={organisation}", body, admin)["secret"]

    expired, foreign = token("old", "admin", days=1), token("foreign", "admin", "other")
    roles = [token(name, name) for name in ROLE_NAMES]
    world.advance(hours=25)
    again = world.ask("POST", "/auth/login", {"name": "ann", "password": PASSWORD})["access_token"]
    for secret in (None, expired, foreign, *roles, again):
        assert refused(told(world, agent.id, lambda _: None, secret)) == "unknown"


def test_a_certificate_counts_in_its_time_from_its_authority_with_its_key(
    world: World, admin: str
) -> None:
    agent, other = Agent(world, admin), Agent(world, admin)
    now = world.master.authority.now()
    forged = create("headgate fleet", now).client(new_csr(agent.key), agent.id, now)
    proofs: list[Prove] = [
        lambda nonce: fr.Proof(forged, sign_challenge(agent.key, agent.id, nonce)),
        lambda nonce: fr.Proof(
            agent.given.certificate_pem, sign_challenge(other.key, agent.id, nonce)
        ),
        lambda _: fr.Proof(agent.given.certificate_pem, sign_challenge(agent.key, agent.id, b"x")),
        own(other),  # in the name of the first one
    ]
    assert [refused(told(world, agent.id, one)) for one in proofs] == ["unknown"] * len(proofs)
    world.advance(hours=24, ms=1)
    assert refused(told(world, agent.id, own(agent))) == "unknown"


def test_a_revoked_agent_gets_no_session(world: World, admin: str) -> None:
    agent = Agent(world, admin)
    assert world.ask("POST", f"{W}/agents/{agent.id}/revocation", {}, admin).status == 200
    assert refused(told(world, agent.id, own(agent))) == "revoked"


def test_those_who_do_not_prove_themselves_have_few_places(
    world: World, admin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An agent that did takes none of them, and has a place of its own."""
    agent = Agent(world, admin)
    monkeypatch.setattr(world.master.sockets, "strangers", Places(1, 1))

    async def talk() -> None:
        async with dialled(world.app, PATH) as first:
            challenge = codec.decode_master(await first.receive()).body
            assert isinstance(challenge, fr.Challenge)
            async with dialled(world.app, PATH) as second:
                assert second.status == 503
            hello = fr.Hello(agent.id, 1, "1", proof=own(agent)(challenge.nonce))
            await first.send(codec.encode_agent(fr.AgentFrame(0, 1, hello)))
            assert isinstance(codec.decode_master(await first.receive()).body, fr.Welcome)
            async with dialled(world.app, PATH) as third:
                assert third.status == SWITCHED

    world.runner.run(talk())


def test_agents_leave_places_to_others(
    world: World, admin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world.master.sockets, "agents", Places(0, 0))
    assert world.dial(PATH.removeprefix("/api/v1")).status == 503
