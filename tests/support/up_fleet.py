"""`headgate up` as a process, with ports of its own."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ports import free_port
from waiting import until

# As a terminal starts it: whoever runs the tests may ignore SIGHUP (nohup).
_TERMINAL = "import signal; signal.signal(signal.SIGHUP, signal.SIG_DFL)"
PROGRAM = [sys.executable, "-c", f"{_TERMINAL}; from headgate.cli.main import main; main()"]


class Up:
    """`headgate up` with ports of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.proxy = free_port()
        ports = {"--proxy": self.proxy, "--listen": free_port(), "--admin": free_port()}
        ports["--agents-listen"] = free_port()
        self.ports = tuple(ports.values())
        self.options = [f"{name}=127.0.0.1:{port}" for name, port in ports.items()]
        self.options += [f"--upstream-port={free_port()}", f"--data={folder / 'up'}"]
        self.env = {**os.environ, "HEADGATE_CONFIG_HOME": str(folder / "contexts")}

    @contextmanager
    def started(self, ended_by: signal.Signals = signal.SIGINT) -> Iterator[Path]:
        """Runs it until the end of the block; gives the file with what it says.

        The end leaves no process: nothing listens any more.
        """
        said = self.folder / "said"
        with said.open("wb") as out:
            process = subprocess.Popen(
                [*PROGRAM, "up", *self.options], stdout=out, stderr=out, env=self.env
            )
        try:
            until(
                lambda: "Ctrl-C ends it" in said.read_text() or process.poll() is not None,
                "the fleet is up",
                deadline_s=120,  # as in the pages: a master, a node and three upstreams start
            )
            assert process.poll() is None, said.read_text()
            yield said
            process.send_signal(ended_by)
            assert process.wait(45) == 0, said.read_text()
            listening = [port for port in self.ports if _listens(port)]
            assert not listening, f"it has ended, and something listens on {listening}"
        finally:
            process.kill()
            process.wait()

    def ask(self, *arguments: str) -> str:
        """What a command says in the context of the fleet."""
        command = [*PROGRAM, *arguments, "--context", "up"]
        return subprocess.run(
            command, env=self.env, capture_output=True, text=True, check=True
        ).stdout


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
