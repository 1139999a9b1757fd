"""Runs commands of an instance's own binary with the least rights.

`nginx -t` executes what the config says (`load_module`, log files, folders), so this is not for
tidiness. Each command has few rights, reaches no process and no peer, and writes only where the
config under test says that nginx writes; with bubblewrap, as root, these places are in memory and
gone afterwards. `Outcome.why` names what was not possible.
"""

import errno
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

import msgspec

from headgate.engines.nginx.common.types import RightMissingError
from headgate.engines.nginx.instance import bubblewrap
from headgate.engines.nginx.instance.needs import Needs, resolved

TIMEOUT_S: Final = 30.0
"""The time that one command may take."""

OUTPUT_BYTES: Final = 256 * 1024
"""The number of bytes that it keeps of each of its two streams."""

Isolation = Literal["copy", "fence", "rights"]
"""copy: its writes stay in memory (bubblewrap); fence: the real tree, where Landlock restricts its
writes; rights: the real tree with few rights.
"""

_CONFINED: Final = Path(__file__).with_name("confined.py")
_START_S: Final = 10.0
_NOTHING: Final = Needs()


class Ran(msgspec.Struct, frozen=True):
    """The result of a command: its exit code (negative: by that signal), what it wrote.

    `said` is standard error; `printed` is standard output, each byte as one character (latin-1).
    """

    code: int
    said: str
    printed: str
    timed_out: bool


class Outcome(msgspec.Struct, frozen=True):
    """`why` says what stays open to the commands without need, and the reason."""

    isolation: Isolation
    why: str
    results: tuple[Ran, ...]


class _Refused(msgspec.Struct, frozen=True):
    refused: str
    errno: int
    why: str


class _Answer(msgspec.Struct, frozen=True):
    landlock: int
    open: tuple[str, ...]
    results: tuple[Ran, ...]


@dataclass(frozen=True, slots=True)
class Sandbox:
    """The root in which commands run: our own (`root_pid` None) or that of another process.

    `proc` is where procfs is mounted.
    """

    root_pid: int | None = None
    proc: Path = field(default=Path("/proc"))

    def run(
        self,
        commands: Sequence[Sequence[str]],
        files: Mapping[str, str] | None = None,
        *,
        needs: Needs = _NOTHING,
        timeout_s: float = TIMEOUT_S,
        output_bytes: int = OUTPUT_BYTES,
    ) -> Outcome:
        """Runs the commands one after the other; programs by absolute path in the root.

        `files` (name → text) are in a scratch folder during the run; `{folder}` in a text or an
        argument stands for its path. It kills a command after `timeout_s`. Raises RightMissingError
        when it cannot enter the other root, ProcessLookupError when its process is gone, OSError
        when it cannot start a process. Costs about 0.05 s beside the commands.
        """
        request = {
            "root_pid": self.root_pid or 0,
            "proc": str(self.proc),
            "files": dict(files or {}),
            "commands": [list(command) for command in commands],
            "writes": list(needs.folders()),
            "network": False,
            "timeout_s": timeout_s,
            "output_bytes": output_bytes,
        }
        deadline_s = _START_S + timeout_s * len(commands)
        program, why = self._bubblewrap()
        if program is not None:
            outcome = _in_bubblewrap(program, request, needs, deadline_s)
            if isinstance(outcome, Outcome):
                return outcome
            why = outcome
        # Without a tree of its own only DNS itself can give it addresses.
        request["network"] = bool(needs.names)
        text, said = _confined([], request, (), deadline_s)
        if text.startswith(b'{"refused"'):
            raise self._refusal(msgspec.json.decode(text, type=_Refused))
        if not text:
            raise OSError(errno.EIO, f"the confined process ended: {said}")
        return _outcome(msgspec.json.decode(text, type=_Answer), why, needs)

    def _bubblewrap(self) -> tuple[str | None, str]:
        """Returns where bubblewrap is; else why not, empty where it is of no use.

        It cannot enter another root, and without root its user namespace would lose the right to
        bind low ports; nginx can write little then anyway.
        """
        if self.root_pid is not None or os.geteuid() != 0:
            return None, ""
        program = bubblewrap.found()
        return program, "" if program else "bubblewrap (bwrap) is not installed"

    def _refusal(self, refused: _Refused) -> Exception:
        if refused.errno in {errno.ENOENT, errno.ESRCH}:
            return ProcessLookupError(refused.errno, f"process {self.root_pid} is gone")
        uid = os.geteuid()
        if refused.refused == "root":
            need = "uid 0 with CAP_SYS_PTRACE, or the uid of its master without capabilities"
            what = f"/proc/{self.root_pid}/root cannot be entered"
        else:
            need = "CAP_SYS_CHROOT, or a kernel and container that allow user namespaces"
            what = f"chroot to /proc/{self.root_pid}/root was refused"
        return RightMissingError(f"running its binary: {what} as uid {uid}; it takes {need}")


def _in_bubblewrap(
    program: str, request: dict[str, object], needs: Needs, deadline_s: float
) -> Outcome | str:
    """Returns the outcome, or why bubblewrap did not begin."""
    with tempfile.TemporaryFile() as hosts:
        hosts_fd = None
        if needs.names:
            known = Path("/etc/hosts")
            hosts.write(known.read_bytes() if known.exists() else b"")
            hosts.write(b"\n" + resolved(needs.names).encode())
            hosts.seek(0)
            hosts_fd = hosts.fileno()
        words = bubblewrap.arguments(program, needs, hosts_fd)
        passed = () if hosts_fd is None else (hosts_fd,)
        text, said = _confined(words, request | {"proc": "/proc"}, passed, deadline_s)
    if not text:
        return f"bubblewrap was refused here ({said})"
    answer = msgspec.json.decode(text, type=_Answer)
    return Outcome("copy", "; ".join(answer.open), answer.results)


def _confined(
    before: Sequence[str], request: dict[str, object], passed: Sequence[int], deadline_s: float
) -> tuple[bytes, str]:
    """Returns the confined process's answer, empty if it did not begin, and its last words."""
    try:
        done = subprocess.run(
            [*before, sys.executable, "-I", "-S", str(_CONFINED)],
            input=json.dumps(request).encode(),
            capture_output=True,
            timeout=deadline_s,
            check=False,
            pass_fds=passed,
            env={"PATH": os.defpath},
        )
    except subprocess.TimeoutExpired:
        raise OSError(errno.ETIMEDOUT, "the confined process did not end") from None
    last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
    if done.returncode != 0:
        return b"", last or f"it ended with {done.returncode}"
    return done.stdout, last


def _outcome(answer: _Answer, why: str, needs: Needs) -> Outcome:
    """Returns the outcome without bubblewrap, with what that leaves open."""
    gaps = [f"{why}: it runs in the real tree"] if why else []
    if not answer.landlock:
        gaps.append("this kernel has no Landlock: it may write whatever its user may")
    if needs.names:
        gaps.append("it may connect to anything, since it has names to resolve")
    isolation: Isolation = "fence" if answer.landlock else "rights"
    return Outcome(isolation, "; ".join((*gaps, *answer.open)), answer.results)
