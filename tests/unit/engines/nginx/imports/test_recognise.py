"""What becomes model, what is kept, and that nothing is lost in between."""

from pathlib import PurePath

import pytest
from memory_files import MemoryFiles
from nginx_trees import ENTRY, imported, tree_of, tree_of_http

from headgate.compile.load import load as compiled
from headgate.engines.nginx.imports import proof
from headgate.engines.nginx.imports.bundle import BrokenBundleError, from_files, to_files
from headgate.engines.nginx.imports.headers import middleware
from headgate.engines.nginx.imports.imported import Imported, ImportRefusedError
from headgate.engines.nginx.imports.objects import Table, items_in, to_toml
from headgate.engines.nginx.imports.recognise import import_tree
from headgate.engines.nginx.imports.rerender import NoSuchObjectError, rerender

PROXY_PARAMS = (
    "proxy_set_header Host $http_host;\nproxy_set_header X-Real-IP $remote_addr;\n"
    "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\n"
)

SITE_AS_TOML = """\
[listeners.http-80]
address = "0.0.0.0:80"

[listeners.https-443]
address = "0.0.0.0:443"
tls = { default_certificate = "a.example", unknown_sni = "default", policy = "http1" }

[hosts."a.example"]
certificate = ["a.example"]

[routes."a.example-all"]
hosts = ["a.example", "*"]
listeners = ["http-80"]
priority = 1000
redirect = { status = 301, scheme = "https" }

[routes."a.example"]
hosts = ["a.example", "*"]
listeners = ["https-443"]
upstream = "api"
timeouts = { first_byte = "1m", stream_idle = "1m" }
limits = { body = "1MiB", body_buffer = "16KiB", response_buffer = "16MiB" }
forward_path = "raw"
websocket = false
retry = { retries = 1, on = ["reset", "timeout"], budget = { percent = 100, per_second = 1000000 } }

[routes."a.example-health"]
hosts = ["a.example", "*"]
listeners = ["https-443"]
match = [{ path = { exact = "/health" } }]
respond = { status = 204 }

[routes."a.example-encoded-slash"]
hosts = ["a.example", "*"]
listeners = ["https-443"]
match = [{ path = { regex = "/%2F(?:/|%2F)*health" } }]
priority = 800000
not_imported = "/etc/nginx/nginx.conf:5: server: nginx decodes %2F before it looks for a location"

[upstreams.api]
endpoints = [{ address = "10.0.0.1:80", weight = 3 }, { address = "b:80", backup = true }]
balance = "least_conn"
pool = { max_idle = 16 }
timeouts = { connect = "1m" }

[tls_policies.http1]
alpn = ["http/1.1"]

[certificates."a.example"]
cert_file = "/etc/nginx/a.pem"
key_file = "/k/a.key"
"""


def _routes(one: Imported) -> dict[str, Table]:
    return {item.name: item.table for item in one.objects if item.section == "routes"}


def _open(one: Imported) -> dict[str, Table]:
    """The routes that do something."""
    return {name: table for name, table in _routes(one).items() if "not_imported" not in table}


def _whys(one: Imported) -> list[str]:
    return [fate.why for fate in one.fates if fate.why]


def test_a_site_becomes_listeners_hosts_routes_upstreams_and_certificates() -> None:
    one = imported(
        """
        upstream api { least_conn; server 10.0.0.1:80 weight=3; server b backup; keepalive 16; }
        server { listen 80; server_name a.example; return 301 https://$host$request_uri; }
        server {
            listen 443 ssl; server_name a.example;
            ssl_certificate a.pem; ssl_certificate_key /k/a.key;
            location / { include proxy_params; proxy_pass http://api; }
            location = /health { return 204; }
        }
        """,
        proxy_params=PROXY_PARAMS,
    )
    assert _whys(one) == []
    assert to_toml(one.objects) == SITE_AS_TOML


def test_our_compiler_takes_the_model() -> None:
    one = imported(
        "server { listen 80; server_name a.example .b.example; add_header X-A $host always;"
        " location /a/ { proxy_pass http://127.0.0.1:9/; } location /b { return 200 hi; }"
        ' location = /c { proxy_pass http://[::1]:9/d; proxy_set_header X-B ""; } }'
    )
    assert len(_open(one)) == 4
    files = MemoryFiles({"headgate.toml": to_toml(one.objects)})
    loaded = compiled([PurePath("headgate.toml")], files, {})
    assert loaded.errors == ()


@pytest.mark.parametrize(
    ("location", "match"),
    [
        ("location /", None),
        ("location = /a", [{"path": {"exact": "/a"}}]),
        ("location =/a", [{"path": {"exact": "/a"}}]),
        (
            "location ^~ /a.b",
            [{"path": {"prefix": "/a.b"}}, {"path": {"regex": "/a\\.b[^/].*"}}],
        ),
        ("location /a/", [{"path": {"regex": "/a/.*"}}]),
    ],
)
def test_locations_match_what_they_matched(location: str, match: list[Table] | None) -> None:
    one = imported(f"server {{ {location} {{ return 204; }} }}")
    (route,) = _open(one).values()
    assert route.get("match") == match


def test_a_proxied_directory_redirects_to_its_slash() -> None:
    one = imported("server { location /a/ { proxy_pass http://127.0.0.1:1; } }")
    main, slash = _open(one).values()
    assert main["match"] == [{"path": {"prefix": "/a"}}]
    assert slash["match"] == [{"path": {"exact": "/a"}}]
    assert slash["redirect"] == {"status": 301, "path": "/a/"}


@pytest.mark.parametrize(
    ("inside", "status"),
    [
        ("location ~ /\\.ht { deny all; }", 403),
        ("deny all; location /a { root /srv; }", 403),
        ("location /a { deny all; include fastcgi_params; fastcgi_pass x:1; }", 403),
        ("location = /50x.html { internal; root /srv; }", 404),
        ("location /a { return 410; deny all; root /srv; auth_basic x; }", 410),
    ],
)
def test_a_place_that_answers_outright_does_so_whatever_it_would_serve(
    inside: str, status: int
) -> None:
    one = imported(f"server {{ {inside} }}", fastcgi_params="fastcgi_param A b;")
    (route,) = _open(one).values()
    assert route["respond"] == {"status": status}


def test_trusted_peers_are_the_listener_s() -> None:
    one = imported(
        "set_real_ip_from 10.0.0.0/8; set_real_ip_from 192.0.2.1; real_ip_header X-Forwarded-For;"
        " real_ip_recursive on; server { return 204; }"
        " server { listen 81; set_real_ip_from ::1; real_ip_header X-Real-IP; return 204; }"
        " server { listen 81; server_name b; return 204; }"
    )
    found = [item.table.get("client_ip") for item in one.objects if item.section == "listeners"]
    assert found == [
        {"trusted": ["10.0.0.0/8", "192.0.2.1"], "header": "x-forwarded-for"},
        {"trusted": ["::1"], "header": "x-real-ip"},
    ]
    assert _whys(one) == ["an earlier server on 0.0.0.0:81 trusts other peers"]


def test_upstreams_keep_what_is_nginx_s_alone_as_labels_and_say_so() -> None:
    one = imported(
        "upstream a { ip_hash; server b max_fails=3 fail_timeout=30s; server c down; }"
        " server { location / { proxy_pass http://a; } }"
    )
    (pool,) = [item.table for item in one.objects if item.section == "upstreams"]
    assert pool["balance"] == {"maglev": {"key": "client_ip"}}
    assert pool["endpoints"] == [
        {"address": "b:80", "labels": {"max_fails": "3", "fail_timeout": "30s"}},
        {"address": "c:80", "weight": 0},
    ]
    notes = " ".join(note.message for note in one.notes)
    assert "ip_hash" in notes
    assert "max_fails" in notes


def test_headers_of_answers_are_hidden_and_replaced() -> None:
    one = imported(
        "server { location / { proxy_pass http://x; proxy_hide_header X-A; proxy_hide_header X-B;"
        " add_header X-A 1 always; add_header X-C 2 always; } }"
    )
    (route,) = _open(one).values()
    assert {
        "response_headers": {"set": {"x-a": "1"}, "add": {"x-c": "2"}, "remove": ["x-b"]}
    } in items_in(route, "middlewares")


def test_a_redirect_to_a_fixed_place_is_an_answer() -> None:
    one = imported("server { location /a { return 302 $scheme://$host/dav?$args; } }")
    (route,) = _open(one).values()
    location = "${scheme}://${host}/dav?${query}"
    assert route["respond"] == {"status": 302, "headers": {"location": location}}


def test_variables_that_are_set_once_are_their_values() -> None:
    one = imported(
        "server { set $port 5076; location / { set $app hydra; proxy_pass http://$app:$port; } }"
    )
    (route,) = _open(one).values()
    assert route["upstream"] == "hydra:5076"


def test_addresses_that_are_let_in_are_a_middleware() -> None:
    one = imported(
        "server { deny 10.0.0.1; deny 10.1.0.0/16;"
        " location = /a { allow 127.0.0.1; allow ::1/128; deny all; proxy_pass http://x; }"
        " location = /b { proxy_pass http://x; }"
        " location = /c { allow all; proxy_pass http://x; } }"
    )
    found = {name: middleware(route, "ip_access") for name, route in _open(one).items()}
    assert found == {
        "default-a": {"allow": ["127.0.0.1", "::1/128"]},
        "default-b": {"deny": ["10.0.0.1", "10.1.0.0/16"]},
        "default-c": {},
    }


@pytest.mark.parametrize(
    ("inside", "why"),
    [
        ("location ~ x(?=y) { return 204; }", "regular expression"),
        ("location @x { return 204; }", "named location"),
        ("location /a { root /srv; }", "`root` has no counterpart"),
        ("location /a { allow unix:; deny all; proxy_pass http://x; }", "`unix:` is no network"),
        ("error_page 403 /x; location /a { deny ::1; proxy_pass http://x; }", "error_page"),
        ("location /a { deny all; satisfy any; proxy_pass http://x; }", "`satisfy`"),
        ("error_page 403 /x; location /a { deny all; }", "error_page"),
        ("location ~ (?=x) { root /srv; perl X; }", "`root` has no counterpart; `perl`"),
        ("location /a { return 204; } location /a/ { return 204; }", "last slash only"),
        ("location /a%20b { return 204; }", "characters"),
        ("location / { proxy_pass http://$x; }", "variables"),
        ("location / { proxy_pass https://unix:/x; }", "anything but HTTP at a host"),
        ("location /a { proxy_pass http://x/b; }", "does not end as the location"),
        ("location / { proxy_pass http://x; proxy_cache c; }", "`proxy_cache`"),
        ("location / { proxy_pass http://x; add_header A b; add_header A c; }", "comes twice"),
        ("location / { proxy_pass http://x; proxy_set_header A $uri; }", "$uri"),
        (
            "location / { proxy_pass http://x; proxy_set_header Upgrade $http_upgrade; }",
            "together",
        ),
        ("location / { return 301 /x; }", "nginx adds scheme, host and port"),
        ("location / { return 301 https://x.example$uri; }", "$uri"),
        ("location / { set $a x; proxy_pass http://$a/b; }", "variables and a path"),
        ("location / { set $a x; set $a y; proxy_pass http://$a; }", "variables"),
        ("set $args ''; location / { proxy_pass http://x; }", "`set`"),
        ("set_real_ip_from ::1; real_ip_header CF-Connecting-IP; return 200;", "real_ip_header"),
        ("set_real_ip_from ::1; real_ip_header X-Forwarded-For; return 200;", "real_ip_recursive"),
        ("location / { return 444; }", "444"),
        ("error_page 404 /x; location / { return 404; }", "error_page"),
        ("auth_request /x; location / { proxy_pass http://x; }", "`auth_request /x` leads to no"),
        ("if ($x) { return 403; } location / { return 204; }", "`if`"),
        ("listen 443 ssl; location / { return 204; }", "no certificate"),
        ("listen 80 proxy_protocol; location / { return 204; }", "believes no header"),
        (
            "listen 80 proxy_protocol; set_real_ip_from ::1; real_ip_header X-Real-IP; return 200;",
            "believes no header",
        ),
        (
            "set_real_ip_from ::1; real_ip_header proxy_protocol; return 200;",
            "without such a `listen`",
        ),
        ("server_name ~x; location / { return 204; }", "regular expression"),
    ],
)
def test_what_means_something_else_here_is_kept_with_its_reason(inside: str, why: str) -> None:
    one = imported(f"server {{ {inside} }}")
    assert any(why in found for found in _whys(one)), _whys(one)


def test_something_unknown_in_http_keeps_every_server() -> None:
    one = imported("random_index on; server { location / { return 204; } }")
    assert _whys(one) == ["`random_index` (/etc/nginx/nginx.conf:2) applies to it"]
    (route,) = _routes(one).values()
    assert "`random_index`" in str(route["not_imported"])


def test_a_location_that_several_servers_include_is_kept() -> None:
    one = imported(
        "server { listen 81; include s; location /x { return 204; } }\n"
        "server { listen 82; include s; location /y { return 204; } }",
        s="location /s { return 204; }",
    )
    assert set(_whys(one)) == {"/etc/nginx/s is included more than once"}
    assert one.verbatim["/etc/nginx/s"] == b"location /s { return 204; }"


def test_comments_and_kept_lines_stay_in_their_block() -> None:
    one = imported("server { location / { # why\n return 204; tcp_nodelay off; } }")
    text = one.verbatim[ENTRY]
    assert b"# why" in text
    assert b"tcp_nodelay off;" in text
    assert [fate.name for fate in one.kept] == ["events", "http", "tcp_nodelay"]


def test_web_sockets_pass_where_they_passed() -> None:
    upgrade = 'proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";'
    one = imported(f"server {{ location / {{ proxy_pass http://a; {upgrade} }} }}")
    assert _routes(one)["default"]["websocket"] is True
    mapped = imported(
        "map $http_upgrade $c { default upgrade; }"
        f"server {{ location / {{ proxy_pass http://a; {upgrade} }} }}".replace('"upgrade"', "$c")
    )
    assert _routes(mapped)["default"]["websocket"] is True
    assert b"proxy_set_header Connection $c;" in rerender(mapped)[ENTRY]


def test_a_server_that_is_the_default_of_one_address_only_has_two_sets_of_routes() -> None:
    one = imported(
        "server { listen 80; server_name a; location / { return 204; } }"
        "server { listen 80; listen 81; server_name b; location / { return 205; } }"
    )
    routes = _routes(one)
    assert routes["a"]["hosts"] == ["a", "*"]
    assert routes["b"]["hosts"] == ["b"]
    assert routes["b-default"]["hosts"] == ["*"]
    assert routes["b-default"]["listeners"] == ["http-81"]


def test_a_nameless_server_that_is_the_default_of_one_address_only_has_its_routes() -> None:
    one = imported(
        "server { listen 80; } server { listen 80; listen 81; location / { return 204; } }"
    )
    assert _routes(one)["default"]["listeners"] == ["http-81"]


@pytest.mark.parametrize(
    ("names", "hosts"),
    [
        (["b.example .b.example"], [["b.example"]]),
        (["b.example", "c.example .b.example"], [["b.example"], ["c.example"]]),
        (
            ["*.b.example", "c.example .b.example", "d.example b.example"],
            [["*.b.example"], ["c.example"], ["d.example"]],
        ),
    ],
)
def test_a_name_with_a_dot_before_it_is_one_name(names: list[str], hosts: list[list[str]]) -> None:
    others = " ".join(f"server {{ server_name {one}; return 204; }}" for one in names)
    one = imported(f"server {{ return 403; }} {others}")
    found = [table["hosts"] for table in _routes(one).values() if "match" not in table]
    assert found == [["*"], *hosts]


def test_a_default_server_that_no_host_leads_to_is_kept() -> None:
    one = imported("server { location / { return 204; } } server { server_name ~x; return 403; }")
    why = "unknown hosts may be another server's, by a name that hosts cannot be matched by"
    assert why in _whys(one)
    assert not [fate for fate in one.fates if fate.object.startswith("routes.")]


def test_two_certificates_for_one_host_keep_the_second_server() -> None:
    server = (
        "server {{ listen {0} ssl; server_name a; ssl_certificate {0}.pem;"
        " ssl_certificate_key {0}.key; location / {{ return 204; }} }}"
    )
    one = imported(server.format(443) + server.format(444))
    assert _whys(one) == ["a has another certificate on another listener"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("http {\n include gone; }", f"{ENTRY}:2:2: cannot read /etc/nginx/gone"),
        ("http {\n a }", f'{ENTRY}:2:4: unexpected "}}"'),
        ("headgate_route a;", f'{ENTRY}:1:1: "headgate_route"'),
        ("a { " * 102 + "b;" + "}" * 102, "nested more than 100 deep"),
    ],
)
def test_what_cannot_be_taken_whole_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(ImportRefusedError) as refused:
        import_tree(tree_of(text))
    assert message in str(refused.value)


def test_lost_directives_would_be_seen() -> None:
    tree = tree_of_http("server {\n root /srv;\n index a; }")
    one = import_tree(tree)
    cut = Imported(
        one.entry,
        one.objects,
        {ENTRY: one.verbatim[ENTRY].replace(b"root /srv;", b"")},
        one.fates,
        one.notes,
    )
    (problem,) = proof.lost(tree, cut)
    assert str(problem) == f'{ENTRY}:3:2: "root" would be lost'


def test_a_bundle_whose_parts_do_not_fit_is_refused() -> None:
    one = imported("server { location / { return 204; } }")
    files = to_files(one)
    without_model = {**files, "headgate.toml": b""}
    with pytest.raises(NoSuchObjectError):
        rerender(from_files(without_model))
    for broken in ({}, {**files, "import.json": b"["}, {**files, "headgate.toml": b"="}):
        with pytest.raises(BrokenBundleError):
            from_files(broken)


def test_an_upstream_that_no_route_leads_to_is_kept() -> None:
    one = imported(
        "upstream php { server unix:/run/php.sock; }"
        " server { location / { return 204; } location ~ x { fastcgi_pass php; } }"
    )
    assert "no route leads to it" in _whys(one)
    assert {item.section for item in one.objects} == {"listeners", "routes"}


def test_what_differs_is_noted_with_its_place() -> None:
    one = imported(
        "server { listen 443 ssl http2; ssl_certificate a; ssl_certificate_key b;\n"
        "ssl_protocols TLSv1.2;\nlocation / { proxy_pass http://a; } }"
    )
    assert [(note.line, note.message) for note in one.notes] == [
        (4, "`Location` headers that name the upstream are not rewritten here"),
        (
            4,
            "x-forwarded-for, x-forwarded-host, x-forwarded-proto, x-real-ip, x-request-id: "
            "set for the endpoint here, not there",
        ),
        (
            4,
            "`proxy_request_buffering`: on the native engine bodies above 16KiB pass as they come; "
            "nginx collects them in a file",
        ),
        (
            4,
            "`proxy_buffering`: 16MiB of an answer are collected for a slow client, in memory; "
            "nginx puts what its buffers do not hold into a file",
        ),
        (2, "ssl_protocols: kept, listeners have a policy of their own"),
    ]


@pytest.mark.parametrize(
    "server",
    [
        "listen unix:/run/x.sock;",
        "listen unix:/run/x.sock default_server; server_name b;",
        "listen 443 quic; server_name b;",
    ],
)
def test_a_server_without_an_address_of_ours_stays_as_it_is(server: str) -> None:
    text = f"server {{ {server} location / {{ proxy_pass http://127.0.0.1:1; }} }}"
    one = imported(text)
    assert one.objects == ()
    assert [fate.object for fate in one.fates if fate.object] == []
    (why,) = (fate.why for fate in one.fates if fate.name == "server")
    assert "it listens on no address that a listener can have" in why


def test_a_server_whose_name_is_taken_is_no_default_for_its_socket() -> None:
    first = "server { listen 80; server_name a; location / { proxy_pass http://127.0.0.1:1; } }"
    second = first.replace("listen 80;", "listen 80; listen unix:/run/x.sock;")
    one = imported(first + second)
    assert len([each for each in one.objects if each.section == "routes"]) == 1
    (_, kept) = (fate for fate in one.fates if fate.name == "location")
    assert kept.object == ""
    assert "every name of it is an earlier server's" in str([fate.why for fate in one.fates])


@pytest.mark.parametrize(
    "text",
    [
        "upstream u { keepalive; server 127.0.0.1:1; }",
        "upstream u { server; }",
        "upstream u { hash; server 127.0.0.1:1; }",
        "server { listen 80; location / { allow; proxy_pass http://127.0.0.1:1; } }",
        "server { listen 80; location / { set; auth_request /a; proxy_pass http://127.0.0.1:1; } }",
        "server { listen 80; location / { proxy_pass http://127.0.0.1:1; mirror; } }",
        "server { listen 80; location / { proxy_pass; add_header; limit_req; auth_basic; } }",
        "server { listen 80; proxy_hide_header; proxy_buffers 4; }",
    ],
)
def test_a_line_without_its_words_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(ImportRefusedError) as refused:
        imported(text)
    assert {(one.file, one.line) for one in refused.value.problems} == {(ENTRY, 2)}
    assert "has too few arguments, and nginx refuses that" in refused.value.problems[0].message
