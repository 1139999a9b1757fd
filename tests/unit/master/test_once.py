"""What many want at the same moment is done once."""

import asyncio

import loops
import pytest

from headgate.master.once import Once


def test_those_who_want_the_same_share_it_and_others_do_not() -> None:
    async def scenario() -> None:
        begun: list[str] = []
        both, gate = asyncio.Event(), asyncio.Event()
        once: Once[str] = Once()

        async def work(key: str) -> str:
            begun.append(key)
            if begun == ["a", "b"]:
                both.set()
            await gate.wait()
            return key.upper()

        wanted = [
            asyncio.ensure_future(once.do(key, lambda key=key: work(key)))  # type: ignore[misc]
            for key in ("a", "b", "a", "a")
        ]
        await both.wait()
        wanted[0].cancel()
        gate.set()
        assert await asyncio.gather(*wanted[1:]) == ["B", "A", "A"]
        assert begun == ["a", "b"]
        assert await once.do("a", lambda: work("a")) == "A"
        assert begun == ["a", "b", "a"]

    loops.run(scenario())


def test_whoever_waits_gets_what_it_raises() -> None:
    async def scenario() -> None:
        once: Once[None] = Once()

        async def work() -> None:
            raise OSError("away")

        wanted = [once.do("a", work) for _ in range(3)]
        said = await asyncio.gather(*wanted, return_exceptions=True)
        assert [str(one) for one in said] == ["away"] * 3
        with pytest.raises(OSError, match="away"):
            await once.do("a", work)

    loops.run(scenario())
