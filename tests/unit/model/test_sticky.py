"""`sticky` of a route: what it becomes in the plan, and what is refused with its place."""

from pathlib import PurePath

import pytest
from memory_files import MemoryFiles

from headgate.compile.load import load
from headgate.compile.loaded import Loaded
from headgate.kernel.ids import ObjectName
from headgate.plan.kinds import ObjectKey
from headgate.plan.objects import Affinity, Route, Sticky

KEY = "k" * 32
BASE = """
[listeners.web]
address = "127.0.0.1:8000"
default = true
[upstreams.u]
endpoints = ["127.0.0.1:1"]
[routes.all]
"""
SPLIT = 'split = [{ upstream = "u" }]\n'


def loaded(rest: str, key: str = KEY + "\n") -> Loaded:
    files = {"a.toml": BASE + rest, "k.key": key}
    return load([PurePath("a.toml")], MemoryFiles(files), {"K": KEY, "SHORT": "short"})


def sticky(rest: str) -> Sticky | None:
    found = loaded(SPLIT + rest)
    assert found.plan is not None, [str(one) for one in found.errors]
    value = found.plan.objects[ObjectKey("route", ObjectName("all"))].value
    assert isinstance(value, Route)
    return value.sticky


def test_it_is_off_unless_it_is_written() -> None:
    assert sticky("") is None


def test_every_key_reaches_the_plan() -> None:
    assert sticky('sticky = { by = "client_ip" }') == Sticky(by=("client_ip",))
    many = 'sticky = { by = ["header:X-User", "client_ip"] }'
    assert sticky(many) == Sticky(by=("header:x-user", "client_ip"))
    whole = (
        'sticky = { cookie = "b", ttl = "2m", path = "/a", same_site = "none", '
        'secure = "always", http_only = false, keys = [{ file = "k.key" }, "${env:K}"] }'
    )
    made = Affinity("b", 120, "/a", "none", secure=True, http_only=False, keys=(KEY, KEY))
    assert sticky(whole) == Sticky(cookie=made)


def test_nothing_shows_a_key() -> None:
    found = loaded(SPLIT + 'sticky = { cookie = "b", keys = [{ file = "k.key" }] }')
    assert KEY in found.secrets


@pytest.mark.parametrize(
    ("written", "path", "wrong"),
    [
        ("{}", "", "it does not say what keeps a client at its branch; write exactly one of"),
        ('{ cookie = "b" }', "", "nobody signs the cookie"),
        ('{ cookie = "b", keys = [] }', ".keys", "nobody signs the cookie"),
        (f'{{ cookie = "b", keys = ["{KEY}"] }}', ".keys[0]", "this file is no place for"),
        ('{ cookie = "b", keys = [7] }', ".keys[0]", "is no key"),
        ('{ cookie = "b", keys = ["${env:SHORT}"] }', ".keys[0]", "make one with `openssl rand"),
        ('{ by = "ip" }', ".by[0]", '"ip" is not a hash key'),
        ("{ by = [] }", ".by", ""),
        ('{ by = "path", ttl = "1h" }', ".ttl", "there is no cookie that it is of"),
        ('{ by = "path", cookie = "b" }', "", "write exactly one of `cookie` and `by`"),
        (
            '{ cookie = "b", ttl = "1500ms", keys = [{ file = "k.key" }] }',
            ".ttl",
            "is not in whole seconds",
        ),
    ],
)
def test_what_is_wrong_is_one_error_at_its_place(written: str, path: str, wrong: str) -> None:
    (error,) = loaded(SPLIT + f"sticky = {written}").errors
    assert f"routes.all.sticky{path}: " in str(error)
    assert wrong in str(error)
    assert "a.toml:" in str(error)


def test_a_key_that_is_too_short_is_refused_without_showing_it() -> None:
    (error,) = loaded(
        SPLIT + 'sticky = { cookie = "b", keys = [{ file = "k.key" }] }', "abc"
    ).errors
    assert 'the text of "k.key" is no key' in str(error)
    assert "abc" not in str(error)


def test_a_route_without_a_split_has_no_branches() -> None:
    (error,) = loaded('upstream = "u"\nsticky = { by = "path" }').errors
    assert "routes.all.sticky: the route has no split" in str(error)
