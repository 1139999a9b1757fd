"""`forward_auth` in nginx's words, and what of it nginx cannot do."""

from pathlib import Path, PurePath

import pytest
from memory_files import MemoryFiles
from nginx_engine import NotRenderedError, expressed, target

from headgate.compile.load import load
from headgate.engines.nginx.common.types import Capabilities

ACCEPTED = Path(__file__).parents[4] / "golden" / "nginx" / "accepted.txt"
DEBIAN_12 = Capabilities("", "", "", frozenset(ACCEPTED.read_text(encoding="utf-8").split()))
FORWARD = 'upstream = "u"'
HASH = "$2b$04$0e856lVe4ANgjk9VYQGbvufRaupb9zxuOKCW5n9uFCwbWH9pMRuYW"
PASSWORD = f'{{ basic_auth = {{ users = ["alice:{HASH}"] }} }}'


def asks(more: str = "") -> str:
    return f'{{ forward_auth = {{ upstream = "auth"{more} }} }}'


def rendered(
    *chain: str,
    route: str = FORWARD,
    has: Capabilities = DEBIAN_12,
    auth: str = 'endpoints = ["127.0.0.1:2"]',
    extra: str = "",
) -> str:
    """The text of a release whose one route has these middlewares, each as an inline table."""
    text = (
        '[listeners.web]\naddress = "127.0.0.1:1"\ndefault = true\n'
        f"[routes.r]\nmiddlewares = [{', '.join(chain)}]\n{route}\n"
        f'[upstreams.u]\nendpoints = ["127.0.0.1:1"]\n[upstreams.auth]\n{auth}\n{extra}'
    )
    found = load([PurePath("c.toml")], MemoryFiles({"c.toml": text}), {})
    assert found.plan is not None, [str(one) for one in found.errors]
    made = expressed(found, target("/state/nginx", has))
    return b"".join(f.content for f in made.files if f.path.endswith(".conf")).decode()


def block(text: str, head: str) -> str:
    """The lines of a location."""
    return text[text.index(head) :].split("\n    }\n", maxsplit=1)[0]


def test_the_service_is_asked_in_a_location_that_no_client_names() -> None:
    text = rendered(asks(', path = "/v?a=$b", copy = ["Remote-User"], timeout = "2s"'))
    route = block(text, "# route r")
    assert "auth_request auth:route:1;" in route
    assert "auth_request_set $hg_auth_of_remote_user $upstream_http_remote_user;" in route
    assert 'proxy_set_header remote-user "${hg_auth_of_remote_user}";' in route
    assert 'proxy_set_header x-headgate-auth "";' in route
    service = block(text, "location = auth:route:1")
    for line in (
        "internal;",
        "client_max_body_size 0;",
        "proxy_method GET;",
        "proxy_pass_request_body off;",
        "proxy_pass_request_headers off;",
        'proxy_set_header content-length "";',
        "proxy_connect_timeout 2s;",
        "proxy_read_timeout 2s;",
        'proxy_pass "http://hg_up_auth/v?a=${hg_dollar}b${hg_empty}";',
    ):
        assert line in service, service
    # Before the line that leads every request to its own path.
    first = text.index("^auth:")
    assert 0 < first < text.index("$hg_admitted;")


def test_all_headers_pass_but_those_that_are_not_the_clients() -> None:
    service = block(rendered(asks(', headers = "all"')), "location = auth:route:1")
    assert "proxy_pass_request_headers" not in service
    for name in ("trailer", "x-real-ip", "forwarded", "x-forwarded-port", "x-headgate-auth"):
        assert service.count(f'proxy_set_header {name} "";') == 1, service
    assert service.count("proxy_set_header x-forwarded-uri ") == 1
    assert "proxy_set_header x-forwarded-for $remote_addr;" in service


def test_a_server_without_it_has_none_of_its_lines() -> None:
    text = rendered()
    assert "auth:" not in text
    assert "hg_asked" not in text


def test_each_part_of_a_split_and_each_route_asks() -> None:
    split = 'split = [{ upstream = "u", weight = 1 }, { upstream = "auth", weight = 1 }]'
    text = rendered(asks(), route=split)
    assert text.count("auth_request auth:") == text.count("location = auth:") == 2
    more = f'[routes.other]\nhosts = ["b.example"]\nmiddlewares = [{asks()}]\nupstream = "u"\n'
    text = rendered(asks(), extra=more)
    assert text.count("auth_request auth:") == text.count("location = auth:") == 2
    assert text.count("location @hg_asked_moved") == text.count("rewrite (*NO_JIT)^auth:") == 2


def test_without_endpoints_nobody_is_asked_and_nobody_passes() -> None:
    text = rendered(asks(), auth='endpoints = [{ address = "127.0.0.1:2", weight = 0 }]')
    service = block(text, "location = auth:route:1")
    assert "return 401;" in service
    assert "proxy_pass" not in service


@pytest.mark.parametrize(
    ("chain", "path", "why"),
    [
        ([asks(', cookies = ["a"]')], "forward_auth.cookies", "all cookies"),
        ([asks(', copy_prefix = "x-auth-"')], "forward_auth.copy_prefix", "whole name"),
        ([asks(", fail_open = true")], "forward_auth.fail_open", "nobody passes"),
        ([asks(", in_flight = 5")], "forward_auth.in_flight", "no subrequests"),
        ([asks(', copy = ["x.y"]')], "forward_auth.copy", "letters, digits and hyphens"),
        ([asks(', headers = ["x_y"]')], "forward_auth.headers", "letters, digits and hyphens"),
        ([asks(', answer_headers = ["a.b"]')], "forward_auth.answer_headers", "letters"),
        ([asks(), "{ respond = { status = 200 } }"], "forward_auth", "answers by itself"),
        ([asks(), asks()], "forward_auth", "asks once"),
        ([PASSWORD, asks()], "forward_auth", "asks once"),
    ],
)
def test_what_nginx_cannot_do_is_refused_by_name(chain: list[str], path: str, why: str) -> None:
    with pytest.raises(NotRenderedError) as caught:
        rendered(*chain)
    problems = caught.value.found
    assert any(one.path.endswith(path) and why in one.message for one in problems), problems


def test_a_route_that_answers_by_itself_is_refused() -> None:
    with pytest.raises(NotRenderedError):
        rendered(asks(), route="respond = { status = 204 }")


def test_limits_before_it_stand() -> None:
    limit = '{ rate_limit = { rate = "10/s" } }'
    assert "limit_req zone" in rendered(limit, asks())


def test_an_nginx_without_the_module_is_refused() -> None:
    less = Capabilities("", "", "", DEBIAN_12.accepted - {"auth_request"})
    with pytest.raises(NotRenderedError) as caught:
        rendered(asks(), has=less)
    assert "this nginx has no `auth_request`" in str(caught.value.found)
