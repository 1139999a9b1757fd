"""`client_certificate` as a match: its words, who gets the route, and what nginx can ask."""

from pathlib import Path, PurePath

import pytest
from memory_files import MemoryFiles
from nginx_engine import NotRenderedError, expressed, target

from headgate.compile.asked import made
from headgate.compile.load import load
from headgate.compile.loaded import Loaded
from headgate.compile.routing import Question, Routing
from headgate.engines.nginx.common.types import Capabilities

ACCEPTED = Path(__file__).parents[2] / "golden" / "nginx" / "accepted.txt"
DEBIAN_12 = Capabilities("", "", "", frozenset(ACCEPTED.read_text(encoding="utf-8").split()))
PRINT = "0a" * 32
FILES: dict[str, str | bytes] = {
    "main.pem": "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n",
    "main.key": "-----BEGIN PRIVATE KEY-----\nMA==\n-----END PRIVATE KEY-----\n",
}
TEXT = """
[listeners.secure]
address = "127.0.0.1:8443"
default = true
tls = {{ default_certificate = "main", policy = "guests" }}

[tls_policies.guests]
client_auth = {{ ca_file = "main.pem", required = false }}

[certificates.main]
cert_file = "main.pem"
key_file = "main.key"

[routes.known]
match = [{{ client_certificate = {match} }}]
respond = {{ body = "known" }}

[routes.any]
respond = {{ body = "any" }}
"""


def compiled(match: str) -> Loaded:
    files = MemoryFiles({**FILES, "c.toml": TEXT.format(match=match)})
    return load([PurePath("c.toml")], files, {})


def routing(match: str) -> Routing:
    found = compiled(match)
    assert found.plan is not None, [str(one) for one in found.errors]
    return Routing(found.plan)


def route(match: str, question: Question) -> str:
    one = routing(match)
    found = one.find(one.request(question))
    assert found is not None
    return found.route


ANY = Question(url="https://a.example/")
ALICE = Question(
    url="https://a.example/",
    client_subject="CN=alice",
    client_san=["dns:alice.example", "uri:spiffe://a.example/ns/b"],
    client_fingerprint=PRINT,
)


@pytest.mark.parametrize(
    ("match", "fits"),
    [
        ("{}", True),
        ('{ subject = "CN=al*" }', True),
        ('{ subject = ["CN=bob", "CN=carol"] }', False),
        ('{ san = "dns:*.example" }', True),
        ('{ san = "dns:alice.other" }', False),
        ('{ spiffe = "spiffe://a.example/ns/*" }', True),
        ('{ spiffe = "spiffe://a.example/*" }', False),
        (f'{{ fingerprint = "{PRINT}" }}', True),
        (f'{{ fingerprint = "{"0b" * 32}" }}', False),
        ('{ subject = "CN=alice", san = "dns:bob.example" }', False),
    ],
)
def test_each_list_must_know_the_certificate_and_nobody_fits_without_one(
    match: str, fits: bool
) -> None:
    assert route(match, ALICE) == ("known" if fits else "any")
    lies = {"client-subject": "CN=alice", "client-cert": ":MA==:", "ssl-client-s-dn": "CN=alice"}
    assert route(match, Question(url=ANY.url, headers=dict(lies))) == "any"
    assert route(match, ANY) == "any"


@pytest.mark.parametrize(
    ("match", "said"),
    [
        ('{ subject = "alice" }', "is no component"),
        ('{ san = "alice.example" }', "is not an alternative name"),
        ('{ spiffe = "https://a.example/b" }', "is not a SPIFFE ID"),
        ('{ spiffe = "spiffe://*/b" }', "whose scheme and authority are written out"),
        ('{ fingerprint = "0a" }', "is not the SHA-256 of a certificate"),
        ('{ sans = "dns:a.example" }', 'write "san"'),
    ],
)
def test_mistakes_are_named_with_their_place(match: str, said: str) -> None:
    loaded = compiled(match)
    text = "\n".join(str(one) for one in loaded.diagnostics)
    assert loaded.plan is None
    assert said in text
    assert "routes.known.match[0].client_certificate" in text


@pytest.mark.parametrize(
    ("key", "match"),
    [
        ("san", '{ san = "dns:a.example" }'),
        ("spiffe", '{ spiffe = "spiffe://a.example/b" }'),
        ("fingerprint", f'{{ fingerprint = "{PRINT}" }}'),
    ],
)
def test_what_nginx_cannot_ask_is_refused_by_name(key: str, match: str) -> None:
    with pytest.raises(NotRenderedError) as refused:
        expressed(compiled(match), target("/state/nginx", DEBIAN_12))
    assert f"client_certificate.{key}" in str(refused.value)


def test_requests_that_are_made_of_routes_leave_it_out() -> None:
    asked = made(routing('{ subject = "CN=a" }').plan)
    assert [one.url for one in asked] == ["https://any.example/"]
    assert not any(one.client_subject for one in asked)
