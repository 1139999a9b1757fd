"""A TCP listener that ends TLS for some names and passes it through for others."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePath
from random import Random

import pytest
from access_log import AccessLog, Line
from cut_off import heard
from running_node import RunningNode
from socket_server import SocketServer
from stream_end import Secured
from tcp_echo import Echo
from tls_authority import Authority, Pair
from tls_client import trusting
from told import until_metric
from waiting import DEADLINE_S

from headgate.compile.answers import answer
from headgate.compile.load import load
from headgate.compile.routing import Question, Routing
from headgate.providers.file.disk import DiskFiles

LETTERS = "abcdef"
CONNECTIONS = 50
SNI = ("a.example", "*.example", "*.a.example", "*", "b.test")
ALPN = ("h2", "x")
CLIENTS = ("127.0.0.0/8", "127.0.0.2")
ASKED = ("a.example", "b.example", "c.a.example", "b.test", "other", None)


class SecureEcho(SocketServer):
    """A TLS server with a certificate of its own, which sends `p` and then what it gets."""

    def __init__(self, pair: Pair) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(pair.cert_file, pair.key_file)
        super().__init__()

    def serve(self, link: socket.socket) -> None:
        """Sends until the client's end, and then its own."""
        with self._context.wrap_socket(link, server_side=True) as one:
            one.sendall(b"p")
            while data := one.recv(65536):
                one.sendall(data)
            one.unwrap()


@pytest.fixture
def echo() -> Iterator[Echo]:
    """A server of plain TCP, `a`."""
    one = Echo(b"a")
    yield one
    one.close()


def client(port: int, authority: Authority, name: str, *alpn: str) -> Secured:
    """A client that trusts an authority, whose hands are shaken."""
    context = trusting(authority.ca_file)
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return Secured(socket.create_connection(("127.0.0.1", port), DEADLINE_S), context, name)


def config(folder: Path, port: int, ports: tuple[int, int], pair: Pair) -> str:
    """A listener that ends the TLS of one name, and passes on that of another and of a protocol."""
    ended, passed = ports
    return f"""
[node]
admin = "off"
drain = {{ delay = "1ms", idle_grace = "1ms", deadline = "1s" }}
access_log = {{ format = "json", sink = {{ path = "{folder}/access.log" }} }}
[listeners.raw]
address = "127.0.0.1:{port}"
protocol = "tcp"
tls = {{ default_certificate = "a" }}
[tcp_routes.ended]
listeners = "raw"
sni = "a.example"
upstream = "ended"
[tcp_routes.challenge]
listeners = "raw"
sni = "a.example"
alpn = "acme-tls/1"
tls = "passthrough"
upstream = "passed"
[tcp_routes.passed]
listeners = "raw"
sni = "b.example"
tls = "passthrough"
upstream = "passed"
[upstreams.ended]
endpoints = ["127.0.0.1:{ended}"]
[upstreams.passed]
endpoints = ["127.0.0.1:{passed}"]
{pair.toml("a")}"""


def sent(line: Line) -> int:
    """How much a client sent, as the access log tells it."""
    count = line["bytes_in"]
    assert isinstance(count, int)
    return count


def test_each_name_has_its_own_end(folder: Path, port: int, echo: Echo) -> None:
    (folder / "theirs").mkdir()
    ours, theirs = Authority(folder), Authority(folder / "theirs")
    pair = ours.issue("a", "a.example")
    secure = SecureEcho(theirs.issue("b", "a.example", "b.example"))
    text = config(folder, port, (echo.port, secure.port), pair)
    try:
        with RunningNode(folder, text).until_ready() as node:
            for authority, name, alpn, letter in (
                (ours, "a.example", (), b"a"),
                (theirs, "b.example", (), b"p"),
                (theirs, "a.example", ("acme-tls/1",), b"p"),
            ):
                with client(port, authority, name, *alpn) as one:
                    assert one.receive() == letter
                    one.send(b"x" * 100_000)
                    one.end()
                    assert one.rest() == b"x" * 100_000
            # The certificate of a name that passes through is not ours.
            with pytest.raises(ssl.SSLCertVerificationError):
                client(port, ours, "b.example")
            lines = AccessLog(folder / "access.log").lines(4)
            by_route = {one["route"]: one for one in lines if sent(one) >= 100_000}
            assert by_route["ended"]["tls_version"] == "TLSv1.3"
            assert "tls_version" not in by_route["passed"]
            # What passes through is counted as it came: with the hello and the records.
            assert sent(by_route["ended"]) == 100_000 < sent(by_route["passed"])
            ended = 'headgate_tls_handshakes_total{side="client",version="1.3",kind="full"}'
            until_metric(node, ended, 1)
    finally:
        secure.close()


def hello(name: str | None, alpn: list[str]) -> tuple[ssl.SSLObject, bytes]:
    """A client of OpenSSL, and what it sends first."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(alpn)
    out = ssl.MemoryBIO()
    one = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname=name)
    with suppress(ssl.SSLWantReadError):
        one.do_handshake()
    return one, out.read()


def taken(port: int, source: str, name: str | None, alpn: list[str]) -> tuple[str, bool]:
    """The letter of the server that a client gets to, and whether its TLS ended on the way."""
    one, first = hello(name, alpn)
    begins = heard(port, first, source=source, most=1)[:1]
    if begins not in (b"\x16", b"\x15"):
        return begins.decode(), False
    raw = socket.create_connection(("127.0.0.1", port), DEADLINE_S, (source, 0))
    with suppress(OSError), raw, one.context.wrap_socket(raw, server_hostname=name) as tls:
        return tls.recv(1).decode(), True
    return "", True


@pytest.mark.parametrize("seed", range(2))
def test_the_data_plane_does_what_explain_says(folder: Path, port: int, seed: int) -> None:
    random = Random(seed)  # noqa: S311 - to be had again
    pair = Authority(folder).issue("any", "a.example")
    echoes = [Echo(letter.encode()) for letter in LETTERS]
    text = (
        '[node]\nadmin = "off"\ndrain = { delay = "1ms", idle_grace = "1ms", deadline = "1s" }\n'
        f'[listeners.raw]\naddress = "127.0.0.1:{port}"\nprotocol = "tcp"\n'
        'tls = { default_certificate = "any", unknown_sni = "default", policy = "any" }\n'
        f'[tls_policies.any]\nalpn = ["x", "h2"]\n{pair.toml("any")}\n'
    )
    conditions = {(s, a, c) for s in (*SNI, "") for a in (*ALPN, "") for c in (*CLIENTS, "")}
    chosen = random.sample(sorted(conditions), len(LETTERS))
    for at, (letter, one, keys) in enumerate(zip(LETTERS, echoes, chosen, strict=True)):
        text += f'[tcp_routes.{letter}]\nlisteners = "raw"\nupstream = "{letter}"\n'
        text += 'tls = "passthrough"\n' if at % 2 else ""
        for key, value in zip(("sni", "alpn", "client"), keys, strict=True):
            text += f'{key} = "{value}"\n' if value else ""
        text += f'[upstreams.{letter}]\nendpoints = ["127.0.0.1:{one.port}"]\n'
    seen: set[bool | None] = set()
    try:
        with RunningNode(folder, text).until_ready() as node:
            loaded = load([PurePath(node.config)], DiskFiles(), {})
            assert loaded.plan is not None, loaded.diagnostics
            routing = Routing(loaded.plan, blobs=loaded.blobs)
            for _ in range(CONNECTIONS):
                name, source = random.choice(ASKED), f"127.0.0.{random.randint(1, 3)}"
                alpn = random.sample(ALPN, random.randint(0, 2))
                url = f"tcp://127.0.0.1:{port}"
                asked = Question(url=url, client=source, sni=name, alpn=alpn)
                found = answer(routing, asked, lambda *_: "")
                letter, has_ended = taken(port, source, name, alpn)
                assert letter == (found.won.route if found.won else ""), (asked, text)
                if found.won:
                    assert has_ended == found.won.outcome.detail.startswith("TLS ends"), asked
                seen.add(has_ended if found.won else None)
    finally:
        for echo in echoes:
            echo.close()
    assert seen == {True, False, None}
