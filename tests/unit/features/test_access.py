"""Middlewares of access in the config: what is refused, and what nobody sees."""

import io
import json
from hashlib import sha256
from pathlib import Path, PurePath

import pytest
from memory_files import MemoryFiles

from headgate.cli.explain import explain
from headgate.compile.load import load
from headgate.compile.loaded import Loaded
from headgate.compile.routing import Question
from headgate.plan.codec import encode
from headgate.plan.redact import redacted

TOP = '[listeners.web]\naddress = "127.0.0.1:1"\ndefault = true\n'
ROUTE = '[routes.r]\nmiddlewares = ["m"]\nrespond = { body = "in" }\n[middlewares.m]\n'
HASH = "$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"
SUM = sha256(b"key-of-the-shop-01").hexdigest()
SECRETS = '{"keys":[{"kty":"oct","alg":"HS256","k":"c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTAxMjM"}]}'
FILES = {"key": "key-of-the-shop-01\n", "users": f"# staff\nalice:{HASH}\n\n", "keys": SECRETS}


def compiled(line: str, files: dict[str, str] = FILES) -> Loaded:
    return load([PurePath("c.toml")], MemoryFiles({"c.toml": TOP + ROUTE + line, **files}), {})


RIGHT = {
    "inline key": (f'api_key = {{ keys = {{ shop = "sha256:{SUM}" }} }}', SUM),
    "key in a file": ('api_key = { keys = { shop = [{ file = "key" }] } }', SUM),
    "inline user": (f'basic_auth = {{ users = ["alice:{HASH}"] }}', HASH),
    "users in a file": ('basic_auth = { users = { file = "users" } }', HASH),
    "key set in a file": ('jwt = { keys = { file = "keys" } }', SECRETS),
}


@pytest.mark.parametrize(("line", "secret"), RIGHT.values(), ids=RIGHT)
def test_nothing_shows_a_secret(tmp_path: Path, line: str, secret: str) -> None:
    loaded = compiled(line)
    assert loaded.plan is not None, loaded.diagnostics
    assert secret in loaded.secrets
    plain = b"".join(encode(entry.value) for entry in loaded.plan.objects.values())
    assert json.dumps(secret)[1:-1].encode() in plain
    shown = redacted(plain, loaded.secrets)
    assert json.dumps(secret)[1:-1].encode() not in shown
    for name, text in {"c.toml": TOP + ROUTE + line, **FILES}.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)
    told = io.StringIO()
    explain(Question("http://a.example/"), [tmp_path / "c.toml"], "text", env={}, stream=told)
    assert "route r" in told.getvalue()
    assert secret not in told.getvalue()


WRONG = {
    "key as text": ('api_key = { keys = { shop = "hunter2hunter2hunter2" } }', "keys.shop"),
    "short key": ('api_key = { keys = { shop = { file = "short" } } }', "keys.shop"),
    "no keys": ("api_key = { keys = {} }", "keys"),
    "two places": (
        f'api_key = {{ header = "a", query = "b", keys = {{ shop = "sha256:{SUM}" }} }}',
        "exclude each other",
    ),
    "one key of two": (
        f'api_key = {{ keys = {{ a = "sha256:{SUM}", b = "sha256:{SUM}" }} }}',
        "have one key",
    ),
    "no hash": ('basic_auth = { users = ["alice:hunter2"] }', "bcrypt or argon2"),
    "weak hash": ('basic_auth = { users = ["alice:{SHA}hunter2"] }', "bcrypt or argon2"),
    "costly hash": (
        f'basic_auth = {{ users = ["alice:{HASH.replace("$05$", "$31$")}"] }}',
        "cost of 31 is out of range",
    ),
    "nobody": ("basic_auth = { users = [] }", "there is no user"),
    "twice": (f'basic_auth = {{ users = ["a:{HASH}", "a:{HASH}"] }}', "again"),
    "no file": ('basic_auth = { users = { file = "gone" } }', "cannot be read"),
    "secret in the config": (f"jwt = {{ keys = '{SECRETS}' }}", "has a secret"),
    "no key set": ("jwt = { keys = '[]' }", "has no list `keys`"),
    "no key": ("jwt = { keys = '{\"keys\":[]}' }", "no key that verifies"),
    "long leeway": ('jwt = { keys = { file = "keys" }, leeway = "10m" }', "at most 5m"),
    "host": ('jwt = { keys = { file = "keys" }, claims = { host = "sub" } }', "names the site"),
}


@pytest.mark.parametrize(("line", "said"), WRONG.values(), ids=WRONG)
def test_mistakes_are_named_without_secrets(line: str, said: str) -> None:
    loaded = compiled(line, {**FILES, "short": "hunter2\n"})
    text = "\n".join(str(one) for one in loaded.diagnostics)
    assert loaded.plan is None, text
    assert said in text
    assert "c.toml:" in text
    for secret in ("hunter2", HASH[7:], SECRETS, SUM):
        assert secret not in text
