"""A live session without a network: what waits is bounded, and a fault costs one session."""

import asyncio
import functools
from collections.abc import Iterable

import fleet_parts as parts
import loops
import pytest
from live_master import HOST, new_book
from waiting import until_async

from headgate.certificates.authority import new_csr, new_key
from headgate.fleet import chunk_codec
from headgate.fleet import frames as fr
from headgate.fleet import master_events as ev
from headgate.fleet.manifest import address, difference, manifest_of
from headgate.fleet.master_events import Desired
from headgate.fleet.master_session import MasterSession
from headgate.fleet.order_codec import decode_order
from headgate.fleet.orders import UPGRADE, Order, Upgrade, digest
from headgate.fleet.signing import Bind, offer_is_bound, order_content
from headgate.master.fleet import live
from headgate.master.fleet.book import AgentFacts, UnavailableError
from headgate.master.fleet.hub import LiveHub
from headgate.master.fleet.live import LiveSession
from headgate.master.fleet.memory_book import MemoryBook
from headgate.master.fleet.shelf import Shelf


class Carrier:
    """Keeps what it was sent; `gate` closed: an agent that takes nothing."""

    def __init__(self) -> None:
        self.sent: list[fr.MasterBody] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.is_closed = False

    async def send(self, frame: fr.MasterFrame) -> None:
        await self.gate.wait()
        self.sent.append(frame.body)

    def close(self) -> None:
        self.is_closed = True


async def greeted(
    book: MemoryBook, orders: tuple[str, ...] = ()
) -> tuple[LiveHub, LiveSession, Carrier]:
    facts = AgentFacts("host", "0.1")
    enrolled = await book.enrol(book.token(), new_csr(new_key()), facts, HOST)
    hub, carrier = LiveHub(book), Carrier()
    session = LiveSession(hub, carrier, enrolled.agent, HOST)
    session.received(fr.AgentFrame(0, 1, fr.Hello(enrolled.agent, 1, "0.1", orders=orders)))
    await until_async(lambda: bool(carrier.sent), "the welcome")
    return hub, session, carrier


def test_an_agent_that_takes_nothing_is_left() -> None:
    async def scenario() -> None:
        _, session, carrier = await greeted(new_book())
        carrier.gate.clear()
        for sequence in range(2, 70):
            beat = fr.Heartbeat(fr.Held(), wants_answer=True)
            session.received(fr.AgentFrame(session.fence, sequence, beat))
        assert carrier.is_closed
        assert session.has_ended

    loops.run(scenario())


def test_a_fault_of_one_session_costs_no_other_one(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        book = new_book()
        hub, broken, carrier = await greeted(book)
        facts = AgentFacts("host2", "0.1")
        enrolled = await book.enrol(book.token(), new_csr(new_key()), facts, HOST)
        other = LiveSession(hub, Carrier(), enrolled.agent, HOST)
        other.received(fr.AgentFrame(0, 1, fr.Hello(enrolled.agent, 1, "0.1")))
        await until_async(lambda: other.is_live, "the other welcome")
        woken: list[MasterSession] = []
        whole = MasterSession.handle

        def handle(machine: MasterSession, event: ev.Event, now: float) -> list[ev.Command]:
            if isinstance(event, ev.Woken):
                woken.append(machine)
                if machine is woken[0]:
                    raise ZeroDivisionError
            return whole(machine, event, now)

        def is_woken(times: int) -> bool:
            return sum(one is not woken[0] for one in woken) == times

        monkeypatch.setattr(MasterSession, "handle", handle)
        for turn in (1, 2):
            hub.wake([broken.identity, other.identity])
            await until_async(functools.partial(is_woken, turn), "a wake of the other one")
        assert carrier.is_closed
        assert broken.has_ended
        assert hub.connected() == {other.identity}

    loops.run(scenario())


def test_an_order_to_upgrade_is_signed_when_the_book_is_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(live, "_RETRY_S", (0.0, 0.0))

    async def scenario() -> None:
        book = AwayBook(new_book().authorities, key=parts.KEY)
        hub, session, carrier = await greeted(book, (UPGRADE,))
        hub.upgrade(session.identity, Upgrade(5, "2.0.0"))
        hub.upgrade(session.identity, Upgrade(5, "2.0.0"))
        await until_async(lambda: len(carrier.sent) > 1, "the order")
        (order,) = carrier.sent[1:]
        assert isinstance(order, Order)
        assert decode_order(order.body) == Upgrade(5, "2.0.0")
        content = order_content(session.identity, session.fence, order.nonce, digest(order.body))
        assert offer_is_bound((parts.PUBLIC_KEY,), content, order.binding)
        assert book.asked == 2

    loops.run(scenario())


class AwayBook(MemoryBook):
    """Its store is away when it is asked for the first time."""

    asked = 0

    async def bind(self) -> Bind:
        self.asked += 1
        if self.asked == 1:
            raise UnavailableError("the disk is full")
        return await super().bind()


class BrokenBook(MemoryBook):
    async def desired(self, agent_id: str) -> Desired | None:
        raise KeyError(agent_id)


def test_a_fault_of_the_book_ends_one_session_and_says_so() -> None:
    async def scenario() -> None:
        book = BrokenBook(new_book().authorities)
        hub, session, carrier = await greeted(book)
        await until_async(lambda: session.has_ended, "the end")
        assert isinstance(carrier.sent[-1], fr.Goodbye)
        assert carrier.sent[-1].code == "fault"
        assert hub.connected() == frozenset()

    loops.run(scenario())


def test_a_difference_is_made_once_and_an_old_base_is_forgotten() -> None:
    shelf = Shelf()
    listed = [manifest_of("s", n, {"routes/a.json": b"%d" % n}) for n in range(1, 70)]
    base, target = listed[0], listed[1]
    shelf.listed(base.canonical())
    changes = shelf.changes_to(target.canonical())
    found = changes(base.hash())
    assert found == difference(base, target)
    assert changes(base.hash()) is found
    assert changes("0" * 64) is None
    for one in listed[2:]:
        shelf.listed(one.canonical())
    assert shelf.changes_to(listed[-1].canonical())(base.hash()) is None


class Blobs(MemoryBook):
    """A book that counts what it is asked for."""

    asked = 0

    async def blobs(self, agent_id: str, hashes: Iterable[str]) -> dict[str, bytes]:
        self.asked += 1
        return {one: CONTENT[one] for one in hashes if one in CONTENT}


def blobs() -> Blobs:
    return Blobs(new_book().authorities)


FILES = {f"routes/r{n}.json": b"%d" % n * 10 for n in range(5)}
CONTENT = {address(body): body for body in FILES.values()}


def test_contents_are_what_the_base_lacks_and_are_made_once() -> None:
    async def scenario() -> None:
        book, shelf = blobs(), Shelf()
        base = manifest_of("s", 1, {name: FILES[name] for name in sorted(FILES)[:3]})
        target = manifest_of("s", 2, FILES)
        shelf.listed(base.canonical())
        asked = [shelf.fill(book, "agent", target.canonical(), base.hash(), 1000) for _ in range(5)]
        contents = (await asyncio.gather(*asked))[-1]
        chunks = chunk_codec.decode(contents(base.hash())).chunks
        assert [one.data for one in chunks] == [b"3" * 10, b"4" * 10]
        assert all(one.total == len(one.data) and not one.offset for one in chunks)
        assert book.asked == 1
        assert contents("") == contents("0" * 64) == b""

    loops.run(scenario())


def test_contents_have_no_more_than_there_is_room_for() -> None:
    async def scenario() -> None:
        target = manifest_of("s", 2, FILES)
        contents = await Shelf().fill(blobs(), "agent", target.canonical(), "", 35)
        assert len(chunk_codec.decode(contents("")).chunks) == 3

    loops.run(scenario())


def test_contents_of_which_some_are_missing_are_not_kept_for_others() -> None:
    class Revoked(Blobs):
        async def blobs(self, agent_id: str, hashes: Iterable[str]) -> dict[str, bytes]:
            found = await super().blobs(agent_id, hashes)
            return {} if agent_id == "revoked" else found

    async def scenario() -> None:
        book, shelf = Revoked(new_book().authorities), Shelf()
        target = manifest_of("s", 2, FILES).canonical()
        assert (await shelf.fill(book, "revoked", target, "", 1000))("") == b""
        contents = await shelf.fill(book, "agent", target, "", 1000)
        assert len(chunk_codec.decode(contents("")).chunks) == len(FILES)

    loops.run(scenario())


def test_an_unknown_base_brings_no_contents() -> None:
    async def scenario() -> None:
        book, target = blobs(), manifest_of("s", 2, FILES).canonical()
        contents = await Shelf().fill(book, "agent", target, "0" * 64, 1000)
        assert contents("0" * 64) == b""
        assert book.asked == 0

    loops.run(scenario())


def test_what_an_agent_says_only_once_outlasts_a_store_that_is_away() -> None:
    said = (fr.Instance("default", "nginx", "1.26", ("gzip",)),)
    inventory = fr.Inventory(0, ())

    async def scenario() -> None:
        book = new_book()
        _, session, _ = await greeted(book)
        seen: list[fr.Heartbeat] = []
        asked = 0

        async def away(agent_id: str, beat: fr.Heartbeat) -> None:
            nonlocal asked
            asked += 1
            if asked == 1:
                raise UnavailableError("the disk is full")
            seen.append(beat)

        book.seen = away  # type: ignore[method-assign]
        first = fr.Heartbeat(fr.Held(), instances=said, inventory=inventory)
        session.received(fr.AgentFrame(session.fence, 2, first))
        await until_async(lambda: asked == 1, "the first try")
        session.received(fr.AgentFrame(session.fence, 3, fr.Heartbeat(fr.Held(), clock_ms=7)))
        await until_async(lambda: bool(seen), "the next heartbeat")
        (kept,) = seen
        assert (kept.clock_ms, kept.instances, kept.inventory) == (7, said, inventory)

    loops.run(scenario())
