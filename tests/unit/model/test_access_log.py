"""`node.access_log`: fields and templates, what they become, and what is refused with its place."""

import re
from pathlib import Path, PurePath

import pytest
from memory_files import MemoryFiles

from headgate.compile.load import load
from headgate.compile.loaded import Loaded
from headgate.engines.nginx.common import logged
from headgate.engines.nginx.render import chosen, tcp_logs
from headgate.features.log_named import logged_headers
from headgate.fleet.searches import LogSearch
from headgate.kernel.ids import ObjectName
from headgate.model.log_fields import FIELDS
from headgate.node.agent.log_shape import unsearchable
from headgate.plan.kinds import ObjectKey
from headgate.plan.settings import AccessLog, Settings

BASE = """
[listeners.web]
address = "127.0.0.1:8000"
default = true
[routes.all]
respond = { status = 204 }
[node]
"""
PAGE = Path(__file__).parents[3] / "docs" / "reference" / "access-log.md"


def loaded(log: str, more: str = "") -> Loaded:
    text = f"{BASE}access_log = {{ {log} }}\n{more}"
    return load([PurePath("a.toml")], MemoryFiles({"a.toml": text}), {})


def plan(log: str) -> AccessLog:
    found = loaded(log)
    assert found.plan is not None, [str(one) for one in found.errors]
    value = found.plan.objects[ObjectKey("settings", ObjectName("node"))].value
    assert isinstance(value, Settings)
    assert value.access_log is not None
    return value.access_log


def why(log: str, **search: str) -> str | None:
    found = loaded(log).plan
    assert found is not None
    return unsearchable(found, LogSearch(1, **search))  # type: ignore[arg-type]


def test_what_they_become() -> None:
    assert plan('fields = ["status", "time"]').fields == ("status", "time")
    assert plan('format = "json", fields = ["status"]').template is None
    assert plan("template = '$$${status} x'").template == "$$${status} x"
    assert (plan('format = "json"').fields, plan('format = "json"').template) == ((), None)


@pytest.mark.parametrize(
    ("log", "said"),
    [
        ('fields = ["stauts"]', 'write "status"'),
        ('fields = ["nothing"]', "write one of time, "),
        ('fields = ["time", "time"]', '"time" is there twice'),
        ("fields = []", "fields"),
        ('format = "combined", fields = ["time"]', 'the format is "combined"'),
        ('format = "json", template = "a"', "exclude each other"),
        ('fields = ["time"], template = "a"', "exclude each other"),
        ("template = '${stauts}'", "write ${status}"),
        ('fields = ["jwt:"]', '"" is not the name of a claim'),
        ("template = '${jwt:a b}'", '"a b" is not the name of a claim'),
        (f'fields = ["jwt:{"x" * 257}"]', "write up to 256 visible ASCII characters"),
        ('fields = ["jwt:access_token"]', "the claim access_token carries credentials"),
        ("template = '${jwt:/login/password}'", "carries credentials"),
        ('fields = ["jwt:sub", "jwt:sub"]', '"jwt:sub" is there twice'),
        (f"fields = {[f'jwt:a{n}' for n in range(17)]}", "17 claims are too many"),
        ("template = '${header:Accept}'", "write ${header:accept}"),
        ("template = '${header:x a}'", "write a name in lower case"),
        ('fields = ["header:Accept"]', 'write "header:accept"'),
        ('fields = ["header:"]', "is not the name of a header"),
        (f'fields = ["header:{"x" * 65}"]', "up to 64 characters"),
        ('fields = ["header:user-agent"]', 'write "user_agent"'),
        ("template = '${header:host}'", "write ${host}"),
        ('fields = ["header:authorization"]', "carries credentials"),
        ("template = '${header:cookie}'", "carries credentials"),
        ("template = '${header:proxy-authorization}'", "carries credentials"),
        ("template = '${header:set-cookie}'", "carries credentials"),
        ("template = '${header:x-api-key}'", "carries credentials"),
        ('fields = ["header:x-a", "header:x-a"]', '"header:x-a" is there twice'),
        (f"fields = {[f'header:x-{n}' for n in range(17)]}", "17 headers are too many"),
        ("template = '${status'", "no closing brace"),
        ("template = 'a $1'", "no meaning here"),
        ("template = 'a $'", "no variable name"),
        ('template = "a\\nb"', "not a line of text"),
        ('template = ""', "not a line of text"),
    ],
)
def test_what_is_refused(log: str, said: str) -> None:
    found = loaded(log)
    assert found.plan is None
    assert any(said in str(one) and "access_log" in str(one) for one in found.errors), [
        str(one) for one in found.errors
    ]


def test_headers_are_fields_and_variables() -> None:
    assert plan('fields = ["status", "header:x-a"]').fields == ("status", "header:x-a")
    text = "${header:x-a} ${header:x-b} ${header:x-a}"
    assert logged_headers(plan(f"template = '{text}'")) == ("x-a", "x-b")
    many = "".join(f"${{header:x-{n}}}" for n in range(16))
    assert len(logged_headers(plan(f"template = '{many}{many}'"))) == 16


def test_claims_are_fields_and_variables() -> None:
    fields = ("jwt:sub", "header:sub", "jwt:https://a.example/team", "jwt:/realm/roles")
    assert plan(f"fields = {[*fields]}").fields == fields
    many = "".join(f"${{jwt:a{n}}}${{header:a{n}}}" for n in range(16))
    assert plan(f"template = '{many}{many}'").template == many + many
    assert logged_headers(plan("template = '${jwt:x-a} ${header:x-b}'")) == ("x-b",)


@pytest.mark.parametrize(
    ("log", "place"),
    [
        ('fields = ["status", "jwt:id_token"]', "node.access_log.fields[1]"),
        ("template = '${status} ${jwt:id_token}'", "node.access_log.template"),
    ],
)
def test_a_claim_that_carries_credentials_is_refused_with_its_place(log: str, place: str) -> None:
    (one,) = loaded(log).errors
    assert (one.path, one.message) == (
        place,
        "the claim id_token carries credentials, which lines never show",
    )
    assert one.allowed == "name another claim"


KEY = f"""
[middlewares.door]
api_key = {{ header = "x-door", keys = {{ ann = "sha256:{"0" * 64}" }} }}
"""


@pytest.mark.parametrize(
    ("log", "place"),
    [
        ('fields = ["status", "header:x-door"]', "node.access_log.fields[1]"),
        ("template = '${header:x-door}'", "node.access_log.template"),
    ],
)
def test_a_header_in_which_the_config_takes_credentials_is_refused(log: str, place: str) -> None:
    found = loaded(log, KEY)
    assert found.plan is None
    (one,) = found.errors
    assert (one.path, one.message) == (
        place,
        "clients send credentials in the header x-door, which lines never show",
    )
    assert loaded(log.replace("x-door", "x-other"), KEY).plan is not None


def test_the_reference_names_every_field() -> None:
    page = PAGE.read_text()
    rows = re.findall(r"^\| `([a-z_]+)` \|", page.partition("\n## ")[2].partition("\n## ")[0], re.M)
    known = set(rows)
    lines = "".join(re.findall(r"```json\n(.*)\n```", page))
    known |= set(re.findall(r'"([a-z_]+)":', lines))
    assert set(FIELDS) - known <= {"alpn", "connection_id"}
    assert known <= set(FIELDS)


def test_nginx_has_or_refuses_each() -> None:
    keys = {one.field for one in logged.FIELDS}
    of_streams = {*tcp_logs._FIELDS, *tcp_logs.Hello(is_read=True, is_answered=True).fields}
    native = {"connection_id", "datagrams_in", "datagrams_out"}
    assert keys | of_streams | set(chosen._UNKNOWN) | native == set(FIELDS)


def test_searches_say_what_they_cannot_read() -> None:
    every = 'fields = ["time", "status", "host", "target"]'
    assert why('format = "common"') is None
    assert why(every, status="5xx", host="a", path="/a") is None
    assert "`time`" in (why('fields = ["status"]') or "")
    assert why('fields = ["time"]') is None
    assert "`status`" in (why('fields = ["time"]', status="5xx") or "")
    assert "`host`" in (why('fields = ["time"]', host="a") or "")
    assert "`target`" in (why('fields = ["time"]', path="/a") or "")
    assert "template" in (why("template = '${time} ${status}'") or "")
    assert why("""template = '{"time":"${time}","status":${status}}'""", status="200") is None
