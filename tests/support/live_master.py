"""A master's gRPC server with a book in memory, on loopback with real TLS, and its agents."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import ec

from headgate.certificates.authority import create, key_pem, new_csr, new_key
from headgate.certificates.rotation import Authorities
from headgate.fleet.master_session import Terms
from headgate.master.dev.simulated import Enrolment, SimulatedAgent
from headgate.master.fleet.book import AgentFacts
from headgate.master.fleet.grpc_server import FleetServer, ServerTls
from headgate.master.fleet.hub import Budgets, LiveHub
from headgate.master.fleet.memory_book import MemoryBook

TERMS = Terms(heartbeat_s=0.2, chunk_bytes=1024)
PATIENT = Terms(heartbeat_s=3.0, chunk_bytes=1024)
"""For tests of sessions that go on: a busy machine stands still longer than some of the others."""
HOST = "127.0.0.1"


def now() -> dt.datetime:
    """The wall clock, which TLS reads too."""
    return dt.datetime.now(dt.UTC)


@dataclass
class LiveMaster:
    """A master that may be stopped and started again at the same port."""

    book: MemoryBook
    terms: Terms = TERMS
    budgets: Budgets = field(default_factory=Budgets)
    port: int = 0

    def __post_init__(self) -> None:
        self._key = new_key()
        self._chain = self.book.authorities.issuer.server(self._key.public_key(), [HOST], now())

    @property
    def target(self) -> str:
        """What agents dial."""
        return f"{HOST}:{self.port}"

    async def start(self) -> None:
        """Listens; at the port that it had before."""
        self.hub = LiveHub(self.book, self.terms, self.budgets)
        self._server = FleetServer(self.hub, self._tls)
        self.port = await self._server.start(f"{HOST}:{self.port}")

    async def stop(self) -> None:
        """Stops, as for an upgrade."""
        await self._server.stop(0.2)

    def renew_server_certificate(self) -> None:
        """Takes a new one of whoever issues now."""
        self._chain = self.book.authorities.issuer.server(self._key.public_key(), [HOST], now())

    def publish(self, files: dict[str, bytes]) -> int:
        """Publishes and wakes everybody; the revision."""
        version = self.book.publish(files)
        self.hub.wake(self.book.agents)
        return version.revision

    async def enrol(self, key: ec.EllipticCurvePrivateKey | None = None) -> Enrolment:
        """A new agent, by the book."""
        key = key or new_key()
        facts = AgentFacts("host", "0.1")
        enrolled = await self.book.enrol(self.book.token(), new_csr(key), facts, HOST)
        return Enrolment(
            enrolled.agent,
            key_pem(key),
            enrolled.certificate_pem,
            enrolled.authorities_pem,
            enrolled.manifest_keys,
        )

    def _tls(self) -> ServerTls:
        return ServerTls(key_pem(self._key), self._chain, self.book.authorities.pem)


def new_book() -> MemoryBook:
    """A book with an authority of its own."""
    return MemoryBook(Authorities((create("fleet", now()),)))


@asynccontextmanager
async def live_master(
    book: MemoryBook | None = None, budgets: Budgets | None = None, terms: Terms = TERMS
) -> AsyncIterator[LiveMaster]:
    """A master for the block."""
    master = LiveMaster(book or new_book(), terms, budgets or Budgets())
    await master.start()
    try:
        yield master
    finally:
        await master.stop()


@asynccontextmanager
async def running(*agents: SimulatedAgent) -> AsyncIterator[None]:
    """These agents for the block."""
    tasks = [asyncio.create_task(agent.run()) for agent in agents]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task
