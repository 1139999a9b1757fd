"""PROXY headers of an imported nginx: whose count, and on which addresses."""

import pytest
from nginx_trees import tree_of_http

from headgate.engines.nginx.imports import proof
from headgate.engines.nginx.imports.bundle import from_files, to_files
from headgate.engines.nginx.imports.imported import Imported
from headgate.engines.nginx.imports.recognise import import_tree
from headgate.engines.nginx.imports.rerender import rerender
from headgate.nginxtext.dump import DumpedFiles
from headgate.nginxtext.includes import load


def imported(inside: str) -> Imported:
    """The import of this inside `http`, of which nothing is lost."""
    tree = tree_of_http(inside)
    one = import_tree(tree)
    again = from_files(to_files(one))
    assert proof.lost(tree, again) == ()
    assert proof.same_model(one, import_tree(load(tree.entry, DumpedFiles(rerender(again)))))
    return one


def test_peers_whose_proxy_headers_count_are_the_listener_s() -> None:
    one = imported(
        "real_ip_header proxy_protocol; set_real_ip_from 10.0.0.0/8;"
        " server { listen 80 proxy_protocol; return 204; }"
        " server { listen 80; server_name b; return 204; }"
        " server { listen 81 proxy_protocol; listen 82; return 204; }"
    )
    found = {
        item.table["address"]: item.table.get("proxy_protocol")
        for item in one.objects
        if item.section == "listeners"
    }
    assert found["0.0.0.0:80"] == {"trusted": ["10.0.0.0/8"]}
    assert [fate.why for fate in one.fates if fate.why] == [
        "`proxy_protocol` holds for some of its addresses only"
    ]
    assert any("connections of other peers" in note.message for note in one.notes)


@pytest.mark.parametrize("word", ["x-forwarded-for", "X-FORWARDED-FOR", "Proxy_Protocol"])
def test_a_word_of_nginx_s_in_another_case_is_a_header_of_one_line(word: str) -> None:
    trusted = f"set_real_ip_from ::1; real_ip_header {word}; real_ip_recursive on;"
    one = imported(f"server {{ {trusted} return 204; }}")
    whys = [fate.why for fate in one.fates if fate.why]
    assert whys == [f"`real_ip_header {word}` has no counterpart"]
