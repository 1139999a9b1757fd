"""A foreign nginx: its own nginx.conf, started and restarted by a test as an admin would."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Self

from ports import free_port
from waiting import until

from headgate.engines.nginx.instance import NginxInstance, Place

USER = "www-data"


class ForeignNginx:
    """An nginx with a server of its own; use as a context manager. `include` goes into http."""

    def __init__(self, folder: Path, binary: Path, *, include: str = "") -> None:
        self.folder = folder / "theirs"
        self.folder.mkdir()
        self.folder.chmod(0o755)
        self.binary = binary
        self.port = free_port()
        self.conf = self.folder / "nginx.conf"
        self.error_log = self.folder / "errors.txt"
        self.access_log = self.folder / "requests.txt"
        self.pid = self.folder / "master.pid"
        self.write(include)
        place = Place(conf=str(self.conf), pid_path=str(self.pid), binary=str(binary))
        self.instance = NginxInstance(place)

    def write(self, include: str = "", *, http: str = "", answer: str = "theirs") -> None:
        """Writes its config."""
        user = f"user {USER};\n" if os.geteuid() == 0 else ""
        temporary = "".join(
            f"    {kind}_temp_path {self.folder}/{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        self.conf.write_text(
            f"""{user}worker_processes 1;
pid {self.pid};
error_log {self.error_log};
events {{ worker_connections 128; }}
http {{
    {include}
    access_log {self.access_log};
{temporary}    {http}
    server {{
        listen 127.0.0.1:{self.port};
        server_name theirs.example;
        location / {{ return 200 "{answer}"; }}
        location = /nginx_status {{ access_log off; stub_status; }}
    }}
}}
"""
        )

    @property
    def master(self) -> int:
        """The pid of its master."""
        return int(self.pid.read_text())

    def start(self) -> None:
        """Starts it, daemonised."""
        started = subprocess.run(
            [self.binary, "-c", self.conf], capture_output=True, text=True, check=False
        )
        assert started.returncode == 0, started.stderr
        until(lambda: self.instance.master() is not None, "their nginx")

    def stop(self) -> None:
        """Ends it at once."""
        master = self.instance.master()
        if master is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(master.pid, signal.SIGTERM)
        until(lambda: self.instance.master() is None, "the end of their nginx")

    def reload(self) -> None:
        """What an admin does after an edit; returns once only new workers are left."""
        before = {worker.pid for worker in self.instance.workers()}
        os.kill(self.master, signal.SIGHUP)

        def is_done() -> bool:
            found = self.instance.workers()
            return bool(found) and not before & {worker.pid for worker in found}

        until(is_done, "the reload of their nginx")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        if self.error_log.exists():
            sys.stdout.write(self.error_log.read_text(errors="replace"))
