"""`split_clients` becomes the split of a route where `proxy_pass` follows it, and comes back."""

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

POOLS = "upstream old { server 10.0.0.1:80; } upstream new { server 10.0.0.2:80; }\n"
HALF = 'split_clients "${remote_addr}salt" $branch { 0.5% new; 2% 10.0.0.3:81; * old; }\n'
HOST = "proxy_set_header Host $host;"
PASSED = f"location / {{ proxy_pass http://$branch; {HOST} }}"


def imported(inside: str, split: str = HALF, names: str = "") -> Imported:
    """The import of a server with this inside, proved."""
    tree = tree_of_http(f"{POOLS}{split} server {{ {names} {inside} }}")
    one = from_files(to_files(import_tree(tree)))
    assert proof.lost(tree, one) == ()
    assert proof.same_model(one, import_tree(load(tree.entry, DumpedFiles(rerender(one)))))
    return one


def routes(one: Imported) -> list[Table]:
    """The routes that forward."""
    return [
        item.table for item in one.objects if item.section == "routes" and "hosts" in item.table
    ]


def splits(one: Imported) -> list[dict[str, object]]:
    """Each route's branches by their weights."""
    parts = [items_in(route, "split") for route in routes(one) if "split" in route]
    tables = [[part for part in each if isinstance(part, Mapping)] for each in parts]
    return [{str(part["upstream"]): part["weight"] for part in each} for each in tables]


def test_clients_keep_their_branch() -> None:
    one = imported(PASSED)
    (route,) = [found for found in routes(one) if "split" in found]
    assert splits(one) == [{"new": 1, "10.0.0.3:81": 4, "old": 195}]
    assert route["sticky"] == {"by": ["client_ip"]}
    assert route["forward_path"] == "raw"
    assert [fate.why for fate in one.fates if fate.why] == []
    assert any("same share" in note.message for note in one.notes)
    loaded = compiled([PurePath("a.toml")], MemoryFiles({"a.toml": to_toml(one.objects)}), {})
    assert loaded.errors == ()


def test_requests_are_drawn_each_for_itself() -> None:
    split = "split_clients $request_id $Branch { 25% .new; 25% .new; * .old; }"
    pools = "upstream a.new { server 10.0.0.1; } upstream a.old { server 10.0.0.2; }"
    inside = f"location / {{ proxy_pass http://a$branch; {HOST} }}"
    more = f"location /x {{ proxy_pass http://a${{BRANCH}}; {HOST} }}"
    one = imported(inside + more, pools + split)
    assert splits(one) == [{"a.new": 1, "a.old": 1}] * 2
    assert not any("sticky" in route for route in routes(one))


def test_a_share_of_nothing() -> None:
    one = imported(PASSED, "split_clients $binary_remote_addr $branch { 100% old; * new; }")
    assert splits(one) == [{"old": 1, "new": 0}]


def block(key: str = "$remote_addr", parts: str = "50% old; * new;") -> str:
    """The block of a split."""
    return f"split_clients {key} $branch {{ {parts} }} "


@pytest.mark.parametrize(
    ("split", "inside", "why"),
    [
        (block("$cookie_uid"), PASSED, "no counterpart hashes that"),
        (block("$remote_addr$http_user_agent"), PASSED, "no counterpart hashes that"),
        (block("constant"), PASSED, "no counterpart hashes that"),
        (block(parts="50% old; 20% new;"), PASSED, "leaves a share without a value"),
        (block(parts="* old; 20% new;"), PASSED, "leaves a share without a value"),
        (block(parts="50% old; * nobody;"), PASSED, 'leads to "nobody"'),
        (block(parts="50% old; * a.example:80;"), PASSED, 'leads to "a.example:80"'),
        (block(parts="50% old; * '';"), PASSED, 'leads to ""'),
        (block(parts="50% old; * new/x;"), PASSED, 'leads to "new/x"'),
        (block(), PASSED.replace("branch", "branch$uri"), "several variables"),
        (block(), PASSED.replace(HOST, ""), "set it to `$host`"),
        (block(), PASSED.replace("$branch", "$branch/x/"), "with variables and a path"),
        (block(), f"set $branch $host; {PASSED}", "set at several places"),
        (block(), f"location ~ ^/(?<branch>a) {{ return 204; }} {PASSED}", "set at several places"),
        (block() + "map $host $branch { default old; }", PASSED, "set at several places"),
        (block(), PASSED + PASSED.replace("/", "/x", 1), "several places follow it"),
        (block(), f"location /x {{ return 200 $branch; }} {PASSED}", "several places follow it"),
        (block(), PASSED.replace("http:", "https:"), "to anything but"),
    ],
)
def test_what_has_no_counterpart_keeps_the_location(split: str, inside: str, why: str) -> None:
    one = imported(inside, split)
    assert splits(one) == []
    assert any(why in fate.why for fate in one.fates), [fate.why for fate in one.fates]


def test_hosts_on_several_listeners_would_choose_apart() -> None:
    names = "listen 80; listen 81; server_name a.example;"
    one = imported(f"{PASSED} }} server {{ listen 81 default_server; return 204;", names=names)
    assert splits(one) == []
    assert any("choose branches apart" in fate.why for fate in one.fates)


def test_a_log_may_have_the_branch() -> None:
    log = "log_format branch '$branch'; access_log /var/log/x branch;"
    assert len(splits(imported(PASSED, HALF + log))) == 1
