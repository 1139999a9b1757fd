"""A master for a real agent: its REST routes of enrolment and its gRPC port, with real TLS, in a
thread of its own; and the agent as a process."""

import asyncio
import ssl
import subprocess
import tempfile
import threading
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Protocol, Self, TypeVar

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from live_master import HOST, LiveMaster, new_book, now
from ports import free_port
from running_node import RunningNode
from waiting import until

from headgate.certificates.authority import key_pem, new_key, pin
from headgate.fleet.frames import Phase
from headgate.fleet.join_token import JoinToken
from headgate.fleet.manifest import Json, resource_bytes, resource_path
from headgate.kernel.errors import Invalid
from headgate.master.fleet import enrolment
from headgate.master.fleet.book import EnrolmentRefusedError
from headgate.master.fleet.memory_book import MemoryAgent, MemoryBook
from headgate.testing.server import HttpServer

T = TypeVar("T")
Resources = Mapping[tuple[str, str], Json]


class AgentMaster:
    """A master that may be stopped and started again; use as a context manager."""

    def __init__(self, book: MemoryBook | None = None) -> None:
        self.book = book or new_book()
        self.live = LiveMaster(self.book, port=free_port())
        self.rest_port = free_port()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._rest: HttpServer | None = None
        self._key: ec.EllipticCurvePrivateKey = new_key()

    def __enter__(self) -> Self:
        self._thread.start()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    @property
    def url(self) -> str:
        """What an agent is given."""
        return f"https://{HOST}:{self.rest_port}?grpc={self.live.port}"

    def token(self, uses: int = 1) -> str:
        """A join token with the pin of this master's CA."""
        authority = self.book.authorities.issuer.certificate
        return JoinToken(self.book.token(uses), pin(authority)).text()

    def start(self) -> None:
        """Serves; at the ports that it had before."""
        self.do(self.live.start())
        self._rest = HttpServer((HOST, self.rest_port), self._handler())
        self._rest.socket = self._tls().wrap_socket(
            self._rest.socket, server_side=True, do_handshake_on_connect=False
        )
        threading.Thread(target=self._rest.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Stops both ports."""
        if self._rest is not None:
            self._rest.shutdown()
            self._rest.server_close()
            self._rest = None
            self.do(self.live.stop())

    def publish(self, resources: Resources, secrets: Mapping[str, bytes] | None = None) -> int:
        """Publishes a revision; returns its number."""
        files = {resource_path(*key): resource_bytes(spec) for key, spec in resources.items()}
        files |= {f"secrets/{name}": content for name, content in (secrets or {}).items()}

        async def act() -> int:
            return self.live.publish(files)

        return self.do(act())

    def cut(self, agent: str) -> None:
        """Revokes an agent and ends its session."""

        async def act() -> None:
            self.book.revocations.revoke_agent(agent)
            self.live.hub.cut(agent)

        self.do(act())

    def agent(self) -> MemoryAgent:
        """What is known of the only agent."""
        (found,) = self.book.agents.values()
        return found

    def until(self, revision: int, phase: Phase) -> MemoryAgent:
        """Waits until the only agent reports this phase of this revision."""

        def reached() -> bool:
            for agent in self.book.agents.values():
                if agent.revision == revision and phase in agent.at:
                    return True
            return False

        until(reached, f"revision {revision} {phase}")
        return self.agent()

    def do(self, work: Awaitable[T]) -> T:
        """Does work in the master's loop."""

        async def act() -> T:
            return await work

        found: Future[T] = asyncio.run_coroutine_threadsafe(act(), self._loop)
        return found.result(60)

    def _tls(self) -> ssl.SSLContext:
        chain = self.book.authorities.issuer.server(self._key.public_key(), [HOST], now())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.NamedTemporaryFile() as cert, tempfile.NamedTemporaryFile() as key:
            Path(cert.name).write_bytes(chain)
            Path(key.name).write_bytes(key_pem(self._key))
            context.load_cert_chain(cert.name, key.name)
        return context

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        master = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._answer(200, master.book.authorities.pem)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                try:
                    answer = master.do(self._work()(body))
                except (EnrolmentRefusedError, Invalid) as error:
                    self._answer(401, msgspec.json.encode({"detail": str(error)}))
                    return
                self._answer(200, msgspec.json.encode(answer))

            def _work(self) -> Callable[[bytes], Awaitable[enrolment.EnrolledAnswer]]:
                if self.path == enrolment.RENEWAL_PATH:
                    authorities = [one.certificate for one in master.book.authorities.listed]
                    return lambda body: enrolment.renew(master.book, body, authorities, now)
                return lambda body: enrolment.enrol(master.book, body, HOST)

            def _answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler


OWN = """
[node]
admin = "off"
drain = { delay = "50ms", idle_grace = "100ms", deadline = "60s" }
"""


class Reachable(Protocol):
    """What has the address of a master."""

    @property
    def url(self) -> str:
        """As an agent is given it."""
        ...


class RunningAgent(RunningNode):
    """`headgate agent` as a process."""

    reads_a_file = False

    def __init__(
        self, folder: Path, master: "Reachable", token: str | None, *arguments: str, own: str = OWN
    ) -> None:
        """`own`: the node's own settings."""
        self._master_url = master.url
        env = {"HEADGATE_AGENT_TOKEN": token} if token is not None else {}
        super().__init__(folder, own, *arguments, **env)

    def _start(self, command: list[str], *arguments: str, **env: str) -> "subprocess.Popen[bytes]":
        own = ["--config", str(self.config)]
        return super()._start(["agent", "--master-url", self._master_url, *own], *arguments, **env)

    def revision(self) -> int:
        """The revision that serves; 0 for none."""
        master = self.status()["master"]
        assert isinstance(master, dict)
        serving = master["serving"]
        return int(serving["revision"]) if serving else 0

    def is_connected(self) -> bool:
        """Whether it has a live session."""
        return self.metric("headgate_master_connected") == 1
