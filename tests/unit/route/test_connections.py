"""Connections of TCP listeners in explain and in cases: their route, and what is no connection."""

import io
from pathlib import Path, PurePath

import pytest
from memory_files import MemoryFiles
from tls_authority import Authority

from headgate.cli.explain import question, text
from headgate.cli.test import test as try_cases
from headgate.compile.answers import answer
from headgate.compile.explanation import places
from headgate.compile.load import load
from headgate.compile.routing import Routing

CONFIG = """\
[listeners.tls]
address = ["127.0.0.1:5443", "127.0.0.2:5443"]
protocol = "tcp"
[listeners.other]
address = "127.0.0.3:5443"
protocol = "tcp"
[tcp_routes.shop]
listeners = "tls"
sni = "*.example"
client = ["10.0.0.0/8", "127.0.0.0/8"]
upstream = "shop"
[tcp_routes.web]
listeners = "tls"
sni = "*.example"
alpn = "h2"
upstream = "web"
[tcp_routes.rest]
listeners = "other"
upstream = "web"
[upstreams.shop]
endpoints = ["127.0.0.1:1"]
[upstreams.web]
endpoints = ["127.0.0.1:2"]
proxy_protocol = "v2"
[listeners.http]
address = "127.0.0.1:8000"
"""


def said(
    url: str,
    client: str = "127.0.0.1",
    listener: str | None = None,
    config: str = CONFIG,
    **more: object,
) -> str:
    """The lines about a connection."""
    loaded = load([PurePath("main.toml")], MemoryFiles({"main.toml": config}), {})
    assert loaded.plan is not None, loaded.diagnostics
    asked = question([url], (), client, listener, **more)  # type: ignore[arg-type]
    return "\n".join(text(answer(Routing(loaded.plan), asked, places(loaded))))


def test_a_route_is_told_with_its_conditions_and_its_upstream() -> None:
    lines = [
        line.split("  main.toml")[0].rstrip()
        for line in said("tcp://127.0.0.1:5443", sni="A.Example.").splitlines()
    ]
    assert lines == [
        "tcp://127.0.0.1:5443  on listener tls",
        "TCP route shop",
        "  client is 10.0.0.0/8 or 127.0.0.0/8",
        "  sni is *.example",
        "passed on as it is",
        "upstream shop (round_robin, tcp)",
        "  127.0.0.1:1  weight 1",
    ]


def test_a_split_is_told_with_its_shares() -> None:
    split = 'split = [{ upstream = "shop", weight = 3 }, { upstream = "web" }]'
    config = CONFIG.replace('"other"\nupstream = "web"', f'"other"\n{split}\nSTICKY')
    drawn = said("tcp://127.0.0.3:5443", config=config.replace("STICKY", ""))
    assert "upstream shop (round_robin, tcp, weight 3)" in drawn
    assert "upstream web (round_robin, tcp, PROXY v2, weight 1)" in drawn
    assert "sticky" not in drawn
    kept = said(
        "tcp://127.0.0.3:5443", config=config.replace("STICKY", 'sticky = { by = "client_ip" }')
    )
    assert "sticky: by the hash of client_ip" in kept


def test_protocols_and_listeners_choose() -> None:
    url = "tcp://127.0.0.2:5443"
    assert "TCP route web" in said(url, sni="a.example", alpn=["x", "h2"])
    assert "TCP route rest" in said("tcp://127.0.0.3:5443")
    assert "upstream web (round_robin, tcp, PROXY v2)" in said("tcp://127.0.0.3:5443")
    assert "TCP route rest" in said(url, listener="other")
    reset = "no answer: no TCP route of the listener takes it, so it is reset (no-route)"
    assert said(url).splitlines()[1] == reset
    assert said(url, "192.0.2.1", sni="a.example").splitlines()[1] == reset


@pytest.mark.parametrize(
    ("url", "more", "message"),
    [
        ("tcp://127.0.0.1", {}, '"tcp://127.0.0.1" is not a connection; write an address'),
        (
            "tcp://127.0.0.1:1",
            {},
            'no TCP listener has port 1; write that of one of the listeners: "other", "tls"',
        ),
        ("tcp://a:5443", {"listener": "http"}, 'there is no TCP listener "http"'),
        ("tcp://a:5443", {"sni": "192.0.2.1"}, '"192.0.2.1" is an address'),
        ("tcp://a:5443", {"sni": "*.example"}, '"*.example" is not one name'),
        ("http://a/", {"sni": "a"}, "the server name of a request is its host"),
    ],
)
def test_what_is_no_connection_is_told(url: str, more: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError) as wrong:
        said(url, **more)
    assert message in str(wrong.value)


def test_cases_have_connections(tmp_path: Path) -> None:
    (tmp_path / "main.toml").write_text(CONFIG)
    file = tmp_path / "cases.toml"
    file.write_text(
        'config = ["main.toml"]\n'
        '[[cases]]\nrequest = "tcp://127.0.0.1:5443"\nsni = "a.example"\nalpn = ["h2"]\n'
        'expect = { route = "web", upstream = "web" }\n'
        '[[cases]]\nrequest = "tcp://127.0.0.1:5443"\nexpect = { route = "" }\n'
        '[[cases]]\nrequest = "tcp://127.0.0.1:5443"\nsni = "a.example"\n'
        'expect = { route = "web" }\n'
    )
    stream = io.StringIO()
    assert try_cases(file, stream=stream) == 1
    out = stream.getvalue()
    assert 'route: expected "web", got "shop"' in out
    assert "2 of 3 as expected" in out


class Ended:
    """What is said of connections to a listener that ends TLS, with these keys of a route."""

    def __init__(self, folder: Path, shop: str = "") -> None:
        pair = Authority(folder).issue("a", "a.example", "b.example")
        config = CONFIG.replace(
            'protocol = "tcp"\n[listeners.other]',
            'protocol = "tcp"\ntls = { default_certificate = "a", policy = "mail" }\n'
            "[listeners.other]",
        ).replace("[tcp_routes.shop]\n", f"[tcp_routes.shop]\n{shop}")
        config += f'[tls_policies.mail]\nalpn = ["h2", "imap"]\n{pair.toml("a")}'
        config = config.replace('"127.0.0.1:1"]', '"127.0.0.1:1"]\ntls = {}')
        read = {str(one): one.read_bytes() for one in (pair.cert_file, pair.key_file)}
        self.loaded = load([PurePath("main.toml")], MemoryFiles({"main.toml": config, **read}), {})
        assert self.loaded.plan is not None, self.loaded.diagnostics
        self.routing = Routing(self.loaded.plan, blobs=self.loaded.blobs)

    def __call__(self, sni: str | None, *alpn: str) -> list[str]:
        """The lines after the first one."""
        asked = question(["tcp://127.0.0.1:5443"], (), "127.0.0.1", None, sni=sni, alpn=alpn)
        lines = list(text(answer(self.routing, asked, places(self.loaded))))
        return [line.split("  main.toml")[0].rstrip() for line in lines[1:]]


def test_tls_that_passes_through_a_listener_that_ends_that_of_others_is_told(
    tmp_path: Path,
) -> None:
    told = Ended(tmp_path, 'tls = "passthrough"\n')
    passed = "TLS passes through unopened"
    assert told("a.example")[3:4] == [passed]
    # No protocol is agreed on here, so any may be offered.
    assert "TCP route shop" in told("a.example", "xmpp")[0]
    web = told("a.example", "imap", "h2")
    assert "TCP route web" in web[0]
    assert "TLS ends here, agreed on h2; what is inside is passed on" in web
    assert told("a.other") == [
        'no answer: the TLS handshake fails: no certificate for the name "a.other"'
    ]


def test_tls_that_ends_at_the_listener_is_told(tmp_path: Path) -> None:
    told = Ended(tmp_path)
    assert told("a.example")[3:5] == [
        "TLS ends here; what is inside is passed on",
        "upstream shop (round_robin, tcp with TLS)",
    ]
    # The listener prefers h2, whatever the client does.
    web = told("b.example", "imap", "h2")
    assert "TCP route web" in web[0]
    assert "TLS ends here, agreed on h2; what is inside is passed on" in web
    assert "TCP route shop" in told("a.example", "imap")[0]
    fails = "no answer: the TLS handshake fails: "
    assert told("a.other") == [f'{fails}no certificate for the name "a.other"']
    assert told("a.example", "xmpp") == [
        f"{fails}the listener offers none of these protocols (ALPN)"
    ]
