"""`error_page` becomes a page where a location answers with a text, and else stays or is noted."""

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

ON = "proxy_intercept_errors on;"
PASSED = "proxy_pass http://10.0.0.1;"
PAGE = 'location = /sorry { internal; default_type text/html; return 200 "<p>$status"; }'


def imported(route: str, around: str = "") -> Imported:
    """The import of a server, proved."""
    tree = tree_of_http(f"server {{ {around} location / {{ {route} }} }}")
    one = from_files(to_files(import_tree(tree)))
    assert proof.lost(tree, one) == ()
    assert proof.same_model(one, import_tree(load(tree.entry, DumpedFiles(rerender(one)))))
    loaded = compiled([PurePath("a.toml")], MemoryFiles({"a.toml": to_toml(one.objects)}), {})
    assert loaded.errors == ()
    return one


def routes(one: Imported) -> list[Table]:
    """The routes that forward."""
    tables = [item.table for item in one.objects if item.section == "routes"]
    return [table for table in tables if "upstream" in table]


def test_a_text_is_the_page_of_its_statuses() -> None:
    other = "location = /gone.html { return 404 none; }"
    one = imported(
        f"{ON} {PASSED} error_page 502 504 503 /sorry; error_page 404 503 /gone.html;",
        f"{PAGE} {other}",
    )
    (route,) = routes(one)
    assert route["middlewares"][-1] == {  # type: ignore[index]
        "error_pages": {
            "pages": [
                {"statuses": [404], "body": "none", "content_type": "text/html"},
                {
                    "statuses": [502, 503, 504],
                    "body": "<p>${status}",
                    "content_type": "text/html",
                },
            ]
        }
    }
    assert [fate.why for fate in one.fates if fate.why] == []
    assert any("stay beside a page" in note.message for note in one.notes)


def test_lines_around_count() -> None:
    one = imported(PASSED, f"{ON} error_page 500 /sorry; {PAGE}")
    (route,) = routes(one)
    assert "error_pages" in str(route["middlewares"])
    (route,) = routes(imported(f"{PASSED} proxy_intercept_errors off;", f"{ON} {PAGE}"))
    assert "middlewares" not in route or "error_pages" not in str(route["middlewares"])


@pytest.mark.parametrize(
    ("route", "is_noted"),
    [
        ("error_page 404 401 = @login;", False),
        ("error_page 404 =200 /x;", False),
        ("error_page 500 502 /50x.html;", True),
        ("error_page 502 /sorry;", True),
        (ON, False),
    ],
)
def test_what_endpoints_answer_stays_where_nothing_intercepts_it(
    route: str, is_noted: bool
) -> None:
    one = imported(f"{PASSED} {route}", PAGE)
    (found,) = routes(one)
    assert "error_pages" not in str(found)
    assert any("error pages for answers" in note.message for note in one.notes) is is_noted


@pytest.mark.parametrize(
    ("route", "around", "why"),
    [
        ("error_page 502 @other;", PAGE, "answers with another status"),
        ("error_page 502 = /sorry;", PAGE, "answers with another status"),
        ("error_page 502 =200 /sorry;", PAGE, "answers with another status"),
        ("error_page 500 https://a.example/;", PAGE, "answers with another status"),
        ("error_page 500 $uri;", PAGE, "answers with another status"),
        (
            "error_page 430 = @other; limit_conn_status 430;",
            PAGE,
            "answers with another status",
        ),
        (f"{ON} error_page 404 @other;", PAGE, "answers with another status"),
        (f"{ON} error_page 404 =410 /sorry;", PAGE, "answers with another status"),
        (f"{ON} error_page 302 /sorry;", PAGE, "that status has no page"),
        (f"{ON} error_page 404 499 /sorry;", PAGE, "that status has no page"),
        (f"{ON} error_page 404 /x;", PAGE, "leads to no location of that path"),
        (f"{ON} error_page 404 /sorry;", f"{PAGE} location ~ x {{ }}", None),
        (f"{ON} error_page 404 /x;", "location /x { }", "leads to no text"),
        (f"{ON} error_page 404 /x;", "location = /x { root /srv; }", "`root` there"),
        (f"{ON} error_page 404 /x;", "location = /x { return 200; }", "leads to no text"),
        (
            f"{ON} error_page 404 /x;",
            "location = /x { return 302 https://a.example/$request_uri; }",
            "leads to no text",
        ),
        (
            f"{ON} error_page 404 /x;",
            "location = /x { return 200 $host; }",
            "the variable $host has no counterpart in a page",
        ),
        (
            f"{ON} error_page 404 /x;",
            "location = /x { return 200 a; add_header X-A b always; }",
            "`add_header` there is another one",
        ),
        (f"{ON} error_page 404 /x;", f"location = /x {{ {PASSED} }}", "`proxy_pass` there"),
    ],
)
def test_what_cannot_be_a_page_stays(route: str, around: str, why: str | None) -> None:
    one = imported(f"{PASSED} {route}", around)
    if why is None:
        assert routes(one)
        return
    assert not any(table for table in routes(one) if table.get("match") is None)
    assert any(why in fate.why for fate in one.fates), [fate.why for fate in one.fates]


@pytest.mark.parametrize(
    "asks",
    [
        "auth_request /asked; location = /asked { proxy_pass_request_body off;"
        " proxy_pass_request_headers off; proxy_set_header Host $host;"
        " proxy_set_header Content-Length ''; proxy_pass http://10.0.0.9; }",
        "mirror /asked; proxy_set_header Host $host;"
        " location = /asked { internal; proxy_pass http://10.0.0.9$request_uri; }",
    ],
)
def test_what_nginx_asks_itself_has_no_pages(asks: str) -> None:
    assert routes(imported(PASSED, f"error_page 404 /sorry; {PAGE} {asks}"))
    one = imported(PASSED, f"{ON} error_page 404 /sorry; {PAGE} {asks}")
    assert not [table for table in routes(one) if "match" not in table]
    assert any("errors of its answers lead" in fate.why for fate in one.fates)
