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

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True, slots=True)
class Terms:
    """What a check needs to know: `address` is the endpoint's as configured, `target` where to
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
    writers: list[asyncio.StreamWriter] = []
    try:
        async with asyncio.timeout(terms.check.timeout_ms / 1000):
            if terms.check.bytes is not None and terms.check.bytes.is_datagram:
                return await plain.datagram(terms.check.bytes, terms.target)
            return await _checked(terms, writers)
    except TimeoutError:
        return Failure("check-timeout", f"no answer in {terms.check.timeout_ms} ms")
    finally:
        for writer in writers:
            writer.transport.abort()


async def _checked(terms: Terms, writers: list[asyncio.StreamWriter]) -> Failure | None:
    try:
        reader, writer = await _connected(terms)
    except OSError as error:
        return not_connected(error)
    writers.append(writer)
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


async def _connected(terms: Terms) -> Streams:
    if terms.target.startswith(_UNIX):
        path = terms.target.removeprefix(_UNIX)
        return await asyncio.open_unix_connection(path, limit=terms.head_bytes)
    host, _, port = terms.target.rpartition(":")
    return await asyncio.open_connection(host.strip("[]"), int(port), limit=terms.head_bytes)
