"""`headgate diff`: objects that change, requests that would go elsewhere."""

import io
import os
from pathlib import Path
from typing import cast

import msgspec
import pytest
from routed_config import CONFIG

from headgate._core import PlanError
from headgate.cli import diff as differing
from headgate.cli.diff import Diff, Log, diff
from headgate.compile.logged import read
from headgate.compile.routing import Question, Request, Routing

OURS = (
    '{"time":"2026-11-20T08:59:02.123456Z","request_id":"1","client_ip":"192.0.2.7",'
    '"listener":"web","route":"plain","method":"GET","scheme":"http","host":"%s",'
    '"target":"%s","protocol":"HTTP/1.1","status":200,"total_us":1,"reason":"-"}\n'
)
COMBINED = '192.0.2.7 - - [20/Nov/2026:08:59:02 +0000] "GET /v1?a HTTP/1.1" 200 1 "-" "c" 0.1 -\n'
REFUSED = '::1 - - [01/Jan/1970:00:00:00 +0000] "- - -" 400 0 "-" "-" 0.000007 x\n'


def ran(folder: Path, new: str, log: str | None = None) -> tuple[Diff, list[str]]:
    for name, content in (("old.toml", CONFIG), ("new.toml", new), ("access.log", log or "")):
        (folder / name).write_text(content)
    given = Log(folder / "access.log", "http://api.example.com") if log is not None else None
    document, lines = io.StringIO(), io.StringIO()
    assert diff(folder / "old.toml", folder / "new.toml", given, "json", stream=document) == 0
    assert diff(folder / "old.toml", folder / "new.toml", given, stream=lines) == 0
    return msgspec.json.decode(document.getvalue(), type=Diff), lines.getvalue().splitlines()


def test_equal_configs_differ_in_nothing(tmp_path: Path) -> None:
    found, lines = ran(tmp_path, CONFIG + "\n# a comment\n")
    assert found == Diff([])
    assert lines == ["no object differs"]


def test_objects_are_listed_with_the_keys_that_differ(tmp_path: Path) -> None:
    new = CONFIG.replace("[upstreams.next]", "[upstreams.last]").replace('"next"', '"last"')
    new = new.replace('"least_conn"', '"random"')
    found, lines = ran(tmp_path, new)
    assert [(o.change, o.kind, o.name, o.keys) for o in found.objects] == [
        ("changed", "route", "shop", ["action"]),
        ("changed", "upstream", "api", ["balance"]),
        ("added", "upstream", "last", []),
        ("removed", "upstream", "next", []),
    ]
    assert lines[0] == f"~ route shop: action  ({tmp_path}/new.toml:23:9)"
    assert lines[-1] == f"- upstream next  ({tmp_path}/old.toml:34:12)"


def test_logged_requests_that_would_go_elsewhere_are_counted(tmp_path: Path) -> None:
    new = CONFIG.replace("[{ path = { prefix", '[{ path = { exact = "/v1" } }, { path = { prefix')
    new = new.replace('prefix = "/v1" } }]', 'prefix = "/v2" } }]')
    log = OURS % ("api.example.com", "/v1/x") * 2 + OURS % ("api.example.com:80", "/v1") + COMBINED
    found, lines = ran(tmp_path, new, log + REFUSED + "\n")
    assert found.requests is not None
    assert (found.requests.logged, found.requests.moved, found.requests.skipped) == (4, 2, 1)
    (move,) = found.requests.moves
    assert (move.url, move.count) == ("http://api.example.com/v1/x", 2)
    assert move.before == "plain: 308 https://api.example.com/v1/x"
    assert move.after == "404 (no route)"
    assert lines[-3:] == [
        "2 of 4 logged requests would go elsewhere, 1 line skipped",
        "  2 times GET http://api.example.com/v1/x",
        "      plain: 308 https://api.example.com/v1/x → 404 (no route)",
    ]


def test_what_a_middleware_does_to_a_request_is_part_of_where_it_goes(tmp_path: Path) -> None:
    new = CONFIG.replace(
        'middlewares = ["hsts"]', 'middlewares = ["hsts", { rewrite = { host = "other" } }]'
    )
    found, _ = ran(tmp_path, new, OURS % ("api.example.com", "/status"))
    assert found.requests is not None
    (move,) = found.requests.moves
    assert (move.before, move.after) == ("api: api /status", "api: api /status as other")


@pytest.mark.parametrize(
    ("new", "moved"),
    [
        (CONFIG.replace("status = 308", "status = 301"), "plain: 301 https://api.example.com/v1/x"),
        (
            CONFIG + "[routes.first]\nhosts = ['api.example.com']\nrespond = { status = 204 }\n"
            'match = [{ path = { exact = "/v1/x" } }]\n',
            "first: 204",
        ),
    ],
    ids=["its own route changes", "another route takes it"],
)
def test_a_change_of_one_route_moves_the_requests_that_it_takes(
    tmp_path: Path, new: str, moved: str
) -> None:
    other = OURS % ("a.shop.example", "/")
    found, _ = ran(tmp_path, new, OURS % ("api.example.com", "/v1/x") + other)
    assert found.requests is not None
    assert [(move.before, move.after) for move in found.requests.moves] == [
        ("plain: 308 https://api.example.com/v1/x", moved)
    ]


def test_the_requests_that_move_most_come_first_and_the_text_shows_twenty(tmp_path: Path) -> None:
    new = CONFIG.replace("status = 308", "status = 301")
    urls = [f"/v1/{number:02}" for number in range(20)]
    log = "".join(OURS % ("api.example.com", url) for url in ["/status", *reversed(urls)])
    found, lines = ran(tmp_path, new, log + OURS % ("api.example.com", "/v1/07"))
    assert found.requests is not None
    moved = [
        (move.count, move.url.removeprefix("http://api.example.com"))
        for move in found.requests.moves
    ]
    assert moved == [(2, "/v1/07"), *((1, url) for url in urls if url != "/v1/07")]
    assert lines[1:4:2] == [
        "21 of 22 logged requests would go elsewhere",
        "      plain: 308 https://api.example.com/v1/07 → plain: 301 https://api.example.com/v1/07",
    ]
    assert lines[2] == "  2 times GET http://api.example.com/v1/07"
    assert lines[4] == "  GET http://api.example.com/v1/00"
    assert "more (--output" not in lines[-1]
    _, lines = ran(tmp_path, new, log + OURS % ("api.example.com", "/v1/20"))
    assert lines[-1] == "  and 1 more (--output json has all)"


def test_a_request_of_a_listener_that_is_gone_is_asked_of_the_others(tmp_path: Path) -> None:
    line = OURS % ("api.example.com", "/v1/x")
    found, _ = ran(tmp_path, CONFIG.replace("[listeners.web]", "[listeners.edge]"), line)
    assert found.requests is not None
    assert found.requests.moves == []


def test_a_request_that_no_listener_takes_any_more_goes_nowhere(tmp_path: Path) -> None:
    line = (OURS % ("api.example.com", "/v1/x")).replace('"scheme":"http"', '"scheme":"https"')
    found, _ = ran(tmp_path, CONFIG.replace("[listeners.web]", "[listeners.edge]"), line)
    assert found.requests is not None
    (move,) = found.requests.moves
    assert move.before == "400 (TLS handshake on a plain HTTP port)"
    assert move.after == "no listener serves https"


def test_a_named_middleware_alone_moves_the_requests_of_its_routes(tmp_path: Path) -> None:
    new = CONFIG.replace(
        'response_headers = { set = { strict-transport-security = "max-age=1" } }',
        'rewrite = { host = "other" }',
    )
    found, _ = ran(tmp_path, new, OURS % ("api.example.com", "/status"))
    assert [(one.kind, one.name) for one in found.objects] == [("middleware", "hsts")]
    assert found.requests is not None
    assert [move.after for move in found.requests.moves] == ["api: api /status as other"]


def test_a_secret_that_changes_is_a_change_but_never_shown(tmp_path: Path) -> None:
    edits = '\n[middlewares.key]\nrequest_headers = { set = { a = { file = "%s" } } }\n'
    shown = io.StringIO()
    for name in ("old", "new"):
        (tmp_path / f"{name}.txt").write_text(f"hunter2-{name}")
        (tmp_path / f"{name}.toml").write_text(CONFIG + edits % f"{name}.txt")
    for output in ("text", "json"):
        assert diff(tmp_path / "old.toml", tmp_path / "new.toml", None, output, stream=shown) == 0
    assert "~ middleware key: request_headers" in shown.getvalue()
    assert "hunter2" not in shown.getvalue()


def test_a_config_that_would_be_refused_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "old.toml").write_text(CONFIG)
    (tmp_path / "new.toml").write_text("[routes.x]\n")
    errors = io.StringIO()
    assert diff(tmp_path / "old.toml", tmp_path / "new.toml", errors=errors) == 78
    assert "new.toml" in errors.getvalue()
    rewrite = "middlewares = [{ rewrite = { regex = '/a(.*)', with = '/$2' } }]\n"
    only_the_core = f"[routes.x]\nhosts = ['x.example']\nupstream = 'api'\n{rewrite}"
    (tmp_path / "core.toml").write_text(CONFIG + only_the_core)
    assert diff(tmp_path / "old.toml", tmp_path / "core.toml", errors=errors) == 78
    assert "core.toml" in errors.getvalue()
    missing = Log(tmp_path / "missing.log")
    assert diff(tmp_path / "old.toml", tmp_path / "old.toml", missing, errors=errors) == 2


def test_what_the_core_alone_refuses_is_said_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        error = PlanError("one problem")
        error.problems = [("upstream", "api", "", "is refused")]
        raise error

    monkeypatch.setattr(differing, "Routing", refuse)
    (tmp_path / "old.toml").write_text(CONFIG)
    errors = io.StringIO()
    assert diff(tmp_path / "old.toml", tmp_path / "old.toml", errors=errors) == 78
    assert errors.getvalue().startswith(f"{tmp_path}/old.toml:")
    assert "is refused" in errors.getvalue()


class Refusing:
    """A router that takes no request, as `ValueError` says at each of its steps."""

    def request(self, _: object, *, came: bool) -> None:
        assert came
        raise ValueError("it is none")

    def find(self, _: object) -> None:
        raise ValueError("it is not taken")


def test_why_a_request_is_none_or_goes_nowhere_is_where_it_goes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unknown(*_: object) -> None:
        raise ValueError("it is not known")

    monkeypatch.setattr(differing, "explain", unknown)
    routing, request = cast(Routing, Refusing()), cast(Request, object())
    assert differing._asked(routing, cast(Question, None)) == "it is none"
    assert differing._route(routing, "it is none") == "it is none"
    assert differing._route(routing, request) == "it is not taken"
    assert differing._destination(routing, request) == ("it is not known", "it is not known")


def test_every_upstream_is_named_with_its_weight(tmp_path: Path) -> None:
    both = '[{ upstream = "api", weight = 1 }, { upstream = "next", weight = 2 }]'
    new = CONFIG + f"[routes.both]\nhosts = ['both.example']\nsplit = {both}\n"
    found, _ = ran(tmp_path, new, OURS % ("both.example", "/a"))
    assert found.requests is not None
    (move,) = found.requests.moves
    assert move.after == "both: api:1 next:2 /a"


def test_a_key_that_only_one_side_has_differs() -> None:
    assert differing._differing(b'{"a":1,"b":2,"c":3}', b'{"a":1,"c":4,"d":5}') == {"b", "c", "d"}


@pytest.mark.parametrize("kind", ["it is a named pipe", "it is a device", "it is a directory"])
def test_a_log_without_an_end_is_refused_at_once(tmp_path: Path, kind: str) -> None:
    (tmp_path / "old.toml").write_text(CONFIG)
    log = tmp_path / "log"
    match kind:
        case "it is a named pipe":
            os.mkfifo(log)
        case "it is a device":
            log.symlink_to("/dev/zero")
        case _:
            log.mkdir()
    errors = io.StringIO()
    given = Log(log, "http://api.example.com")
    assert diff(tmp_path / "old.toml", tmp_path / "old.toml", given, errors=errors) == 2
    assert errors.getvalue() == f"{log}: {kind}\n"


def test_the_same_request_is_read_once() -> None:
    log = read([OURS % ("a", "/x")] * 3 + [OURS % ("", ""), COMBINED, "nonsense"])
    (found,) = log.questions
    asked = Question("http://a/x", client="192.0.2.7", listener="web")
    assert found == (asked, 3)
    assert log.skipped == 3
