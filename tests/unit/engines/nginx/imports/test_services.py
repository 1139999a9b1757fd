"""`auth_request` becomes `forward_auth` where the service is asked the same, and comes back."""

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

ASKS = """
    internal;
    proxy_pass http://10.0.0.9:81/verify?of=app;
    proxy_pass_request_body off;
    proxy_pass_request_headers off;
    proxy_set_header Host $http_host;
    proxy_set_header Content-Length "";
    proxy_set_header Cookie $http_cookie;
    proxy_set_header Authorization ${http_authorization};
    proxy_set_header X-Original-URL $scheme://$http_host$request_uri;
    proxy_read_timeout 3s;
"""
AUTH = f"location = /auth {{ {ASKS} }}"
CLOSED = "location / { auth_request /auth; proxy_pass http://10.0.0.1; }"
SAID = "auth_request_set $user $upstream_http_remote_user; proxy_set_header Remote-User $user;"


def imported(inside: str, http: str = "") -> Imported:
    """The import of a server with this inside, proved."""
    tree = tree_of_http(f"{http} server {{ {inside} }}")
    one = from_files(to_files(import_tree(tree)))
    assert proof.lost(tree, one) == ()
    assert proof.same_model(one, import_tree(load(tree.entry, DumpedFiles(rerender(one)))))
    return one


def asked(one: Imported) -> dict[str, Table]:
    """The middlewares that ask a service."""
    return {
        item.name: item.table
        for item in one.objects
        if item.section == "middlewares" and "forward_auth" in item.table
    }


def routes(one: Imported) -> dict[str, Table]:
    """The routes that forward, by their names."""
    return {
        item.name: item.table
        for item in one.objects
        if item.section == "routes" and "upstream" in item.table
    }


def whys(one: Imported) -> list[str]:
    """Why blocks were kept."""
    return [fate.why for fate in one.fates if fate.why]


def test_a_location_asks_what_nginx_asks() -> None:
    one = imported(
        f"{AUTH} location / {{ auth_request /auth; {SAID} proxy_pass http://10.0.0.1; }}"
    )
    ((name, table),) = asked(one).items()
    assert table["forward_auth"] == {
        "upstream": "10.0.0.9:81",
        "path": "/verify?of=app",
        "method": "GET",
        "timeout": "3s",
        "headers": ["authorization", "cookie"],
        "copy": ["remote-user"],
    }
    (route,) = routes(one).values()
    assert name in items_in(route, "middlewares")
    assert route["forward_path"] == "normalised"
    assert whys(one) == []
    assert len([note for note in one.notes if "auth_request" in note.message]) == 2
    loaded = compiled([PurePath("a.toml")], MemoryFiles({"a.toml": to_toml(one.objects)}), {})
    assert loaded.errors == ()


def test_who_is_asked_is_inherited_and_may_be_nobody() -> None:
    one = imported(
        f"auth_request /auth; {SAID} {AUTH} location / {{ proxy_pass http://10.0.0.1; }}"
        " location /open/ { auth_request off; proxy_pass http://10.0.0.1/; }"
        " location /text/ { return 200 open; }"
        " location /x { auth_request_set $who $upstream_http_remote_user;"
        " proxy_set_header Remote-User $who; proxy_pass http://10.0.0.1; }"
    )
    (name,) = asked(one)
    chains = {key: items_in(route, "middlewares") for key, route in routes(one).items()}
    assert name in chains["default"]
    assert name in chains["default-x"]
    assert name not in chains["default-open"]
    assert whys(one) == []


def test_an_answer_of_401_has_the_headers_of_its_location() -> None:
    one = imported(f"{AUTH} {CLOSED[:-1]} allow 10.0.0.0/8; deny all; add_header X-A b always; }}")
    (route,) = routes(one).values()
    access, added, name, *_ = items_in(route, "middlewares")
    assert access == {"ip_access": {"allow": ["10.0.0.0/8"]}}
    assert added == {"response_headers": {"add": {"x-a": "b"}}}
    assert name in asked(one)


def test_without_an_uri_the_service_is_asked_for_the_path_of_the_location() -> None:
    asks = ASKS.replace(":81/verify?of=app", "")
    for place in ("= /auth", "/auth", "^~ /auth"):
        (table,) = asked(imported(f"location {place} {{ {asks} }} {CLOSED}")).values()
        assert table["forward_auth"] == {
            "upstream": "10.0.0.9",
            "path": "/auth",
            "method": "GET",
            "timeout": "3s",
            "headers": ["authorization", "cookie"],
        }


def test_all_headers_go_along_where_the_service_is_told_the_rest() -> None:
    more = (
        'proxy_set_header TE ""; proxy_set_header X-Client-Cert ""; proxy_set_header X-A $http_x_a;'
    )
    one = imported(auth(NAMES, TOLD + more))
    (table,) = asked(one).values()
    assert table["forward_auth"] == {
        "upstream": "10.0.0.9:81",
        "path": "/verify?of=app",
        "method": "GET",
        "timeout": "3s",
        "headers": "all",
    }
    assert whys(one) == []
    assert any("those that tell who it is do not go along" in note.message for note in one.notes)


def auth(old: str, new: str = "") -> str:
    """A server whose location for the service says something else."""
    assert old in ASKS
    return f"location = /auth {{ {ASKS.replace(old, new)} }} {CLOSED}"


TOLD = """
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header X-Forwarded-Host $http_host;
    proxy_set_header X-Forwarded-Method $request_method;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header X-Forwarded-Uri $request_uri;
    proxy_set_header X-Original-Method $request_method;
    proxy_set_header X-Real-IP "";
    proxy_set_header Forwarded "";
"""
NAMED = {line.split()[1]: line for line in TOLD.strip().splitlines()}
USERS = "auth_basic x; auth_basic_user_file users;"
NAMES = "proxy_pass_request_headers off;"
READS = "proxy_read_timeout 3s;"


@pytest.mark.parametrize(
    ("server", "why"),
    [
        (CLOSED, "leads to no location of that path"),
        (f"location /au {{ {ASKS} }} {CLOSED}", "leads to no location of that path"),
        (f"location ~ x {{ return 204; }} location /auth {{ {ASKS} }} {CLOSED}", "to no location"),
        (f"location @auth {{ {ASKS} }} {CLOSED.replace('/auth', '@auth')}", "to no location"),
        (auth(NAMES), "the service gets every header of the client there, x-forwarded-for among"),
        *(
            (auth(NAMES, TOLD.replace(one, "")), f"`proxy_set_header {name.lower()} ")
            for name, one in NAMED.items()
        ),
        (auth(NAMES, TOLD.replace("$remote_addr", "$proxy_protocol_addr")), "another"),
        (auth(NAMES, f'{TOLD} proxy_set_header Cookie "";'), "to the service but Cookie"),
        (auth(NAMES, f'{TOLD} proxy_set_header Content-Type "";'), "but Content-Type"),
        (auth(NAMES, f"{TOLD} proxy_set_header X-A b;"), "the service is told X-A b"),
        (auth(NAMES, f"{TOLD} proxy_set_header X-Real-IP $remote_addr;"), "told X-Real-IP"),
        (auth("proxy_pass_request_body off;"), "without `proxy_pass_request_body off`"),
        (auth("$http_host;", "$proxy_host;"), "set it to `$host`"),
        (auth("proxy_set_header Host $http_host;"), "set it to `$host`"),
        (auth("$http_cookie", "$cookie_a"), "the service is told Cookie $cookie_a"),
        (auth("Cookie $http_cookie", "X-A b"), "the service is told X-A b"),
        (auth("Cookie $http_cookie", "X-Real-IP $remote_addr"), "the service is told X-Real-IP"),
        (auth("Cookie", "X_Cookie"), "the service is told X_Cookie"),
        (auth("://$http_host$request_uri", "://a.example/"), "is told another X-Original-URL"),
        (auth('Content-Length ""', "Content-Length 1"), "belongs to the connection"),
        (auth('proxy_set_header Content-Length "";'), "the length of a body"),
        (auth(READS, "proxy_read_timeout 2m;"), "waits longer than 1m"),
        (auth(READS, "proxy_read_timeout 0;"), "waits longer than 1m"),
        (auth(READS, "proxy_method PUT;"), "how it asks has no counterpart"),
        (auth("http://", "https://"), "has no TLS here"),
        (auth(READS, "error_page 401 =200 /x;"), "`error_page` there has no counterpart"),
        (auth(READS, "proxy_intercept_errors on;"), "`proxy_intercept_errors` there"),
        (auth(READS, "proxy_cache z;"), "`proxy_cache` there has no counterpart"),
        (auth(READS, "if ($x) { return 200; }"), "`if` there has no counterpart"),
        (auth(READS, "rewrite ^ /x break;"), "`rewrite` there has no counterpart"),
        (auth(READS, "return 200;"), "`return` there has no counterpart"),
        (auth(READS, "limit_conn z 1;"), "`limit_conn` there has no counterpart"),
        (auth(READS, "set $args a;"), "`set` there has no counterpart"),
        (auth(READS, "set $a b;") + " set $a c;", "changes the variable $a"),
        (f"{AUTH} error_page 401 = @login; {CLOSED}", "an `error_page` answers for status 401"),
        (f"{AUTH} error_page 403 /x; {CLOSED}", "an `error_page` answers for status 403"),
        (f"{AUTH} satisfy any; {CLOSED}", "`satisfy`"),
        (f"{AUTH} {USERS} {CLOSED}", "not at hand"),
        (f"{AUTH} {CLOSED[:-1]} proxy_set_header X-A $user; }}", "the variable $user"),
        (f"{AUTH} {CLOSED[:-1]} {SAID.replace('Remote-User', 'X-User')} }}", "the variable $user"),
        (f"{AUTH} {CLOSED[:-1]} {SAID.replace('$user', '$args')} }}", "changes the variable $args"),
        (f"{AUTH} {CLOSED[:-1]} set $user a; {SAID} }}", "changes the variable $user"),
        (
            f"{AUTH} {CLOSED[:-1]} auth_request_set $a $upstream_http_host;"
            " proxy_set_header Host $a; }",
            "the header host is not the service's to say here",
        ),
    ],
)
def test_what_is_asked_otherwise_is_kept_with_its_reason(server: str, why: str) -> None:
    one = imported(server, "limit_conn_zone $host zone=z:1m;")
    assert asked(one) == {}
    assert routes(one) == {}
    assert any(why in told for told in whys(one)), whys(one)
    refused = [one.table for one in one.objects if "not_imported" in one.table]
    assert refused
