"""Clients that run on (`bulk.c`, `datagrams.c`), and say in between what they have done so far.

What is measured is a window in the middle of their run, so that neither the first bytes on new
connections nor what is still in buffers at the end are in it.
"""

import contextlib
import json
import subprocess
from collections.abc import Iterator

from loads import LoadError
from machine import LOAD_CPU
from running import command_prefix
from workdir import WORK


class Steady:
    """A client that runs."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    @property
    def pid(self) -> int:
        """Of the client itself: what pins it has become it."""
        return self._process.pid

    def so_far(self) -> dict[str, float]:
        """Its counts. Raises LoadError if it has ended."""
        process = self._process
        if process.stdin is None or process.stdout is None or process.stderr is None:
            raise LoadError("the client has no pipes")
        line = ""
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write("\n")
            process.stdin.flush()
            line = process.stdout.readline()
        if not line:
            raise LoadError(f"the client ended: {process.stderr.read().strip()[-300:]}")
        return {key: float(value) for key, value in json.loads(line).items()}


@contextlib.contextmanager
def steady(program: str, *arguments: str) -> Iterator[Steady]:
    """A client on the load's core, until the end of the block."""
    command = [*command_prefix(LOAD_CPU), str(WORK / program), *arguments]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
    try:
        yield Steady(process)
    finally:
        process.kill()
        process.communicate()
