"""Thousands of mistakes of one kind, as programs make them: their work grows with their number."""

from collections.abc import Callable
from pathlib import PurePath

from memory_files import MemoryFiles
from quarantining import Provider, Resources
from work import faster_than

from headgate.compile.load import load

SUGGESTED = 50
LISTENER = {"address": "127.0.0.1:8000", "default": True}


def unknown(count: int) -> str:
    """A config whose routes name upstreams that are called otherwise."""
    routes = "".join(
        f'[routes.r{n}]\nhosts = ["h{n}.example"]\nupstream = "{name}s"\n'
        f'[upstreams.{name}]\nendpoints = ["127.0.0.1:9000"]\n'
        for n, name in enumerate(map(word, range(count)))
    )
    return '[listeners.web]\naddress = "127.0.0.1:8000"\ndefault = true\n' + routes


def word(number: int) -> str:
    """A name that differs from others in more than its number."""
    return "".join(chr(97 + int(digit)) * 3 for digit in f"{number:04}")


def test_the_first_unknown_names_get_a_suggestion() -> None:
    files = MemoryFiles({"c.toml": unknown(SUGGESTED + 10)})
    found = load([PurePath("c.toml")], files, {}).errors
    assert [one.allowed for one in found] == [
        f'write "{word(n)}", or define [upstreams.{word(n)}s]'
        if n < SUGGESTED
        else f"define [upstreams.{word(n)}s]"
        for n in range(SUGGESTED + 10)
    ]


def test_one_unknown_name_gets_one_suggestion_however_often_it_stands() -> None:
    text = unknown(1) + "".join(
        f'[routes.s{n}]\nhosts = ["s{n}.example"]\nupstream = "{word(0)}s"\n'
        for n in range(SUGGESTED + 10)
    )
    found = load([PurePath("c.toml")], MemoryFiles({"c.toml": text}), {}).errors
    assert len(found) == SUGGESTED + 11
    assert {one.allowed for one in found} == {
        f'write "{word(0)}", or define [upstreams.{word(0)}s]'
    }


def test_many_unknown_names_are_no_more_work_each() -> None:
    def loading(count: int) -> Callable[[], object]:
        files = MemoryFiles({"c.toml": unknown(count)})
        return lambda: load([PurePath("c.toml")], files, {})

    assert faster_than(loading, SUGGESTED + 10) == []


def at_one_name(count: int, *, is_broken: bool) -> Resources:
    """Routes of one name, with a middleware that is there or not."""
    used = {"middlewares": ["gone"]} if is_broken else {}
    routes = {
        ("routes", f"r{n}"): {
            "hosts": ["a.example"],
            "match": [{"path": {"prefix": f"/{word(n)}"}}],
            "upstream": "app",
            **used,
        }
        for n in range(count)
    }
    upstream = {("upstreams", "app"): {"endpoints": ["127.0.0.1:9000"]}}
    return {("listeners", "web"): LISTENER, **upstream, **routes}


def test_many_quarantined_routes_of_one_name_are_no_more_work_each() -> None:
    def isolating(count: int) -> Callable[[], object]:
        provider = Provider()
        provider.load(at_one_name(count, is_broken=False))
        broken = at_one_name(count, is_broken=True)
        return lambda: provider.load(broken)

    assert faster_than(isolating) == []
