"""No text that is shown has a value that came from the environment or from a file."""

import io
import json
from pathlib import Path

import msgspec
import pytest
from memory_files import MemoryFiles

from headgate.cli.diff import Log, diff
from headgate.cli.explain import explain, text
from headgate.cli.test import test as try_cases
from headgate.compile.answers import answer
from headgate.compile.explanation import places
from headgate.compile.load import load
from headgate.compile.routing import Question, Routing
from headgate.compile.veil import veiled
from headgate.plan.redact import redacted

TEXT = """
[listeners.web]
address = "127.0.0.1:8000"
default = true

[routes.guarded]
hosts = ["${env:DOMAIN}"]
match = [
  { headers = { x-key = { exact = "${env:KEY}" } } },
  { query = { address = { prefix = "${env:KEY}" } } },
  { cookies = { "upstream" = { prefix = "${env:KEY}" } } },
  { path = { regex = "/${env:KEY}/.*" } },
]
middlewares = [
  { request_headers = { set = { authorization = "Bearer ${env:KEY}" } } },
  { rewrite = { path = "/bot${env:KEY}/send", host = "${env:KEY}.example" } },
]
upstream = "api"

[routes.answer]
match = [{ path = { prefix = "/answer" } }]
respond = { body = "${env:KEY} for ${method}", headers = { x-answer = "${method} ${env:KEY}" } }

[routes.elsewhere]
match = [{ path = { prefix = "/moved" } }]
redirect = { path = "/${env:KEY}/here" }

[routes.rewritten]
match = [{ path = { prefix = "/cut" } }]
middlewares = [{ rewrite = { prefix = "/${env:KEY}/" } }]
upstream = "api"

[routes.named]
match = [{ path = { prefix = "/named" } }]
upstream = "named"

[upstreams.named]
endpoints = ["127.0.0.1:1"]
host_header = "${env:KEY}"

[upstreams.api]
endpoints = ["${env:PLACE}:9001"]
"""
ENV = {"KEY": "hunter2", "DOMAIN": "a.example", "PLACE": "10.0.0.9"}


def test_the_plan_is_shown_without_them() -> None:
    loaded = load([Path("main.toml")], MemoryFiles({"main.toml": TEXT}), ENV)
    assert loaded.plan is not None, loaded.diagnostics
    shown = b"".join(redacted(e.canonical, loaded.secrets) for e in loaded.plan.objects.values())
    whole = b"".join(e.canonical for e in loaded.plan.objects.values())
    assert whole.count(b"hunter2") == 12
    assert b"hunter2" not in shown
    assert b"10.0.0.9:9001" in shown, "addresses are in status and metrics anyway"
    assert b"a.example" in shown


@pytest.mark.parametrize(
    ("url", "headers", "expected"),
    [
        ("http://a.example:8000/x", {"x-key": "hunter2"}, "headers.x-key holds"),
        ("http://a.example:8000/x", {"x-key": "wrong"}, "headers.x-key fails"),
        ("http://a.example:8000/x", {}, "headers.x-key fails"),
        ("http://a.example:8000/x?address=hunt", {}, "query.address fails"),
        ("http://a.example:8000/x", {"cookie": "upstream=hunt"}, "cookies.upstream fails"),
        ("http://a.example:8000/hunt", {}, "path.regex fails"),
        ("http://b.example:8000/answer", {}, "answered with 200"),
        ("http://b.example:8000/moved", {}, "location: (secret)"),
        ("http://b.example:8000/cut/x", {}, "forwarded as (secret)"),
        ("http://b.example:8000/named", {}, "(round_robin, http1), Host (secret)"),
    ],
)
def test_an_explanation_says_the_rest_without_them(
    tmp_path: Path, url: str, headers: dict[str, str], expected: str
) -> None:
    (tmp_path / "main.toml").write_text(TEXT)
    question = Question(url, headers=dict(headers))
    for output in ("text", "json"):
        told = io.StringIO()
        assert explain(question, [tmp_path], output, env=ENV, stream=told) == 0
        assert "hunter2" not in told.getvalue()
        assert expected in told.getvalue() or output == "json"


def test_a_body_is_shown_as_secret_and_still_compared(tmp_path: Path) -> None:
    (tmp_path / "main.toml").write_text(TEXT)
    for body, code in (("hunter2 for GET", 0), ("other", 1), ("(secret)", 1)):
        cases = tmp_path / "cases.json"
        request = "http://b.example:8000/answer"
        cases.write_text(json.dumps({"cases": [{"request": request, "expect": {"body": body}}]}))
        told = io.StringIO()
        assert try_cases(cases, [tmp_path / "main.toml"], env=ENV, stream=told) == code
        assert "hunter2" not in told.getvalue()


def test_requests_that_move_are_told_without_them(tmp_path: Path) -> None:
    (tmp_path / "old.toml").write_text(TEXT)
    (tmp_path / "new.toml").write_text(TEXT.replace("/here", "/there"))
    log = tmp_path / "log"
    log.write_text('127.0.0.1 - - [today] "GET /moved HTTP/1.1" 308 0\n')
    told = io.StringIO()
    given = Log(log, "http://b.example:8000")
    assert diff(tmp_path / "old.toml", tmp_path / "new.toml", given, env=ENV, stream=told) == 0
    assert "hunter2" not in told.getvalue()
    assert "308 (secret)" in told.getvalue()


CERTIFIED = """
[listeners.web]
address = "127.0.0.1:8443"
default = true
tls = { default_certificate = "main", policy = "guests" }
[tls_policies.guests]
client_auth = { ca_file = "main.pem", required = false }
[certificates.main]
cert_file = "main.pem"
key_file = "main.key"
[routes.guarded]
respond = { status = 204 }
match = [
"""
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n"
KEY = "-----BEGIN PRIVATE KEY-----\nMA==\n-----END PRIVATE KEY-----\n"
SUBJECT = "CN=hunter2,O=ACME"


@pytest.mark.parametrize(
    ("rule", "asked", "expected"),
    [
        (
            'client_subject = { exact = "${env:SUBJECT}" }',
            {"client_subject": "CN=eve"},
            "client_subject fails: its value is (secret)",
        ),
        (
            'client_subject = { exact = "${env:SUBJECT}" }',
            {},
            "client_subject fails: its value is (secret)",
        ),
        (
            'client_subject = { exact = "${env:SUBJECT}" }',
            {"client_subject": SUBJECT},
            "client_subject holds: its value is (secret)",
        ),
        (
            'client_certificate = { subject = ["${env:SUBJECT}"] }',
            {"client_subject": "CN=eve"},
            "client_certificate fails: its value is (secret)",
        ),
        (
            'client_certificate = { san = ["dns:${env:NAME}"] }',
            {"client_san": ["dns:eve.example"]},
            "client_certificate fails: its value is (secret)",
        ),
        (
            'client_certificate = { spiffe = ["spiffe://${env:NAME}/a"] }',
            {"client_san": ["uri:spiffe://eve.example/a"]},
            "client_certificate fails: its value is (secret)",
        ),
        (
            'client_certificate = { fingerprint = ["${env:FINGERPRINT}"] }',
            {"client_fingerprint": "1" * 64},
            "client_certificate fails: its value is (secret)",
        ),
    ],
)
def test_conditions_on_the_certificate_are_said_without_them(
    rule: str, asked: dict[str, object], expected: str
) -> None:
    values = {"SUBJECT": SUBJECT, "NAME": "hunter2.example", "FINGERPRINT": "ab" * 32}
    config = f"{CERTIFIED}{{ {rule} }}]\n"
    files = MemoryFiles({"main.toml": config, "main.pem": CERTIFICATE, "main.key": KEY})
    loaded = load([Path("main.toml")], files, values)
    assert loaded.plan is not None, loaded.diagnostics
    routing = Routing(loaded.plan)
    question = msgspec.convert({"url": "https://a.example:8443/", **asked}, Question)
    found = veiled(answer(routing, question, places(loaded)), loaded.plan, loaded.secrets)
    told = "\n".join(text(found))
    assert expected in told
    for value in values.values():
        assert value not in told
    shown = b"".join(redacted(e.canonical, loaded.secrets) for e in loaded.plan.objects.values())
    assert not any(value.encode() in shown for value in values.values())
