"""`if ($host = NAME) { return … }` in a server is a route above all others of that host."""

import pytest
from nginx_trees import tree_of_http

from headgate.engines.nginx.imports import proof
from headgate.engines.nginx.imports.imported import Imported
from headgate.engines.nginx.imports.objects import Table, items_in
from headgate.engines.nginx.imports.recognise import import_tree
from headgate.engines.nginx.imports.rerender import rerender
from headgate.nginxtext.dump import DumpedFiles
from headgate.nginxtext.includes import load

CERTBOT = """
server {
    if ($host = www.a.example) { return 301 https://$host$request_uri; } # managed by Certbot
    if ($host = a.example) { return 301 https://$host$request_uri; } # managed by Certbot
    listen 80; server_name a.example www.a.example;
    return 404;
}
"""
REDIRECT = {"status": 301, "scheme": "https"}


def _imported(inside: str) -> Imported:
    tree = tree_of_http(inside)
    one = import_tree(tree)
    assert proof.lost(tree, one) == ()
    again = import_tree(load(tree.entry, DumpedFiles(rerender(one))))
    assert proof.same_model(one, again)
    return one


def _routes(one: Imported) -> dict[str, Table]:
    return {item.name: item.table for item in one.objects if item.section == "routes"}


def _priority(route: Table) -> int:
    return int(str(route.get("priority", 0)))


def test_what_certbot_writes_is_a_redirect_of_each_name() -> None:
    routes = list(_routes(_imported(CERTBOT)).values())
    redirects = {tuple(items_in(one, "hosts")): one for one in routes if "redirect" in one}
    assert set(redirects) == {("a.example",), ("www.a.example",)}
    rest = [one for one in routes if "respond" in one]
    assert [one["respond"] for one in rest] == [{"status": 404}]
    for one in redirects.values():
        assert one["redirect"] == REDIRECT
        assert _priority(one) > _priority(rest[0])
    assert not any("not_imported" in one for one in routes)


def test_it_goes_before_locations_and_before_what_is_refused() -> None:
    one = _imported(
        "server { listen 80 default_server; server_name a.example b.example;"
        " if ($host = b.example) { return 302 https://a.example$request_uri; }"
        " location / { proxy_pass http://127.0.0.1:9; } location ~ \\.php$ { fastcgi_pass x:1; } }"
    )
    routes = _routes(one).values()
    [first] = [one for one in routes if "redirect" in one]
    assert first["hosts"] == ["b.example"]
    assert all(_priority(first) > _priority(one) for one in routes if one is not first)


@pytest.mark.parametrize(
    "line",
    [
        "if ($host = c.example) { return 301 https://$host$request_uri; }",
        "if ($host = A.example) { return 301 https://$host$request_uri; }",
        "if ($host != a.example) { return 301 https://$host$request_uri; }",
        "if ($host ~ a.example) { return 301 https://$host$request_uri; }",
        "if ($http_host = a.example) { return 301 https://$host$request_uri; }",
        "if ($host = a.example) { rewrite ^ /x; }",
        "if ($host = a.example) { set $x 1; return 301 https://$host$request_uri; }",
        "rewrite ^/y /z; if ($host = a.example) { return 301 https://$host$request_uri; }",
    ],
)
def test_anything_else_refuses_the_whole_server(line: str) -> None:
    one = _imported(
        f"server {{ listen 80; server_name a.example; {line}"
        " location / { proxy_pass http://127.0.0.1:9; } }"
    )
    assert all("not_imported" in route for route in _routes(one).values())


def test_an_answer_without_counterpart_refuses_that_host_alone() -> None:
    one = _imported(
        "server { listen 80; server_name a.example b.example;"
        " if ($host = b.example) { return 444; } location / { proxy_pass http://127.0.0.1:9; } }"
    )
    routes = _routes(one).values()
    refused = [one for one in routes if "not_imported" in one and one["hosts"] == ["b.example"]]
    assert len(refused) == 1
    rest = [one for one in routes if one is not refused[0]]
    assert all(_priority(refused[0]) > _priority(one) for one in rest)
    assert any("upstream" in one for one in routes)


def test_a_request_without_a_host_is_named_as_a_difference() -> None:
    inside = CERTBOT.replace("listen 80;", "listen 80 default_server;")
    notes = [note.message for note in _imported(inside).notes]
    assert sum("without a host" in note for note in notes) == 1
