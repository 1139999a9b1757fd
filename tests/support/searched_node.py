"""An agent of a master of `master_world` that answers searches of its logs."""

from collections.abc import Callable, Coroutine
from typing import TypeVar

from master_world import World
from said_agent import W
from waiting import until_async

from headgate.certificates.authority import new_csr, new_key
from headgate.fleet import frames as fr
from headgate.fleet.order_codec import decode_order
from headgate.fleet.orders import Order
from headgate.fleet.searches import LOGS, LogLine, LogLines, LogSearch
from headgate.master.fleet.book import AgentFacts
from headgate.master.fleet.live import LiveSession

T = TypeVar("T")
Reply = Callable[[LogSearch], LogLines]


def nothing(search: LogSearch) -> LogLines:
    """The answer of an agent that finds nothing."""
    return LogLines(search.number)


class Node:
    """An agent that answers searches; it connects with `connect`."""

    def __init__(self, world: World, admin: str, name: str, reply: Reply = nothing) -> None:
        self.world = world
        self.reply = reply
        self.searches: list[LogSearch] = []
        token = world.ask("POST", f"{W}/join-tokens", {"fleet": "edge"}, admin)["token"]
        facts = AgentFacts(name, "1.0", {})
        enrolled = self.run(world.master.book.enrol(token, new_csr(new_key()), facts, "192.0.2.7"))
        self.id = enrolled.agent
        self._sequence = 1

    def run(self, work: Coroutine[object, object, T]) -> T:
        """Does work of the master's."""
        return self.world.runner.run(work)

    def connect(self, orders: tuple[str, ...] = (LOGS,)) -> None:
        """Begins a session."""

        async def greeted() -> None:
            self.session = LiveSession(self.world.master.hub, self, self.id, "192.0.2.7")
            hello = fr.Hello(self.id, 1, "1.0", orders=orders)
            self.session.received(fr.AgentFrame(0, 1, hello))
            await until_async(lambda: self.session.is_live, "the welcome")

        self.run(greeted())

    async def send(self, frame: fr.MasterFrame) -> None:
        """Takes a frame of the master's, and answers a search."""
        if isinstance(frame.body, Order):
            search = decode_order(frame.body.body)
            assert isinstance(search, LogSearch)
            self.searches.append(search)
            self._sequence += 1
            answer = self.reply(search)
            self.session.received(fr.AgentFrame(self.session.fence, self._sequence, answer))

    def close(self) -> None:
        """The master ended the session."""


def lines(*found: tuple[int, str], cut: str = "") -> Reply:
    """The answer of an agent that finds these lines."""
    return lambda asked: LogLines(asked.number, tuple(LogLine(*one) for one in found), True, cut)
