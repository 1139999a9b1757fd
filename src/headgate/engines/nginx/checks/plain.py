"""Checks that send bytes of the config, over TCP or UDP, and compare the answer."""

import asyncio
import socket
from typing import Final

from headgate._core import ExpectedAnswer
from headgate.engines.nginx.checks.answer import Failure
from headgate.engines.nginx.checks.troubles import clause, not_connected, undelivered
from headgate.plan.codec import encode
from headgate.plan.objects import BytesCheck

_CHUNK: Final = 16 * 1024
_DATAGRAM: Final = 64 * 1024


async def judged(
    check: BytesCheck, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> Failure | None:
    """Sends the bytes over a connection and reads the answer as far as it takes; None = the check
    passed.
    """
    expected, got = ExpectedAnswer(encode(check)), b""
    try:
        writer.write(bytes.fromhex(check.send))
        while True:
            part = await reader.read(_CHUNK)
            if not part and not got:
                return Failure("check-lost", "the connection closed before the answer")
            got += part
            found = expected.judge(got, not part)
            if found is not None:
                return _failure(found)
    except OSError as error:
        return Failure("check-lost", clause(error))


async def datagram(check: BytesCheck, target: str) -> Failure | None:
    """Sends a datagram and judges the first answer; None = the check passed."""
    loop = asyncio.get_running_loop()
    host, _, port = target.rpartition(":")
    try:
        found = await loop.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_DGRAM)
        family, kind, *_, address = found[0]
        endpoint = socket.socket(family, kind)
    except OSError as error:
        return not_connected(error)
    with endpoint:
        endpoint.setblocking(False)
        try:
            endpoint.connect(address)
        except OSError as error:
            return not_connected(error)
        try:
            endpoint.send(bytes.fromhex(check.send))
            got = await loop.sock_recv(endpoint, _DATAGRAM)
        except OSError as error:
            return undelivered(error)
    return _failure(ExpectedAnswer(encode(check)).judge(got, is_whole=True) or "")


def _failure(found: str) -> Failure | None:
    return Failure("check-answer", found) if found else None
