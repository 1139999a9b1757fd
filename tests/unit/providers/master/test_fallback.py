"""The best way first, another where it cannot pass, and the best one again later."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from headgate.providers.master.fallback import Fallback, LinkError


class Ways:
    def __init__(self) -> None:
        self.open = {"grpc": False, "websocket": True}
        self.tried: list[str] = []
        self.dial: Fallback[str, str] = Fallback(
            [self.way("grpc"), self.way("websocket")], again_after=3
        )

    def way(self, name: str) -> Callable[[str], Awaitable[str]]:
        async def dial(who: str) -> str:
            assert who == "agent-1"
            self.tried.append(name)
            if not self.open[name]:
                raise LinkError(f"{name} cannot pass")
            return name

        return dial

    def tries(self) -> list[str]:
        """What one dialling tries."""
        self.tried.clear()
        asyncio.run(self.once())
        return list(self.tried)

    async def once(self) -> str:
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
