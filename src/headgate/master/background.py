"""Work that a master does beside its requests, for as long as it runs."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

_AGAIN_S: Final = 5.0

_log = structlog.get_logger()


async def kept_up(
    what: str, work: Callable[[], Awaitable[None]], again_s: float = _AGAIN_S
) -> None:
    """Does a work that ends only when it is cancelled. If an error ends it, nobody would notice:
    the log says that it did, and it begins again after `again_s` seconds."""
    while True:
        try:
            await work()
            return
        except Exception:
            _log.exception("work in the background broke off, and begins again", work=what)
        await asyncio.sleep(again_s)
