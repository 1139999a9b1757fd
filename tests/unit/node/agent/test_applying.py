"""The apply of an offer that is broken off leaves nothing behind."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import loops
import pytest

from headgate.node.agent.applying import Applying


def test_an_apply_that_is_cancelled_withdraws_its_offer() -> None:
    told: list[str] = []
    source = SimpleNamespace(
        offer=lambda _: told.append("offer"), withdraw=lambda: told.append("withdraw")
    )
    store = SimpleNamespace(content=dict, stage=lambda *_: SimpleNamespace(revision=7))
    incoming = SimpleNamespace(content=lambda _: {})
    manifest = SimpleNamespace(canonical=lambda: b"", entries=())
    command = SimpleNamespace(job=1, manifest=manifest, offer=SimpleNamespace(signature=b""))

    async def play() -> None:
        asked = asyncio.Event()
        loop = asyncio.get_running_loop()

        def reload(reason: str) -> asyncio.Future[Any]:
            assert reason == "revision 7"
            asked.set()
            return loop.create_future()

        pipeline = SimpleNamespace(reload=reload)
        applying = Applying(*cast("Any", (pipeline, source, store, incoming)))
        task = asyncio.create_task(applying.apply(cast("Any", command), lambda _: None))
        await asked.wait()
        assert (told, applying.is_busy) == (["offer"], True)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (told, applying.is_busy) == (["offer", "withdraw"], False)

    loops.run(play())
