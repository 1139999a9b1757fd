"""`headgate test`: routes as data."""

import io
import os
from pathlib import Path

import msgspec
import pytest
from routed_config import CONFIG

from headgate._core import PlanError
from headgate.cli.suite import read
from headgate.cli.test import Output, Report
from headgate.cli.test import test as try_cases

GOOD = """\
config = ["c.toml"]

[[cases]]
request = "GET http://api.example.com/v1/items?x=1"
headers = { x-tenant = "a" }
expect = { route = "api", upstream = "api", path = "/items?x=1", host = "api.example.com" }

[[cases]]
request = "GET http://api.example.com/v1"
expect = { status = 308, location = "https://api.example.com/v1" }

[[cases]]
request = "GET http://a.shop.example/"
expect = { upstream = "next" }

[[cases]]
request = "GET http://api.example.com/nothing"
expect = { route = "", status = 404 }
"""


def ran(folder: Path, cases: str, output: Output = "text") -> tuple[int, str, str]:
    (folder / "c.toml").write_text(CONFIG)
    (folder / "cases.toml").write_text(cases)
    out, errors = io.StringIO(), io.StringIO()
    code = try_cases(folder / "cases.toml", (), output, stream=out, errors=errors)
    return code, out.getvalue(), errors.getvalue()


def test_cases_that_are_as_expected_are_counted(tmp_path: Path) -> None:
    assert ran(tmp_path, GOOD) == (0, "4 of 4 as expected\n", "")


def test_a_failure_says_what_it_got_and_why(tmp_path: Path) -> None:
    case = '[[cases]]\nname = "tenant"\nrequest = "GET http://api.example.com/v1/x"\n'
    code, out, _ = ran(tmp_path, GOOD + case + 'expect = { route = "api", path = "/x" }\n')
    assert code == 1
    assert out.splitlines() == [
        f"FAILED {tmp_path}/cases.toml:19:1: tenant: GET http://api.example.com/v1/x",
        '  route: expected "api", got "plain"',
        '  path: expected "/x", got none',
        f"    api: header x-tenant is absent, it must be present  {tmp_path}/c.toml:12:44",
        f"    plain: path /v1/x is under /v1  {tmp_path}/c.toml:20:21",
        "4 of 5 as expected",
    ]


def test_an_upstream_without_weight_gets_nothing(tmp_path: Path) -> None:
    config = CONFIG.replace('upstream = "next", weight = 1', 'upstream = "next", weight = 0')
    (tmp_path / "off.toml").write_text(config)
    cases = GOOD.replace("c.toml", "off.toml")
    code, out, _ = ran(tmp_path, cases)
    assert code == 1
    assert out.splitlines()[1:] == [
        '  upstream: expected "next", got "api"',
        "3 of 4 as expected",
    ]


@pytest.mark.parametrize(
    ("header", "sent"),
    [("pass", "a.example"), ("in.example:81", "in.example:81"), ("endpoint", "127.0.0.1:9001")],
)
def test_the_host_that_an_upstream_gives_is_expected(
    tmp_path: Path, header: str, sent: str
) -> None:
    listener = 'listeners.web = { address = "127.0.0.1:80", default = true }'
    upstream = f'endpoints = ["127.0.0.1:9001", "unix:/a.sock"], host_header = "{header}"'
    config = f"{listener}\nroutes.all.upstream = 'u'\nupstreams.u = {{ {upstream} }}\n"
    (tmp_path / "given.toml").write_text(config)
    case = '[[cases]]\nrequest = "GET http://a.example/"\nexpect = { host = "%s" }\n'
    cases = 'config = ["given.toml"]\n' + case % sent + case % "z.example"
    code, out, _ = ran(tmp_path, cases)
    names = f"{sent} or localhost" if header == "endpoint" else sent
    assert out.splitlines()[1:] == [
        f'  host: expected "z.example", got "{names}"',
        "1 of 2 as expected",
    ]
    assert code == 1


def test_what_is_answered_goes_nowhere(tmp_path: Path) -> None:
    config = CONFIG + "[routes.said]\nhosts = ['said.example']\n"
    (tmp_path / "said.toml").write_text(config + 'respond = { status = 200, body = "hello" }\n')
    said = '[[cases]]\nrequest = "GET http://said.example/"\nexpect = { %s }\n'
    wanted = 'upstream = "api", host = "said.example", path = "/"'
    cases = 'config = ["said.toml"]\n' + said % 'body = "hello"' + said % 'body = "bye"'
    code, out, _ = ran(tmp_path, cases + said % wanted)
    assert code == 1
    assert [line for line in out.splitlines() if line.startswith("  ")] == [
        '  body: expected "bye", got "hello"',
        '  upstream: expected "api", got none',
        '  host: expected "said.example", got none',
        '  path: expected "/", got none',
    ]


def test_an_empty_body_is_told_from_none(tmp_path: Path) -> None:
    config = CONFIG + "[routes.said]\nhosts = ['said.example']\nrespond = { status = 200 }\n"
    (tmp_path / "said.toml").write_text(config)
    case = '[[cases]]\nrequest = "GET http://%s/"\nexpect = { %s }\n'
    cases = (
        'config = ["said.toml"]\n'
        + case % ("a.shop.example", 'body = ""')
        + case % ("said.example", 'body = "x"')
        + case % ("a.shop.example", 'route = ""')
    )
    code, out, _ = ran(tmp_path, cases)
    assert code == 1
    lines = [line for line in out.splitlines() if line.startswith("  ") and line[2] != " "]
    assert lines[:2] == ['  body: expected "", got none', '  body: expected "x", got ""']
    assert lines[2].startswith('  route: expected none, got "')


def test_every_request_that_is_none_is_told(tmp_path: Path) -> None:
    case = '[[cases]]\nrequest = "%s"\nexpect = { status = 404 }\n'
    wrong = case % "GET nowhere" + case % "GET http://a/b c"
    code, out, errors = ran(tmp_path, f'config = ["c.toml"]\n{wrong}')
    assert (code, out) == (2, "")
    assert all(f"cases[{number}].request: " in errors for number in (0, 1))


def test_a_case_says_which_certificate_the_client_has(tmp_path: Path) -> None:
    code, _, errors = ran(
        tmp_path,
        'config = ["c.toml"]\n[[cases]]\nrequest = "GET http://api.example.com/"\n'
        'client_subject = "CN=a"\nexpect = { status = 404 }\n',
    )
    assert code == 2
    assert "no connection there has a client certificate" in errors
    assert "client_subject" in errors


def test_a_config_that_only_the_core_refuses_is_refused(tmp_path: Path) -> None:
    rewrite = "[routes.bad]\nhosts = ['bad.example']\nupstream = 'api'\nmiddlewares = [%s]\n"
    bad = rewrite % "{ rewrite = { regex = '/a(.*)', with = '/$2' } }"
    (tmp_path / "bad.toml").write_text(CONFIG + bad)
    code, out, errors = ran(tmp_path, GOOD.replace("c.toml", "bad.toml"))
    assert (code, out) == (78, "")
    assert "bad.toml:" in errors


def test_the_reasons_of_the_core_are_told_with_their_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        error = PlanError("one problem")
        error.problems = [("route", "plain", "match[0]", "the core takes no such match")]
        raise error

    monkeypatch.setattr("headgate.cli.test.Routing", refuse)
    code, out, errors = ran(tmp_path, GOOD)
    assert (code, out) == (78, "")
    assert errors.startswith(f"{tmp_path}/c.toml:")
    assert "routes.plain.match[0]: the core takes no such match" in errors


def test_each_request_that_cannot_be_sent_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("it is odd")

    monkeypatch.setattr("headgate.cli.test.answer", fail)
    code, out, errors = ran(tmp_path, GOOD)
    assert (code, out) == (2, "")
    assert errors.count("the request cannot be sent: it is odd; write another") == 4


def test_the_route_that_goes_before_the_expected_one_is_named(tmp_path: Path) -> None:
    case = GOOD.partition("expect")[0] + 'expect = { route = "plain" }\n'
    code, out, _ = ran(tmp_path, case)
    assert code == 1
    assert "    api goes before plain: " in out


def test_json_has_every_case(tmp_path: Path) -> None:
    case = '[[cases]]\nrequest = "GET http://api.example.com/v1"\nexpect = { status = 301 }\n'
    code, out, _ = ran(tmp_path, GOOD + case, "json")
    report = msgspec.json.decode(out, type=Report)
    assert (code, report.cases, report.failed) == (1, 5, 1)
    assert [(m.what, m.expected, m.got) for m in report.results[4].mismatches] == [
        ("status", 301, 308)
    ]


def test_yaml_says_the_same(tmp_path: Path) -> None:
    file = tmp_path / "cases.yaml"
    file.write_text("cases:\n- request: GET http://a/\n  expect: {status: 404}\n")
    (tmp_path / "c.toml").write_text(CONFIG)
    assert read(file).suite.cases[0].expect.status == 404
    assert try_cases(file, [tmp_path / "c.toml"], stream=io.StringIO()) == 0


@pytest.mark.parametrize(
    ("cases", "code", "complaint"),
    [
        ("[[cases]\n", 2, "cases.toml:1:"),
        ('cases = [{ request = "GET http://a/", expect = { rout = "x" } }]\n', 2, 'write "route"'),
        (
            GOOD.replace('"GET http://a.shop', '"http//a.shop'),
            2,
            "cases.toml:13:11: cases[2].request",
        ),
        (GOOD.replace("c.toml", "missing.toml"), 78, "missing.toml"),
        ('config = ["c.toml"]\ncases = []\n', 2, "the file has no test case; write at least one"),
        ('config = ["c.toml"]\n', 2, 'the key "cases" is missing; write it'),
        (GOOD.replace('config = ["c.toml"]', ""), 2, "no config is named; write `config`"),
        (
            GOOD + 'client = "nobody"\n',
            2,
            'cases[3].client: "nobody" is not an address; write an IP',
        ),
        (GOOD + 'listener = "wbe"\n', 2, 'cases[3].listener: there is no listener "wbe"; write'),
        (GOOD + "[[cases]]\nrequest = 'http://a/'\nexpect = {}\n", 2, "nothing is expected"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_the_place(
    tmp_path: Path, cases: str, code: int, complaint: str
) -> None:
    got, _, errors = ran(tmp_path, cases)
    assert got == code
    assert complaint in errors


@pytest.mark.parametrize(("target", "why"), [("", "a named pipe"), ("/dev/zero", "a device")])
def test_a_file_without_an_end_is_refused_at_once(tmp_path: Path, target: str, why: str) -> None:
    file = tmp_path / "cases.toml"
    if target:
        file.symlink_to(target)
    else:
        os.mkfifo(file)
    errors = io.StringIO()
    assert try_cases(file, [tmp_path / "c.toml"], errors=errors) == 2
    assert f"the file cannot be read: it is {why}; name a file" in errors.getvalue()


def test_every_mistake_in_a_file_is_told_in_our_words(tmp_path: Path) -> None:
    cases = (
        'config = "c.toml"\n[[cases]]\nrequest = 5\nexpect = { status = "404", body = [] }\n'
        "[[cases]]\nheaders = { x-a = 1 }\nexpect = 7\n"
    )
    code, _, errors = ran(tmp_path, cases)
    assert code == 2
    assert errors.replace(f"{tmp_path}/", "").splitlines() == [
        'cases.toml:1:10: config: "c.toml" is not a list of texts; '
        "write texts in quotes, between brackets",
        "cases.toml:3:11: cases[0].request: 5 is not text; write text in quotes",
        'cases.toml:4:21: cases[0].expect.status: "404" is not a whole number; '
        "write a whole number without quotes",
        "cases.toml:4:35: cases[0].expect.body: a list is not text; write text in quotes",
        'cases.toml:5:3: cases[1]: the key "request" is missing; write it',
        "cases.toml:6:11: cases[1].headers: a table is not a table of header values; "
        'write one such as { x-tenant = "a" }',
        'cases.toml:7:10: cases[1].expect: 7 is not a table; write a table of "route", '
        '"upstream", "path", "host", "status", "location" or "body"',
    ]


def test_a_key_that_is_misspelt_is_not_missing_too(tmp_path: Path) -> None:
    code, _, errors = ran(tmp_path, GOOD.replace("request", "reqest", 1))
    assert code == 2
    assert errors.replace(f"{tmp_path}/", "") == (
        'cases.toml:4:1: cases[0].reqest: the key is unknown; write "request"\n'
    )
