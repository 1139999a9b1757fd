"""A real nginx of a test's own: in its own folder, on free ports, ended with the test."""

import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import Self

from ports import free_port
from running_node import get
from waiting import until

from headgate.engines.nginx.instance import NginxInstance, Place

USER = "www-data"


class AliveNginx:
    """An nginx with two workers that answers with a text; use as a context manager."""

    def __init__(self, folder: Path, binary: Path, *, answer: str = "one") -> None:
        self.folder = folder
        self.binary = binary
        self.port = free_port()
        self.release = folder / "release"
        self.release.mkdir()
        self.run = folder / "run"
        self.run.mkdir()
        self.logs = folder / "logs"
        self.logs.mkdir()
        self.conf = self.release / "nginx.conf"
        self.write(answer)
        self.place = Place(
            conf=str(self.conf),
            prefix=f"{self.release}/",
            pid_path=str(self.run / "nginx.pid"),
            error_log=str(self.logs / "error.log"),
            binary=str(binary),
            redirected=(str(self.run), str(self.logs)),
        )
        self.instance = NginxInstance(self.place)
        self.socket = self.run / "status.sock"

    def text(self, answer: str, extra: str = "") -> str:
        """A config that answers with a text and, on the status socket, with the worker's pid."""
        user = f"user {USER};" if os.geteuid() == 0 else ""
        return f"""
{user}
worker_processes 2;
pid {self.run}/nginx.pid;
error_log {self.logs}/error.log notice;
events {{ worker_connections 64; }}
http {{
    access_log {self.logs}/access.log;
    server {{
        listen 127.0.0.1:{self.port};
        location / {{ return 200 "{answer}"; }}
    }}
    server {{
        listen unix:{self.run}/status.sock;
        location = /generation {{ return 200 "{answer}\\n$pid\\n"; }}
        location = /stub_status {{ stub_status; }}
    }}
    {extra}
}}
"""

    def write(self, answer: str, extra: str = "") -> None:
        """Writes the config."""
        self.conf.write_text(self.text(answer, extra))

    def body(self) -> str:
        """What it answers."""
        return get(self.port)[1].decode()

    def __enter__(self) -> Self:
        self.folder.chmod(0o755)
        self.instance.start()
        until(lambda: len(self.instance.workers()) == 2, "workers")
        return self

    def __exit__(self, *_: object) -> None:
        for process in (self.instance.old_master(), self.instance.master()):
            if process is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGTERM)
        until(lambda: self.instance.master() is None, "the end of nginx")
        log = self.logs / "error.log"
        sys.stdout.write(log.read_text(errors="replace") if log.exists() else "")
