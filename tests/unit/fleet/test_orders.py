"""Orders beside revisions: who takes which, how often they are sent, what no proxy can repeat."""

from dataclasses import replace

import fleet_parts as parts
import pytest

from headgate.fleet import agent_events as ae
from headgate.fleet import frames as fr
from headgate.fleet import master_events as me
from headgate.fleet.agent_session import AgentFacts, AgentSession
from headgate.fleet.codec import decode_agent, decode_master, encode_agent, encode_master
from headgate.fleet.drift import MOST_DIFF_BYTES, Drift, DriftedFile, HealEnd, bounded
from headgate.fleet.master_session import MasterSession, Terms
from headgate.fleet.order_codec import decode_order, encode_order
from headgate.fleet.orders import DRIFT_POLICY, HEAL, DriftPolicy, Heal, Order, OrderBody, Upgrade
from headgate.kernel.errors import Invalid

AGENT = "agent-1"
BOTH = (DRIFT_POLICY, HEAL)
REPORT = DriftPolicy("report", 60.0)
DRIFT = Drift(
    since_ms=7,
    states=("disk drift",),
    files=(DriftedFile("releases/1-a/nginx.conf", "edited", 7, "-a\n+b\n", "same"),),
    total=1,
    policy="report",
    held="night fix",
    alarm="look",
    heal=HealEnd(9, "held"),
)


class Pair:
    """A master's session and what it sends."""

    def __init__(self, takes: tuple[str, ...] = BOTH, fence: int = 5) -> None:
        self.session = MasterSession(Terms(), lambda: 0.5, 0.0)
        hello = fr.Hello(AGENT, 1, "0.1", orders=takes)
        sent = decode_agent(encode_agent(fr.AgentFrame(0, 1, hello)))
        self.session.handle(me.Received(sent), 0.0)
        self.session.handle(me.Joined(fence), 0.0)

    def orders(self, *bodies: OrderBody) -> list[Order]:
        """What is sent when the agent is ordered these."""
        orders = me.Orders(bodies, parts.KEY.sign)
        sent = self.session.handle(me.DesiredIs(None, None, orders=orders), 0.0)
        self.session.handle(me.Woken(), 0.0)
        frames = [
            decode_master(encode_master(one.frame)) for one in sent if isinstance(one, me.Send)
        ]
        return [one.body for one in frames if isinstance(one.body, Order)]


class Listener:
    """An agent's session with this fence."""

    def __init__(self, fence: int = 5, takes: tuple[str, ...] = BOTH, agent: str = AGENT) -> None:
        facts = AgentFacts(agent, 1, "0.1", keys=(parts.PUBLIC_KEY,), orders=takes)
        self.session = AgentSession(facts, lambda: 0.5)
        self._fence, self._sequence = fence, 1
        self.session.handle(ae.Start(), 0.0)
        self.session.handle(ae.Connected(), 0.0)
        welcome = fr.MasterFrame(fence, 1, fr.Welcome(1, 10.0, 1 << 18))
        self.session.handle(ae.Received(welcome), 0.0)

    def hears(self, order: Order) -> list[OrderBody]:
        """What it does for an order."""
        self._sequence += 1
        frame = fr.MasterFrame(self._fence, self._sequence, order)
        commands = self.session.handle(ae.Received(frame), 0.0)
        return [one.order for one in commands if isinstance(one, ae.CarryOut)]


@pytest.mark.parametrize(
    "body", [REPORT, DriftPolicy(), Heal(1 << 40), Upgrade(0, ""), Upgrade(1 << 40, "2.0.0")]
)
def test_an_order_survives_its_bytes(body: OrderBody) -> None:
    assert decode_order(encode_order(body)) == body


@pytest.mark.parametrize("data", [b"", b"\xff", b"\xfa\x3f\x03new"])
def test_what_is_no_known_order_is_refused(data: bytes) -> None:
    with pytest.raises(Invalid):
        decode_order(data)


def test_an_order_is_sent_once_in_a_session_and_again_when_it_changes() -> None:
    pair = Pair()
    assert [decode_order(one.body) for one in pair.orders(REPORT)] == [REPORT]
    assert pair.orders(REPORT) == []
    assert [decode_order(one.body) for one in pair.orders(REPORT, Heal(3))] == [Heal(3)]
    (again,) = pair.orders(DriftPolicy("heal", 1.0), Heal(3))
    assert (again.nonce, decode_order(again.body)) == (3, DriftPolicy("heal", 1.0))


def test_an_older_agent_is_ordered_nothing_that_it_does_not_name() -> None:
    assert Pair(takes=()).orders(REPORT, Heal(3)) == []
    assert [decode_order(one.body) for one in Pair((HEAL,)).orders(REPORT, Heal(3))] == [Heal(3)]


def test_an_agent_does_what_it_is_ordered_once() -> None:
    (order,) = Pair().orders(REPORT)
    listener = Listener()
    assert listener.hears(order) == [REPORT]
    assert listener.hears(order) == []


def test_an_order_counts_for_one_agent_in_one_session_as_it_was_signed() -> None:
    (order,) = Pair().orders(REPORT)
    assert Listener(fence=6).hears(order) == []
    assert Listener(agent="agent-2").hears(order) == []
    assert Listener(takes=(HEAL,)).hears(order) == []
    assert Listener().hears(replace(order, nonce=2)) == []
    assert Listener().hears(replace(order, body=encode_order(Heal(1)))) == []
    assert Listener().hears(replace(order, binding=b"")) == []


def beats(commands: list[ae.Command]) -> list[Drift | None]:
    """The drift in the heartbeats among commands."""
    bodies = [one.frame.body for one in commands if isinstance(one, ae.Send)]
    return [one.drift for one in bodies if isinstance(one, fr.Heartbeat)]


def test_drift_is_told_at_once_and_once_in_each_session() -> None:
    session = Listener().session
    assert beats(session.handle(ae.Drifted(DRIFT), 1.0)) == [DRIFT]
    assert beats(session.handle(ae.Drifted(DRIFT), 1.0)) == []
    beat = fr.Heartbeat(fr.Held(), drift=DRIFT)
    assert decode_agent(encode_agent(fr.AgentFrame(1, 2, beat))).body == beat
    session.handle(ae.Disconnected("cut"), 2.0)
    at = session.deadline() or 0.0
    session.handle(ae.Tick(), at)
    session.handle(ae.Connected(), at)
    session.handle(ae.Received(fr.MasterFrame(6, 1, fr.Welcome(1, 10.0, 1 << 18))), at)
    due = session.deadline() or 0.0
    assert beats(session.handle(ae.Tick(), due)) == [DRIFT]


def test_what_is_told_of_drift_is_bounded() -> None:
    half = "x" * (MOST_DIFF_BYTES // 2 + 1)
    files = tuple(DriftedFile(f"f{n}", "edited", 1, half) for n in range(30))
    found = bounded(replace(DRIFT, files=files, total=30))
    assert (len(found.files), found.total) == (20, 30)
    assert [len(one.diff) > 100 for one in found.files[:2]] == [True, False]
    assert "too long to show" in found.files[1].diff
