"""Requests made out of routes, and which of them another config sends elsewhere."""

from pathlib import PurePath

from memory_files import MemoryFiles

from headgate.compile.asked import MOST, made, moved, where
from headgate.compile.load import load
from headgate.compile.routing import Question, Routing
from headgate.plan.plan import Plan

BASE = """
[listeners.web]
address = "127.0.0.1:8000"
default = true
[upstreams.u]
endpoints = ["127.0.0.1:1"]
[upstreams.v]
endpoints = ["127.0.0.1:2"]
"""
API = (
    '[routes.api]\nhosts = ["*.a.example"]\nmatch = { path = { prefix = "/x" } }\nupstream = "u"\n'
)


def plan(text: str) -> Plan:
    """The plan of a config."""
    found = load([PurePath("a.toml")], MemoryFiles({"a.toml": BASE + text}), {})
    assert found.plan is not None, found.diagnostics
    return found.plan


def test_a_request_is_made_that_its_route_takes() -> None:
    text = API + (
        '[routes.b]\nhosts = ["b.example"]\nupstream = "v"\n'
        'match = { methods = ["PUT"], headers = { x-a = { exact = "1" } },'
        ' query = { q = { prefix = "p" } } }\n'
    )
    asked = made(plan(text))
    assert [(one.method, one.url) for one in asked] == [
        ("GET", "http://any.a.example/x"),
        ("PUT", "http://b.example/?q=p"),
    ]
    routing = Routing(plan(text))
    assert [where(routing, one) for one in asked] == ["upstream u", "upstream v"]


def test_a_request_lacks_what_must_be_absent_and_has_what_must_be_empty() -> None:
    text = (
        '[routes.r]\nupstream = "u"\n'
        'match = { query = { q = { absent = true }, e = { exact = "" } },'
        " headers = { x-a = { absent = true } }, cookies = { c = { absent = true } } }\n"
    )
    (asked,) = made(plan(text))
    assert (asked.url, asked.headers) == ("http://any.example/?e", {})
    assert where(Routing(plan(text)), asked) == "upstream u"


def test_an_expression_makes_no_request() -> None:
    assert made(plan('[routes.r]\nmatch = { path = { regex = "/a+" } }\nupstream = "u"\n')) == []


def test_requests_are_bounded() -> None:
    many = "".join(
        f'[routes.r{n}]\nhosts = ["h{n}.example"]\nupstream = "u"\n' for n in range(MOST + 5)
    )
    assert len(made(plan(many))) == MOST


def test_only_requests_that_go_elsewhere_are_said() -> None:
    before = plan(API)
    renamed = plan(API.replace("routes.api", "routes.other"))
    elsewhere = plan(API.replace('"u"', '"v"'))
    answered = plan(API.replace('upstream = "u"', "respond = { status = 204 }"))
    asked = made(before)
    routing = Routing(before)
    assert moved(routing, Routing(renamed), asked) == []
    assert [(one.before, one.after) for one in moved(routing, Routing(elsewhere), asked)] == [
        ("upstream u", "upstream v")
    ]
    assert moved(routing, Routing(answered), asked)[0].after == "route api"
    assert moved(routing, Routing(plan("")), asked)[0].after == "404: no route takes it"


def test_a_request_to_a_listener_that_is_gone_goes_nowhere() -> None:
    asked = Question("http://a.example/", listener="old")
    assert 'there is no listener "old"' in where(Routing(plan(API)), asked)
