"""TLS that nginx ends: who gets which version, policy and certificate; renewal."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from peers import peer
from ports import free_port
from running_node import ENDED, RunningNode, Upstream, config
from tls_authority import Authority, Pair
from tls_client import Connection, Seen, TlsLoad, ask, nameless, trusting
from waiting import until

pytestmark = pytest.mark.usefixtures("probed")

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
HOST = """
[hosts."{host}"]
certificate = "{name}"
{more}
"""


class Site:
    """Which names have a certificate, and a node that serves them once `text` was given to it."""

    def __init__(self, folder: Path, plain: int, upstream: str) -> None:
        self.folder = folder
        self.authority = Authority(folder)
        self.port = free_port()
        self.text = config(plain, upstream)

    def listener(self, more: str = "") -> None:
        """Adds the listener with TLS; without a default certificate unknown names are refused."""
        self.text += f"""
[listeners.secure]
address = "127.0.0.1:{self.port}"
default = true
tls = {{ mode = "terminate"{more} }}
"""

    def host(self, name: str, host: str, more: str = "") -> Pair:
        """Adds a host with a certificate of its own."""
        pair = self.authority.issue(name, host)
        self.text += HOST.format(host=host, name=name, more=more) + pair.toml(name)
        return pair

    def node(self, *words: str) -> RunningNode:
        peer("nginx")
        return RunningNode(self.folder, self.text, "--engine", "nginx", *words).until_ready()

    def ask(self, sni: str | None, version: ssl.TLSVersion | None = None) -> Seen:
        context = trusting(self.authority.ca_file, version=version)
        return ask(self.port, sni, context if sni else nameless(context))


@pytest.fixture
def site(folder: Path, port: int, one: Upstream) -> Iterator[Site]:
    yield Site(folder, port, one.address)


def test_both_versions_are_served_beside_names_that_are_refused(site: Site) -> None:
    site.listener()
    pair = site.host("a", "a.example")
    with site.node():
        for version in VERSIONS:
            seen = site.ask("a.example", version)
            wanted = f"TLSv{version.name[4:].replace('_', '.')}"
            assert (seen.status, seen.serial, seen.version) == (200, pair.serial, wanted)
            assert seen.body == b"one"
        for name in ("b.example", None):
            with pytest.raises(ssl.SSLError, match=r"(?i)unrecognized.name"):
                site.ask(name)


@pytest.mark.parametrize("version", VERSIONS, ids=["1.2", "1.3"])
def test_the_policy_of_the_only_hosts_counts_where_others_are_refused(
    site: Site, version: ssl.TLSVersion
) -> None:
    least = version.name[4:].replace("_", ".")
    site.listener()
    site.host("a", "a.example", 'tls_policy = "one"')
    suite = 'cipher_suites = ["TLS13_CHACHA20_POLY1305_SHA256"]\n' if least == "1.3" else ""
    site.text += f'\n[tls_policies.one]\nmin_version = "{least}"\nmax_version = "{least}"\n{suite}'
    (other,) = set(VERSIONS) - {version}
    with site.node():
        connection = Connection(site.port, "a.example", trusting(site.authority.ca_file))
        assert connection.ask().version == f"TLSv{least}"
        cipher = connection.tls.cipher()
        connection.close()
        assert cipher is not None
        assert suite == "" or cipher[0] == "TLS_CHACHA20_POLY1305_SHA256"
        with pytest.raises(ssl.SSLError):
            site.ask("a.example", other)


def test_the_name_decides_about_the_certificate(site: Site) -> None:
    default = site.authority.issue("d", "d.example")
    site.listener(', default_certificate = "d", unknown_sni = "reject"')
    site.text += default.toml("d")
    exact = site.host("a", "a.example")
    below = site.host("w", "*.w.example")
    with site.node():
        wanted = {"a.example": exact, "x.w.example": below, "d.example": default}
        for name, pair in wanted.items():
            assert (site.ask(name).serial, site.ask(name).status) == (pair.serial, 200)
        assert site.ask(None).serial == default.serial
        for name in ("w.example", "b.example"):
            with pytest.raises(ssl.SSLError, match=r"(?i)unrecognized.name"):
                site.ask(name)


def test_sessions_are_resumed_beside_names_that_are_refused(site: Site) -> None:
    site.listener()
    site.host("a", "a.example")
    with site.node():
        for version in VERSIONS:
            context = trusting(site.authority.ca_file, version=version)
            first = Connection(site.port, "a.example", context)
            assert not first.ask().is_resumed
            session = first.tls.session
            first.close()
            again = Connection(site.port, "a.example", context, session)
            assert again.ask().is_resumed
            again.close()


def test_a_certificate_is_replaced_while_traffic_flows(site: Site) -> None:
    site.listener()
    pair = site.host("a", "a.example")
    with site.node():
        context = trusting(site.authority.ca_file)
        with TlsLoad(site.port, "a.example", context) as load:
            renewed = site.authority.issue("a", "a.example")
            until(lambda: renewed.serial in load.serials(), "the new certificate")
            until(lambda: site.ask("a.example").serial == renewed.serial, "it alone")
        assert load.serials() == {pair.serial, renewed.serial}
        # Old workers close idle connections; no handshake fails, and no answer is another.
        assert [one for one in load.failures if not one.startswith(ENDED)] == []
