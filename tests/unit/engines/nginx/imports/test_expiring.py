"""`expires` becomes the middleware of that name, and comes back."""

from collections.abc import Mapping, Sequence

import pytest
from nginx_trees import tree_of_http

from headgate.engines.nginx.imports import proof
from headgate.engines.nginx.imports.bundle import from_files, to_files
from headgate.engines.nginx.imports.imported import Imported
from headgate.engines.nginx.imports.objects import Table, Toml, items_in, table_in
from headgate.engines.nginx.imports.recognise import import_tree
from headgate.engines.nginx.imports.rerender import rerender
from headgate.nginxtext.dump import DumpedFiles
from headgate.nginxtext.includes import load

STATUSES = [200, 201, 204, 206, "301-304", "307-308"]


PASSED = "proxy_pass http://10.0.0.1;"


def imported(around: str, location: str = "", does: str = PASSED) -> Imported:
    """The import of a server with this around and in its location, proved."""
    tree = tree_of_http(f"server {{ {around} location / {{ {does} {location} }} }}")
    one = from_files(to_files(import_tree(tree)))
    assert proof.lost(tree, one) == ()
    assert proof.same_model(one, import_tree(load(tree.entry, DumpedFiles(rerender(one)))))
    return one


def routes(one: Imported) -> list[Table]:
    return [item.table for item in one.objects if item.section == "routes"]


def times(one: Imported) -> list[list[Toml]]:
    """The `expires` of every route that is no refusal."""
    chains = [items_in(one, "middlewares") for one in routes(one) if "not_imported" not in one]
    return [
        [table_in(step, "expires")["after"] for step in tables(chain) if "expires" in step]
        for chain in chains
    ]


def tables(chain: Sequence[Toml]) -> list[Table]:
    """The middlewares of a chain that have no name, but rewrites."""
    return [step for step in chain if isinstance(step, Mapping) and "rewrite" not in step]


@pytest.mark.parametrize(
    ("written", "after"),
    [
        ("1h", "1h"),
        ("3600", "1h"),
        ("30d", "720h"),
        ("1y", "8760h"),
        ("1m30s", "90s"),
        ("0", "now"),
        ("-0", "now"),
        ("-1", "past"),
        ("-1h", "past"),
        ("epoch", "past"),
        ("max", "max"),
        ("10y", "max"),
    ],
)
def test_a_time_of_http_a_server_or_a_location_is_that_of_its_route(
    written: str, after: str
) -> None:
    line = f"expires {written};"
    for one in (imported(line), imported("", line), imported("expires 7s;", line)):
        assert times(one) == [[after]]
    tree = tree_of_http(f"{line} server {{ location / {{ proxy_pass http://10.0.0.1; }} }}")
    assert times(import_tree(tree)) == [[after]]


def test_a_location_may_have_none() -> None:
    assert times(imported("expires 1h;", "expires off;")) == [[]]
    assert times(imported("", "expires off;")) == [[]]


@pytest.mark.parametrize("written", ["$kind", "@15h30m", "modified +1h", "2y", "500ms", "soon"])
def test_what_has_no_counterpart_keeps_its_location(written: str) -> None:
    line = f"expires {written};"
    assert times(imported("", line)) == times(imported(line)) == []
    assert times(imported(line, "expires 1h;")) == [["1h"]]


def test_it_has_its_place_between_headers_that_are_hidden_and_those_that_are_added() -> None:
    hidden = "proxy_hide_header Cache-Control; proxy_hide_header X-A;"
    added = "add_header Cache-Control public; add_header X-A 1 always;"
    (route,) = routes(imported("", f"expires 1h; {hidden} {added}"))
    assert tables(items_in(route, "middlewares")) == [
        {"response_headers": {"add": {"cache-control": "public"}, "statuses": STATUSES}},
        {"response_headers": {"add": {"x-a": "1"}}},
        {"expires": {"after": "1h"}},
        {"response_headers": {"remove": ["cache-control", "x-a"]}},
    ]


def test_where_a_password_is_asked_for_the_refusal_has_the_added_headers_alone() -> None:
    asked = "auth_basic staff; auth_basic_user_file users;"
    edits = "proxy_hide_header Expires; add_header Cache-Control public always;"
    tree = tree_of_http(f"server {{ location / {{ {PASSED} {asked} expires 1h; {edits} }} }}")
    users = "alice:$2b$04$0e856lVe4ANgjk9VYQGbvufRaupb9zxuOKCW5n9uFCwbWH9pMRuYW\n"
    one = import_tree(tree, lambda _: users.encode())
    (route,) = routes(one)
    (asking,) = [item.name for item in one.objects if item.section == "middlewares"]
    assert [
        step if isinstance(step, str) else [*step] if isinstance(step, Mapping) else []
        for step in items_in(route, "middlewares")
    ] == [["response_headers"], asking, ["rewrite"], ["expires"], ["response_headers"]]


@pytest.mark.parametrize(
    ("does", "expected"),
    [
        ("return 200 ok;", ["1h"]),
        ("return 204;", ["1h"]),
        ("return 301 https://b.example$request_uri;", ["1h"]),
        ("return 404;", []),
        ("internal;", []),
        ("deny all;", []),
    ],
)
def test_an_answer_of_nginx_itself_has_it_unless_it_is_an_error(
    does: str, expected: list[str]
) -> None:
    assert times(imported("", "expires 1h;", does)) == [expected]
    assert times(imported("expires 1h;", "", does)) == [expected]
    assert times(imported("expires 1h;", "expires off;", does)) == [[]]


def test_a_server_that_answers_by_itself_has_it() -> None:
    tree = tree_of_http("server { expires -1; return 301 https://b.example$request_uri; }")
    one = import_tree(tree)
    assert times(one) == [["past"]]
    assert any("1970" in note.message for note in one.notes)


def test_the_redirect_to_a_slash_has_it() -> None:
    tree = tree_of_http(
        "server { location /d/ { proxy_pass http://a; expires 1h; add_header X-A 1; } }"
    )
    (redirected,) = [table for table in routes(import_tree(tree)) if "redirect" in table]
    assert redirected["middlewares"] == [
        {"response_headers": {"add": {"x-a": "1"}}},
        {"expires": {"after": "1h"}},
    ]


def test_another_date_is_noted() -> None:
    def notes(line: str) -> list[str]:
        found = (note.message for note in imported("", line).notes)
        return [one for one in found if one.startswith("`expires`")]

    assert notes("expires 1h;") == notes("expires max;") == notes("expires epoch;") == []
    assert len(notes("expires 10y;")) == len(notes("expires -1;")) == 1
