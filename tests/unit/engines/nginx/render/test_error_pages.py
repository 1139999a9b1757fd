"""`error_pages` in nginx's words, and what of it nginx cannot do."""

from dataclasses import replace
from pathlib import Path, PurePath

import pytest
from memory_files import MemoryFiles
from nginx_engine import NotRenderedError, expressed, target

from headgate.compile.load import load
from headgate.engines.nginx.common.types import Capabilities, Rendered
from headgate.nginxtext.writer import LONGEST

ACCEPTED = Path(__file__).parents[4] / "golden" / "nginx" / "accepted.txt"
DEBIAN_12 = Capabilities("", "", "", frozenset(ACCEPTED.read_text(encoding="utf-8").split()))
LUA = Capabilities("", "", "", DEBIAN_12.accepted | {"lua_balancer"})
FORWARD = 'upstream = "u"'


def pages(statuses: str, body: str = '"p"') -> str:
    return f"{{ error_pages.pages = [{{ statuses = [{statuses}], body = {body} }}] }}"


def rendered(*chain: str, route: str = FORWARD, lua: bool = False, extra: str = "") -> Rendered:
    """A release whose one route has these middlewares, each as an inline table."""
    text = (
        '[listeners.web]\naddress = "127.0.0.1:1"\ndefault = true\n'
        f"[routes.r]\nmiddlewares = [{', '.join(chain)}]\n{route}\n"
        f'[upstreams.u]\nendpoints = ["127.0.0.1:1"]\n{extra}'
    )
    found = load(
        [PurePath("c.toml")], MemoryFiles({"c.toml": text, "long": 'a$"\\\n' * 12_000}), {}
    )
    assert found.plan is not None, [str(one) for one in found.errors]
    on = target("/state/nginx", LUA if lua else DEBIAN_12)
    return expressed(found, replace(on, endpoints="lua") if lua else on)


def text_of(made: Rendered) -> str:
    return b"".join(f.content for f in made.files if f.path.endswith(".conf")).decode()


def block(text: str, head: str) -> str:
    """The lines of a location."""
    return text[text.index(head) :].split("\n    }\n", maxsplit=1)[0]


def test_one_location_refuses_and_another_forwards() -> None:
    limit = '{ rate_limit = { rate = "1/m" } }'
    text = text_of(rendered(limit, pages('404, "500-501"')))
    route = block(text, "# route r")
    leads = "error_page 404 500 501 @hg_page_route_1;"
    assert route.index(leads) < route.index("error_page 404 405 408")
    assert "limit_req " in route and "try_files /. @hg_sent_route_1;" in route
    assert "proxy_pass" not in route
    sent = block(text, "location @hg_sent_route_1")
    assert "proxy_intercept_errors on;" in sent and "proxy_pass" in sent
    # Every other `error_page` here would take endpoints' answers away.
    assert sent.count("error_page") == 1 and leads in sent
    assert "limit_req" not in sent
    page = block(text, "location @hg_page_route_1")
    assert "return 200 $hg_page_" in page
    assert "error_page" not in page


def test_what_nginx_cannot_answer_is_never_intercepted() -> None:
    text = text_of(rendered(pages('"4xx"')))
    codes = block(text, "location @hg_sent_").split("error_page ")[1].split(" @")[0].split()
    assert set(codes) == {str(n) for n in range(400, 500)} - {
        *("408", "444", "494", "495", "496", "497", "499")
    }
    assert "@hg_sent" not in text_of(rendered(pages("408, 444")))


def test_edits_of_the_route_are_on_pages_too() -> None:
    edits = '{ response_headers = { set = { x-a = "b", cache-control = "c" }, remove = ["vary"] } }'
    page = block(text_of(rendered(edits, pages("404"))), "location @hg_page_")
    assert "add_header x-a b always;" in page
    assert page.count("add_header cache-control ") == 1
    assert "add_header vary " not in page
    assert "add_header set-cookie " in page


def test_long_pages_are_in_pieces() -> None:
    text = text_of(rendered(pages("404", '{ file = "long" }')))
    assert max(map(len, text.encode().splitlines())) < LONGEST + 100
    assert text.count("map ") > 40


def test_pages_of_a_middleware_that_refuses() -> None:
    text = text_of(rendered('{ ip_access = { deny = ["192.0.2.1"] } }', pages("403")))
    assert "rewrite ^ route:1:refused1 last;" in block(text, "# route r")
    assert "return 403 $hg_page_" in block(text, "location = route:1:refused1")
    service = '{ forward_auth = { upstream = "auth" } }'
    auth = '[upstreams.auth]\nendpoints = ["127.0.0.1:2"]\n'
    text = text_of(rendered(service, pages('"4xx", "5xx"'), extra=auth))
    leads = block(text, "# route r").split("@hg_page_")[0].split("error_page ")[1].split()
    assert not {"401", "403", "500"} & set(leads)  # these say what the service decided
    assert "return 401 $hg_page_" in block(text, "location @hg_asked_")


def test_an_answer_of_the_route_itself_has_none() -> None:
    respond = 'respond = { status = 404, body = "meant so" }'
    assert 'return 404 "meant so";' in text_of(rendered(pages("404"), route=respond))


def test_faults_without_a_page_are_told() -> None:
    made = rendered(pages('404, "500-502"'))
    assert any("413, 504 of nginx itself" in note for note in made.notes)
    assert not any("of nginx itself" in note for note in rendered(pages('"4xx", "5xx"')).notes)


@pytest.mark.parametrize(
    ("chain", "lua", "said"),
    [
        ([pages("404")], True, 'nginx has no pages with `node.nginx.endpoints = "lua"`'),
        (
            ['{ response_headers.remove = ["www-authenticate"] }', pages('"4xx"')],
            False,
            "nginx keeps `www-authenticate`",
        ),
        ([pages("404", '"a\\u0001b"')], False, "pages[0].body: it holds the control character"),
    ],
)
def test_what_nginx_cannot_do_is_refused(chain: list[str], lua: bool, said: str) -> None:
    with pytest.raises(NotRenderedError) as refused:
        rendered(*chain, lua=lua)
    assert said in str(refused.value)
