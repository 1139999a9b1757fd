"""A master in memory that serves a directory of config to agents: `headgate dev fake-master`."""

import asyncio
import contextlib
import datetime as dt
import socket
import ssl
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from headgate.certificates.authority import create, pin
from headgate.certificates.folder import AuthorityFolder
from headgate.certificates.rotation import Authorities
from headgate.fleet.master_session import Terms
from headgate.kernel.files import replace_file
from headgate.master.dev.config_dir import files_of
from headgate.master.dev.rest import application
from headgate.master.fleet.grpc_server import FleetServer
from headgate.master.fleet.hub import Budgets, LiveHub
from headgate.master.fleet.memory_book import MemoryBook
from headgate.master.fleet.server_identity import ServerIdentity
from headgate.master.fleet.websocket import MAX_MESSAGE

_FLEET = "dev fleet"
_MANY = 1_000_000


@dataclass(frozen=True)
class Places:
    """The addresses that it listens at and the paths that it reads. Port 0: any. `authority`: a
    folder that keeps the authority over restarts; agents that it certified are known then."""

    config: Path
    host: str = "127.0.0.1"
    rest_port: int = 0
    grpc_port: int = 0
    authority: Path | None = None


class FakeMaster:
    """A master that forgets everything when it stops, but for its authority and the key of its
    manifests, if it has a folder for them."""

    def __init__(
        self, places: Places, terms: Terms | None = None, budgets: Budgets | None = None
    ) -> None:
        """Reads the config and the authority. Raises Invalid and OSError."""
        now = dt.datetime.now(dt.UTC)
        authorities = Authorities((create(_FLEET, now),))
        key = Ed25519PrivateKey.generate()
        if places.authority is not None:
            authorities = AuthorityFolder(places.authority).load_or_create(_FLEET, now)
            key = _kept_key(places.authority / "manifests.key")
        is_kept = places.authority is not None
        self.book = MemoryBook(authorities, key=key, adopts=is_kept)
        self.hub = LiveHub(self.book, terms, budgets)
        self.token = self.book.token(uses=_MANY)
        self.rest_port = self.grpc_port = 0
        self._places = places
        names = [places.host, "localhost", "127.0.0.1"]
        self._identity = ServerIdentity(
            names, lambda: self.book.authorities, lambda: dt.datetime.now(dt.UTC)
        )
        self._server = FleetServer(self.hub, self._identity)
        self.book.publish(files_of(places.config))

    @property
    def pin(self) -> str:
        """The pin that agents must find in the authority's certificate."""
        return pin(self.book.authorities.issuer.certificate)

    def publish(self, complete: bool = False) -> int:
        """Reads the config again, makes it the next revision and offers it; `complete`: nobody is
        sent a difference. Raises Invalid and OSError."""
        version = self.book.publish(files_of(self._places.config))
        if complete:
            self.hub.shelf.by_hash.clear()
        self.hub.wake(self.book.agents)
        return version.revision

    async def run(self, ready: "asyncio.Event | None" = None) -> None:
        """Serves until it is cancelled. Raises OSError for a port that is in use."""
        places = self._places
        with self._listening() as listening:
            self.rest_port = int(listening.getsockname()[1])
            self.grpc_port = await self._server.start(f"{places.host}:{places.grpc_port}")
            config = uvicorn.Config(
                application(self.book, self.hub, self.publish),
                lifespan="off",
                ws="websockets-sansio",
                ws_max_size=MAX_MESSAGE,
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=2,
            )
            config.load()
            config.ssl = self._context()
            server = _Server(config)
            serving = asyncio.create_task(server.serve(sockets=[listening]))
            try:
                if ready is not None:
                    ready.set()
                await asyncio.shield(serving)
            finally:
                server.should_exit = True
                await self._server.stop()
                await serving

    def _context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        with tempfile.TemporaryDirectory() as folder:
            key, chain = Path(folder) / "key", Path(folder) / "chain"
            tls = self._identity()
            key.write_bytes(tls.key_pem)
            chain.write_bytes(tls.chain_pem)
            context.load_cert_chain(chain, key)
        return context

    @contextlib.contextmanager
    def _listening(self) -> Iterator[socket.socket]:
        address = (self._places.host, self._places.rest_port)
        with socket.create_server(address, backlog=4096) as listening:
            yield listening


def _kept_key(path: Path) -> Ed25519PrivateKey:
    """Returns the key that signs manifests, the same one after a restart."""
    if not path.exists():
        replace_file(path, Ed25519PrivateKey.generate().private_bytes_raw())
    return Ed25519PrivateKey.from_private_bytes(path.read_bytes())


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the process owns the signals."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves signals alone."""
        yield
