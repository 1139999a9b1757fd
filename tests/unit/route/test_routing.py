"""Requests against a plan, by the core's router."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from routed_config import CONFIG, asked, loaded, routing

from headgate._core import PlanError, Router, normalise_path, plan_check
from headgate.compile.routing import Found, Question, Routing, Shadow, shadows
from headgate.kernel.errors import Invalid

ROUTE = b'{"action":{"upstream":"u"},"hosts":["*"],"listeners":["web"]}'
SECURE = """
[listeners.secure]
address = "127.0.0.1:9443"
protocol = "http"
tls = { mode = "terminate", unknown_sni = "default" }
"""


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        (asked("http://api.example.com/v1/x", x_tenant="a"), Found("api", 0)),
        (asked("http://api.example.com/v1/x"), Found("plain", 0)),
        (asked("http://API.example.com.:8000/status?x"), Found("api", 1)),
        (asked("http://127.0.0.1:8000/status", host="api.example.com"), Found("api", 1)),
        (asked("http://a.shop.example"), Found("shop", 0)),
        (asked("http://shop.example/"), None),
        (asked("http://api.example.com/v1/../nothing"), None),
    ],
)
def test_a_request_finds_its_route(question: Question, expected: Found | None) -> None:
    router = routing()
    assert router.find(router.request(question)) == expected


@pytest.mark.parametrize(
    ("question", "part"),
    [
        (Question("api.example.com/x"), "is not a URL"),
        (Question("http://a b/"), "is not a host"),
        (Question("https://api.example.com/"), "no listener serves https"),
        (Question("http://a.example/", listener="no"), 'no listener "no"'),
    ],
)
def test_what_is_no_request_is_said_so(question: Question, part: str) -> None:
    with pytest.raises(Invalid, match=part):
        routing().request(question)


@pytest.mark.parametrize(
    ("url", "listener"),
    [
        ("http://a.example:8000/", "web"),
        ("http://a.example:81/", "also"),
        ("http://a.example/", "also"),
        ("https://a.example/", "secure"),
    ],
)
def test_the_listener_is_one_of_the_scheme_if_possible_on_the_port(url: str, listener: str) -> None:
    also = '[listeners.also]\naddress = "127.0.0.1:81"\nprotocol = "http"\n'
    found = routing(CONFIG + SECURE + also).request(Question(url))
    assert found.listener == listener


def test_a_path_that_gets_400_and_a_client_that_is_none_are_value_errors() -> None:
    router = routing()
    for question in (asked("http://x/../y"), Question("http://x/", client="nobody")):
        with pytest.raises(ValueError, match=r"climbs above the root|nobody"):
            router.find(router.request(question))


def test_every_mistake_of_a_plan_is_reported_with_its_place() -> None:
    bad = ROUTE.replace(
        b'"listeners"', b'"match":[{"path":{"regex":"("}},{"client":["x"]}],"listeners"'
    )
    uses = ROUTE.replace(b'"listeners"', b'"middlewares":[{"use":"none"}],"listeners"')
    with pytest.raises(PlanError) as caught:
        Router([("route", "bad", bad), ("route", "uses", uses), ("route", "fine", ROUTE)])
    places = {(kind, name, path) for kind, name, path, _ in caught.value.problems}
    assert places == {
        ("route", "bad", "match[0].path.regex"),
        ("route", "bad", "match[1].client[0]"),
        ("route", "uses", "middlewares[0]"),
    }


def test_a_route_that_can_never_match_is_told_with_the_one_that_takes_its_requests() -> None:
    dead = '[routes.zz]\nhosts = ["api.example.com"]\nmatch = [{ path = { prefix = "/v1/" } }]\n'
    plan = loaded(CONFIG + dead + 'upstream = "api"\n').plan
    assert plan is not None
    entries = [entry for key, entry in plan.objects.items() if key.kind == "route"]
    assert shadows(entries) == [Shadow("zz", "plain")]


def test_objects_are_checked_by_the_core() -> None:
    assert plan_check("route", ROUTE) is None
    assert "hosts" in (plan_check("route", b"{}") or "")
    assert plan_check("nothing", b"{}") == 'unknown kind "nothing"'


def test_an_empty_plan_routes_nothing() -> None:
    assert Router([]).shadowed() == []


@given(st.text(alphabet="/.%2eEfF5cC07aé{ ", max_size=24))
def test_normal_paths_stay_as_they_are(path: str) -> None:
    try:
        normal = normalise_path("/" + path)
    except ValueError:
        return
    assert normalise_path(normal) == normal
    assert not {".", ".."} & set(normal.replace("%2F", "/").split("/"))


def test_a_plan_without_routes_still_knows_its_listeners() -> None:
    plan = loaded('[listeners.web]\naddress = "127.0.0.1:80"\nprotocol = "http"\n').plan
    assert plan is not None
    router = Routing(plan)
    assert router.find(router.request(Question("http://a.example/"))) is None


def test_a_request_to_a_listener_of_tcp_has_no_answer() -> None:
    more = """
[listeners.raw]
address = "127.0.0.1:5432"
protocol = "tcp"
[tcp_routes.raw]
listeners = "raw"
upstream = "api"
"""
    router = routing(CONFIG + more)
    for question in (asked("http://127.0.0.1:5432/"), Question("http://a/", listener="raw")):
        with pytest.raises(Invalid, match='listener "raw" passes the bytes of TCP unread'):
            router.request(question)
    assert router.request(asked("http://api.example.com:8000/")).listener == "web"
