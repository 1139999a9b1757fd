"""The processes that `headgate up` starts: each with a log of its own."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

_PROGRAM: Final = "from headgate.cli.main import main; main()"
_LOOK_S: Final = 0.05
_LAST_BYTES: Final = 2000


class UpError(Exception):
    """The fleet cannot come up; the message says why and what to do."""


class Child:
    """One command of ours as a process, from its start to its end."""

    def __init__(
        self, process: asyncio.subprocess.Process, name: str, log: Path, begin: int
    ) -> None:
        """`begin`: where in the log what it says begins."""
        self.process = process
        self.name = name
        self.log = log
        self._begin = begin

    def said(self) -> str:
        """Returns what it said since its start."""
        with self.log.open("rb") as file:
            file.seek(self._begin)
            return file.read().decode(errors="replace")

    async def until(self, is_met: Callable[[], bool], what: str, seconds: float) -> None:
        """Waits for a condition; raises UpError if the process ends or the time is over."""
        deadline = asyncio.get_running_loop().time() + seconds
        while not await asyncio.to_thread(is_met):
            if self.process.returncode is not None:
                raise UpError(
                    f"the {self.name} ended with exit code {self.process.returncode}:\n"
                    f"{self.said()[-_LAST_BYTES:]}"
                )
            if asyncio.get_running_loop().time() > deadline:
                raise UpError(f"{what} did not happen within {seconds:g} s; see {self.log}")
            await asyncio.sleep(_LOOK_S)

    async def stop(self, *signals: signal.Signals) -> None:
        """Ends it with these signals, and waits until it has ended."""
        for one in signals:
            if self.process.returncode is None:
                self.process.send_signal(one)
        await self.process.wait()


def when_ended(act: Callable[[], object]) -> None:
    """Calls `act`, in the running loop, on Ctrl-C, on SIGTERM, and when the terminal is closed.

    The children have sessions of their own and would outlive us. `nohup` keeps its meaning.
    """
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            loop.add_signal_handler(number, act)


async def start(name: str, log: Path, arguments: list[str], env: Mapping[str, str]) -> Child:
    """Starts `headgate` with these arguments; what it says is appended to its log."""
    with log.open("ab") as out:
        begin = out.tell()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-c", _PROGRAM, *arguments),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env={**os.environ, **env},
            start_new_session=True,  # Ctrl-C is ours to pass on
        )
    return Child(process, name, log, begin)
