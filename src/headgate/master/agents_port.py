"""The certificates of a master's ports, of the fleet's CA or of files; and the port of agents."""

import asyncio
import datetime as dt
import socket
import ssl
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, NamedTuple

import structlog

from headgate.certificates.rotation import Authorities
from headgate.master.fleet.grpc_server import FleetServer, ServerTls
from headgate.master.fleet.hub import LiveHub
from headgate.master.fleet.server_identity import ServerIdentity
from headgate.master.settings import Address, Tls
from headgate.master.store.errors import StartError

_LOOK_S: Final = 1.0
_AGAIN_S: Final = 60.0
_NOT_RENEWED: Final = "the REST port's certificate cannot be renewed"
_log = structlog.get_logger()


class _Pair(NamedTuple):
    """A certificate with its chain, and its key, in PEM."""

    chain_pem: bytes
    key_pem: bytes


class MasterCertificate:
    """The master's own certificate: renewed at two thirds of its life, and as soon as another
    authority issues. Any thread may ask."""

    def __init__(self, authorities: Callable[[], Authorities], names: Iterable[str]) -> None:
        self.tls = ServerIdentity(names, authorities, lambda: dt.datetime.now(dt.UTC))
        """Returns what a handshake needs now."""

    def load_into(self, context: ssl.SSLContext) -> ServerTls:
        """Makes a context show the certificate from its next handshake on; returns it."""
        tls = self.tls()
        _load(context, _Pair(tls.chain_pem, tls.key_pem))
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
                _log.error(_NOT_RENEWED, error=str(error))
                await asyncio.sleep(_AGAIN_S)


async def keep_from(files: Tls, context: ssl.SSLContext) -> None:
    """Has a context show the certificate that files have now, until it is cancelled. A pair that
    cannot be used, as in the middle of a renewal, changes nothing."""
    shown: _Pair | None = None
    told = ""
    while True:
        await asyncio.sleep(_LOOK_S)
        try:
            found = await asyncio.to_thread(_read, files)
            if found == shown:
                continue
            # A certificate without its key must not get into the context that is in use.
            _load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), found)
            _load(context, found)
        except OSError as error:  # of OpenSSL, too
            if str(error) != told:
                _log.error(_NOT_RENEWED, error=str(error))
            told = str(error)
        else:
            shown, told = found, ""


def _read(files: Tls) -> _Pair:
    return _Pair(files.certificate.read_bytes(), files.key.read_bytes())


def _load(context: ssl.SSLContext, pair: _Pair) -> None:
    """Makes a context show a pair; raises OSError."""
    with tempfile.TemporaryDirectory() as folder:  # for its owner alone
        key, chain = Path(folder) / "key", Path(folder) / "chain"
        key.write_bytes(pair.key_pem)
        chain.write_bytes(pair.chain_pem)
        context.load_cert_chain(chain, key, password="")  # or OpenSSL would ask at the terminal


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
