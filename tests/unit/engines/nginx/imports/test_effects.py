"""Lines that do nothing to what becomes model keep nothing verbatim."""

import pytest
from nginx_trees import tree_of_http

from headgate.engines.nginx.imports import proof
from headgate.engines.nginx.imports.imported import Imported
from headgate.engines.nginx.imports.recognise import import_tree
from headgate.engines.nginx.imports.rerender import rerender
from headgate.nginxtext.dump import DumpedFiles
from headgate.nginxtext.includes import load

USUAL = (
    "ignore_invalid_headers on; merge_slashes on; underscores_in_headers off; satisfy all;"
    " proxy_intercept_errors off; proxy_cache off; proxy_store off;"
)
IDLE = (
    "proxy_cache_bypass $http_upgrade; proxy_no_cache $http_pragma; proxy_cache_valid 200 1h;"
    " proxy_cache_key $uri; proxy_cache_use_stale error; proxy_ignore_client_abort on;"
    " proxy_ssl_server_name on; proxy_ssl_verify off; send_lowat 0; if_modified_since off;"
)


def imported(inside: str) -> Imported:
    """The import of a config with this inside `http`, proved."""
    tree = tree_of_http(inside)
    one = import_tree(tree)
    assert proof.lost(tree, one) == ()
    assert proof.same_model(one, import_tree(load(tree.entry, DumpedFiles(rerender(one)))))
    return one


def whys(one: Imported) -> list[str]:
    """Why blocks were kept."""
    return [fate.why for fate in one.fates if fate.why]


def test_what_does_nothing_keeps_nothing() -> None:
    one = imported(
        f"{USUAL} {IDLE} server {{ {USUAL} location / {{ proxy_pass http://10.0.0.1; {IDLE} }}"
        " location /a/ { return 204; satisfy all; if_modified_since off; } }"
    )
    assert whys(one) == []
    (kept,) = one.verbatim.values()
    assert kept.count(b"proxy_cache_bypass $http_upgrade;") == 2


@pytest.mark.parametrize(
    "line",
    [
        *("proxy_cache z;", "satisfy any;", "proxy_store on;"),
        *("merge_slashes off;", "underscores_in_headers on;", "ignore_invalid_headers off;"),
    ],
)
def test_what_is_not_as_usual_keeps_the_server(line: str) -> None:
    one = imported(f"server {{ {line} location / {{ proxy_pass http://10.0.0.1; }} }}")
    assert any(line.partition(" ")[0] in why for why in whys(one)), whys(one)
