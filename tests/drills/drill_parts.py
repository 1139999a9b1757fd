"""What drills share: compiled helpers, upstreams that can be killed, pids of a node's processes."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from ports import free_port
from running_node import RunningNode
from waiting import until

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BACKEND = ROOT / "benchmarks" / "backend.c"
CLIENT = HERE / "storm_client.c"


def compiled(source: Path) -> Path:
    """The program of a C source, compiled once for each of its versions."""
    folder = Path(tempfile.gettempdir()) / f"headgate-drills-{os.getuid()}"
    folder.mkdir(exist_ok=True, mode=0o700)
    program = folder / f"{source.stem}-{source.stat().st_mtime_ns}"
    if not program.exists():
        fresh = program.with_suffix(f".{os.getpid()}")
        subprocess.run([shutil.which("cc") or "cc", "-O2", "-o", fresh, source], check=True)
        fresh.rename(program)
    return program


class OtherNode(RunningNode):
    """A node that is another command than the headgate of this environment."""

    def __init__(self, program: tuple[str, ...], folder: Path, text: str, *arguments: str) -> None:
        """`program`: what stands before the verb."""
        self.program = program
        super().__init__(folder, text, *arguments)


class Endpoint:
    """An upstream in a process of its own, on one port for its whole life."""

    def __init__(self) -> None:
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.revive()

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Its process; 0 while there is none."""
        return self._process.pid if self._process is not None else 0

    def kill(self) -> None:
        """SIGKILL: its connections are reset, new ones refused."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def revive(self) -> None:
        """Starts it again on its port."""
        self._process = subprocess.Popen(self.command(), stderr=subprocess.DEVNULL)
        until(self.is_up, "an endpoint")

    def command(self) -> list[str]:
        """What it runs."""
        return [str(compiled(BACKEND)), str(self.port)]

    def stop(self) -> None:
        """Half-open: it accepts and never answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """After `stop`."""
        os.kill(self.pid, signal.SIGCONT)

    def is_up(self) -> bool:
        """Whether it can be connected to."""
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False


def control_pid(node: RunningNode) -> int:
    """The pid of the control process that answers."""
    control = node.status()["control"]
    return int(control["pid"]) if isinstance(control, dict) else 0


def stamp() -> float:
    """Wall clock seconds, as the client prints them."""
    return time.time()
