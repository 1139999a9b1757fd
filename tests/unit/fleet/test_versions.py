"""Agents and masters of different versions: what they agree on, and how they part."""

import pytest

from headgate.fleet import agent_events as ae
from headgate.fleet import codec
from headgate.fleet import frames as fr
from headgate.fleet import master_events as me
from headgate.fleet.agent_session import AgentFacts, AgentSession
from headgate.fleet.agent_session import State as AgentState
from headgate.fleet.master_session import MasterSession, Terms
from headgate.fleet.master_session import State as MasterState

Range = tuple[int, int]


class Pair:
    """One agent and one master, with bytes between them."""

    def __init__(self, agent: Range, master: Range) -> None:
        facts = AgentFacts("a", 1, "9", oldest_protocol=agent[0], newest_protocol=agent[1])
        terms = Terms(oldest_protocol=master[0], newest_protocol=master[1])
        self.agent = AgentSession(facts, lambda: 0.5)
        self.master = MasterSession(terms, lambda: 0.5, 0.0)
        self.protocol = 0
        self.why = ""
        self._tell_agent(ae.Start())
        self._tell_agent(ae.Connected())

    def _tell_agent(self, event: ae.Event) -> None:
        for command in self.agent.handle(event, 1.0):
            match command:
                case ae.Send(frame):
                    heard = codec.decode_agent(codec.encode_agent(frame))
                    self._tell_master(me.Received(heard))
                case ae.HangUp(why):
                    self.why = why

    def _tell_master(self, event: me.Event) -> None:
        for command in self.master.handle(event, 1.0):
            match command:
                case me.Send(frame):
                    if isinstance(frame.body, fr.Welcome):
                        self.protocol = frame.body.protocol
                    heard = codec.decode_master(codec.encode_master(frame))
                    self._tell_agent(ae.Received(heard))
                case me.Join():
                    self._tell_master(me.Joined(7))


@pytest.mark.parametrize(
    ("agent", "master", "agreed"),
    [
        ((1, 1), (1, 1), 1),
        # The agent is one version older, or newer: each version speaks the one before, too.
        ((1, 2), (2, 3), 2),
        ((3, 4), (2, 3), 3),
        ((2, 3), (2, 3), 3),
        ((1, 1), (1, 2), 1),
        ((1, 2), (1, 1), 1),
    ],
)
def test_neighbours_speak_the_newest_that_both_know(
    agent: Range, master: Range, agreed: int
) -> None:
    pair = Pair(agent, master)
    assert pair.protocol == agreed
    assert (pair.agent.state, pair.master.state) == (AgentState.LIVE, MasterState.LIVE)


@pytest.mark.parametrize(("agent", "master"), [((1, 1), (2, 3)), ((4, 5), (2, 3))])
def test_those_that_are_further_apart_part_and_say_what_each_speaks(
    agent: Range, master: Range
) -> None:
    pair = Pair(agent, master)
    assert (pair.agent.state, pair.master.state) == (AgentState.WAITING, MasterState.CLOSED)
    assert pair.why == (
        f"protocol: the agent speaks protocol {agent[0]} to {agent[1]}, the master "
        f"{master[0]} to {master[1]}; upgrade the older one"
    )
    due = pair.agent.deadline()
    assert due is not None
    assert due >= 61.0


def test_a_version_speaks_its_own_protocol_and_at_least_the_one_before() -> None:
    assert max(1, fr.NEWEST_PROTOCOL - 1) == fr.OLDEST_PROTOCOL
