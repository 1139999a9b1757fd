"""`mirror` becomes that of a route where the copy is the request, and stays verbatim elsewhere."""

from pathlib import PurePath

import pytest
from memory_files import MemoryFiles
from nginx_trees import tree_of_http

from headgate.compile.load import load as compiled
from headgate.engines.nginx.imports import proof
from headgate.engines.nginx.imports.bundle import from_files, to_files
from headgate.engines.nginx.imports.imported import Imported
from headgate.engines.nginx.imports.objects import Table, to_toml
from headgate.engines.nginx.imports.recognise import import_tree
from headgate.engines.nginx.imports.rerender import rerender
from headgate.nginxtext.dump import DumpedFiles
from headgate.nginxtext.includes import load

POOLS = "upstream live { server 10.0.0.1; } upstream shadow { server 10.0.0.9; }"
HOST = "proxy_set_header Host $host;"
COPY = "internal; proxy_pass http://shadow$request_uri; proxy_read_timeout 5s;"
ROUTE = "mirror /copy; proxy_pass http://live;"


def imported(route: str = ROUTE, copy: str = COPY, around: str = HOST) -> Imported:
    """The import of a server, proved."""
    text = f"{around} location = /copy {{ {copy} }} location / {{ {route} }}"
    tree = tree_of_http(f"{POOLS} server {{ {text} }}")
    one = from_files(to_files(import_tree(tree)))
    assert proof.lost(tree, one) == ()
    assert proof.same_model(one, import_tree(load(tree.entry, DumpedFiles(rerender(one)))))
    return one


def routes(one: Imported) -> dict[str, Table]:
    """The routes that forward, by their names."""
    return {
        item.name: item.table
        for item in one.objects
        if item.section == "routes" and "upstream" in item.table
    }


def test_a_route_mirrors_what_nginx_mirrors() -> None:
    one = imported()
    (route,) = routes(one).values()
    assert route["mirror"] == {"upstream": "shadow", "max_body": "1MiB", "timeout": "5s"}
    assert [fate.why for fate in one.fates if fate.why] == []
    assert any("X-Headgate-Mirror" in note.message for note in one.notes)
    loaded = compiled([PurePath("a.toml")], MemoryFiles({"a.toml": to_toml(one.objects)}), {})
    assert loaded.errors == ()


def test_a_mirror_of_the_server_may_be_off() -> None:
    one = imported("mirror off; proxy_pass http://live;", around=f"{HOST} mirror /copy;")
    (route,) = routes(one).values()
    assert "mirror" not in route
    (route,) = routes(imported("proxy_pass http://live;", around=f"{HOST} mirror /copy;")).values()
    assert "mirror" in route


def test_several_become_a_list() -> None:
    second = f"{HOST} location = /b {{ {COPY.replace('shadow', '10.0.0.8')} }}"
    one = imported(f"mirror /b; {ROUTE}", around=second)
    (route,) = routes(one).values()
    keys = {"max_body": "1MiB", "timeout": "5s"}
    assert route["mirror"] == [{"upstream": "10.0.0.8"} | keys, {"upstream": "shadow"} | keys]
    assert [fate.why for fate in one.fates if fate.why] == []
    loaded = compiled([PurePath("a.toml")], MemoryFiles({"a.toml": to_toml(one.objects)}), {})
    assert loaded.errors == ()


SAME = f"{HOST} location = /b {{ {COPY} }}"
MANY = " ".join(f"mirror /{n};" for n in range(5))


@pytest.mark.parametrize(
    ("route", "copy", "around", "why"),
    [
        (ROUTE.replace("/copy", "/else"), COPY, HOST, "leads to no location of that path"),
        (f"mirror /b; {ROUTE}", COPY, HOST, "`mirror /b` leads to no location of that path"),
        (f"mirror /b; {ROUTE}", COPY, SAME, "an upstream gets one copy of a request"),
        (f"{MANY} proxy_pass http://live;", COPY, HOST, "a route has up to 4 mirrors"),
        (f"{ROUTE} mirror_request_body off;", COPY, HOST, "copies have their body here"),
        (ROUTE, COPY.replace("$request_uri", ""), HOST, "is not `http://NAME$request_uri`"),
        (ROUTE, COPY.replace("$request_uri", "/x$request_uri"), HOST, "is not `http://NAME"),
        (ROUTE, COPY.replace("$request_uri", "$uri"), HOST, "is not `http://NAME"),
        (ROUTE, "internal;", HOST, "is not `http://NAME"),
        (ROUTE, f"{COPY} proxy_set_header X-A b; {HOST}", HOST, "another head than the copy"),
        (ROUTE, f"{COPY} if ($arg_a) {{ return 204; }}", HOST, "`if` there has no counterpart"),
        (ROUTE, f"{COPY} proxy_method GET;", HOST, "`proxy_method` there has no counterpart"),
        (ROUTE, f"{COPY} set $a b;", HOST, "`set` there has no counterpart"),
        (ROUTE, COPY, "", "a `Host` of its own"),
        (ROUTE.replace("live;", "live/x/;"), COPY, HOST, "another target than the copy"),
        (ROUTE, COPY.replace("shadow", "live"), HOST, "leads to the upstream that answers"),
        (f"{ROUTE} client_max_body_size 2m;", COPY, HOST, "bodies above 1MiB are copied"),
        (f"{ROUTE} client_max_body_size 0;", COPY, HOST, "bodies above 1MiB are copied"),
        (ROUTE, COPY.replace("5s", "1h"), HOST, "waits longer than 5m"),
    ],
)
def test_what_means_something_else_stays(route: str, copy: str, around: str, why: str) -> None:
    one = imported(route, copy, around)
    assert routes(one) == {}
    assert any(why in fate.why for fate in one.fates), [fate.why for fate in one.fates]
