"""Searches of logs over a session: who is asked, and answers in parts."""

from dataclasses import replace

import fleet_parts as parts_of
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.fleet import agent_events as ae
from headgate.fleet import frames as fr
from headgate.fleet import master_events as me
from headgate.fleet.agent_session import AgentFacts, AgentSession
from headgate.fleet.codec import decode_agent, decode_master, encode_agent, encode_master
from headgate.fleet.master_session import MasterSession, Terms
from headgate.fleet.order_codec import decode_order, encode_order
from headgate.fleet.orders import Order
from headgate.fleet.searches import (
    LOGS,
    MOST_LINES,
    PART_BYTES,
    LogLine,
    LogLines,
    LogSearch,
    parts,
    whole,
)

AGENT = "agent-1"
SEARCH = LogSearch(3, 7, "5xx", "a.test", "/api", "curl", 50, "access")
FOUND = LogLines(3, (LogLine(9, "b"), LogLine(8, "a")), True, "more than 2 lines", "", 77)


def asked(takes: tuple[str, ...] = (LOGS,)) -> tuple[MasterSession, list[me.Command]]:
    """A master's session with an agent that takes these orders, and what a search sends."""
    session = MasterSession(Terms(), lambda: 0.5, 0.0)
    session.handle(me.Received(fr.AgentFrame(0, 1, fr.Hello(AGENT, 1, "0.1", orders=takes))), 0.0)
    session.handle(me.Joined(5), 0.0)
    return session, session.handle(me.Asked(SEARCH, parts_of.KEY.sign), 0.0)


def listener(takes: tuple[str, ...] = (LOGS,)) -> AgentSession:
    """An agent's live session."""
    facts = AgentFacts(AGENT, 1, "0.1", keys=(parts_of.PUBLIC_KEY,), orders=takes)
    session = AgentSession(facts, lambda: 0.5)
    session.handle(ae.Start(), 0.0)
    session.handle(ae.Connected(), 0.0)
    session.handle(ae.Received(fr.MasterFrame(5, 1, fr.Welcome(1, 10.0, 1 << 18))), 0.0)
    return session


def test_a_search_and_its_answer_survive_their_bytes() -> None:
    assert decode_order(encode_order(SEARCH)) == SEARCH
    frame = fr.AgentFrame(5, 2, FOUND)
    assert decode_agent(encode_agent(frame)) == frame


@pytest.mark.parametrize(("limit", "kept"), [(0, 1), (1 << 31, MOST_LINES)])
def test_an_agent_bounds_what_it_is_asked_for(limit: int, kept: int) -> None:
    found = decode_order(encode_order(replace(SEARCH, limit=limit, text="x" * 9_999)))
    assert isinstance(found, LogSearch)
    assert (found.limit, len(found.text)) == (kept, 1_000)


def test_a_search_is_signed_carried_out_and_answered() -> None:
    master, sent = asked()
    (send,) = sent
    assert isinstance(send, me.Send)
    frame = decode_master(encode_master(send.frame))
    assert isinstance(frame.body, Order)
    agent = listener()
    assert agent.handle(ae.Received(replace(frame, sequence=2)), 0.0) == [ae.CarryOut(SEARCH)]
    answers = agent.handle(ae.Searched(FOUND), 1.0)
    frames = [one.frame for one in answers if isinstance(one, ae.Send)]
    assert [one.body for one in frames] == [FOUND]
    heard = [master.handle(me.Received(one), 1.0) for one in frames]
    assert heard == [[me.Answered(FOUND)]]


def test_the_same_search_may_be_asked_again() -> None:
    master, _ = asked()
    assert len(master.handle(me.Asked(SEARCH, parts_of.KEY.sign), 0.0)) == 1


def test_an_older_agent_is_not_asked() -> None:
    master, sent = asked(takes=())
    assert (sent, master.takes(LOGS)) == ([], False)


def test_nothing_is_said_in_a_session_that_has_ended() -> None:
    agent = listener()
    agent.handle(ae.Disconnected("cut"), 1.0)
    assert agent.handle(ae.Searched(FOUND), 1.0) == []


@given(st.lists(st.integers(0, 40_000), max_size=30))
def test_an_answer_is_whole_again_of_its_parts(sizes: list[int]) -> None:
    lines = tuple(LogLine(n, "x" * size) for n, size in enumerate(sizes))
    answer = LogLines(3, lines, True, "cut", "", 9)
    found = list(parts(answer))
    assert whole(found) == answer
    assert [one.is_last for one in found] == [False] * (len(found) - 1) + [True]
    for one in found:
        assert sum(len(line.text) for line in one.lines[:-1]) < PART_BYTES
