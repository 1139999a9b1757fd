"""nginx accepts a re-rendered import as it accepts the original; its values stay data."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from nginx_configs import CONFIGS, PARAMS
from nginx_oracle import NginxOracle
from nginx_trees import ENTRY, tree_of, tree_of_http

from headgate.engines.nginx.imports.recognise import import_tree
from headgate.engines.nginx.imports.rerender import rerender

SITES = [
    'server { listen 127.0.0.1:8080; location / { return 200 "a;}{#\\"\\\\ $host"; } }',
    "server { listen 127.0.0.1:8080; server_name .a.example b.example; add_header X-A a always;"
    " location /a/ { proxy_pass http://127.0.0.1:9/; proxy_set_header X-B $http_user_agent;"
    " access_log off; } location = /h { return 204; } }",
    "upstream u { hash $cookie_a consistent; server 127.0.0.1:9 max_conns=3; keepalive 4;"
    " zone u 64k; } server { listen 127.0.0.1:8080; location /x { proxy_pass http://u;"
    " client_max_body_size 0; proxy_read_timeout 5s; } location / { try_files $uri =404; } }",
    "server { auth_request /_a; auth_request_set $user $upstream_http_remote_user; location = /_a {"
    " internal; proxy_pass http://127.0.0.1:9/x?y; proxy_pass_request_body off; proxy_set_header"
    " Content-Length ''; proxy_pass_request_headers off; proxy_set_header Host $host; }"
    " location / { proxy_set_header Remote-User $user; proxy_pass http://127.0.0.1:9; } }",
    "split_clients $remote_addr $to { 0.25% 10.0.0.1; * 10.0.0.2; } server { location / {"
    " proxy_pass http://${to}:81; proxy_set_header Host $http_host; } }",
    "map $http_upgrade $c { default upgrade; '' close; }"
    " server { listen [::1]:8080 backlog=64; default_type text/html;"
    " return 302 https://$host:8443$request_uri; }",
]


@pytest.mark.parametrize("inside", SITES)
def test_the_re_rendered_config_is_accepted(
    tmp_path_factory: pytest.TempPathFactory, inside: str
) -> None:
    nginx = NginxOracle(tmp_path_factory.mktemp("nginx"))
    original = nginx.test_http(inside.encode())
    assert original.accepted, original.output
    imported = import_tree(tree_of_http(inside))
    assert imported.modelled > 0
    text = rerender(imported)[ENTRY]
    _, _, body = text.partition(b"http {")
    again = nginx.test_http(body.rstrip().removesuffix(b"}"))
    assert again.accepted, again.output


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("nginx")


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(CONFIGS, PARAMS)
def test_what_nginx_accepts_it_accepts_again(folder: Path, text: str, params: str) -> None:
    text = text.replace("server b backup", "server 10.0.0.2:80 backup")
    for name in ("server a:1", "server p:1"):
        text = text.replace(name, "server 10.0.0.1:81")
    nginx = NginxOracle(folder)
    (folder / "params").write_text(params)
    if not nginx.test(text.encode()).accepted:
        return
    again = rerender(import_tree(tree_of(text, params=params)))
    verdict = nginx.test(again[ENTRY])
    assert verdict.accepted, (verdict.output, again[ENTRY])
