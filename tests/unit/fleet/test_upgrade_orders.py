"""Orders to upgrade and their ends, between an agent's session and its master's."""

from dataclasses import replace

import fleet_parts as parts
import pytest

from headgate.fleet import agent_events as ae
from headgate.fleet import codec
from headgate.fleet import frames as fr
from headgate.fleet import master_events as me
from headgate.fleet.agent_session import AgentFacts, AgentSession
from headgate.fleet.master_session import MasterSession, Terms
from headgate.fleet.order_codec import decode_order
from headgate.fleet.orders import UPGRADE, Order, Upgrade

ENDED = fr.UpgradeEnded(5, "2.0.0", "exit code 7")


class Pair:
    """One agent and one master, with bytes between them; `orders` reached the agent's driver,
    `said` the master's."""

    def __init__(self, takes: tuple[str, ...] = (UPGRADE,)) -> None:
        facts = AgentFacts(
            "a", 1, "1.0.0", keys=(parts.PUBLIC_KEY,), can_upgrade=True, orders=takes
        )
        self.agent = AgentSession(facts, lambda: 0.5)
        self.orders: list[Upgrade] = []
        self.heard: list[fr.MasterFrame] = []
        self.said: list[fr.UpgradeEnded | None] = []
        self.fence = 6
        self.hellos: list[fr.Hello] = []
        self.connect()

    def connect(self) -> None:
        self.fence += 1
        self.master = MasterSession(Terms(), lambda: 0.5, 0.0)
        self.tell_agent(ae.Start())
        self.tell_agent(ae.Connected())

    def tell_agent(self, event: ae.Event, now: float = 1.0) -> None:
        for command in self.agent.handle(event, now):
            if isinstance(command, ae.Send):
                heard = codec.decode_agent(codec.encode_agent(command.frame))
                self.tell_master(me.Received(heard))
            elif isinstance(command, ae.GoOver):
                self.orders.append(command.upgrade)

    def tell_master(self, event: me.Event) -> None:
        for command in self.master.handle(event, 1.0):
            match command:
                case me.Send(frame):
                    heard = codec.decode_master(codec.encode_master(frame))
                    self.heard.append(heard)
                    self.tell_agent(ae.Received(heard))
                case me.AskBind():
                    self.tell_master(me.BindIs(parts.KEY.sign))
                case me.Join(hello):
                    self.hellos.append(hello)
                    self.tell_master(me.Joined(self.fence))
                case me.Seen(beat):
                    self.said.append(beat.upgrade_ended)

    def inject(self, body: fr.MasterBody) -> None:
        """A frame of whoever stands between, where TLS ends before the master."""
        sequence = self.heard[-1].sequence + 1000
        self.tell_agent(ae.Received(fr.MasterFrame(self.fence, sequence, body)))

    def offer(self) -> None:
        """The master has something to serve for the agent."""
        self.tell_master(me.DesiredIs(parts.desired(3), parts.manifest(3)))


@pytest.mark.parametrize(("takes", "kind"), [((UPGRADE,), Order), ((), fr.Beat)])
def test_an_order_reaches_the_agent_as_often_as_it_is_given(
    takes: tuple[str, ...], kind: type[object]
) -> None:
    pair = Pair(takes)
    assert pair.hellos[0].can_upgrade
    for _ in range(2):
        pair.tell_master(me.Wanted(Upgrade(5, "2.0.0")))
        assert isinstance(pair.heard[-1].body, kind)
    assert pair.orders == [Upgrade(5, "2.0.0")] * 2


def test_while_the_book_is_asked_the_newest_order_waits() -> None:
    master = MasterSession(Terms(), lambda: 0.5, 0.0)
    hello = fr.Hello("a", 1, "1.0.0", can_upgrade=True, orders=(UPGRADE,))
    master.handle(me.Received(fr.AgentFrame(0, 1, hello)), 0.0)
    master.handle(me.Joined(7), 0.0)
    assert master.handle(me.Wanted(Upgrade(5, "2.0.0")), 0.0) == [me.AskBind()]
    assert master.handle(me.Wanted(Upgrade(6, "2.1.0")), 0.0) == []
    (sent,) = master.handle(me.BindIs(parts.KEY.sign), 0.0)
    assert isinstance(sent, me.Send)
    assert isinstance(sent.frame.body, Order)
    assert decode_order(sent.frame.body.body) == Upgrade(6, "2.1.0")


@pytest.mark.parametrize("is_offered", [True, False])
def test_an_order_that_nobody_signed_is_not_taken_of_a_master_that_signs(is_offered: bool) -> None:
    pair = Pair()
    if is_offered:
        pair.offer()
        assert pair.orders == [], "that orders are signed upgrades nothing"
    else:
        pair.tell_master(me.Wanted(Upgrade(5, "2.0.0")))
    before = list(pair.orders)
    assert pair.agent.signs_upgrades
    pair.inject(fr.Beat(upgrade=Upgrade(1 << 62, "0.1.0")))
    assert pair.orders == before
    pair.tell_agent(ae.Disconnected("the cable"))
    pair.tell_agent(ae.Tick(), now=100.0)
    pair.connect()
    pair.inject(fr.Beat(upgrade=Upgrade(1 << 62, "0.1.0")))
    assert pair.orders == before, "nor in a later session"


def test_a_signed_order_counts_in_its_session_alone() -> None:
    pair = Pair()
    pair.tell_master(me.Wanted(Upgrade(5, "2.0.0")))
    order = pair.heard[-1].body
    assert isinstance(order, Order)
    pair.inject(replace(order, nonce=order.nonce + 1))
    pair.tell_agent(ae.Disconnected("the cable"))
    pair.tell_agent(ae.Tick(), now=100.0)
    pair.connect()
    pair.inject(order)
    assert pair.orders == [Upgrade(5, "2.0.0")]


def test_an_older_master_orders_without_a_signature() -> None:
    pair = Pair()
    pair.inject(fr.Beat(upgrade=Upgrade(5, "2.0.0")))
    assert pair.orders == [Upgrade(5, "2.0.0")]


def test_that_orders_are_signed_is_said_once_in_a_session_to_whom_it_concerns() -> None:
    for takes, times in (((UPGRADE,), 1), ((), 0)):
        pair = Pair(takes)
        pair.offer()
        pair.offer()
        assert sum(isinstance(one.body, Order) for one in pair.heard) == times


def test_the_end_of_an_order_is_said_at_once_and_then_once_more_for_each_question() -> None:
    pair = Pair()
    pair.tell_agent(ae.Obeyed(ENDED))
    assert pair.said == [ENDED]
    pair.tell_agent(ae.Tick(), now=12.0)
    assert pair.said == [ENDED, None]
    pair.tell_agent(ae.Obeyed(ENDED), now=12.0)
    assert pair.said == [ENDED, None, ENDED]


def test_an_end_that_no_session_heard_is_in_the_next_hello() -> None:
    pair = Pair()
    pair.tell_agent(ae.Disconnected("the cable"))
    pair.tell_agent(ae.Obeyed(ENDED))
    assert pair.said == []
    pair.tell_agent(ae.Tick(), now=100.0)
    pair.connect()
    assert [one.upgrade_ended for one in pair.hellos] == [None, ENDED]
