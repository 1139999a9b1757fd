"""A route that asks for client certificates has clients that are asked for them."""

from pathlib import PurePath

import pytest
from memory_files import MemoryFiles

from headgate.compile.load import load

PEM = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n"
KEY = "-----BEGIN PRIVATE KEY-----\nMA==\n-----END PRIVATE KEY-----\n"
BASE = """
[listeners.web]
address = "127.0.0.1:80"

[listeners.open]
address = "127.0.0.1:444"
tls = { default_certificate = "main", policy = "nobody" }

[listeners.secure]
address = "127.0.0.1:443"
default = true
tls = { default_certificate = "main" }

[listeners.asking]
address = "127.0.0.1:445"
tls = { default_certificate = "main", policy = "guests" }

[certificates.main]
cert_file = "main.pem"
key_file = "main.key"

[tls_policies.guests]
client_auth = { ca_file = "main.pem", required = false }

[tls_policies.nobody]
min_version = "1.3"

[middlewares.staff.client_certificate]

[middlewares.https]
redirect = { scheme = "https" }

[hosts."*.example"]
tls_policy = "guests"

[hosts."open.example"]
certificate = "main"

[upstreams.up]
endpoints = ["127.0.0.1:1"]

[routes.r]
upstream = "up"
"""


def said(text: str) -> list[str]:
    files = MemoryFiles({"c.toml": BASE + text, "main.pem": PEM, "main.key": KEY})
    return [str(one) for one in load([PurePath("c.toml")], files, {}).errors]


def why(text: str) -> str:
    (one,) = said(text)
    before = "a middleware of this route asks for client certificates, and "
    assert before in one
    return one.partition(before)[2]


NAMED = 'middlewares = ["staff"]\n'
INLINE = 'middlewares = [{ client_certificate = { subject = "CN=a" } }]\n'


@pytest.mark.parametrize("asks", [NAMED, INLINE], ids=["named", "inline"])
def test_a_plain_listener_and_policies_that_do_not_ask_are_refused(asks: str) -> None:
    staff = 'hosts = ["a.example"]\n' + asks
    assert said(staff) == []
    assert said('listeners = ["asking"]\n' + asks) == []
    assert why('listeners = ["web"]\n' + staff) == (
        'the listener "web" is plain; name TLS listeners alone in `listeners`'
    )
    assert why('hosts = ["open.example"]\n' + asks) == (
        'host "open.example" has no TLS policy on "secure"; '
        'name a `tls_policy` with `client_auth` in [hosts."open.example"]'
    )
    assert why('listeners = ["open"]\n' + asks) == (
        'the TLS policy "nobody" of host "*" on "open" asks for none; '
        "write `client_auth` in [tls_policies.nobody]"
    )


@pytest.mark.parametrize("asks", [NAMED, INLINE], ids=["named", "inline"])
def test_the_middlewares_of_a_host_count_for_its_routes(asks: str) -> None:
    host = f'hosts = ["b.example"]\n[hosts."b.example"]\ntls_policy = "guests"\n{asks}'
    assert said(host) == []
    assert 'the listener "web" is plain' in why('listeners = ["web", "secure"]\n' + host)


def test_a_redirect_to_https_before_it_may_be_plain() -> None:
    before = 'listeners = ["web", "secure"]\nhosts = ["a.example"]\n'
    assert said(before + 'middlewares = ["https", "staff"]\n') == []
    assert 'the listener "web" is plain' in why(before + 'middlewares = ["staff", "https"]\n')


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ('subject = "cn=alice"', 'subject[0]: no subject has a component "cn"; write "CN"'),
        ('subject = "CN=a, O=b"', "is no component; write one as RFC 4514 does"),
        ('subject = "alice"', "is no component; write one as RFC 4514 does"),
        ('subject = "*"', "is no component; write one as RFC 4514 does"),
        ('subject = "CN=*x"', "`*` stands at the end of the value"),
        ('subject = "CN=a+UID=*"', "`*` stands at the end of the value"),
        ("subject = 'CN=a\\'", "is not a subject; write one as"),
        ('subject = ["CN=a", ""]', "subject[1]:"),
        ('san = "a.example"', 'san[0]: "a.example" is not an alternative name; write "dns:a.exam'),
        ('san = "dns:*"', '"*" is not a DNS name; write'),
        ('san = "dns:a.*.example"', "is not a DNS name; write"),
        ('san = "email:a*@b.example"', "is not an address; write"),
        ('san = "uri:spiffe://*/a"', "is not a URI whose scheme and authority are written out"),
        ('san = "uri:spiffe://a/b*"', "`*` stands for a whole segment"),
        ('san = "uri:spiffe://a/**/b"', "`*` stands for a whole segment"),
        ('san = "uri:x:a,b"', "has characters that no URI has; write %2C for a comma"),
        ('san = "ip:192.0.2"', "is not an IP address; write"),
        ('fingerprint = "0a:0b"', "is not the SHA-256 of a certificate; write 64 hex digits"),
        ('mode = "maybe"', "mode:"),
    ],
)
def test_bad_values_are_named(rules: str, expected: str) -> None:
    (one,) = said(f"[middlewares.bad]\nclient_certificate = {{ {rules} }}\n")
    assert expected in one


def test_values_become_those_of_certificates() -> None:
    print_ = ":".join(["0A"] * 32)
    text = f"""
[middlewares.good.client_certificate]
subject = 'CN=a\\,b*,1.2.3=#0c0178'
san = ["dns:API.Example", "email:Al@B.Example", "ip:2001:DB8::0:7", "uri:spiffe://a/*/b/**"]
fingerprint = "{print_}"
"""
    files = MemoryFiles({"c.toml": BASE + text, "main.pem": PEM, "main.key": KEY})
    loaded = load([PurePath("c.toml")], files, {})
    assert loaded.plan is not None
    (made,) = (e for e in loaded.plan.objects.values() if str(e.key.name) == "good")
    assert b'"dns:api.example","email:Al@b.example","ip:2001:db8::7","uri:spiffe:' in made.canonical
    assert ("0a" * 32).encode() in made.canonical


def test_a_route_that_nobody_can_get_because_nobody_is_asked_is_refused() -> None:
    match = 'match = [{ client_certificate = { subject = "CN=a" } }]\n'
    assert said('hosts = ["a.example"]\n' + match) == []
    # One of its listeners asks; on the other it takes nothing.
    assert said('listeners = ["asking", "web"]\n' + match) == []
    for places in ('listeners = ["web", "open"]\n', 'hosts = ["open.example"]\n'):
        (one,) = said(places + match)
        assert "every match of this route asks for a client certificate, and no listener" in one
        assert said(places + match.replace("}]", '}, { path.exact = "/" }]')) == []
