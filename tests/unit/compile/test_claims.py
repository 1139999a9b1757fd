"""What names a claim of a token stands after the `jwt` that verifies one."""

from pathlib import PurePath

import pytest
from memory_files import MemoryFiles

from headgate.compile.load import load

KEYS = '{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}'
BASE = f"""
[listeners.web]
address = "127.0.0.1:80"
default = true

[middlewares.token.jwt]
keys = '{KEYS}'

[middlewares.told.request_headers]
set = {{ x-user = "${{jwt:sub}}" }}

[middlewares.limited.rate_limit]
rate = "1/s"
key = ["client_ip", "jwt:sub"]

[upstreams.up]
endpoints = ["127.0.0.1:1"]

[routes.r]
"""


def said(text: str) -> list[str]:
    files = MemoryFiles({"c.toml": BASE + text})
    return [str(one) for one in load([PurePath("c.toml")], files, {}).errors]


def upstream(middlewares: str) -> str:
    return f'upstream = "up"\nmiddlewares = [{middlewares}]\n'


@pytest.mark.parametrize(
    "text",
    [
        upstream('"token", "told", "limited"'),
        upstream(f"{{ jwt.keys = '{KEYS}' }}, \"told\""),
        upstream('{ request_headers.set.x = "$${jwt:sub}" }'),
        upstream('{ request_headers.set.x = "{jwt:sub}" }'),
        upstream('{ respond.status = 503 }, "told"'),
        upstream('"told"')
        + 'hosts = ["a.example"]\n[hosts."a.example"]\nmiddlewares = ["token"]\n',
        'middlewares = ["token"]\nredirect = { path = "/${jwt:sub}" }\n',
        'middlewares = ["token"]\nrespond = { body = "${jwt:/realm/name}" }\n',
    ],
)
def test_a_claim_after_the_token_is_right(text: str) -> None:
    assert said(text) == []


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (upstream('"told"'), "routes.r.middlewares[0]"),
        (upstream('"limited", "token"'), "routes.r.middlewares[0]"),
        (
            upstream('"token"')
            + 'hosts = ["a.example"]\n[hosts."a.example"]\nmiddlewares = ["told"]\n',
            "routes.r",
        ),
        ('redirect = { path = "/${jwt:sub}" }\n', "routes.r.redirect"),
        ('respond = { headers = { x = "$$${jwt:sub}" } }\n', "routes.r.respond"),
    ],
)
def test_a_claim_before_any_token_is_refused(text: str, where: str) -> None:
    (one,) = said(text)
    assert f"{where}: " in one
    assert '"jwt:sub" has no value here: no token was verified before; put a `jwt`' in one


def test_routes_that_are_compiled_together_are_looked_at_one_by_one() -> None:
    route = '[routes.r{n}]\nmatch = [{{ path.prefix = "/{n}" }}]\nupstream = "up"\n'
    chain = 'middlewares = [{{ request_headers = {{ set = {{ x-user = "{value}" }} }} }}]\n'
    values = ["a"] * 40 + ["${jwt:sub}"]
    text = 'upstream = "up"\n' + "".join(
        route.format(n=n) + chain.format(value=value) for n, value in enumerate(values)
    )
    (one,) = said(text)
    assert "routes.r40.middlewares[0]: " in one


@pytest.mark.parametrize("name", ["", "a b", "a\\\\b", "x" * 257])
def test_what_no_claim_is_called_is_refused(name: str) -> None:
    (one,) = said(upstream(f'"token", {{ request_headers.set.x = "${{jwt:{name}}}" }}'))
    assert "is not the name of a claim; write" in one
