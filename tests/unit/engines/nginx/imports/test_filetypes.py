"""An answer of `return` has the type that nginx gives its path, or a note names the difference."""

import pytest
from nginx_trees import tree_of_http

from headgate.engines.nginx.imports import filetypes, proof
from headgate.engines.nginx.imports.imported import Imported
from headgate.engines.nginx.imports.objects import table_in
from headgate.engines.nginx.imports.recognise import import_tree
from headgate.engines.nginx.imports.rerender import rerender
from headgate.nginxtext.dump import DumpedFiles
from headgate.nginxtext.includes import load

TYPES = "types { text/css css; application/json json map; } default_type text/x-d;"


def _imported(inside: str, **files: str) -> Imported:
    tree = tree_of_http(inside, **files)
    one = import_tree(tree)
    again = import_tree(load(tree.entry, DumpedFiles(rerender(one))))
    assert proof.same_model(one, again)
    return one


def _content_type(one: Imported) -> object:
    tables = [item.table for item in one.objects if item.section == "routes"]
    (route,) = [table for table in tables if "respond" in table]
    return table_in(table_in(route, "respond"), "headers")["content-type"]


@pytest.mark.parametrize(
    ("around", "path", "expected"),
    [
        ("", "/x.html", "text/html"),
        ("", "/x.HTML", "text/html"),
        ("", "/x.css", "text/plain"),
        ("default_type a/b;", "/x.jpg", "image/jpeg"),
        (TYPES, "/x.html", "text/x-d"),
        (TYPES, "/x.json", "application/json"),
        (TYPES, "/x.tar.MAP", "application/json"),
        (TYPES, "/.css", "text/x-d"),
        (TYPES, "/.a.css", "text/css"),
        (TYPES, "/x.css/y", "text/x-d"),
        (TYPES, "/css", "text/x-d"),
        ("types { }", "/x.html", "text/plain"),
    ],
)
def test_a_path_has_the_type_of_its_extension(around: str, path: str, expected: str) -> None:
    one = _imported(f"{around} server {{ location = {path} {{ return 200 hi; }} }}")
    assert _content_type(one) == expected
    assert one.notes == ()


@pytest.mark.parametrize(
    ("inside", "differs"),
    [
        ("server { location / { return 200 hi; } }", True),
        (f"{TYPES} server {{ location /a/ {{ return 200 hi; }} }}", True),
        ("server { return 200 hi; }", True),
        ("types { } server { location / { return 200 hi; } }", False),
        ("types { } server { return 200 hi; }", False),
        ("server { return 302 https://a.example/; }", False),
    ],
)
def test_where_the_path_may_have_any_extension_the_difference_is_named(
    inside: str, differs: bool
) -> None:
    assert any("`types`" in note.message for note in _imported(inside).notes) is differs


def test_types_in_a_file_are_not_guessed() -> None:
    inside = "types { include more; } server { location = /a { return 200 hi; } }"
    one = _imported(inside, more="text/css css;")
    assert "`types` includes a file" in [fate.why for fate in one.fates]


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/a/..css", b""), ("/...css", b""), ("/....css", b"css"), ("/a.", b""), ("/a.b.C", b"c")],
)
def test_the_first_dots_of_a_segment_begin_no_extension(path: str, expected: bytes) -> None:
    assert filetypes.extension(path) == expected
