"""The release of an import has the original's directives without what nginx warns of."""

import pytest
from nginx_trees import tree_of_http

from headgate.engines.nginx.imports.released import Frame, released
from headgate.nginxtext.tree import Directive, walk

FRAME = Frame("/p", "/r", "/r/pid", "/r/error.log", None, (), ())


def _servers(inside: str, **others: str) -> list[Directive]:
    """The servers of a release of a config with this inside `http`."""
    nodes = released(tree_of_http(inside, **others), FRAME).nodes
    (http,) = [one for one in nodes if isinstance(one, Directive) and one.name == b"http"]
    return [one for one in http.directives() if one.name == b"server"]


def _names(*servers: str) -> list[list[str]]:
    """The names that servers keep, of those written here."""
    found = _servers("\n".join(f"server {{ server_name {names}; }}" for names in servers))
    return [[word.decode() for one in each.directives() for word in one.values] for each in found]


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


@pytest.mark.parametrize(
    ("names", "told"), [("a b", "a"), ("A", "a"), (".a b", "a"), ("b a", "$server_name")]
)
def test_the_first_name_is_still_the_one_of_its_server(names: str, told: str) -> None:
    lines = (
        "return 301 https://$server_name$uri; set $server_named x;"
        ' location / { add_header A "${server_name}:$server_named"; include p; }'
    )
    text = f"server {{ server_name a; }} server {{ server_name {names}; {lines} }}"
    (_, server) = _servers(text, p="fastcgi_param SERVER_NAME $server_name;")
    words = [one.values for one in walk(server.children or ())]
    assert (b"301", f"https://{told}$uri".encode()) in words
    assert (b"$server_named", b"x") in words
    kept = told.replace("$server_name", "${server_name}")
    assert (b"A", f"{kept}:$server_named".encode()) in words
    assert (b"SERVER_NAME", told.encode()) in words


@pytest.mark.parametrize(
    ("http", "server"),
    [
        ("log_format x $server_name;", "server_name a b;"),
        ("map ${server_name} $y { default 1; }", "server_name a b;"),
        ("server_name_in_redirect on;", "server_name a b;"),
        ("", "server_name a b; server_name_in_redirect on;"),
        ("", "server_name a b; location / { content_by_lua_block { ngx.var.server_name } }"),
        ("server { server_name _$x; }", "server_name _$x b; return 200 $server_name;"),
    ],
)
def test_a_first_name_that_cannot_be_written_out_is_noted(http: str, server: str) -> None:
    first = f"{http} server {{ server_name a; return 200 $server_name; }}"
    assert released(tree_of_http(first), FRAME).notes == ()
    (note,) = released(tree_of_http(f"{first} server {{ {server} }}"), FRAME).notes
    assert "`$server_name`" in note
