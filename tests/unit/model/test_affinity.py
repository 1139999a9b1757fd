"""`affinity`: what it becomes in the plan, and what is refused with its place."""

import pytest
from one_upstream import loaded, upstream

from headgate.plan.objects import Affinity


def test_it_is_off_unless_it_is_written() -> None:
    assert upstream("").affinity is None
    assert upstream('affinity = { cookie = "at" }').affinity == Affinity("at")


def test_every_key_reaches_the_plan() -> None:
    made = upstream(
        'affinity = { cookie = "at", ttl = "2m", path = "/a", same_site = "none", '
        'secure = "always", http_only = false }'
    )
    assert made.affinity == Affinity("at", 120, "/a", "none", secure=True, http_only=False)


@pytest.mark.parametrize(
    ("written", "path", "wrong"),
    [
        ("{}", "", 'the key "cookie" is missing'),
        ('{ cookie = "a b" }', ".cookie", "is not the name of a cookie; write up to 64 letters"),
        ('{ cookie = "a", path = "x" }', ".path", "is not the path of a cookie; write a path"),
        ('{ cookie = "a", path = "/; Domain=b" }', ".path", "is not the path of a cookie"),
        ('{ cookie = "a", ttl = "1500ms" }', ".ttl", "is not in whole seconds"),
        ('{ cookie = "a", same_site = "no" }', ".same_site", ""),
        (
            '{ cookie = "a", same_site = "none", secure = "never" }',
            ".secure",
            'write secure = "always"',
        ),
    ],
)
def test_a_wrong_cookie_is_one_error_at_its_place(written: str, path: str, wrong: str) -> None:
    (error,) = loaded(f"affinity = {written}").errors
    assert f"upstreams.u.affinity{path}: " in str(error)
    assert wrong in str(error)
