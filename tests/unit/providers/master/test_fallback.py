"""The best way first, another where it cannot pass, and the best one again later."""

import asyncio
from collections.abc import Awaitable, Callable

import loops
import pytest

from headgate.providers.master.fallback import Fallback, LinkError


class Connection:
    def __init__(self, name: str) -> None:
        self.name = name
        self.is_closed = False

    async def close(self) -> None:
        self.is_closed = True


class Ways:
    def __init__(self, head_start_s: float = 60.0) -> None:
        self.open = {"grpc": False, "websocket": True}
        self.silent: set[str] = set()
        """Ways that neither pass nor fail until they are cancelled."""
        self.all_tried: asyncio.Event | None = None
        """Set once every way was tried; ways that pass or fail wait for it."""
        self.tried: list[str] = []
        self.cancelled: list[str] = []
        self.made: list[Connection] = []
        self.dial: Fallback[str, Connection] = Fallback(
            [self.way("grpc"), self.way("websocket")], again_after=3, head_start_s=head_start_s
        )

    def way(self, name: str) -> Callable[[str], Awaitable[Connection]]:
        async def dial(who: str) -> Connection:
            assert who == "agent-1"
            self.tried.append(name)
            if self.all_tried is not None and len(self.tried) == len(self.open):
                self.all_tried.set()
            if name in self.silent:
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    self.cancelled.append(name)
                    raise
            if self.all_tried is not None:
                await self.all_tried.wait()
            if not self.open[name]:
                raise LinkError(f"{name} cannot pass")
            self.made.append(Connection(name))
            return self.made[-1]

        return dial

    def tries(self) -> list[str]:
        """What one dialling tries."""
        self.tried.clear()
        loops.run(self.once())
        return list(self.tried)

    async def once(self) -> Connection:
        return await self.dial("agent-1")


def test_another_way_is_taken_and_kept_for_a_while() -> None:
    ways = Ways()
    assert ways.tries() == ["grpc", "websocket"]
    assert [ways.tries() for _ in range(3)] == [["websocket"]] * 3
    ways.open["grpc"] = True
    assert ways.tries() == ["grpc"]
    assert ways.tries() == ["grpc"]


def test_what_every_way_said_is_told() -> None:
    ways = Ways()
    ways.open["websocket"] = False
    with pytest.raises(LinkError, match="grpc cannot pass; websocket cannot pass"):
        ways.tries()


def test_a_way_that_says_nothing_holds_up_no_other() -> None:
    ways = Ways(head_start_s=0.0)
    ways.silent.add("grpc")
    assert loops.run(ways.once()).name == "websocket"
    assert (ways.tried, ways.cancelled) == (["grpc", "websocket"], ["grpc"])
    assert ways.tries() == ["websocket"], "the way that passed comes first"


def test_within_the_head_start_no_other_way_is_tried() -> None:
    ways = Ways()
    ways.open["grpc"] = True
    assert ways.tries() == ["grpc"]


def test_of_two_that_pass_together_one_is_closed() -> None:
    ways = Ways(head_start_s=0.0)
    ways.open["grpc"] = True

    async def once() -> Connection:
        ways.all_tried = asyncio.Event()
        return await ways.once()

    kept = loops.run(once())
    assert len(ways.made) == 2
    assert [one.is_closed for one in ways.made] == [one is not kept for one in ways.made]


def test_who_gives_up_dialling_ends_every_way() -> None:
    ways = Ways(head_start_s=0.0)
    ways.silent.update(ways.open)

    async def give_up() -> None:
        ways.all_tried = asyncio.Event()
        dialling = asyncio.ensure_future(ways.once())
        await ways.all_tried.wait()
        dialling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await dialling

    loops.run(give_up())
    assert sorted(ways.cancelled) == ["grpc", "websocket"]
