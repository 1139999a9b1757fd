"""`proxy_next_upstream` becomes `retry` of a route to several endpoints."""

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

TWO = "upstream u { server 10.0.0.1; server 10.0.0.2; }"
EACH = {"percent": 100, "per_second": 1_000_000}


def imported(lines: str, pools: str = TWO, around: str = "") -> Imported:
    """The import of a location that forwards, proved."""
    location = f"location / {{ proxy_pass http://u; {lines} }}"
    tree = tree_of_http(f"{pools} server {{ {around} {location} }}")
    one = from_files(to_files(import_tree(tree)))
    assert proof.lost(tree, one) == ()
    assert proof.same_model(one, import_tree(load(tree.entry, DumpedFiles(rerender(one)))))
    loaded = compiled([PurePath("a.toml")], MemoryFiles({"a.toml": to_toml(one.objects)}), {})
    assert loaded.errors == ()
    return one


def route_of(one: Imported) -> Table:
    """The route that forwards."""
    routes = [item.table for item in one.objects if item.section == "routes"]
    (route,) = [table for table in routes if "upstream" in table or "split" in table]
    return route


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("", {"retries": 1, "on": ["reset", "timeout"]}),
        ("proxy_next_upstream error timeout invalid_header;", {"retries": 1}),
        (
            "proxy_next_upstream error timeout http_503 http_404 http_503; "
            "proxy_next_upstream_tries 2; proxy_next_upstream_timeout 0s;",
            {"on": ["reset", "timeout", "404", "503"]},
        ),
        (
            "proxy_next_upstream error timeout; proxy_next_upstream non_idempotent;",
            {"on": ["reset", "timeout"], "methods": "all"},
        ),
    ],
)
def test_what_nginx_tries_again_is_tried_again(lines: str, expected: Table) -> None:
    one = imported(lines)
    retry = route_of(one)["retry"]
    assert isinstance(retry, dict)
    assert retry["budget"] == EACH
    assert {**retry, **expected} == retry
    assert [fate.why for fate in one.fates if fate.why] == []
    assert any("a wait of up to" in note.message for note in one.notes)


def test_the_nearest_level_counts() -> None:
    around = "proxy_next_upstream off;"
    assert "retry" in route_of(imported("proxy_next_upstream error timeout;", around=around))
    kept = imported("", around=around)
    assert any("goes to the next one here" in fate.why for fate in kept.fates)


@pytest.mark.parametrize(
    "pools",
    [
        "upstream u { server 10.0.0.1; }",
        "upstream u { server app; server 10.0.0.2 down; }",
        "",
    ],
)
def test_a_single_endpoint_is_asked_once_whatever_the_lines_say(pools: str) -> None:
    lines = "proxy_next_upstream off; proxy_next_upstream_tries 1; proxy_next_upstream_timeout 5s;"
    one = imported(lines, pools)
    assert "retry" not in route_of(one)
    assert [fate.why for fate in one.fates if fate.why] == []


def test_a_backup_is_one_more_endpoint() -> None:
    pools = "upstream u { server 10.0.0.1; server 10.0.0.2 weight=3; server 10.0.0.3 backup; }"
    retry = route_of(imported("", pools))["retry"]
    assert isinstance(retry, dict) and retry["retries"] == 2


def test_a_split_has_no_more_retries_than_its_smallest_branch_has_others() -> None:
    pools = (
        "upstream three { server 10.0.0.1; server 10.0.0.2; server 10.0.0.3; } "
        "upstream two { server 10.0.1.1; server 10.0.1.2; } "
        "split_clients $request_id $to { 50% three; * two; }"
    )

    def of(pools: str) -> Table:
        to = "proxy_pass http://$to; proxy_set_header Host $host;"
        one = import_tree(tree_of_http(f"{pools} server {{ location / {{ {to} }} }}"))
        assert any("as the branch with the fewest has" in note.message for note in one.notes)
        return route_of(one)

    retry = of(pools)["retry"]
    assert isinstance(retry, dict) and retry["retries"] == 1
    assert "retry" not in of(pools.replace("server 10.0.1.1; ", ""))


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ("proxy_next_upstream off;", "goes to the next one here"),
        ("proxy_next_upstream error; proxy_next_upstream off;", "goes to the next one here"),
        ("proxy_next_upstream error http_502;", "without `timeout`"),
        ("proxy_next_upstream http_502;", "without `error`"),
        ("proxy_next_upstream_tries 1;", "`proxy_next_upstream_tries 1` counts endpoints"),
        ("proxy_next_upstream_timeout 10s;", "`proxy_next_upstream_timeout` has no counterpart"),
    ],
)
def test_what_means_something_else_stays(lines: str, why: str) -> None:
    one = imported(lines)
    routes = [item.table for item in one.objects if item.section == "routes"]
    assert all("not_imported" in table for table in routes)
    assert any(why in fate.why for fate in one.fates), [fate.why for fate in one.fates]
