"""Probes an nginx from outside: does a listener accept, which certificate, which status?

Every function returns what is wrong in words, empty when nothing is. Certificates are compared by
digest, not verified.
"""

import hashlib
import socket
import ssl
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

from headgate.engines.nginx.apply.evidence import Expectation, Probe
from headgate.engines.nginx.common.types import ServedName

_TIMEOUT_S = 2.0
_THREADS = 8
_WILDCARDS = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]", "*": "127.0.0.1"}  # noqa: S104 - to knock at
_PROXY = b"PROXY TCP4 127.0.0.1 127.0.0.1 1 1\r\n"
T = TypeVar("T")


def knock(expected: Expectation) -> tuple[str, ...]:
    """Returns what is wrong with listeners, names and the user's probes; empty = nothing."""

    def listener(address: str) -> str:
        return accepts(address)

    def name(one: ServedName) -> str:
        return serves(one, proxied=one.proxied or one.address in expected.proxied)

    with ThreadPoolExecutor(_THREADS, thread_name_prefix="knock") as threads:
        return (
            *_wrong(threads, listener, expected.listeners),
            *_wrong(threads, name, expected.names),
            *_wrong(threads, answers, expected.probes),
        )


def accepts(address: str) -> str:
    """Returns why a TCP listener does not accept. One of UDP says nothing of itself."""
    if address.startswith("udp:"):
        return ""
    try:
        _connect(address).close()
    except OSError as error:
        return f"listener {address} does not accept: {_words(error)}"
    return ""


def serves(one: ServedName, *, proxied: bool = False) -> str:
    """Returns why a name does not get one of its certificates. It asks for a wildcard as `x.`."""
    asked = one.name.replace("*", "headgate-probe")
    try:
        with _tls(_connect(one.address, proxied=proxied), asked) as link:
            leaf = link.getpeercert(binary_form=True)
    except (OSError, ValueError) as error:
        return f"{one.address}: no TLS for {one.name}: {_words(error)}"
    digest = hashlib.sha256(leaf or b"").hexdigest()
    if digest in one.leaves:
        return ""
    return f"{one.address} serves {one.name} the certificate {digest[:12]}, not that of the release"


def answers(probe: Probe) -> str:
    """Returns why a user's probe does not get its status."""
    what = f"probe of {probe.host}{probe.path} at {probe.address}"
    request = (
        f"GET {probe.path} HTTP/1.1\r\nHost: {probe.host}\r\n"
        "User-Agent: headgate-probe\r\nConnection: close\r\n\r\n"
    )
    try:
        link = _connect(probe.address, proxied=probe.proxy)
        with _tls(link, probe.host) if probe.tls else link as stream:
            stream.sendall(request.encode())
            line = b""
            while b"\n" not in line and (part := stream.recv(1024)):
                line += part
    except (OSError, ValueError) as error:
        return f"{what} failed: {_words(error)}"
    words = line.partition(b"\r\n")[0].decode(errors="replace").split(" ")
    got = words[1] if len(words) > 1 else "nothing"
    return "" if got == str(probe.status) else f"{what} got {got}, not {probe.status}"


def split_address(address: str) -> tuple[str, int]:
    """Returns host and port to connect to; loopback for a wildcard.

    >>> split_address("0.0.0.0:80"), split_address("[::]:443")
    (('127.0.0.1', 80), ('::1', 443))
    """
    host, _, port = address.rpartition(":")
    host = _WILDCARDS.get(host, host)
    return host.strip("[]"), int(port)


def _connect(address: str, *, proxied: bool = False) -> socket.socket:
    if address.startswith("unix:"):
        link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        link.settimeout(_TIMEOUT_S)
        try:
            link.connect(address.removeprefix("unix:"))
        except OSError:
            link.close()
            raise
        return link
    link = socket.create_connection(split_address(address), timeout=_TIMEOUT_S)
    if proxied:
        link.sendall(_PROXY)
    return link


def _tls(link: socket.socket, name: str) -> ssl.SSLSocket:
    with link:  # the TLS socket takes it over, or it is closed
        return _context().wrap_socket(link, server_hostname=name)


@cache
def _context() -> ssl.SSLContext:
    """Returns the one context for all: to make it costs more than a handshake. Accepts
    everything.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def _wrong(
    threads: ThreadPoolExecutor, check: Callable[[T], str], things: Iterable[T]
) -> tuple[str, ...]:
    return tuple(text for text in threads.map(check, things) if text)


def _words(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return error.reason or str(error)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
