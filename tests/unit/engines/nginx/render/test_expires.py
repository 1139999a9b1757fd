"""`expires` in nginx's words, and the chains in which nginx would do something else."""

from pathlib import Path, PurePath

import pytest
from memory_files import MemoryFiles
from nginx_engine import NotRenderedError, expressed, target

from headgate.compile.load import load
from headgate.engines.nginx.common.types import Capabilities, Rendered

ACCEPTED = Path(__file__).parents[4] / "golden" / "nginx" / "accepted.txt"
DEBIAN_12 = Capabilities("", "", "", frozenset(ACCEPTED.read_text(encoding="utf-8").split()))
HOUR = '{ expires = { after = "1h" } }'
ADDED = '{ response_headers = { add = { cache-control = "public" } } }'
GONE = '{ response_headers = { remove = ["expires"] } }'
SET = '{ response_headers = { set = { cache-control = "no-store" } } }'
ASKED = '{ forward_auth = { upstream = "u", path = "/" } }'


def rendered(chain: list[str], does: str = 'upstream = "u"') -> Rendered:
    """A release whose one route has this chain."""
    text = (
        '[listeners.web]\naddress = "127.0.0.1:1"\ndefault = true\n'
        f"[routes.r]\nmiddlewares = [{', '.join(chain)}]\n{does}\n"
        '[upstreams.u]\nendpoints = ["127.0.0.1:1"]\n'
    )
    found = load([PurePath("c.toml")], MemoryFiles({"c.toml": text}), {})
    assert found.plan is not None, [str(one) for one in found.errors]
    return expressed(found, target("/state/nginx", DEBIAN_12))


def lines(made: Rendered) -> list[str]:
    """The lines about caches, in their order, but those of faults and of answers of services."""
    text = b"".join(file.content for file in made.files).decode()
    every = (line.strip() for line in text.splitlines())
    begun = ("expires ", "add_header cache-control ", "proxy_hide_header expires")
    return [line for line in every if line.startswith(begun) and "$" not in line]


@pytest.mark.parametrize(
    ("after", "word"),
    [("1h", "3600s"), ("90s", "90s"), ("now", "0s"), ("max", "max"), ("past", "epoch")],
)
def test_a_time_is_a_word_of_nginx(after: str, word: str) -> None:
    for does in ('upstream = "u"', "respond = { status = 200 }"):
        made = rendered([f'{{ expires = {{ after = "{after}" }} }}'], does)
        assert lines(made) == [f"expires {word};"]


def test_what_nginx_does_in_that_order_is_rendered() -> None:
    made = rendered([ADDED, HOUR, GONE])
    assert lines(made) == [
        "proxy_hide_header expires;",
        "expires 3600s;",
        "add_header cache-control public always;",
    ]
    assert lines(rendered([HOUR, '{ expires = { after = "max" } }'])) == ["expires 3600s;"]


@pytest.mark.parametrize(
    "chain",
    [[SET, HOUR], [GONE, HOUR], [HOUR, SET], [HOUR, ADDED], [HOUR, ADDED, HOUR], [HOUR, ASKED]],
    ids=" ".join,
)
def test_what_nginx_would_do_in_another_order_is_refused(chain: list[str]) -> None:
    with pytest.raises(NotRenderedError) as refused:
        rendered(chain)
    assert "expires: nginx " in str(refused.value)


def test_a_service_that_is_asked_before_it_is_not_refused() -> None:
    assert lines(rendered([ASKED, HOUR])) == ["expires 3600s;"]


def test_an_answer_has_the_time_of_what_stands_before_it() -> None:
    redirect = '{ redirect = { scheme = "https" } }'
    assert lines(rendered([HOUR, redirect])) == ["expires 3600s;"] * 2
    assert lines(rendered([redirect, HOUR])) == ["expires 3600s;"]
    assert lines(rendered([HOUR], 'redirect = { scheme = "https" }')) == ["expires 3600s;"]


def test_the_same_header_of_an_own_answer_is_left_to_errors() -> None:
    own = 'respond = {{ status = {}, headers = {{ cache-control = "no-store" }} }}'
    assert lines(rendered([HOUR], own.format(200))) == ["expires 3600s;"]
    assert lines(rendered([HOUR], own.format(404))) == [
        "expires 3600s;",
        "add_header cache-control no-store always;",
    ]
