"""The release of an import has the original's directives without what nginx warns of."""

import pytest
from nginx_trees import tree_of_http

from headgate.engines.nginx.imports.released import Frame, released
from headgate.nginxtext.tree import Directive

FRAME = Frame("/p", "/r", "/r/pid", "/r/error.log", None, (), ())


def _names(*servers: str) -> list[list[str]]:
    """The names that servers keep, of those written here."""
    text = "\n".join(f"server {{ server_name {names}; }}" for names in servers)
    nodes = [one for one in released(tree_of_http(text), FRAME) if isinstance(one, Directive)]
    (http,) = [one for one in nodes if one.name == b"http"]
    return [
        [word.decode() for one in server.directives() for word in one.values]
        for server in http.directives()
        if server.name == b"server"
    ]


@pytest.mark.parametrize(
    ("servers", "kept"),
    [
        (["a", "b a"], [["a"], ["b"]]),
        (["a", "b .a"], [["a"], ["b"]]),
        (["*.a", "b .A"], [["*.a"], ["b"]]),
        (["*.a", "b .a", "c a"], [["*.a"], ["b"], ["c"]]),
        ([".a", "b a *.a"], [[".a"], ["b"]]),
        (["a .a"], [["a"]]),
        (["a b A"], [["a", "b"]]),
        (["a", "a", "a"], [["a"], ["taken-1.invalid"], ["taken-2.invalid"]]),
        (["a", "b .a", "*.a"], [["a"], ["b"], ["*.a"]]),
    ],
)
def test_names_that_nginx_ignores_are_left_out(servers: list[str], kept: list[list[str]]) -> None:
    assert _names(*servers) == kept
