"""Runs every block of a page of the docs, in order, in a scratch directory, with real processes.

    python doc_run.py PAGE SCRATCH

The page has a network of its own (a namespace), so that it may use the ports that it names. What a
block leaves running is ended with the page. The first block that does not do what the page says
ends the run: exit code 1 and what it printed. See `doc_page` for how a page says what to do.
"""

import contextlib
import ctypes
import fcntl
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from doc_page import Block, blocks
from waiting import DEADLINE_S, Deadline, stretch

ROOT: Final = Path(__file__).resolve().parents[2]
ANY: Final = "…"
NO_NAMESPACE: Final = 3
"""The exit code where this machine gives the page no network of its own."""

_NEW_USER, _NEW_NET = 0x10000000, 0x40000000
_SUBREAPER = 36
_LOOPBACK_UP = struct.pack("16sh14x", b"lo", 0x1 | 0x40)
_SIOCSIFFLAGS = 0x8914


class BlockError(Exception):
    """A block that does something else than the page says."""


class Runner:
    """Runs the blocks of one page."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._outputs = 0
        self._environment = {
            **{
                key: value
                for key, value in os.environ.items()
                if not key.startswith(("HEADGATE_", "PYTEST_"))
            },
            "PATH": f"{Path(sys.executable).parent}:/usr/local/sbin:/usr/sbin:{os.environ['PATH']}",
            "HEADGATE_STATE_DIR": str(scratch / "state"),
            "HEADGATE_CONFIG_HOME": str(scratch / "contexts"),
            "XDG_STATE_HOME": str(scratch / "xdg"),
            "COLUMNS": "80",
        }

    def run(self, block: Block) -> None:
        """Does what the page says; raises BlockError when something else comes out."""
        if "not" in block.marks:
            return
        deadline_s = float(block.marks.get("within", DEADLINE_S))
        if "ends" in block.marks:
            end_children()
        if setup := block.marks.get("setup"):
            self._script(setup, 0, self._scratch, deadline_s)
        if name := block.marks.get("file"):
            path = self._scratch / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text)
        elif block.language == "sh":
            self._sh(block, deadline_s)
        elif block.language == "console":
            for command, expected in commands(block.text):
                self._compare(command, expected)

    def _sh(self, block: Block, deadline_s: float) -> None:
        folder = ROOT if block.marks.get("in") == "checkout" else self._scratch
        until = block.marks.get("until")
        if until is None:
            self._script(block.text, int(block.marks.get("exit", "0")), folder, deadline_s)
            return
        process, output = self._start(block.text, folder)
        deadline, asked = Deadline(deadline_s), time.monotonic()
        while self._start(until, folder)[0].wait() != 0:
            if process.poll() is not None:
                raise BlockError(f"it ended with {process.returncode}\n{said(output)}")
            if deadline.has_passed():
                raise BlockError(f"{until!r} does not succeed\n{said(output)}")
            time.sleep(max(0.02, time.monotonic() - asked))  # else it asks for half of the machine
            asked = time.monotonic()

    def _script(self, text: str, code: int, folder: Path, deadline_s: float = DEADLINE_S) -> str:
        process, output = self._start(text, folder)
        longest_s = deadline_s * stretch()
        try:
            got = process.wait(longest_s)
        except subprocess.TimeoutExpired:
            raise BlockError(f"it runs longer than {longest_s:.0f} s\n{said(output)}") from None
        if got != code:
            raise BlockError(f"exit code {got}, not {code}\n{said(output)}")
        return said(output)

    def _start(self, text: str, folder: Path) -> "tuple[subprocess.Popen[bytes], Path]":
        """The process of a script, and the file that it prints to.

        Not a pipe: what a script leaves running would keep it open.
        """
        self._outputs += 1
        output = self._scratch.with_name(f"{self._outputs}.out")
        with output.open("wb") as file:
            process = subprocess.Popen(
                ["/bin/sh", "-eu", "-c", text],
                cwd=folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        return process, output

    def _compare(self, command: str, expected: list[str]) -> None:
        got = self._script(command, 0, self._scratch).splitlines()
        if not is_as_shown(expected, got):
            lines = ["$ " + command, *got, "instead of", *expected]
            raise BlockError("\n".join(lines))


def said(output: Path) -> str:
    """What a script printed so far."""
    return output.read_text(errors="replace")


def commands(text: str) -> Iterator[tuple[str, list[str]]]:
    """The commands of a console block, each with the lines that it prints."""
    parts = re.split(r"(?m)^\$ ", text)
    if parts[0].strip():
        raise BlockError("a console block begins with `$ ` and a command")
    for part in parts[1:]:
        command, *expected = re.sub(r"\\\n> ", "", part).rstrip("\n").split("\n")
        yield command, [line for line in expected if line]


def is_as_shown(expected: list[str], got: list[str]) -> bool:
    """Whether lines are what a page shows; empty lines do not count.

    >>> is_as_shown(["a … c", "…", "e"], ["a b c", "d", "", "e"])
    True
    >>> is_as_shown(["a"], ["a", "b"])
    False
    """
    pattern = "".join(
        r"(?:.*\n)*" if line == ANY else ".*".join(map(re.escape, line.split(ANY))) + r"\n"
        for line in expected
    )
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in got if line.strip())) is not None


def own_network() -> None:
    """Moves this process into a network that has a loopback only; raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.getuid(), os.getgid()
    if libc.unshare(_NEW_NET) != 0:
        if libc.unshare(_NEW_USER | _NEW_NET) != 0:
            raise OSError(ctypes.get_errno(), "no network namespace")
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, _LOOPBACK_UP)


def adopt_orphans() -> None:
    """Makes this process the parent of what a block leaves behind (PR_SET_CHILD_SUBREAPER)."""
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)


def end_children() -> None:
    """Ends every child, and those that become ours when their parents end."""
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    while True:
        for pid in children.read_text().split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        try:
            os.wait()
        except ChildProcessError:
            return


def main(page: Path, scratch: Path) -> int:
    """Runs a page; the exit code."""
    found = blocks(page.read_text())
    try:
        own_network()
    except OSError as error:
        sys.stdout.write(f"{error}\n")
        return NO_NAMESPACE
    adopt_orphans()
    runner = Runner(scratch)
    try:
        for block in found:
            try:
                runner.run(block)
            except BlockError as error:
                sys.stdout.write(f"{page.name}:{block.line}: {error}\n{block.text}")
                return 1
    finally:
        end_children()
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
