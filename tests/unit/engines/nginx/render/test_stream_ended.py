"""TLS that ends at TCP listeners of a real nginx: certificates, routes and refusals by name."""

import json
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from nginx_engine import NginxEngine
from stream_end import Secured
from stream_nginx import refused, written
from tcp_echo import Echo
from tls_authority import Authority, Pair
from tls_client import nameless, trusting
from waiting import DEADLINE_S, until

from headgate._core import tcp_route
from headgate.plan.tcp import TcpRoute

pytestmark = pytest.mark.usefixtures("has_stream")

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@dataclass
class Site:
    """Where nginx ends TLS, with what certificates."""

    folder: Path
    port: int
    authority: Authority
    pairs: dict[str, Pair]

    def context(
        self,
        *alpn: str,
        version: ssl.TLSVersion | None = None,
        identity: Pair | None = None,
        ciphers: str | None = None,
    ) -> ssl.SSLContext:
        """A client's settings."""
        context = trusting(
            self.authority.ca_file, version=version, identity=identity, ciphers=ciphers
        )
        context.set_alpn_protocols(list(alpn))
        return context

    def client(
        self, name: str | None, context: ssl.SSLContext | None = None, source: str = "127.0.0.1"
    ) -> Secured:
        """A client whose hands are shaken."""
        context = context or self.context()
        one = socket.create_connection(("127.0.0.1", self.port), DEADLINE_S, (source, 0))
        try:
            return Secured(one, context if name else nameless(context), name)
        except OSError:
            one.close()
            raise

    def refusal(self, name: str | None, context: ssl.SSLContext | None = None) -> str:
        """What is said of a handshake that fails."""
        with pytest.raises(OSError) as told, self.client(name, context):
            pass
        return str(told.value)

    def certificate(self, name: str | None, context: ssl.SSLContext | None = None) -> str:
        """The name of the pair that a client gets."""
        with self.client(name, context) as one:
            der = one.tls.getpeercert(binary_form=True)
        assert der is not None
        serial = x509.load_der_x509_certificate(der).serial_number
        return next(name for name, pair in self.pairs.items() if pair.serial == serial)

    def said(self, name: str | None, *alpn: str, source: str = "127.0.0.1") -> bytes:
        """What the endpoint says first; empty where the connection ends before."""
        with self.client(name, self.context(*alpn), source) as one:
            try:
                return one.receive()
            except OSError:
                return b""


@pytest.fixture
def site(tmp_path: Path, port: int) -> Site:
    """Three pairs: one for a name, one for those below another, and the default one."""
    authority = Authority(tmp_path)
    pairs = {
        "a": authority.issue("a", "a.example"),
        "wild": authority.issue("wild", "b.example", "*.b.example"),
        "default": authority.issue("default", "d.example", "*.e.example"),
        "rsa": authority.issue("rsa", "a.example", is_rsa=True),
    }
    return Site(tmp_path, port, authority, pairs)


@pytest.fixture
def four() -> Iterator[list[Echo]]:
    """Servers that say who they are."""
    every = [Echo(name) for name in (b"a", b"b", b"c", b"d")]
    yield every
    for one in every:
        one.close()


HOSTS = """
[hosts."a.example"]
certificate = ["a", "rsa"]
[hosts."*.b.example"]
certificate = "wild"
"""


def until_lines(log: Path, count: int) -> None:
    """Waits until a log has so many."""
    until(lambda: log.exists() and log.read_bytes().count(b"\n") == count, "lines of the log")


def config(site: Site, tls: str, *more: str, route: str = "", echo: Echo | None = None) -> str:
    """One listener that ends TLS, with one route."""
    pairs = "".join(pair.toml(name) for name, pair in site.pairs.items())
    return f"""
[listeners.tls]
address = "127.0.0.1:{site.port}"
protocol = "tcp"
tls = {{ {tls} }}
{pairs}
[tcp_routes.one]
listeners = "tls"
upstream = "one"
{route}
[upstreams.one]
endpoints = ["127.0.0.1:{echo.port if echo else 1}"]
{"".join(more)}"""


def served(site: Site, text: str) -> NginxEngine:
    """nginx for a config, not yet started."""
    return NginxEngine(written(site.folder, text), site.folder)


@pytest.mark.parametrize("version", VERSIONS)
def test_each_name_gets_its_certificate_and_unknown_ones_none(
    site: Site, echoes: list[Echo], version: ssl.TLSVersion
) -> None:
    text = config(site, 'default_certificate = "default"', HOSTS, echo=echoes[0])
    context = site.context(version=version)
    with served(site, text):
        got = {
            name: site.certificate(name, context)
            for name in ("a.example", "A.Example", "x.b.example", "d.example", "x.e.example")
        }
        assert got == {
            "a.example": "a",
            "A.Example": "a",
            "x.b.example": "wild",
            "d.example": "default",
            "x.e.example": "default",
        }
        # A host covers every name below it, a certificate those with one label more.
        assert "Hostname mismatch" in site.refusal("x.y.b.example", context)
        assert site.certificate(None, site.context(version=version)) == "default"
        for name in ("b.example", "e.example", "x.y.e.example", "other.example"):
            assert "alert" in site.refusal(name, context), name
        with site.client("a.example", context) as one:
            assert one.receive() == b"a"
            one.send(b"hello")
            assert one.receive() == b"hello"


def test_clients_that_know_only_rsa_get_that_certificate(site: Site, echoes: list[Echo]) -> None:
    text = config(site, "", HOSTS, echo=echoes[0])
    rsa = site.context(version=ssl.TLSVersion.TLSv1_2, ciphers="ECDHE-RSA-AES128-GCM-SHA256")
    with served(site, text):
        assert site.certificate("a.example", rsa) == "rsa"
        assert "alert" in site.refusal("x.b.example", rsa)
        assert "alert" in site.refusal(None)


def test_the_default_certificate_serves_unknown_names_where_asked(
    site: Site, echoes: list[Echo]
) -> None:
    tls = 'default_certificate = "default", unknown_sni = "default"'
    context = nameless(site.context())
    with served(site, config(site, tls, HOSTS, echo=echoes[0])):
        assert site.certificate("other.example", context) == "default"
        assert site.certificate("a.example", context) == "a"


ROUTES = """
[tcp_routes.h2]
listeners = "tls"
upstream = "two"
alpn = ["H2", "h2"]
[tcp_routes.near]
listeners = "tls"
upstream = "three"
alpn = "h2"
client = ["127.0.0.2/32"]
[tcp_routes.wild]
listeners = "tls"
upstream = "four"
sni = "*.b.example"
client = ["127.0.0.2/32"]
[tls_policies.speaks]
alpn = ["h2", "imap"]
"""


def test_routes_are_chosen_by_name_protocol_and_network(site: Site, four: list[Echo]) -> None:
    more = [
        f'[upstreams.{name}]\nendpoints = ["127.0.0.1:{echo.port}"]\n'
        for name, echo in zip(("two", "three", "four"), four[1:], strict=True)
    ]
    tls = 'default_certificate = "default", policy = "speaks"'
    text = config(site, tls, HOSTS, ROUTES, *more, route='alpn = "imap"', echo=four[0])
    letters = {"": b"", "one": b"a", "h2": b"b", "near": b"c", "wild": b"d"}
    engine = served(site, text)
    assert engine.loaded.plan is not None
    routes = [
        (key.name, entry.value.client, entry.value.sni, entry.value.alpn, True)
        for key, entry in engine.loaded.plan.objects.items()
        if isinstance(entry.value, TcpRoute)
    ]
    taken = set()
    with engine:
        for source in ("127.0.0.1", "127.0.0.2"):
            for name in ("a.example", "x.b.example", "d.example"):
                for protocol in ("h2", "imap", ""):
                    agreed = [protocol] if protocol else []
                    wanted = tcp_route(routes, source, name, agreed) or ""
                    got = site.said(name, *agreed, source=source)
                    assert got == letters[wanted], (source, name, protocol)
                    taken.add(wanted)
        assert taken == letters.keys()
        assert site.said("a.example", "imap", "h2") == b"b"  # the policy prefers that
        assert "no application protocol" in site.refusal("a.example", site.context("smtp"))


@pytest.mark.parametrize("version", VERSIONS)
def test_clients_without_a_good_certificate_reach_no_endpoint(
    site: Site, echoes: list[Echo], version: ssl.TLSVersion
) -> None:
    alice = site.authority.issue("alice", "alice")
    former = site.authority.issue("former", "former")
    stranger = Authority(site.folder, "other").issue("stranger", "stranger")
    lists = site.authority.revocations(former)
    auth = f'[tls_policies.mutual.client_auth]\nca_file = "{site.authority.ca_file}"\n'
    auth += f'crl_file = "{lists}"\n'
    log = site.folder / "asked.log"
    sink = f'[node]\naccess_log = {{ format = "json", sink = {{ path = "{log}" }} }}\n'
    text = config(site, 'default_certificate = "a", policy = "mutual"', auth, echo=echoes[0])

    def said(identity: Pair | None) -> bytes:
        try:
            with site.client("a.example", site.context(version=version, identity=identity)) as one:
                return one.receive()
        except OSError:
            return b""

    with served(site, sink + text):
        assert said(alice) == b"a"
        until_lines(log, 1)  # the end of a connection is known once its endpoint has ended it
        assert (said(None), said(stranger), said(former)) == (b"", b"", b"")
        until_lines(log, 4)
        lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["reason"] for line in lines] == ["ended", *["tls-handshake"] * 3]
    assert [line["client_subject"] for line in lines] == ["CN=alice", "", "", ""]


def test_the_log_says_what_was_agreed_on_and_what_failed(site: Site, echoes: list[Echo]) -> None:
    log = site.folder / "asked.log"
    sink = f'[node]\naccess_log = {{ format = "json", sink = {{ path = "{log}" }} }}\n'
    policy = '[tls_policies.speaks]\nalpn = ["imap"]\n'
    tls = 'default_certificate = "a", policy = "speaks"'
    with served(site, sink + config(site, tls, policy, echo=echoes[0])):
        assert site.said("a.example", "imap") == b"a"
        until_lines(log, 1)
        site.refusal("other.example")
        site.refusal("a.example", site.context("smtp"))
        with socket.create_connection(("127.0.0.1", site.port), DEADLINE_S) as one:
            one.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert one.recv(1)[:1] in {b"", b"\x15"}
        until_lines(log, 4)
        lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["reason"] for line in lines] == [
        *("ended", "tls-refused", "tls-handshake", "tls-handshake"),
    ]
    first = lines[0]
    assert (first["sni"], first["tls_version"], first["alpn"]) == ("a.example", "TLSv1.3", "imap")
    assert lines[1]["sni"] == "other.example"


def test_what_one_server_of_nginx_cannot_say_is_refused(site: Site) -> None:
    plain = config(site, 'default_certificate = "a"')
    assert refused(site.folder, plain, without="stream_listen_ssl") == (
        "listener tls: tls: `stream` of this nginx ends no TLS"
    )
    policy = '[tls_policies.speaks]\nalpn = ["imap"]\n'
    speaks = config(site, 'default_certificate = "a", policy = "speaks"', policy)
    assert refused(site.folder, speaks, without="stream_ssl_alpn") == (
        "listener tls: tls.policy: its `alpn`: `stream` of this nginx has no ssl_alpn"
    )
    other = '[hosts."b.example"]\ncertificate = "wild"\ntls_policy = "speaks"\n'
    assert refused(site.folder, config(site, 'default_certificate = "a"', policy, other)) == (
        "tls_policy speaks: alpn: nginx has one alpn for all names of listener tls"
    )
    passed = config(site, 'default_certificate = "a"', route='tls = "passthrough"')
    assert refused(site.folder, passed) == (
        "tcp_route one: tls: nginx ends the TLS of all connections of a listener, or of none"
    )


def test_keys_are_in_no_file_that_others_may_read(site: Site) -> None:
    made = served(site, config(site, 'default_certificate = "a"', HOSTS)).rendered
    holding = [file for file in made.files if b"PRIVATE KEY" in file.content]
    assert [file.path.partition("-")[0] for file in holding] == [
        "certs/a",
        "certs/rsa",
        "certs/wild",
    ]
    assert {file.mode for file in holding} == {0o600}
    named = {(one.name, len(one.leaves)) for one in made.served_names}
    assert named == {("a.example", 2), ("*.b.example", 1)}
