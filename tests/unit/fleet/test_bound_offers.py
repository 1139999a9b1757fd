"""An offer counts for one agent, in one session, once: who stands between cannot repeat it."""

from dataclasses import replace

import fleet_parts as parts
import pytest

from headgate.fleet import agent_events as ae
from headgate.fleet import frames as fr
from headgate.fleet import master_events as me
from headgate.fleet.agent_session import AgentFacts, AgentSession, State
from headgate.fleet.codec import decode_master, encode_master
from headgate.fleet.master_session import MasterSession, Terms

AGENT = "agent-1"
HELLO = fr.Hello(AGENT, 1, "0.1")


def offered(revision: int, fence: int, *, agent: str = AGENT, nonces: int = 1) -> fr.Offer:
    """What a master offers this agent in the session with this fence, as it was sent."""
    session = MasterSession(Terms(), lambda: 0.5, 0.0)
    session.handle(me.Received(fr.AgentFrame(0, 1, replace(HELLO, agent=agent))), 0.0)
    session.handle(me.Joined(fence), 0.0)
    sent: list[me.Command] = []
    for number in range(nonces):
        wanted = parts.desired(revision if number == nonces - 1 else 50 + number)
        sent = session.handle(me.DesiredIs(wanted, parts.manifest(revision)), 0.0)
    (frame,) = (one.frame for one in sent if isinstance(one, me.Send))
    body = decode_master(encode_master(frame)).body
    assert isinstance(body, fr.Offer)
    return body


class Agent:
    """An agent whose connection somebody else holds."""

    def __init__(self, bound: int = 0) -> None:
        facts = AgentFacts(AGENT, 1, "0.1", keys=(parts.PUBLIC_KEY,))
        self.session = AgentSession(facts, lambda: 0.5, bound=bound)
        self._sequence = 0

    def welcome(self, fence: int) -> None:
        """A new connection with this fence."""
        self.session.handle(ae.Disconnected("cut"), 0.0)
        at = self.session.deadline() or 0.0
        event = ae.Start() if at == 0.0 else ae.Tick()
        self.session.handle(event, at)
        self.session.handle(ae.Connected(), at)
        self._sequence = 1
        frame = fr.MasterFrame(fence, 1, fr.Welcome(1, 10.0, 1 << 18))
        self.session.handle(ae.Received(frame), at)

    def hears(self, offer: fr.Offer, fence: int) -> fr.Report:
        """What it reports of an offer."""
        self._sequence += 1
        frame = fr.MasterFrame(fence, self._sequence, offer)
        commands = self.session.handle(ae.Received(frame), 0.0)
        bodies = [one.frame.body for one in commands if isinstance(one, ae.Send)]
        (report,) = (one for one in bodies if isinstance(one, fr.Report))
        return report


def refused(report: fr.Report) -> bool:
    return (
        report.phase is fr.Phase.REJECTED
        and report.fault is not None
        and (report.fault.code == "binding" and report.fault.is_transient)
    )


def test_an_offer_of_this_session_is_taken() -> None:
    agent = Agent()
    agent.welcome(7)
    assert agent.hears(offered(3, 7), 7).phase is fr.Phase.RECEIVED
    assert agent.session.work.bound == 7


@pytest.mark.parametrize("nonce", [1, 9])
def test_an_older_offer_is_refused_in_a_later_session(nonce: int) -> None:
    agent = Agent()
    agent.welcome(7)
    old = offered(3, 7)
    agent.hears(old, 7)
    agent.welcome(8)
    assert refused(agent.hears(replace(old, nonce=nonce), 8))
    assert agent.session.work.mailbox is None
    assert agent.session.work.bound == 7
    assert agent.hears(offered(4, 8, nonces=10), 8).phase is fr.Phase.RECEIVED


def test_an_offer_without_its_binding_is_refused_once_one_had_it() -> None:
    agent = Agent()
    agent.welcome(7)
    assert agent.hears(replace(offered(3, 7), binding=b""), 7).phase is fr.Phase.RECEIVED
    agent.hears(offered(4, 7, nonces=2), 7)
    agent.welcome(8)
    assert refused(agent.hears(replace(offered(3, 8), binding=b""), 8))


def test_a_whole_older_session_is_not_repeated_after_a_restart() -> None:
    agent = Agent(bound=8)
    for fence in (7, 8):
        agent.welcome(fence)
        assert agent.session.state is State.WAITING
    agent.welcome(9)
    assert refused(agent.hears(offered(3, 8), 9))


def test_an_offer_to_another_agent_or_of_another_revision_is_refused() -> None:
    agent = Agent()
    agent.welcome(7)
    assert refused(agent.hears(offered(3, 7, agent="agent-2"), 7))
    mixed = replace(offered(3, 7, nonces=2), binding=offered(4, 7, nonces=2).binding)
    assert refused(agent.hears(mixed, 7))
