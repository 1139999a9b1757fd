"""Access logs that name claims of tokens which nobody verifies."""

from pathlib import PurePath

import pytest
from memory_files import MemoryFiles

from headgate.compile.lints import lints
from headgate.compile.load import load

REST = """
[listeners.web]
address = "127.0.0.1:1"
default = true
[routes.r]
respond = { body = "in" }
"""
JWK = '{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}'
KEYS = f"""keys = '{{"keys":[{JWK}]}}'"""
VERIFIED = f"""
[middlewares.known.jwt]
{KEYS}
"""


def warned(text: str) -> list[str]:
    loaded = load([PurePath("c.toml")], MemoryFiles({"c.toml": text}), {})
    assert loaded.plan is not None, loaded.diagnostics
    return [str(one) for one in lints(loaded) if "claim" in str(one)]


@pytest.mark.parametrize(
    ("log", "path"),
    [
        ('node.access_log.fields = ["status", "jwt:sub"]', "node.access_log.fields[1]"),
        ('node.access_log.template = "${status} ${jwt:sub}"', "node.access_log.template"),
    ],
)
def test_a_claim_is_told_where_no_middleware_verifies_tokens(log: str, path: str) -> None:
    (only,) = warned(f"{log}\n{REST}")
    assert f"{path}: no line has the claim sub" in only
    assert len(warned(f"{log}\n{REST}{VERIFIED}")) == 1, "no route uses it"
    assert warned(f"{log}\n{REST}middlewares = ['known']\n{VERIFIED}") == []
    assert warned(f"{log}\n{REST}[hosts.'*']\nmiddlewares = ['known']\n{VERIFIED}") == []


def test_a_middleware_that_a_route_writes_itself_counts() -> None:
    inline = f"middlewares = [{{ jwt = {{ {KEYS} }} }}]"
    assert warned(f'node.access_log.fields = ["jwt:sub"]\n{REST}{inline}') == []


def test_a_log_without_claims_is_not() -> None:
    assert warned(f'node.access_log.fields = ["status", "header:x-a"]\n{REST}') == []
