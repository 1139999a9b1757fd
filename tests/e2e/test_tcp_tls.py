"""TLS that ends at TCP listeners: who gets which certificate and route, and how sessions end."""

import array
import fcntl
import re
import socket
import ssl
import subprocess
import termios
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from access_log import AccessLog, Line
from cryptography import x509
from cut_off import CutOff
from running_node import RunningNode
from stream_end import Secured
from tcp_echo import Echo
from tls_authority import Authority, Pair
from tls_client import nameless, trusting
from told import until_metric
from waiting import DEADLINE_S, until

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@dataclass
class Site:
    """A node that ends TLS for `a.example` and `b.example`, and an echo for each."""

    node: RunningNode
    authority: Authority
    pair: Pair
    port: int
    folder: Path
    text: str

    def context(self, *alpn: str, version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
        """A client's settings."""
        context = trusting(self.authority.ca_file, version=version)
        context.set_alpn_protocols(list(alpn))
        return context

    def client(
        self, name: str | None = "a.example", context: ssl.SSLContext | None = None
    ) -> Secured:
        """A client whose hands are shaken."""
        context = context or self.context()
        one = socket.create_connection(("127.0.0.1", self.port), DEADLINE_S)
        try:
            return Secured(one, context if name else nameless(context), name)
        except OSError:
            one.close()
            raise

    @property
    def log(self) -> AccessLog:
        """The access log."""
        return AccessLog(self.folder / "access.log")

    def logged(self, reason: str) -> Line:
        """The first line of the access log with this reason."""
        return self.log.line(reason=reason)

    def closed(self, reason: str) -> float:
        """How many connections ended so."""
        return self.node.metric(f'headgate_tcp_closed_total{{reason="{reason}"}}')

    def reload(self, text: str) -> int:
        """Serves another config; returns the status of that."""
        self.node.write(text)
        return self.node.admin("POST", "/reload")[0]


@pytest.fixture
def echoes() -> Iterator[list[Echo]]:
    """Two servers, `a` and `b`."""
    both = [Echo(b"a"), Echo(b"b")]
    yield both
    for one in both:
        one.close()


def config(port: int, folder: Path, echoes: list[Echo], certificates: str) -> str:
    """A config that ends TLS and has a route for each echo."""
    return f"""
[node]
admin = "off"
drain = {{ delay = "50ms", idle_grace = "100ms", deadline = "60s" }}
access_log = {{ format = "json", sink = {{ path = "{folder}/access.log" }} }}
[listeners.raw]
address = "127.0.0.1:{port}"
protocol = "tcp"
tls = {{ policy = "raw" }}
timeouts = {{ handshake = "30s" }}
[tls_policies.raw]
alpn = ["imap", "smtp"]
[tls_policies.members]
client_auth = {{ ca_file = "{folder}/test-authority.pem" }}
[hosts."a.example"]
certificate = "a"
[hosts."b.example"]
certificate = "a"
[hosts."c.example"]
certificate = "a"
[hosts."m.example"]
certificate = "a"
tls_policy = "members"
[tcp_routes.a]
listeners = "raw"
sni = ["a.example", "m.example"]
upstream = "a"
[tcp_routes.b]
listeners = "raw"
sni = ["b.example"]
alpn = "smtp"
upstream = "b"
[upstreams.a]
endpoints = ["127.0.0.1:{echoes[0].port}"]
[upstreams.b]
endpoints = ["127.0.0.1:{echoes[1].port}"]
{certificates}"""


@pytest.fixture
def site(folder: Path, port: int, echoes: list[Echo]) -> Iterator[Site]:
    """A site; files are not watched."""
    authority = Authority(folder)
    pair = authority.issue("a", "a.example", "b.example", "m.example")
    text = config(port, folder, echoes, pair.toml("a"))
    with RunningNode(folder, text, "--no-watch").until_ready() as node:
        yield Site(node, authority, pair, port, folder, text)


def test_openssl_talks_through_a_listener_that_ends_its_tls(site: Site) -> None:
    command = ["openssl", "s_client", "-quiet", "-connect", f"127.0.0.1:{site.port}"]
    command += ["-servername", "a.example", "-verify_hostname", "a.example"]
    command += ["-verify_return_error", "-CAfile", str(site.authority.ca_file)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as client:
        assert client.stdin is not None and client.stdout is not None
        client.stdin.write(b"hello\n")
        client.stdin.flush()
        assert client.stdout.readline() == b"ahello\n"
        client.kill()
    # It was killed, so its end came without a close_notify.
    line = site.logged("client-cut")
    assert (line["route"], line["sni"], line["tls_version"]) == ("a", "a.example", "TLSv1.3")
    assert (line["bytes_in"], line["bytes_out"]) == (6, 7)


@pytest.mark.parametrize("version", VERSIONS, ids=["1.2", "1.3"])
def test_each_half_ends_apart(site: Site, version: ssl.TLSVersion) -> None:
    with site.client(context=site.context(version=version)) as client:
        client.send(b"x" * 300_000)
        client.end()
        assert client.rest() == b"a" + b"x" * 300_000
    line = site.logged("client-end")
    word = f"TLSv{version.name[4:].replace('_', '.')}"
    assert (line["tls_version"], line["bytes_in"], "alpn" in line) == (word, 300_000, False)
    counted = f'headgate_tls_handshakes_total{{side="client",version="{word[4:]}",kind="full"}}'
    until(lambda: site.node.metric(counted) == 1, "the handshake is counted")


def test_name_and_agreed_protocol_choose_the_route(site: Site) -> None:
    with site.client("b.example", site.context("imap", "smtp")) as client:
        # The listener prefers imap, and the name's only route wants smtp.
        assert client.tls.selected_alpn_protocol() == "imap"
        with CutOff() as cut:
            client.rest()
        assert cut.happened
    assert site.logged("no-route")["alpn"] == "imap"
    with site.client("b.example", site.context("smtp")) as client:
        assert client.receive() == b"b"
        client.end()
        client.rest()
    assert site.logged("client-end")["alpn"] == "smtp"


def test_clients_without_tls_are_told_by_an_alert(site: Site) -> None:
    refused = {
        "x.example": r"(?i)unrecognized.name",
        None: r"(?i)missing.extension",
    }
    for name, alert in refused.items():
        with pytest.raises(ssl.SSLError, match=alert):
            site.client(name)
    until(lambda: site.closed("tls-refused") == len(refused), "they are counted")
    with pytest.raises(ssl.SSLError, match=r"(?i)no.application.protocol"):
        site.client(context=site.context("xmpp"))
    until(lambda: site.closed("tls-handshake") == 1, "it is counted")
    with CutOff() as cut, socket.create_connection(("127.0.0.1", site.port), DEADLINE_S) as plain:
        plain.sendall(b"EHLO a.example\r\n")
        plain.recv(1)
    assert cut.happened
    until(lambda: site.closed("not-tls") == 1, "it is counted")
    failed = 'headgate_tls_handshakes_total{side="client",version="",kind="failed"}'
    until(lambda: site.node.metric(failed) == 4, "each is counted")
    lines = site.log.lines(4)
    assert len(lines) == 4
    assert {one.get("sni") for one in lines} == {"x.example", "a.example", None}


def hello(context: ssl.SSLContext, name: str) -> bytes:
    """A ClientHello that asks for a name."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname=name).do_handshake()
    return outgoing.read()


def test_a_client_that_still_sends_can_read_the_alert(site: Site) -> None:
    with socket.create_connection(("127.0.0.1", site.port), DEADLINE_S) as one:
        # More than is read at once: nobody has read the rest when the hello is refused.
        one.sendall(hello(site.context(), "x.example") + bytes(40_000))
        alert = one.recv(7, socket.MSG_WAITALL)
        assert alert == bytes([21, 3, 3, 0, 2, 2, 112])
        assert one.recv(1) == b"", "an end, and no reset"
        until(lambda: site.closed("tls-refused") == 1, "it is counted before the client has ended")
        one.sendall(bytes(10_000))
        until(lambda: unsent(one) == 0, "what is sent after that is still taken")
        assert one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
        until_metric(site.node, "headgate_tcp_connections", 1)
    until(lambda: site.node.metric("headgate_tcp_connections") == 0, "it is over")
    (line,) = site.log.lines(1)
    assert (line["reason"], line["sni"]) == ("tls-refused", "x.example")


def test_a_client_that_goes_on_sending_is_cut(site: Site) -> None:
    with CutOff() as cut, socket.create_connection(("127.0.0.1", site.port), DEADLINE_S) as one:
        one.sendall(hello(site.context(), "x.example"))
        while True:
            one.sendall(bytes(16_384))
    assert cut.happened
    with socket.create_connection(("127.0.0.1", site.port), DEADLINE_S) as silent:
        silent.sendall(hello(site.context(), "x.example"))
        # The client keeps its half open: the node ends the connection by itself.
        until(lambda: site.closed("tls-refused") == 2, "it is refused")
        until(lambda: site.node.metric("headgate_tcp_connections") == 0, "it had its time")


def unsent(one: socket.socket) -> int:
    """How many bytes the peer has not acknowledged."""
    left = array.array("i", [0])
    fcntl.ioctl(one, termios.TIOCOUTQ, left)
    return left[0]


def test_clients_certificates_are_asked_for_by_name(site: Site) -> None:
    context = site.context()
    member = site.authority.issue("member", "alice")
    context.load_cert_chain(member.cert_file, member.key_file)
    with site.client("m.example", context) as client:
        assert client.receive() == b"a"
        client.end()
        client.rest()
    line = site.logged("client-end")
    assert (line["client_subject"], line["client_san"]) == ("CN=alice", "dns:alice")
    assert re.fullmatch("[0-9a-f]{64}", str(line["client_fingerprint"]))
    # In TLS 1.3 a client is told after its own handshake.
    with (
        pytest.raises(ssl.SSLError, match=r"(?i)certificate.required"),
        site.client("m.example") as client,
    ):
        client.rest()
    assert "endpoint" not in site.logged("tls-handshake")


def serial(client: Secured) -> int:
    """Which certificate a client got."""
    der = client.tls.getpeercert(binary_form=True)
    assert der is not None
    return x509.load_der_x509_certificate(der).serial_number


def test_a_certificate_is_replaced_while_connections_last(site: Site) -> None:
    with site.client() as kept:
        assert kept.receive() == b"a"
        renewed = site.authority.issue("a", "a.example", "b.example", "m.example")
        assert site.reload(site.text) == 200
        with site.client() as new:
            assert (serial(kept), serial(new)) == (site.pair.serial, renewed.serial)
            for one in (kept, new):
                one.send(b"still")
                one.end()
            assert (kept.rest(), new.rest()) == (b"still", b"astill")


@pytest.mark.parametrize("version", VERSIONS, ids=["1.2", "1.3"])
def test_sessions_are_resumed(site: Site, version: ssl.TLSVersion) -> None:
    context = site.context(version=version)
    with site.client(context=context) as first:
        assert first.receive() == b"a"
        session = first.tls.session
        one = socket.create_connection(("127.0.0.1", site.port), DEADLINE_S)
        with Secured(one, context, "a.example", session=session) as again:
            assert again.tls.session_reused
            assert again.receive() == b"a"


def test_a_reload_that_ends_no_tls_leaves_connections_alone(site: Site) -> None:
    with site.client() as client:
        assert client.receive() == b"a"
        assert site.reload(site.text.replace('tls = { policy = "raw" }\n', "")) == 200
        client.send(b"still")
        client.end()
        assert client.rest() == b"still"


def test_a_handshake_has_a_time(site: Site) -> None:
    text = site.text.replace('handshake = "30s"', 'handshake = "12s"')
    assert site.reload(text) == 200
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    half = site.context().wrap_bio(incoming, outgoing, server_hostname="a.example")
    with pytest.raises(ssl.SSLWantReadError):
        half.do_handshake()
    with socket.create_connection(("127.0.0.1", site.port), DEADLINE_S) as slow:
        slow.sendall(outgoing.read())
        with CutOff() as cut:
            while slow.recv(65536):
                pass
        assert cut.happened
    assert site.logged("handshake-timeout")["sni"] == "a.example"


def test_a_broken_record_cuts_the_session(site: Site) -> None:
    with site.client() as client:
        assert client.receive() == b"a"
        client.socket.sendall(b"\x17\x03\x03\x00\x20" + b"x" * 32)
        with pytest.raises(ssl.SSLError, match=r"(?i)bad.record.mac"):
            client.rest()
    assert site.logged("client-tls")["bytes_out"] == 1
