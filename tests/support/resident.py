"""The memory that a small Python process adds to what every one of them has."""

import subprocess
import sys
from pathlib import Path


def own_kib(pid: int) -> int:
    """Returns the KiB that a process has of its own beyond those of an idle interpreter.

    The interpreter alone is 8.5 MB, of which two thirds are pages of files. Those do not count: how
    many of them the kernel maps at once differs by machine, moment and process.
    """
    idle = [sys.executable, "-I", "-S", "-c", "print(flush=True); input()"]
    with subprocess.Popen(idle, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as bare:
        assert bare.stdout is not None
        bare.stdout.readline()
        own = _anonymous_kib(pid) - _anonymous_kib(bare.pid)
        bare.communicate(b"\n")
    return own


def _anonymous_kib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("RssAnon")))
