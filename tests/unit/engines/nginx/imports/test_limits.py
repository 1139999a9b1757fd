"""`limit_req` and `limit_conn` become middlewares that routes share, and come back."""

from collections.abc import Mapping
from pathlib import PurePath

import pytest
from memory_files import MemoryFiles
from nginx_trees import tree_of_http

from headgate.compile.load import load as compiled
from headgate.engines.nginx.imports import proof
from headgate.engines.nginx.imports.bundle import from_files, to_files
from headgate.engines.nginx.imports.imported import Imported
from headgate.engines.nginx.imports.objects import Table, items_in, to_toml
from headgate.engines.nginx.imports.recognise import import_tree
from headgate.engines.nginx.imports.rerender import rerender
from headgate.nginxtext.dump import DumpedFiles
from headgate.nginxtext.includes import load

ZONES = (
    "limit_req_zone $binary_remote_addr zone=r:10m rate=20r/s;\nlimit_conn_zone $host zone=c:64k;\n"
)


def imported(around: str, location: str, zones: str = ZONES) -> Imported:
    """The import of a server with this around and in its location, proved."""
    inside = (
        f"{zones} server {{ {around} location / {{ proxy_pass http://10.0.0.1; {location} }} }}"
    )
    tree = tree_of_http(inside)
    one = from_files(to_files(import_tree(tree)))
    assert proof.lost(tree, one) == ()
    assert proof.same_model(one, import_tree(load(tree.entry, DumpedFiles(rerender(one)))))
    return one


def limits(one: Imported) -> dict[str, Table]:
    return {item.name: item.table for item in one.objects if item.section == "middlewares"}


def names(one: Imported) -> list[object]:
    """The named middlewares of the one route that forwards."""
    (route,) = [
        item.table for item in one.objects if item.section == "routes" and "upstream" in item.table
    ]
    return [name for name in items_in(route, "middlewares") if isinstance(name, str)]


def test_limits_of_a_server_are_those_of_its_locations() -> None:
    one = imported("limit_req zone=r burst=40 nodelay; limit_req_status 429;", "limit_conn c 3;")
    clients = {"key": "client_ip", "ipv6_prefix": 128, "max_keys": 81_920, "rate": "20/s"}
    assert limits(one) == {
        "r-41-429": {"rate_limit": {**clients, "burst": 41, "status": 429}},
        "c-3": {
            "concurrency_limit": {"key": "host", "max_keys": 512, "requests": 3, "status": 503}
        },
    }
    assert names(one) == ["r-41-429", "c-3"]
    assert not [fate.why for fate in one.fates if fate.why]
    loaded = compiled([PurePath("a.toml")], MemoryFiles({"a.toml": to_toml(one.objects)}), {})
    assert loaded.errors == ()


def test_a_location_s_own_limits_hide_those_around_it_and_may_be_tried_out_only() -> None:
    one = imported("limit_req zone=r burst=40 nodelay;", "limit_req zone=r; limit_req_dry_run on;")
    assert names(one) == ["r-1-dry-run"]
    (table,) = limits(one).values()
    assert table["rate_limit"] == {
        "key": "client_ip",
        "ipv6_prefix": 128,
        "max_keys": 81_920,
        "rate": "20/s",
        "burst": 1,
        "status": 503,
        "dry_run": True,
    }


@pytest.mark.parametrize(
    ("words", "name", "delayed"),
    [
        ("burst=5", "r-6-1", {"burst": 6, "delay_above": 1}),
        ("burst=5 delay=2", "r-6-3", {"burst": 6, "delay_above": 3}),
        ("delay=4 burst=5", "r-6-5", {"burst": 6, "delay_above": 5}),
        ("burst=5 delay=5", "r-6", {"burst": 6}),
        ("burst=5 nodelay", "r-6", {"burst": 6}),
        ("delay=2", "r-1", {"burst": 1}),
    ],
)
def test_requests_of_a_burst_wait_as_in_nginx(
    words: str, name: str, delayed: dict[str, int]
) -> None:
    one = imported("", f"limit_req zone=r {words};")
    assert names(one) == [name]
    table = limits(one)[name]["rate_limit"]
    assert isinstance(table, Mapping)
    assert {key: table[key] for key in ("burst", "delay_above") if key in table} == delayed


@pytest.mark.parametrize(
    ("zones", "location", "why"),
    [
        (ZONES, "limit_req zone=r burst=6001;", "wait for more than 5m"),
        (ZONES, "limit_req zone=r burst=5 delay=x;", "is no number"),
        (ZONES, "limit_req zone=x;", "no line around it declares"),
        (ZONES, "limit_conn r 3;", "no line around it declares"),
        (ZONES, "limit_conn c $x;", "is no number"),
        (
            "limit_req_zone $http_x_api_key zone=r:1m rate=1r/s;",
            "limit_req zone=r;",
            "no counterpart counts by that",
        ),
    ],
)
def test_what_has_no_counterpart_keeps_the_location(zones: str, location: str, why: str) -> None:
    one = imported("", location, zones)
    assert limits(one) == {}
    assert any(why in fate.why for fate in one.fates)


TWO = "limit_req_zone $host zone=r-6:64k rate=1r/s;"
API = "location /api {{ proxy_pass http://10.0.0.1; {} }}"
APART = "it is used in several ways, all of which nginx counts together"


@pytest.mark.parametrize(
    ("around", "location"),
    [
        (API.format("limit_req zone=r burst=2 nodelay;"), "limit_req zone=r burst=20 nodelay;"),
        (API.format("limit_req zone=r; limit_req_status 429;"), "limit_req zone=r;"),
        ("limit_req zone=r;" + API.format("limit_req_status 429;"), ""),
        (API.format("limit_req zone=r; limit_req_dry_run on;"), "limit_req zone=r;"),
        (API.format("limit_conn c 4;"), "limit_conn c 3;"),
        (API.format("limit_conn c 4; limit_req zone=r;"), "limit_conn c 3; limit_req zone=r;"),
        # Places that have no counterpart charge the zone as well.
        ("location /api { root /srv; limit_conn c 4; }", "limit_conn c 3;"),
        ("location /a { root /a; location /a/b { limit_conn c 4; } }", "limit_conn c 3;"),
        (f"listen 81; }} server {{ {API.format('limit_conn c 4;')}", "limit_conn c 3;"),
    ],
)
def test_a_zone_that_is_used_in_several_ways_keeps_the_locations(
    around: str, location: str
) -> None:
    """nginx charges one count for all of them; a middleware for each would let through more."""
    one = imported(around, location)
    assert limits(one) == {}
    whys = [fate.why for fate in one.fates if fate.name == "location"]
    forwarded = (f"{around} proxy_pass {location}").count("proxy_pass")
    assert sum(APART in why for why in whys) == forwarded
    tables = [item.table for item in one.objects if item.section == "routes"]
    assert not any("upstream" in table for table in tables)
    assert any(APART in str(table.get("not_imported")) for table in tables)


def test_a_zone_is_shared_where_its_uses_are_alike() -> None:
    up = "location = /up { return 204; limit_req_status 429; }"
    api = API.format("limit_req zone=r burst=5 delay=0;")
    one = imported(f"{up} {api} limit_req zone=r burst=5; limit_req_status 503;", "")
    assert list(limits(one)) == ["r-6-1"]
    tables = [item.table for item in one.objects if item.section == "routes"]
    named = [items_in(table, "middlewares")[0] for table in tables if "upstream" in table]
    assert named == ["r-6-1", "r-6-1"]


@pytest.mark.parametrize(
    ("zones", "other", "location"),
    [
        (ZONES + TWO, "limit_req zone=r-6;", "limit_req zone=r burst=5;"),
        (
            ZONES.replace("zone=c", "zone=r-3"),
            "limit_req zone=r burst=2 delay=1; limit_req_status 503;",
            "limit_conn r-3 2;",
        ),
    ],
)
def test_two_zones_never_have_one_name(zones: str, other: str, location: str) -> None:
    one = imported(API.format(other), location, zones)
    assert limits(one) == {}
    assert any("the name of another zone" in fate.why for fate in one.fates)


def test_zones_that_nobody_uses_change_nothing() -> None:
    one = imported("", "", "limit_req_zone $http_x zone=r:1m rate=1r/s;")
    assert (limits(one), names(one)) == ({}, [])
    assert not [fate.why for fate in one.fates if fate.why]
