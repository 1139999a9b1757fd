"""Keeps up work that is done for an nginx as long as the node runs."""

import asyncio
import time
import traceback
from collections.abc import Awaitable, Callable
from pathlib import PurePath
from typing import Final

from headgate.engines.nginx.health.told import Tell

AGAIN_S: Final = 1.0
_WELL_S: Final = 60.0


async def kept_up(what: str, work: Callable[[], Awaitable[None]], tell: Tell) -> None:
    """Does a work that ends only when it is cancelled.

    An error that ends it would end the control process, and each one that follows it. It is told
    instead, once for as long as it recurs within a minute, and the work begins again.
    """
    told = ""
    while True:
        began = time.monotonic()
        try:
            await work()
            return
        except Exception as error:
            why = f"{type(error).__name__}: {error}"
            if why != told or time.monotonic() - began > _WELL_S:
                told = why
                message = f"{what} broke off, and begins again: {why}"
                tell("error", "nginx.broke_off", message, {"where": _where(error)})
        await asyncio.sleep(AGAIN_S)


def _where(error: Exception) -> str:
    """Returns the line of our code that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{PurePath(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
