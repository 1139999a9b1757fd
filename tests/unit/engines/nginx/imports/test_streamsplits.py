"""`split_clients` of `stream` becomes the split of a TCP route."""

import pytest
from nginx_trees import tree_of

from headgate.engines.nginx.imports import proof
from headgate.engines.nginx.imports.bundle import from_files, to_files
from headgate.engines.nginx.imports.imported import Imported
from headgate.engines.nginx.imports.objects import Table
from headgate.engines.nginx.imports.recognise import import_tree
from headgate.engines.nginx.imports.rerender import rerender
from headgate.nginxtext.dump import DumpedFiles
from headgate.nginxtext.includes import load

POOL = "upstream old { server 10.0.0.1:5432; }"
SPLIT = "split_clients $%s $to { 95%% old; * 10.0.0.2:5432; }"


def imported(inside: str) -> Imported:
    """The import of this inside `stream`, proved."""
    tree = tree_of(f"events {{ }} stream {{ {inside} }}\n")
    one = import_tree(tree)
    again = from_files(to_files(one))
    assert proof.lost(tree, again) == ()
    assert proof.same_model(one, import_tree(load(tree.entry, DumpedFiles(rerender(again)))))
    return one


def routes(one: Imported) -> list[Table]:
    """The TCP routes."""
    return [item.table for item in one.objects if item.section == "tcp_routes"]


@pytest.mark.parametrize(
    ("key", "sticky"),
    [
        ("remote_addr", {"by": "client_ip"}),
        ("binary_remote_addr", {"by": "client_ip"}),
        ("remote_addr$remote_port", None),
        ("connection", None),
    ],
)
def test_connections_are_divided_alike(key: str, sticky: Table | None) -> None:
    one = imported(f"{POOL} {SPLIT % key} server {{ listen 5432; proxy_pass $to; }}")
    assert [fate.why for fate in one.fates if fate.why] == []
    (route,) = routes(one)
    assert route["split"] == [
        {"upstream": "old", "weight": 19},
        {"upstream": "10.0.0.2:5432", "weight": 1},
    ]
    assert route.get("sticky") == sticky
    notes = [note.message for note in one.notes]
    assert any("of other clients" in note for note in notes) is (sticky is not None)
    assert not any("ClientHello" in note for note in notes)
    pools = {item.name for item in one.objects if item.section == "upstreams"}
    assert pools == {"old", "10.0.0.2:5432"}


@pytest.mark.parametrize(
    ("inside", "why"),
    [
        (f"{SPLIT % 'hostname'} server {{ listen 1; proxy_pass $to; }}", "hashes that"),
        (
            f"{SPLIT % 'remote_addr'} server {{ listen 1; proxy_pass $to; }}"
            " server { listen 2; proxy_pass $to; }",
            "several places follow it",
        ),
        (
            "split_clients $connection $to { 5% nobody; * 10.0.0.1:1; }"
            " server { listen 1; proxy_pass $to; }",
            "neither an upstream nor an address",
        ),
        (
            "split_clients $connection $to { 5% ''; * 10.0.0.1:1; }"
            " server { listen 1; proxy_pass $to; }",
            "neither an upstream nor an address",
        ),
        (f"{SPLIT % 'connection'} server {{ listen 1 udp; proxy_pass $to; }}", "for UDP"),
        (
            f"{SPLIT % 'connection'} server {{ listen 1; ssl_preread on; proxy_pass $to; }}",
            "`proxy_pass` of a variable has no counterpart",
        ),
    ],
)
def test_what_means_something_else_stays(inside: str, why: str) -> None:
    one = imported(f"{POOL} {inside}")
    assert routes(one) == []
    assert any(why in fate.why for fate in one.fates), [fate.why for fate in one.fates]
