"""The process of the tenant that floods, as the drill of tenants sees it."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any, Self

_PROGRAM = Path(__file__).with_name("tenants_flooder.py")


class Flooder:
    """A running flooder."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, job: dict[str, Any]) -> Self:
        """Starts it, and returns once it waits for its sign."""
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(_PROGRAM), stdin=pipe, stdout=pipe
        )
        one = cls(process)
        one._say(json.dumps(job))
        await one._line()
        return one

    def go(self) -> None:
        """Lets it flood."""
        self._say("go")

    async def end(self) -> dict[str, Any]:
        """Ends it after the requests in flight; what it got."""
        self._say("end")
        told: dict[str, Any] = json.loads(await self._line())
        await self._process.wait()
        return told

    def _say(self, text: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{text}\n".encode())

    async def _line(self) -> bytes:
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        assert line, "the flooder ended by itself"
        return line
