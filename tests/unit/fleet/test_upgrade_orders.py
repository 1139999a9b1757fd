"""Orders to upgrade and their ends, between an agent's session and its master's."""

from headgate.fleet import agent_events as ae
from headgate.fleet import codec
from headgate.fleet import frames as fr
from headgate.fleet import master_events as me
from headgate.fleet.agent_session import AgentFacts, AgentSession
from headgate.fleet.master_session import MasterSession, Terms

ENDED = fr.UpgradeEnded(5, "2.0.0", "exit code 7")


class Pair:
    """One agent and one master, with bytes between them; `orders` reached the agent's driver,
    `said` the master's."""

    def __init__(self) -> None:
        self.agent = AgentSession(AgentFacts("a", 1, "1.0.0", can_upgrade=True), lambda: 0.5)
        self.orders: list[fr.Upgrade] = []
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
                    self.tell_agent(ae.Received(heard))
                case me.Join(hello):
                    self.hellos.append(hello)
                    self.tell_master(me.Joined(self.fence))
                case me.Seen(beat):
                    self.said.append(beat.upgrade_ended)


def test_an_order_reaches_the_agent_as_often_as_it_is_given() -> None:
    pair = Pair()
    assert pair.hellos[0].can_upgrade
    for _ in range(2):
        pair.tell_master(me.Wanted(fr.Upgrade(5, "2.0.0")))
    assert pair.orders == [fr.Upgrade(5, "2.0.0")] * 2


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
