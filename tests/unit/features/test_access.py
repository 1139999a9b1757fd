"""Middlewares of access in the config: what is refused, and what nobody sees."""

import io
import json
from hashlib import sha256
from pathlib import Path, PurePath

import pytest
from memory_files import MemoryFiles

from headgate.cli.check import check
from headgate.cli.explain import explain
from headgate.compile.compiler import Compiler
from headgate.compile.load import load
from headgate.compile.loaded import Loaded
from headgate.compile.routing import Question
from headgate.kernel.ids import ObjectName
from headgate.plan.codec import encode
from headgate.plan.kinds import ObjectKey
from headgate.plan.redact import redacted

TOP = '[listeners.web]\naddress = "127.0.0.1:1"\ndefault = true\n'
ROUTE = '[routes.r]\nmiddlewares = ["m"]\nrespond = { body = "in" }\n[middlewares.m]\n'
HASH = "$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"
SUM = sha256(b"key-of-the-shop-01").hexdigest()
SECRETS = '{"keys":[{"kty":"oct","alg":"HS256","k":"c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTAxMjM"}]}'
PUBLIC = (
    '{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}'
)
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
    "plain URL": ('jwt = { keys = { url = "http://a.example/" } }', "is not https"),
    "URL with a password": ('jwt = { keys = { url = "https://a:b@a.example/" } }', "or a password"),
    "URL without a host": ('jwt = { keys = { url = "https:///keys" } }', "names no host"),
    "no URL": ("jwt = { keys = { url = 7 } }", "is not a URL"),
    "no end": (
        'jwt = { keys = { url = "https://a.example", max_stale = "never" } }',
        '"1s" to "8784h", or "off"',
    ),
    "a late end": ('jwt = { keys = { url = "https://a.example", max_stale = "9000h" } }', "8784h"),
    "an end before the next": (
        'jwt = { keys = { url = "https://a.example", max_stale = "59m" } }',
        "write at least the time of `refresh`",
    ),
    "seldom": ('jwt = { keys = { url = "https://a.example", refresh = "2d" } }', '"1s" to "24h"'),
    "no authority": (
        'jwt = { keys = { url = "https://a.example", ca_file = "key" } }',
        "holds no certificate",
    ),
    "authority that is gone": (
        'jwt = { keys = { url = "https://a.example", ca_file = "gone" } }',
        "keys.ca_file",
    ),
    "URL and more": ('jwt = { keys = { url = "https://a.example", file = "key" } }', "keys.file"),
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


def test_keys_by_url_are_those_that_were_fetched(tmp_path: Path) -> None:
    line = 'jwt = { keys = { url = "https://login.example/keys" } }'
    files = MemoryFiles({"c.toml": TOP + ROUTE + line})
    compiler = Compiler(PurePath("/state/key-sets"))

    def chain() -> bytes:
        loaded = compiler.load([PurePath("c.toml")], files, {})
        assert loaded.plan is not None, loaded.diagnostics
        (wanted,) = loaded.key_sets
        assert wanted.url == "https://login.example/keys"
        place = f"/state/key-sets/{wanted.id}.json"
        assert PurePath(place) in loaded.watched.files
        files.content.setdefault(place, PUBLIC)
        return loaded.plan.objects[ObjectKey("middleware", ObjectName("m"))].canonical

    never = chain()
    assert b"jwt-keys-missing" in never
    assert b'"status":503' in never
    assert b'"jwt":{' in chain()
    (place,) = (name for name in files.content if name.startswith("/state"))
    for wrong in (SECRETS, "nonsense", b"\xff"):
        files.content[place] = wrong
        assert b"jwt-keys-missing" in chain()
    files.content[place] = PUBLIC
    assert b'"jwt":{' in chain()


def test_commands_judge_a_config_whose_keys_nobody_fetched(tmp_path: Path) -> None:
    line = 'jwt = { keys = { url = "https://login.example/keys" } }'
    (tmp_path / "c.toml").write_text(TOP + ROUTE + line)
    told = io.StringIO()
    assert check([tmp_path / "c.toml"], env={}, stream=told) == 0
    assert "1 key set that only a node fetches" in told.getvalue()
    told = io.StringIO()
    explain(Question("http://a.example/"), [tmp_path / "c.toml"], "text", env={}, stream=told)
    assert "unless jwt answers first" in told.getvalue()
