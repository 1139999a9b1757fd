"""Does one check: a connection of its own, TLS if the upstream has it, request and answer."""

import asyncio
import ssl
from dataclasses import dataclass
from typing import Final

from headgate.engines.nginx.checks import answer, plain
from headgate.engines.nginx.checks.answer import Failure
from headgate.engines.nginx.checks.troubles import clause, not_connected
from headgate.plan.objects import HealthCheck

_UNIX: Final = "unix:"
_NO_CLIENT: Final = b"PROXY UNKNOWN\r\n"
"""Tells that no client is behind a connection."""
_CLOSED: Final = "the connection closed after the TLS handshake"
_SETTLE_S: Final = 0.5
"""The time that an endpoint has to refuse a TLS session whose handshake is over for us."""

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True, slots=True)
class Terms:
    """The parameters of a check: `address` is the endpoint's as configured, `target` where to
    connect, `name` what its certificate is verified against. `is_told`: the endpoint wants a PROXY
    header, in version 1.
    """

    check: HealthCheck
    address: str
    target: str
    tls: ssl.SSLContext | None
    name: str
    head_bytes: int
    is_told: bool = False


async def probe(terms: Terms) -> Failure | None:
    """Checks an endpoint; None = the check passed."""
    opened: list[Streams] = []
    try:
        async with asyncio.timeout(terms.check.timeout_ms / 1000) as limit:
            if terms.check.bytes is not None and terms.check.bytes.is_datagram:
                return await plain.datagram(terms.check.bytes, terms.target)
            found = await _checked(terms, opened)
        if found is None and _wants_connection_alone(terms.check):
            left_s = (limit.when() or 0) - asyncio.get_running_loop().time()
            return await _settled(*opened[0], min(left_s, _SETTLE_S))
    except TimeoutError:
        return Failure("check-timeout", f"no answer in {terms.check.timeout_ms} ms")
    else:
        return found
    finally:
        for _, writer in opened:
            writer.transport.abort()


def _wants_connection_alone(check: HealthCheck) -> bool:
    return check.http is None and check.bytes is None


async def _checked(terms: Terms, opened: list[Streams]) -> Failure | None:
    try:
        reader, writer = await _connected(terms)
    except OSError as error:
        return not_connected(error)
    opened.append((reader, writer))
    if terms.is_told:
        writer.write(_NO_CLIENT)
    if terms.tls is not None:
        try:
            await writer.start_tls(terms.tls, server_hostname=terms.name)
        except OSError as error:
            return Failure("check-tls", clause(error))
    if terms.check.bytes is not None:
        return await plain.judged(terms.check.bytes, reader, writer)
    if terms.check.http is None:
        return None
    is_unix = terms.address.startswith(_UNIX)
    try:
        writer.write(answer.request(terms.check.http, "localhost" if is_unix else terms.address))
        return await answer.judged(terms.check.http, reader)
    except OSError as error:
        return Failure("check-lost", clause(error))


async def _settled(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, most_s: float
) -> Failure | None:
    """Returns how an endpoint refuses a connection that is all that is wanted; None = it does not.

    In TLS 1.3 a client's handshake is over before its server has seen the certificate (RFC 8446
    appendix E.1.2), and an alert or the end of the connection tells of a refusal. asyncio does not
    tell of tickets, so that the check of an endpoint that says nothing takes all of the time.
    """
    session: ssl.SSLObject | None = writer.get_extra_info("ssl_object")
    if session is None or session.version() != "TLSv1.3":
        return None
    try:
        async with asyncio.timeout(most_s):
            said = await reader.read(1)
        return None if said or _is_closed(session) else Failure("check-tls", _CLOSED)
    except TimeoutError:
        return None
    except OSError as error:
        return Failure("check-tls", clause(error))


def _is_closed(session: ssl.SSLObject) -> bool:
    """Says whether the other side has ended the session in good order, by close_notify."""
    try:
        session.read(1)
    except ssl.SSLZeroReturnError:
        return True
    except ssl.SSLError:
        return False
    return True


async def _connected(terms: Terms) -> Streams:
    if terms.target.startswith(_UNIX):
        path = terms.target.removeprefix(_UNIX)
        return await asyncio.open_unix_connection(path, limit=terms.head_bytes)
    host, _, port = terms.target.rpartition(":")
    return await asyncio.open_connection(host.strip("[]"), int(port), limit=terms.head_bytes)
