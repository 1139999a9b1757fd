"""Runs commands of an instance's own binary where they can do least.

As root the commands see a copy of the instance's tree in memory: what they write is gone
afterwards, they see no process but their own and hold four capabilities. `nginx -t` executes what
the config says (`load_module`, log files, directories), so this is not for tidiness. Without root
the system's own permissions are the fence. What was possible is in `Outcome.isolation`.
"""

import errno
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

import msgspec

from headgate.engines.nginx.types import RightMissingError

TIMEOUT_S: Final = 30.0
"""How long one command may take."""

OUTPUT_BYTES: Final = 256 * 1024
"""How much is kept of each of its two streams."""

Isolation = Literal["copy", "rights", "user"]
"""A copy of the tree in memory; root's rights dropped but the real tree; only who we are."""

_CONFINED: Final = Path(__file__).with_name("confined.py")
_START_S: Final = 10.0


class Ran(msgspec.Struct, frozen=True):
    """How a command ended: its exit code (negative: by that signal), what it wrote.

    `said` is standard error; `printed` is standard output, each byte as one character (latin-1).
    """

    code: int
    said: str
    printed: str
    timed_out: bool


class Outcome(msgspec.Struct, frozen=True):
    """`why` says what stood against more isolation; empty for "copy"."""

    isolation: Isolation
    why: str
    results: tuple[Ran, ...]


class _Refused(msgspec.Struct, frozen=True):
    refused: str
    errno: int
    why: str


@dataclass(frozen=True, slots=True)
class Sandbox:
    """Where commands run: in our own root (`root_pid` None) or in that of another process.

    `proc` is where procfs is mounted.
    """

    root_pid: int | None = None
    proc: Path = field(default=Path("/proc"))

    def run(
        self,
        commands: Sequence[Sequence[str]],
        files: Mapping[str, str] | None = None,
        *,
        own_network: bool = False,
        timeout_s: float = TIMEOUT_S,
        output_bytes: int = OUTPUT_BYTES,
    ) -> Outcome:
        """Runs the commands one after the other; programs by absolute path in the root.

        `files` (name → text) are in a scratch folder meanwhile; `{folder}` in a text or an
        argument stands for its path. `own_network`: in a network namespace without interfaces,
        where the tree is copied. A command over `timeout_s` is killed.
        Raises RightMissingError when the other root cannot be entered, ProcessLookupError when
        its process is gone, OSError when no process could be had. Costs about 0.05 s beside the
        commands.
        """
        request = {
            "root_pid": self.root_pid or 0,
            "proc": str(self.proc),
            "own_network": own_network,
            "files": dict(files or {}),
            "commands": [list(command) for command in commands],
            "timeout_s": timeout_s,
            "output_bytes": output_bytes,
        }
        try:
            done = subprocess.run(
                [sys.executable, "-I", "-S", str(_CONFINED)],
                input=json.dumps(request).encode(),
                capture_output=True,
                timeout=_START_S + timeout_s * len(commands),
                check=False,
                env={"PATH": os.defpath},
            )
        except subprocess.TimeoutExpired:
            raise OSError(errno.ETIMEDOUT, "the confined process did not end") from None
        if done.returncode != 0 or not done.stdout:
            last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
            raise OSError(errno.EIO, f"the confined process ended with {done.returncode}: {last}")
        if done.stdout.startswith(b'{"refused"'):
            raise self._refusal(msgspec.json.decode(done.stdout, type=_Refused))
        return msgspec.json.decode(done.stdout, type=Outcome)

    def _refusal(self, refused: _Refused) -> Exception:
        if refused.errno in {errno.ENOENT, errno.ESRCH}:
            return ProcessLookupError(refused.errno, f"process {self.root_pid} is gone")
        uid = os.geteuid()
        if refused.refused == "root":
            need = "uid 0 with CAP_SYS_PTRACE, or the uid of its master without capabilities"
            what = f"/proc/{self.root_pid}/root may not be entered"
        else:
            need = "CAP_SYS_CHROOT, or a kernel and container that allow user namespaces"
            what = f"chroot to /proc/{self.root_pid}/root was refused"
        return RightMissingError(f"running its binary: {what} as uid {uid}; it takes {need}")
