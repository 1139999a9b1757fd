"""A host that demands client certificates is not served to those who have none."""

from pathlib import PurePath

import pytest
from memory_files import MemoryFiles

from headgate.compile.load import load

PEM = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n"
KEY = "-----BEGIN PRIVATE KEY-----\nMA==\n-----END PRIVATE KEY-----\n"
BASE = """
[listeners.web]
address = "127.0.0.1:80"
default = true

[listeners.secure]
address = "127.0.0.1:443"
default = true
tls = { default_certificate = "main" }

[certificates.main]
cert_file = "main.pem"
key_file = "main.key"

[tls_policies.staff]
client_auth = { ca_file = "main.pem" }

[tls_policies.guests]
client_auth = { ca_file = "main.pem", required = false }

[middlewares.https]
redirect = { scheme = "https" }

[upstreams.up]
endpoints = ["127.0.0.1:1"]
"""


def said(text: str) -> list[str]:
    files = MemoryFiles({"c.toml": BASE + text, "main.pem": PEM, "main.key": KEY})
    return [str(one) for one in load([PurePath("c.toml")], files, {}).errors]


GUARDED = """
[hosts."staff.example"]
tls_policy = "staff"
{host}

[routes.{name}]
hosts = ["{route}"]
{more}
"""


def guarded(
    route: str = "staff.example", more: str = 'upstream = "up"', host: str = "", name: str = "r"
) -> str:
    return GUARDED.format(route=route, more=more, host=host, name=name)


@pytest.mark.parametrize(
    "text",
    [
        guarded(),
        guarded("*.example"),
        guarded("*"),
        guarded(more='respond = { body = "secret" }'),
        guarded(more='upstream = "up"\nlisteners = ["web"]'),
        guarded(more='redirect = { host = "other.example" }'),
        guarded()
        .replace("staff.example", "*.staff.example", 1)
        .replace('"staff.example"', '"a.staff.example"'),
        guarded() + '[routes.more]\nhosts = ["*"]\nmiddlewares = ["https"]\nupstream = "up"\n',
    ],
)
def test_a_guarded_host_on_a_plain_listener_is_refused(text: str) -> None:
    (error,) = said(text)
    assert "routes.r: host " in error
    assert "demands client certificates, and this route serves it without any" in error
    assert 'on the plain listener "web"; name TLS listeners alone in `listeners`' in error
    assert "allow_plain = true" in error


@pytest.mark.parametrize(
    "text",
    [
        guarded(host="allow_plain = true"),
        guarded(more='upstream = "up"\nlisteners = ["secure"]'),
        guarded(more='upstream = "up"\nmiddlewares = ["https"]'),
        guarded(host='middlewares = [{ redirect = { scheme = "https" } }]'),
        guarded(more='redirect = { scheme = "https" }'),
        guarded(more='redirect = { scheme = "https" }\nlisteners = ["web"]'),
        guarded(more='respond = { status = 403 }\nlisteners = ["web"]'),
        guarded("other.example"),
        guarded().replace('"staff"', '"guests"'),
        guarded(more='upstream = "up"\nlisteners = ["secure"]')
        + '[routes.rest]\nhosts = ["*"]\nupstream = "up"\n',
        guarded(more='upstream = "up"\nlisteners = ["secure"]')
        + '[routes.rest]\nhosts = ["other.example"]\nupstream = "up"\n',
    ],
)
def test_what_gives_nothing_away_is_right(text: str) -> None:
    assert said(text) == []


def test_a_revocation_list_is_one_or_is_refused() -> None:
    policy = '[tls_policies.p]\nclient_auth = { ca_file = "main.pem", crl_file = "main.pem" }\n'
    (error,) = said(policy + '[routes.r]\nupstream = "up"\n')
    assert "tls_policies.p.client_auth.crl_file" in error
    assert "holds no revocation list; name a PEM file" in error


def test_a_listener_with_an_error_does_not_count_as_one_with_tls() -> None:
    text = """
[listeners.wrong]
address = "127.0.0.1:81"
no_such_key = 1

[hosts."staff.example"]
tls_policy = "staff"

[routes.r]
listeners = ["web", "wrong"]
upstream = "up"
"""
    (only,) = said(text)
    assert "no_such_key" in only
