"""The agents' view of a master's process: its certificate of the fleet's CA, and the gRPC port."""

import asyncio
import datetime as dt
import socket
import ssl
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import structlog

from headgate.certificates.rotation import Authorities
from headgate.master.fleet.grpc_server import FleetServer, ServerTls
from headgate.master.fleet.hub import LiveHub
from headgate.master.fleet.server_identity import ServerIdentity
from headgate.master.settings import Address
from headgate.master.store.errors import StartError

_LOOK_S: Final = 1.0
_AGAIN_S: Final = 60.0
_log = structlog.get_logger()


class MasterCertificate:
    """The master's own certificate: renewed at two thirds of its life, and as soon as another
    authority issues. Any thread may ask."""

    def __init__(self, authorities: Callable[[], Authorities], names: Iterable[str]) -> None:
        self.tls = ServerIdentity(names, authorities, lambda: dt.datetime.now(dt.UTC))
        """Returns what a handshake needs now."""

    def load_into(self, context: ssl.SSLContext) -> ServerTls:
        """Makes a context show the certificate from its next handshake on; returns it."""
        tls = self.tls()
        with tempfile.TemporaryDirectory() as folder:  # for its owner alone
            key, chain = Path(folder) / "key", Path(folder) / "chain"
            key.write_bytes(tls.key_pem)
            chain.write_bytes(tls.chain_pem)
            context.load_cert_chain(chain, key)
        return tls

    async def keep_in(self, context: ssl.SSLContext) -> None:
        """Has a context show the next ones too, until it is cancelled."""
        shown = self.tls()
        while True:
            await asyncio.sleep(_LOOK_S)
            if self.tls() == shown:
                continue
            try:
                shown = self.load_into(context)
            except OSError as error:  # the one that it has is good for longer than a full disk
                _log.error("the REST port's certificate cannot be renewed", error=str(error))
                await asyncio.sleep(_AGAIN_S)


def names_of(listen: Iterable[Address], given: Iterable[str]) -> list[str]:
    """Returns the names and addresses that the certificate is for: those that were given, and
    those by which this host is reached anyway."""
    own = [one.host for one in listen if one.host not in {"0.0.0.0", "::"}]  # noqa: S104 - excluded
    return list(dict.fromkeys([*given, *own, socket.gethostname(), "localhost", "127.0.0.1"]))


async def open_port(hub: LiveHub, certificate: MasterCertificate, address: Address) -> FleetServer:
    """Returns the agents' server, which listens; raises StartError."""
    server = FleetServer(hub, certificate.tls)
    try:
        await server.start(str(address))
    except OSError as error:
        raise StartError(
            f"{address} cannot be opened for agents; choose another one with --agents-listen"
        ) from error
    return server
