"""Each check finds what is bad and leaves alone what is good."""

from pathlib import Path
from typing import NamedTuple

import pytest
from nginx_trees import tree_of, tree_of_http
from peers import peer, unavailable

from headgate.engines.nginx.instance.rooted import RootedFiles
from headgate.engines.nginx.lint import regexes
from headgate.engines.nginx.lint.lint import lint
from headgate.engines.nginx.lint.registry import CHECKS
from headgate.nginxtext.includes import Tree, load


class Sample(NamedTuple):
    """A bad and a good config, both inside `http`."""

    bad: str
    good: str


SAMPLES = {
    "alias_traversal": Sample(
        "server { location /i { alias /data/; } }",
        "server { location /i/ { alias /data/; } location ~ ^/x/(.*)$ { alias /y/; } }",
    ),
    "http_splitting": Sample(
        "server { return 301 https://a.example$uri; }",
        'server { return 301 https://a.example$request_uri; location /x { return 200 "$uri"; } }',
    ),
    "ssrf": Sample(
        "server { location / { proxy_pass http://$arg_host/; } }",
        "server { location / { internal; proxy_pass http://$arg_host/; } "
        "location /b { proxy_pass http://b/$arg_x; } }",
    ),
    "allow_without_deny": Sample(
        "server { location / { allow 10.0.0.0/8; } }",
        "server { location / { allow 10.0.0.0/8; deny all; } location /x { allow all; } }",
    ),
    "duplicate_server_name": Sample(
        "server { server_name a.example; } server { listen 80; server_name b.example A.example; }",
        "server { server_name a.example; } server { listen 81; server_name a.example; }",
    ),
    "missing_include": Sample("include gone.conf;", "include gone/*.conf;"),
    "filesystem_root_exposure": Sample("server { root /; }", "server { root /srv/www; }"),
    "regex_redos": Sample(
        r"server { location ~ ^/(\w+\s?)+$ { } }", "server { location ~ ^(/[^/]+)+$ { } }"
    ),
    "weak_ssl_tls": Sample("ssl_protocols TLSv1 TLSv1.2;", "ssl_protocols TLSv1.2 TLSv1.3;"),
    "return_bypasses_allow_deny": Sample(
        "server { location / { deny all; return 200 ok; } }",
        "server { location / { deny all; proxy_pass http://a; } location /x { return 200; } }",
    ),
    "if_is_evil": Sample(
        "server { location / { if ($a) { proxy_pass http://x; } } }",
        "server { location / { if ($a) { return 403; } } if ($b) { return 404; } }",
    ),
    "host_spoofing": Sample("proxy_set_header Host $http_host;", "proxy_set_header Host $host;"),
    "valid_referers": Sample(
        "server { valid_referers none a.example; }", "server { valid_referers a.example; }"
    ),
    "add_header_redefinition": Sample(
        "add_header X-A 1; server { location / { add_header X-B 2; } }",
        "add_header X-A 1; server { location / { add_header X-B 2; add_header x-a 1; } }",
    ),
    "missing_resolver": Sample(
        "server { location / { proxy_pass http://$backend; } }",
        "server { location / { resolver 127.0.0.1; proxy_pass http://$backend; } "
        "location /x { set $up 127.0.0.1:80; proxy_pass http://$up; } }",
    ),
    "resolver_external": Sample("resolver 8.8.8.8 valid=30s;", "resolver 127.0.0.53 10.0.0.2:53;"),
    "status_page_exposed": Sample(
        "server { listen 80; location /s { stub_status; } }",
        "server { listen 127.0.0.1:81; location /s { stub_status; } } "
        "server { location /s { stub_status; allow 10.0.0.1; deny all; } }",
    ),
    "error_log_off": Sample("error_log off;", "error_log /var/log/e.log crit;"),
    "worker_rlimit_nofile_vs_connections": Sample("", ""),
    "ssl_stapling_without_resolver": Sample(
        "server { ssl_stapling on; }", "server { ssl_stapling on; resolver 127.0.0.1; }"
    ),
    "proxy_pass_normalized": Sample(
        "server { location /a/ { proxy_pass http://b/c/; } }",
        "server { location /a/ { proxy_pass http://b; } location / { proxy_pass http://b/; } }",
    ),
    "hash_without_default": Sample("map $a $b { x y; }", "map $a $b { default z; x y; }"),
    "version_disclosure": Sample("server { }", "server_tokens off; server { }"),
    "default_server_flag": Sample(
        "server { server_name a; } server { server_name b; }",
        "server { listen 80 default_server; server_name a; } server { server_name b; }",
    ),
    "unanchored_regex": Sample(
        r"server { location ~ \.php { } }", r"server { location ~ \.php$ { } location ~ ^/a { } }"
    ),
    "hsts_header": Sample(
        'add_header Strict-Transport-Security "max-age=60";',
        'add_header Strict-Transport-Security "max-age=31536000; includeSubDomains";',
    ),
    "add_header_multiline": Sample('add_header A "b;\n c";', 'add_header A "b; c";'),
    "low_keepalive_requests": Sample("keepalive_requests 100;", "keepalive_requests 1000;"),
    "try_files_is_evil_too": Sample(
        "server { try_files $uri a b c d =404; }",
        "server { try_files $uri $uri/ =404; location / { open_file_cache max=10; "
        "try_files $uri a b c d =404; } }",
    ),
}


def _ids(tree: Tree) -> set[str]:
    return {finding.id for finding in lint(tree)}


def test_every_check_has_its_samples() -> None:
    assert [check.id for check in CHECKS] == list(dict.fromkeys(check.id for check in CHECKS))
    assert {check.id for check in CHECKS} == set(SAMPLES)


@pytest.mark.parametrize("id_", [id_ for id_, sample in SAMPLES.items() if sample.bad])
def test_the_bad_is_found_and_the_good_is_not(id_: str) -> None:
    bad = [finding for finding in lint(tree_of_http(SAMPLES[id_].bad)) if finding.id == id_]
    assert len(bad) == 1
    assert (bad[0].file, bad[0].message != "", bad[0].advice != "") == (
        "/etc/nginx/nginx.conf",
        True,
        True,
    )
    assert id_ not in _ids(tree_of_http(SAMPLES[id_].good))


def test_files_are_compared_with_connections() -> None:
    text = "worker_rlimit_nofile {}; events {{ worker_connections 1024; }}"
    id_ = "worker_rlimit_nofile_vs_connections"
    assert id_ in _ids(tree_of(text.format(1024)))
    assert id_ not in _ids(tree_of(text.format(2048)))


def test_findings_name_the_line_of_the_file_they_are_in_once() -> None:
    servers = "server { listen 81; include s; }\nserver { listen 82; include s; }"
    tree = tree_of_http(servers, s="location /a {\n alias /b/; }")
    found = [finding for finding in lint(tree) if finding.id == "alias_traversal"]
    assert [(one.file, one.line) for one in found] == [("/etc/nginx/s", 2)]
    assert str(found[0]).startswith("/etc/nginx/s:2:2: high alias_traversal: `/a../` leaves")


def test_debians_stock_config_has_its_two_weaknesses_only() -> None:
    peer("nginx")
    entry = "/etc/nginx/nginx.conf"
    if not Path(entry).exists():
        unavailable("no stock config is installed")
    tree = load(entry, RootedFiles())
    assert _ids(tree) <= {"version_disclosure", "weak_ssl_tls"}


@pytest.mark.parametrize(
    ("pattern", "is_nested"),
    [
        ("(a+)+", True),
        ("(a*)*b", True),
        (r"^(\w+\s?)+$", True),
        ("(?:[a-z]+)*", True),
        ("((ab)+)+", True),
        ("(a|b+)+", True),
        ("(.*)+", True),
        ("(a+){2,}", True),
        ("(/[^/]+)*", False),
        ("(a+b)+", False),
        ("a+b*c+", False),
        (r"\(a+\)+", False),
        ("[(a+)+]", False),
        ("(a+)?", False),
        ("(?i)^/x$", False),
        ("(", False),
        ("", False),
    ],
)
def test_nested_repetitions_are_told_from_harmless_ones(pattern: str, is_nested: bool) -> None:
    assert regexes.has_nested_repetition(pattern) is is_nested
