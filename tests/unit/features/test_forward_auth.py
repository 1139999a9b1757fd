"""`forward_auth` in the config: what is refused, and what else of a config knows of it."""

from pathlib import PurePath

import pytest
from memory_files import MemoryFiles

from headgate.compile.lints import lints
from headgate.compile.load import load
from headgate.compile.loaded import Loaded

TOP = """
[listeners.web]
address = "127.0.0.1:1"
default = true
[upstreams.auth]
endpoints = ["127.0.0.1:2"]
[middlewares.site]
cors = { allow_origins = ["https://a.example"] }
[middlewares.m.forward_auth]
"""
ROUTE = '[routes.r]\nmiddlewares = ["m"]\nrespond = { body = "in" }\n'


def compiled(middleware: str, route: str = ROUTE) -> Loaded:
    text = f"{TOP}{middleware}\n{route}"
    return load([PurePath("c.toml")], MemoryFiles({"c.toml": text}), {})


def _names(many: int, of: int) -> list[str]:
    return [f"{n:x>{of}}" for n in range(many)]


WRONG = {
    "no upstream": ("", "upstream"),
    "another's name": ('upstream = "auht"', 'there is no upstream "auht"'),
    "no path": ('upstream = "auth"\npath = "verify"', "is not a path"),
    "fragment": ('upstream = "auth"\npath = "/a#b"', "is not a path"),
    "method": ('upstream = "auth"\nmethod = "PUT"', "GET"),
    "long wait": ('upstream = "auth"\ntimeout = "2m"', "write 1ms to 1m"),
    "large answer": ('upstream = "auth"\nanswer_size = "2MiB"', "write 1B to 1MiB"),
    "hop by hop": ('upstream = "auth"\nheaders = ["upgrade"]', "upgrade"),
    "ours": ('upstream = "auth"\nheaders = ["X-Forwarded-Uri"]', '"x-forwarded-uri" is not taken'),
    "of a body": ('upstream = "auth"\nheaders = ["content-type"]', '"content-type" is not taken'),
    "site": ('upstream = "auth"\ncopy = ["host"]', '"host" is not taken'),
    "another word": ('upstream = "auth"\nheaders = "every"', 'write a list, or "all"'),
    "word in a list": ('upstream = "auth"\nheaders = [":all"]', ":all"),
    "all, and open": ('upstream = "auth"\nheaders = "all"\nfail_open = true', "name the `headers`"),
    "no prefix": ('upstream = "auth"\ncopy_prefix = "remote"', "with a hyphen at its end"),
    "all of ours": ('upstream = "auth"\ncopy_prefix = "x-"', 'would remove "x-forwarded-for"'),
    "many names": (
        f'upstream = "auth"\ncopy = {_names(65, 3)}',
        "65 names are too many; write up to 64",
    ),
    "many cookies": (f'upstream = "auth"\ncookies = {_names(65, 3)}', "65 names are too many"),
    "many headers": (f'upstream = "auth"\nheaders = {_names(65, 3)}', "65 names are too many"),
    "many of answers": (f'upstream = "auth"\nanswer_headers = {_names(65, 3)}', "65 names are too"),
    "long name": (f'upstream = "auth"\ncopy = {_names(1, 257)}', "write up to 256 characters"),
    "nobody": ('upstream = "auth"\nin_flight = 0', "in_flight"),
}


@pytest.mark.parametrize(("middleware", "said"), WRONG.values(), ids=WRONG)
def test_mistakes_are_named_with_their_place(middleware: str, said: str) -> None:
    loaded = compiled(middleware)
    text = "\n".join(str(one) for one in loaded.diagnostics)
    assert loaded.plan is None, text
    assert said in text
    assert "c.toml:" in text


@pytest.mark.parametrize("key", ["headers", "cookies", "copy", "answer_headers"])
def test_as_many_names_as_fit_are_taken(key: str) -> None:
    loaded = compiled(f'upstream = "auth"\n{key} = {_names(64, 64 if key == "cookies" else 256)}')
    assert loaded.plan is not None, loaded.diagnostics


def test_all_headers_are_a_word_and_no_list() -> None:
    loaded = compiled('upstream = "auth"\nheaders = "all"\ncookies = ["session"]')
    assert loaded.plan is not None, loaded.diagnostics
    (text,) = (
        found
        for one in loaded.plan.objects.values()
        if b'"forward_auth"' in (found := one.canonical)
    )
    assert b'"headers":"all"' in text
    assert b'"cookies":["session"]' in text


def test_the_upstream_of_an_inline_middleware_is_named_with_its_place() -> None:
    route = ROUTE.replace('"m"', '{ forward_auth = { upstream = "auht" } }')
    (only,) = compiled('upstream = "auth"', route).diagnostics
    assert "routes.r.middlewares[0].forward_auth.upstream" in str(only)


@pytest.mark.parametrize("inline", [False, True])
def test_an_upstream_that_a_middleware_asks_is_used(inline: bool) -> None:
    route = ROUTE.replace('"m"', '{ forward_auth = { upstream = "auth" } }') if inline else ROUTE
    loaded = compiled('upstream = "auth"', route)
    assert loaded.plan is not None, loaded.diagnostics
    assert lints(loaded) == ()


@pytest.mark.parametrize("of_host", [False, True])
def test_the_path_that_is_judged_is_the_one_that_is_forwarded(of_host: bool) -> None:
    more, host = ("", '[hosts."a.example"]\nmiddlewares = ["m"]\n') if of_host else ('"m"', "")
    route = (
        f'{host}[routes.r]\nhosts = ["a.example"]\nmiddlewares = [{more}]\n'
        'upstream = "auth"\nforward_path = "raw"\n'
    )
    (only,) = compiled('upstream = "auth"', route).diagnostics
    assert "routes.r.forward_path: a middleware judges the normalised path" in str(only)
