"""A real nginx on hand-written releases: its own state folder, free ports, a client that counts."""

import http.client
import os
import socket
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Self

from peers import peer
from ports import free_port
from waiting import DEADLINE_S, until

from headgate.engines.nginx.apply.applier import Applier, Settings
from headgate.engines.nginx.apply.causes import Finding
from headgate.engines.nginx.apply.checks import Checks, Limits
from headgate.engines.nginx.apply.driver import OnStep
from headgate.engines.nginx.apply.results import Applied, PhaseChanged, Rejected, Result
from headgate.engines.nginx.apply.statussocket import ask
from headgate.engines.nginx.common.types import Generation, Rendered, RenderedFile, ServedName
from headgate.engines.nginx.instance import NginxInstance, Place
from headgate.engines.nginx.releases.store import Release, Store

WORKERS = 2
MAIN = """
user {user};
worker_processes {workers};
pid {root}/run/nginx.pid;
error_log {root}/logs/error.log;
{main}
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {root}/run/body;
    proxy_temp_path {root}/run/proxy;
    fastcgi_temp_path {root}/run/fastcgi;
    uwsgi_temp_path {root}/run/uwsgi;
    scgi_temp_path {root}/run/scgi;
    include generation.conf;
    include http/*.conf;
    server {{
        listen unix:{root}/run/status.sock;
        location = /generation {{ return 200 "$generation\\n$pid\\n"; }}
        location = /stub_status {{ stub_status; }}
    }}
}}
"""
GENERATION = 'map "" $generation {{ default "{generation}"; }}\n'
SITE = """
# route site
server {{
    listen 127.0.0.1:{port};
    server_name site.example;
    location / {{ return 200 "generation {generation}\\n"; }}
}}
"""


class BlindChecks(Checks):
    """`nginx -t` alone."""

    def lint(self, release: Release, running: Release | None) -> tuple[Finding, ...]:
        """Finds nothing."""
        return ()

    def preflight(self, release: Release, running: Release | None) -> tuple[Finding, ...]:
        """Finds nothing."""
        return ()


class RealNginx:
    """nginx under `root`, applied to by an `Applier`; ends with the block."""

    def __init__(
        self,
        root: Path,
        *,
        blind: bool = False,
        soak_s: float = 0.3,
        on_step: OnStep = lambda _: None,
    ) -> None:
        """`blind`: without LINT and PREFLIGHT, so that VERIFY has to see what they would."""
        self.root = root
        self.binary = str(peer("nginx"))
        self.port = free_port()
        self.user = "www-data" if os.geteuid() == 0 else "nobody"
        root.chmod(0o755)
        for name in ("run", "logs"):
            (root / name).mkdir(exist_ok=True)
        self.error_log = root / "logs" / "error.log"
        self.error_log.touch()
        self.place = Place(
            conf=f"{root}/current/nginx.conf",
            prefix=f"{root}/current/",
            pid_path=f"{root}/run/nginx.pid",
            error_log=str(self.error_log),
            binary=self.binary,
            user=self.user,
        )
        self.instance = NginxInstance(self.place)
        self.phases: list[PhaseChanged] = []
        self.store = Store(root, group=_group(self.user))
        settings = self.settings(soak_s)
        checks = BlindChecks(self.instance, settings.limits) if blind else None
        self.applier = Applier(
            self.store,
            self.instance,
            settings,
            report=self.phases.append,
            checks=checks,
            on_step=on_step,
        )

    def settings(self, soak_s: float) -> Settings:
        """How this nginx is applied to."""
        return Settings(
            error_log=str(self.error_log),
            status_socket=f"{self.root}/run/status.sock",
            limits=Limits(folders=(self.root / "run", self.root / "logs")),
            soak_s=soak_s,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.instance.stop(deadline_s=1.0)

    def rendered(  # noqa: PLR0913 - each is one thing a test changes
        self,
        generation: Generation,
        *,
        site: str = "",
        http: str = "",
        main: str = "",
        files: dict[str, bytes] | None = None,
        listeners: tuple[str, ...] = (),
        zones: dict[str, str] | None = None,
        names: tuple[ServedName, ...] = (),
    ) -> Rendered:
        """A release: our site (or another), and whatever a test adds to it."""
        texts = {
            "nginx.conf": MAIN.format(root=self.root, user=self.user, workers=WORKERS, main=main),
            "generation.conf": GENERATION.format(generation=generation),
            "http/site.conf": site or SITE.format(port=self.port, generation=generation),
            "http/extra.conf": http,
        }
        contents = {path: text.encode() for path, text in texts.items()} | (files or {})
        return Rendered(
            files=tuple(RenderedFile(path, content) for path, content in contents.items()),
            listeners=(f"127.0.0.1:{self.port}", *listeners),
            zones=zones or {},
            served_names=names,
        )

    def apply(self, **change: object) -> Result:
        """Applies a release that has been changed like this (`rendered`)."""

        def render(generation: Generation) -> Rendered:
            return self.rendered(generation, **change)  # type: ignore[arg-type]

        return self.applier.apply(render)

    def must_apply(self, **change: object) -> Applied:
        """The same; it has to be applied."""
        result = self.apply(**change)
        assert isinstance(result, Applied), result
        return result

    def must_refuse(self, **change: object) -> Rejected:
        """The same; it has to be refused."""
        result = self.apply(**change)
        assert isinstance(result, Rejected), result
        return result

    def generation(self) -> int:
        """What the status socket says; 0 for no answer."""
        answer = ask(f"{self.root}/run/status.sock", DEADLINE_S)
        return 0 if answer is None else answer.generation

    def answered(self) -> int:
        """How many requests this nginx has answered (`stub_status`)."""
        with socket.socket(socket.AF_UNIX) as link:
            link.connect(f"{self.root}/run/status.sock")
            link.sendall(b"GET /stub_status HTTP/1.0\r\n\r\n")
            text = b"".join(iter(lambda: link.recv(4096), b""))
        return int(text.split(b"requests", 1)[1].split()[2])

    def until_drained(self) -> None:
        """Waits until no old worker is left."""
        until(lambda: not any(one.shutting_down for one in self.instance.workers()), "draining")

    def links(self) -> dict[str, str]:
        """The three links by name."""
        return {
            link: str(self.store.linked(link)) for link in ("current", "previous", "known_good")
        }


class Client(threading.Thread):
    """Asks on a new connection each time unless `keep_alive`; counts what is lost.

    `pause_s` between two requests: 0 = as fast as it is answered. `timeout_s`: what takes longer
    is lost; by default so long that a worker which only waits for a processor loses nothing.
    """

    def __init__(
        self,
        port: int,
        *,
        keep_alive: bool = False,
        pause_s: float = 0.0,
        timeout_s: float = DEADLINE_S,
    ) -> None:
        super().__init__(daemon=True)
        self.answers = 0
        self.lost: list[tuple[float, str]] = []
        self.bodies: Counter[bytes] = Counter()
        self._port = port
        self._keep_alive = keep_alive
        self._pause_s = pause_s
        self._timeout_s = timeout_s
        self._end = threading.Event()

    def __enter__(self) -> Self:
        self.start()
        until(lambda: self.answers > 10, "the client's first answers")
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self.join()

    def run(self) -> None:
        """Until the block ends."""
        link: http.client.HTTPConnection | None = None
        while not self._end.wait(self._pause_s):
            try:
                if link is None:
                    link = http.client.HTTPConnection(
                        "127.0.0.1", self._port, timeout=self._timeout_s
                    )
                kind = "keep-alive" if self._keep_alive else "close"
                link.request("GET", "/", headers={"Host": "site.example", "Connection": kind})
                response = link.getresponse()
                self.bodies[response.read()] += 1
                self.answers += 1
                if not self._keep_alive or response.will_close:
                    link.close()
                    link = None
            except (OSError, http.client.HTTPException) as error:
                self.lost.append((time.monotonic(), repr(error)))
                if link is not None:
                    link.close()
                link = None


def foreign_listener() -> socket.socket:
    """A listening socket that is not nginx's."""
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    taken.listen()
    return taken


def _group(user: str) -> int | None:
    import grp  # noqa: PLC0415 - not on every platform tests are collected on

    return grp.getgrnam(user).gr_gid if os.geteuid() == 0 else None
