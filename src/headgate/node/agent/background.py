"""Keeps up what an agent tells beside its session: no fault there may end the control process."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

_AGAIN_S: Final = 1.0

_log = structlog.get_logger()


async def kept_up(what: str, work: Callable[[], Awaitable[None]]) -> None:
    """Does a work until it ends or is cancelled. An error that ends it is logged, once for as long
    as the same one recurs, and the work begins again. OSError passes: it is about the disk."""
    told = ""
    while True:
        try:
            await work()
            return
        except OSError:
            raise
        except Exception as error:
            why = f"{type(error).__name__}: {error}"
            if why != told:
                told = why
                _log.exception("work in the background broke off, and begins again", work=what)
        await asyncio.sleep(_AGAIN_S)
