"""`limit_rate` becomes `bandwidth`, and comes back."""

from collections.abc import Mapping

import pytest
from nginx_trees import tree_of_http

from headgate.engines.nginx.imports import proof
from headgate.engines.nginx.imports.bundle import from_files, to_files
from headgate.engines.nginx.imports.imported import Imported
from headgate.engines.nginx.imports.objects import Toml, items_in
from headgate.engines.nginx.imports.recognise import import_tree
from headgate.engines.nginx.imports.rerender import rerender
from headgate.nginxtext.dump import DumpedFiles
from headgate.nginxtext.includes import load


def imported(around: str, location: str = "") -> Imported:
    """The import of a server with this around and in its location, proved."""
    tree = tree_of_http(
        f"server {{ {around} location / {{ proxy_pass http://10.0.0.1; {location} }} }}"
    )
    one = from_files(to_files(import_tree(tree)))
    assert proof.lost(tree, one) == ()
    assert proof.same_model(one, import_tree(load(tree.entry, DumpedFiles(rerender(one)))))
    return one


def paces(one: Imported) -> list[list[Toml]]:
    """The `bandwidth` of every route that forwards."""
    routes = [item.table for item in one.objects if item.section == "routes"]
    chains = [items_in(table, "middlewares") for table in routes if "upstream" in table]
    return [
        [step["bandwidth"] for step in chain if isinstance(step, Mapping) and "bandwidth" in step]
        for chain in chains
    ]


@pytest.mark.parametrize(
    ("lines", "table"),
    [
        ("limit_rate 500k;", {"download": "500KiB/s", "burst": "500KiB"}),
        ("limit_rate 1m; limit_rate_after 3m;", {"download": "1MiB/s", "burst": "4MiB"}),
        ("limit_rate 2m; limit_rate_after 0;", {"download": "2MiB/s", "burst": "2MiB"}),
        ("limit_rate 1000;", {"download": "1000B/s", "burst": "1000B"}),
    ],
)
def test_a_rate_of_a_server_or_a_location_is_that_of_its_route(
    lines: str, table: dict[str, str]
) -> None:
    for one in (imported(lines), imported("", lines), imported("limit_rate 7k;", lines)):
        assert paces(one) == [[table]]


def test_a_location_may_have_none() -> None:
    assert paces(imported("limit_rate 1m;", "limit_rate 0;")) == [[]]
    assert paces(imported("", "limit_rate_after 1m;")) == [[]]


@pytest.mark.parametrize("line", ["limit_rate $rate;", "limit_rate 10;", "limit_rate 1000g;"])
def test_what_has_no_counterpart_stays_in_the_kept_text(line: str) -> None:
    assert paces(imported(line)) == []


def test_without_buffers_nginx_heeds_no_rate() -> None:
    assert paces(imported("limit_rate 1m;", "proxy_buffering off;")) == [[]]


def test_a_location_may_have_another_burst_than_its_server() -> None:
    one = imported("limit_rate 1m; limit_rate_after 5m;", "limit_rate_after 0;")
    assert paces(one) == [[{"download": "1MiB/s", "burst": "1MiB"}]]
