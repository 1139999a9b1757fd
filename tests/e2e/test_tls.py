"""A node that terminates TLS: who gets which certificate, and what happens when files change."""

import socket
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cut_off import heard
from ports import free_port
from running_node import RunningNode, Upstream, config, get
from tls_authority import Authority, Pair, key_pem, new_key
from tls_client import Connection, Seen, TlsLoad, ask, nameless, trusting
from waiting import DEADLINE_S, until

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@dataclass
class Site:
    """A node with one TLS listener, its authority and the pair of `a.example`."""

    node: RunningNode
    authority: Authority
    pair: Pair
    port: int
    text: str

    def ask(self, sni: str | None = "a.example", host: str | None = None) -> Seen:
        """One request by a client that trusts the authority."""
        context = trusting(self.authority.ca_file)
        return ask(self.port, sni, context if sni else nameless(context), host)

    def reload(self, more: str = "") -> int:
        """Writes the config with something more in it and reloads: the status of that."""
        self.node.write(self.text + more)
        return self.node.admin("POST", "/reload")[0]


def tls_config(plain_port: int, port: int, upstream: str, pair: Pair, listener: str = "") -> str:
    """The usual config, a TLS listener beside the plain one, and `a.example` with its pair."""
    return f"""{config(plain_port, upstream)}
[listeners.secure]
address = "127.0.0.1:{port}"
protocol = "http"
default = true
tls = {{ mode = "terminate"{listener} }}

[hosts."a.example"]
certificate = "a"

{pair.toml("a")}"""


@pytest.fixture
def site(folder: Path, port: int, one: Upstream) -> Iterator[Site]:
    """A site that serves `one`; files are not watched."""
    authority = Authority(folder)
    pair = authority.issue("a", "a.example")
    secure = free_port()
    text = tls_config(port, secure, one.address, pair)
    with RunningNode(folder, text, "--no-watch") as node:
        yield Site(node.until_ready(), authority, pair, secure, text)


@pytest.mark.parametrize("version", VERSIONS, ids=["1.2", "1.3"])
def test_requests_are_served_over_both_versions(site: Site, version: ssl.TLSVersion) -> None:
    context = trusting(site.authority.ca_file, version=version)
    connection = Connection(site.port, "a.example", context)
    for _ in range(3):
        seen = connection.ask()
        assert (seen.status, seen.body, seen.serial) == (200, b"one", site.pair.serial)
        assert (seen.version, seen.alpn) == (
            f"TLSv{version.name[4:].replace('_', '.')}",
            "http/1.1",
        )
    connection.close()


def test_an_unknown_or_missing_name_is_refused_by_an_alert(site: Site) -> None:
    with pytest.raises(ssl.SSLError, match=r"(?i)unrecognized.name"):
        site.ask("b.example")
    with pytest.raises(ssl.SSLError, match=r"(?i)missing.extension"):
        site.ask(None)


@pytest.mark.parametrize("name", [b"/ /", b"x x", b"a.example x", b"x..y", b"a.example:1", b"x\n"])
def test_a_name_that_is_no_host_name_ends_the_handshake(site: Site, name: bytes) -> None:
    context = nameless(trusting(site.authority.ca_file))
    with (
        socket.create_connection(("127.0.0.1", site.port), DEADLINE_S) as plain,
        pytest.raises(ssl.SSLError, match=r"(?i)alert decode.error"),
    ):
        context.wrap_socket(plain, server_hostname=name)


def test_plain_http_on_a_tls_port_ends_at_once(site: Site) -> None:
    answer = heard(site.port, b"GET / HTTP/1.1\r\nhost: a.example\r\n\r\n")
    assert b"200" not in answer[:20]


def test_a_certificate_is_replaced_while_traffic_flows(site: Site) -> None:
    context = trusting(site.authority.ca_file)
    kept = Connection(site.port, "a.example", context)
    assert kept.ask().serial == site.pair.serial
    with TlsLoad(site.port, "a.example", context) as load:
        renewed = site.authority.issue("a", "a.example")
        assert site.reload() == 200
        until(lambda: renewed.serial in load.serials(), "the new certificate")
        assert site.ask().serial == renewed.serial
        # A connection that stands goes on with what it began with.
        assert kept.ask().serial == site.pair.serial
    kept.close()
    assert load.failures == []
    assert load.serials() == {site.pair.serial, renewed.serial}


def test_files_that_change_are_noticed(folder: Path, port: int, one: Upstream) -> None:
    authority = Authority(folder)
    pair = authority.issue("a", "a.example")
    secure = free_port()
    with RunningNode(folder, tls_config(port, secure, one.address, pair)) as node:
        node.until_ready()
        context = trusting(authority.ca_file)
        assert ask(secure, "a.example", context).serial == pair.serial
        renewed = authority.issue("a", "a.example")
        until(
            lambda: ask(secure, "a.example", context).serial == renewed.serial,
            "the new certificate",
        )


def test_a_pair_that_does_not_match_changes_nothing(site: Site) -> None:
    with TlsLoad(site.port, "a.example", trusting(site.authority.ca_file)) as load:
        right = site.pair.key_file.read_bytes()
        line = 1 + site.text[: site.text.index("key_file")].count("\n")
        for wrong in (key_pem(new_key()), b"", b"no key"):
            site.pair.key_file.write_bytes(wrong)
            status, body = site.node.admin("POST", "/reload")
            assert status == 422
            assert b"certificates.a" in body
            assert site.ask().serial == site.pair.serial
            place = f"{site.node.config}:{line}:"
            shown = [site.node.command(verb) for verb in ("reload", "status")]
            for text in (shown[0].stderr, shown[1].stdout):
                assert place in text
                assert ": certificates.a.key_file: " in text
        site.pair.key_file.write_bytes(right)
        assert site.reload() == 200
    assert load.failures == []
    assert load.serials() == {site.pair.serial}


def test_ecdsa_and_rsa_stand_side_by_side(site: Site) -> None:
    rsa = site.authority.issue("rsa", "both.example", is_rsa=True)
    ecdsa = site.authority.issue("ecdsa", "both.example")
    host = '\n[hosts."both.example"]\ncertificate = ["rsa", "ecdsa"]\n'
    assert site.reload(host + rsa.toml("rsa") + ecdsa.toml("ecdsa")) == 200
    assert site.ask("both.example").serial == ecdsa.serial
    context = trusting(
        site.authority.ca_file,
        version=ssl.TLSVersion.TLSv1_2,
        ciphers="ECDHE-RSA-AES128-GCM-SHA256",
    )
    assert ask(site.port, "both.example", context).serial == rsa.serial


@pytest.mark.parametrize("version", VERSIONS, ids=["1.2", "1.3"])
def test_clients_must_show_a_certificate_where_that_is_asked(
    site: Site, version: ssl.TLSVersion, folder: Path
) -> None:
    clients = Authority(folder, "clients")
    alice = clients.issue("alice", "alice")
    mutual = site.authority.issue("m", "m.example")
    assert (
        site.reload(f"""
[tls_policies.mutual]
client_auth = {{ ca_file = "{clients.ca_file}" }}

[hosts."m.example"]
certificate = "m"
tls_policy = "mutual"
allow_plain = true

{mutual.toml("m")}""")
        == 200
    )
    known = trusting(site.authority.ca_file, version=version, identity=alice)
    assert ask(site.port, "m.example", known).status == 200
    unknown = trusting(site.authority.ca_file, version=version)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        ask(site.port, "m.example", unknown)
    # Neither does another name's session lead there.
    assert ask(site.port, "a.example", unknown, "m.example").status == 421
    assert ask(site.port, "a.example", unknown, "a.example").status == 200


@pytest.mark.parametrize("version", VERSIONS, ids=["1.2", "1.3"])
def test_sessions_are_resumed_also_after_an_upgrade(site: Site, version: ssl.TLSVersion) -> None:
    context = trusting(site.authority.ca_file, version=version)
    first = Connection(site.port, "a.example", context)
    assert not first.ask().is_resumed
    session = first.tls.session
    first.close()
    again = Connection(site.port, "a.example", context, session)
    assert again.ask().is_resumed
    session = again.tls.session
    again.close()
    generation = site.node.data_plane()[0]
    assert site.node.command("upgrade").returncode == 0
    assert site.node.data_plane()[0] > generation
    after = Connection(site.port, "a.example", context, session)
    assert after.ask().is_resumed
    after.close()


def test_the_ocsp_response_is_stapled(site: Site, folder: Path) -> None:
    stapled = site.authority.issue("o", "o.example")
    response = site.authority.staple(stapled)
    host = '\n[hosts."o.example"]\ncertificate = "o"\n'
    assert site.reload(host + stapled.toml("o", f'ocsp_file = "{response}"')) == 200
    done = subprocess.run(
        [
            *("openssl", "s_client", "-connect", f"127.0.0.1:{site.port}", "-status"),
            *("-servername", "o.example", "-CAfile", str(site.authority.ca_file)),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert b"OCSP Response Status: successful" in done.stdout
    assert b"Cert Status: good" in done.stdout


def test_names_below_a_wildcard_are_served_by_its_host(site: Site) -> None:
    below = site.authority.issue("w", "*.w.example", "x.y.w.example")
    host = '\n[hosts."*.w.example"]\ncertificate = "w"\n'
    assert site.reload(host + below.toml("w")) == 200
    for name in ("x.w.example", "x.y.w.example"):
        assert site.ask(name).serial == below.serial
    with pytest.raises(ssl.SSLError, match=r"(?i)unrecognized.name"):
        site.ask("w.example")


class TlsUpstream(Upstream):
    """An upstream that speaks TLS; `clients` = the roots its clients must lead to."""

    def __init__(self, name: str, pair: Pair, clients: Path | None = None) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair.cert_file, pair.key_file)
        if clients is not None:
            context.load_verify_locations(clients)
            context.verify_mode = ssl.CERT_REQUIRED
        super().__init__(name, tls=context)


def upstream_tls(settings: str, port: int, address: str) -> str:
    """A config whose only upstream is spoken to with TLS."""
    # Its handshake may be held up.
    return config(port, address) + f'tls = {{ {settings} }}\ntimeouts = {{ connect = "45s" }}\n'


def test_upstreams_are_verified(folder: Path, port: int) -> None:
    authority, other = Authority(folder), Authority(folder, "other")
    upstream = TlsUpstream("over tls", authority.issue("up", "127.0.0.1", "up.example"))
    right = f'ca_file = "{authority.ca_file}"'
    try:
        text = upstream_tls(right, port, upstream.address)
        with RunningNode(folder, text, "--no-watch").until_ready() as node:
            for settings, status in [
                (right, 200),
                (f'{right}, verify_name = "up.example"', 200),
                (f'{right}, verify_name = "b.example"', 502),
                (f'ca_file = "{other.ca_file}"', 502),
                (f'ca_file = "{other.ca_file}", verify = false', 200),
            ]:
                node.write(upstream_tls(settings, port, upstream.address))
                assert node.admin("POST", "/reload")[0] == 200
                assert get(port)[0] == status, settings
    finally:
        upstream.close()


def test_the_client_certificate_is_shown_to_upstreams(folder: Path, port: int) -> None:
    authority = Authority(folder)
    pair = authority.issue("up", "127.0.0.1")
    us = authority.issue("us", "headgate")
    upstream = TlsUpstream("knows us", pair, authority.ca_file)
    roots = f'ca_file = "{authority.ca_file}"'
    try:
        text = upstream_tls(f'{roots}, client_certificate = "us"', port, upstream.address)
        with RunningNode(folder, text + us.toml("us"), "--no-watch").until_ready() as node:
            assert get(port) == (200, b"knows us")
            node.write(upstream_tls(roots, port, upstream.address))
            assert node.admin("POST", "/reload")[0] == 200
            assert get(port)[0] == 502
    finally:
        upstream.close()
