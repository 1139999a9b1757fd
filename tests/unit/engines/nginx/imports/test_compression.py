"""`gzip` and its settings become `compress`, and come back."""

from pathlib import PurePath

import pytest
from memory_files import MemoryFiles
from nginx_trees import tree_of_http

from headgate.compile.load import load as compiled
from headgate.engines.nginx.imports import proof
from headgate.engines.nginx.imports.bundle import from_files, to_files
from headgate.engines.nginx.imports.headers import middleware
from headgate.engines.nginx.imports.imported import Imported
from headgate.engines.nginx.imports.objects import Table, to_toml
from headgate.engines.nginx.imports.recognise import import_tree
from headgate.engines.nginx.imports.rerender import rerender
from headgate.nginxtext.dump import DumpedFiles
from headgate.nginxtext.includes import load

PLAIN: Table = {
    "algorithms": ["gzip"],
    "types": ["text/html"],
    "min_size": "20B",
    "gzip_level": 1,
}


def imported(around: str, location: str = "") -> Imported:
    """The import of a server with these lines around and in its location, proved."""
    tree = tree_of_http(
        f"{around} server {{ location / {{ proxy_pass http://10.0.0.1; {location} }} }}"
    )
    one = from_files(to_files(import_tree(tree)))
    assert proof.lost(tree, one) == ()
    assert proof.same_model(one, import_tree(load(tree.entry, DumpedFiles(rerender(one)))))
    loaded = compiled([PurePath("a.toml")], MemoryFiles({"a.toml": to_toml(one.objects)}), {})
    assert loaded.errors == ()
    return one


def compressed(one: Imported) -> Table:
    """The middleware of the one route."""
    (route,) = [item.table for item in one.objects if item.section == "routes"]
    return middleware(route, "compress")


def notes(one: Imported) -> str:
    return "\n".join(note.message for note in one.notes)


def test_settings_of_every_level_become_one_middleware() -> None:
    one = imported(
        "gzip on; gzip_types text/plain Application/JSON text/html; gzip_comp_level 5;",
        "gzip_min_length 1k; gzip_vary on; gzip_proxied any;",
    )
    types = ["text/html", "text/plain", "application/json"]
    table = {**PLAIN, "types": types, "min_size": "1KiB", "gzip_level": 5}
    assert compressed(one) == table
    assert b"gzip_min_length" not in one.verbatim["/etc/nginx/nginx.conf"].partition(b"server")[2]
    assert "answers of every status" in notes(one)
    assert "gzip_vary" not in notes(one)


def test_what_nginx_does_without_settings_is_said() -> None:
    one = imported("", "gzip on; gzip_disable msie6; gzip_http_version 1.0;")
    assert compressed(one) == PLAIN
    for word in ("`gzip_vary`", "`gzip_proxied`", "`gzip_http_version`", "`gzip_disable`"):
        assert word in notes(one)


@pytest.mark.parametrize(
    ("around", "location"),
    [
        ("gzip on;", "gzip off;"),
        ("gzip on; gzip_types *;", ""),
        ("gzip on;", "gzip_comp_level 12;"),
        ("gzip_types text/plain;", ""),
    ],
)
def test_what_is_off_or_has_no_counterpart_stays_in_the_text(around: str, location: str) -> None:
    one = imported(around, location)
    assert compressed(one) == {}
    assert "compression stays in the kept text" in notes(one)
    assert location.encode() in one.verbatim["/etc/nginx/nginx.conf"]
