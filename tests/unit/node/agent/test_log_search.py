"""What a node finds in its logs: the newest first, within bounds, and nothing of a secret."""

import io
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headgate.fleet.searches import MOST_TEXT_BYTES, LogLine, LogLines, LogSearch
from headgate.kernel.redaction import Hidden
from headgate.node.agent import log_search
from headgate.node.agent.log_lines import LINE_BYTES, read, redacted_line, wanted
from headgate.node.agent.log_search import Bounds, backwards, search_events, search_log

START_MS = 1_795_165_142_000
SECRET = "hunter2hunter2"  # noqa: S105 - of tests


def line(n: int = 0, **said: object) -> str:
    """A line of our JSON, `n` seconds after the first."""
    at = datetime.fromtimestamp(START_MS / 1000 + n, UTC).isoformat()
    return json.dumps({"time": at, "status": 200, "host": "a.test:80", "target": "/"} | said)


def combined(target: str = "/", status: int = 200) -> str:
    time = "20/Nov/2026:08:59:02 +0000"
    return f'192.0.2.7 - - [{time}] "GET {target} HTTP/1.1" {status} 12 "-" "curl/8" 0.1 -'


def search(path: Path, *lines: str, **wants: object) -> LogLines:
    """What is found in a file of these lines."""
    path.write_text("".join(f"{one}\n" for one in lines))
    return search_log(path, LogSearch(7, **wants), Hidden())  # type: ignore[arg-type]


def is_wanted(text: str, /, **wants: object) -> bool:
    said = read(text)
    assert said is not None
    return wanted(LogSearch(1, **wants), said, text, Hidden()) is not None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wants", "is_found"),
    [
        ({"status": "404"}, True),
        ({"status": "4xx"}, True),
        ({"status": "5xx"}, False),
        ({"host": "A.test"}, True),
        ({"host": "b.test"}, False),
        ({"path": "/api"}, True),
        ({"path": "/b"}, False),
        ({"text": "CURL"}, True),
        ({"text": "wget"}, False),
        ({"since_ms": START_MS}, True),
        ({"since_ms": START_MS + 1}, False),
    ],
)
def test_each_filter_counts(wants: dict[str, object], *, is_found: bool) -> None:
    one = line(status=404, target="/api/x", user_agent="curl/8")
    assert is_wanted(one, **wants) is is_found
    if "host" not in wants:
        assert is_wanted(combined("/api/x", 404), **wants) is is_found
    else:
        assert not is_wanted(combined("/api/x", 404), **wants)


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "{}", '{"time": 1}', '{"time": "x"}', "[]", "nginx: started", "{" * 5_000),
        'a - - [x] "' + "a" * 500_000,  # each way to share it between two words would not end
    ],
    ids=str.__len__,
)
def test_what_is_no_line_of_a_request_is_passed_over(text: str, tmp_path: Path) -> None:
    assert read(text) is None
    found = search(tmp_path / "log", text, line(), text)
    assert (len(found.lines), found.cut, found.error) == (1, "", "")


@pytest.mark.parametrize(
    "one",
    [
        line(target=f"/a?access_token={SECRET}&b=1"),
        line(target=f"/a?user[password]={SECRET}"),
        line(target=f"/a?user%5Bpassword%5D={SECRET}"),
        line(referer=f"https://ann:{SECRET}@a.test/"),
        line(http_authorization=SECRET),
        line(headers={"Cookie": [SECRET], "note": f"Bearer {SECRET}"}),
        combined(f"/a?access_token={SECRET}"),
        combined("/").replace("curl/8", f"Bearer {SECRET}"),
        combined("/").replace('"-"', f'"https://a.test/?sig=1&api_key={SECRET}"'),
    ],
)
def test_a_line_shows_no_secret_and_nobody_finds_it(one: str) -> None:
    assert SECRET not in redacted_line(one, Hidden())
    assert is_wanted(one, text="a.test" if "a.test" in one else "GET")
    assert not is_wanted(one, text=SECRET[:6])
    assert not is_wanted(one, path=f"/a?access_token={SECRET[:3]}")


def test_a_line_that_nests_too_deep_costs_no_search(tmp_path: Path) -> None:
    for depth in (400, 900, 990):
        nested = "[" * depth + f'"{SECRET}"' + "]" * depth
        deep = line()[:-1] + f', "note": {nested}}}'
        found = search(tmp_path / "log", line(), deep)
        assert (len(found.lines) >= 1, found.error) == (True, "")


@given(st.text(alphabet=st.characters(codec="ascii", categories=("L", "N")), min_size=6))
def test_a_known_secret_is_nowhere(secret: str) -> None:
    for one in (line(target=f"/a/{secret}/b"), combined(f"/a/{secret}/b")):
        said = read(one)
        assert said is not None
        shown = wanted(LogSearch(1), said, one, Hidden([secret]))
        assert shown is not None
        assert secret not in shown.text or secret in one.replace(f"/a/{secret}/b", "/a/(secret)/b")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    offsets=st.lists(st.integers(0, 50), max_size=60),
    limit=st.integers(1, 70),
    since=st.integers(-1, 51),
    chunk=st.integers(1, 400),
    cut_at=st.integers(0, 60),
)
def test_the_newest_lines_come_first_within_the_bounds(
    tmp_path: Path, offsets: list[int], limit: int, since: int, chunk: int, cut_at: int
) -> None:
    path = tmp_path / "log"
    lines = [line(n, target=f"/{i}") for i, n in enumerate(sorted(offsets))]
    (tmp_path / "log.1").write_text("".join(f"{one}\n" for one in lines[:cut_at]))
    path.write_text("".join(f"{one}\n" for one in lines[cut_at:]))
    since_ms = START_MS + since * 1000
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log_search, "CHUNK", chunk)
        found = search_log(
            path, LogSearch(7, since_ms=since_ms, limit=limit), Hidden(), lambda: 0.0
        )
    times = [one.at_ms for one in found.lines]
    fitting = sorted((START_MS + n * 1000 for n in offsets if n >= since), reverse=True)
    assert times == fitting[:limit]
    assert bool(found.cut) == (len(fitting) > limit)


def test_lines_that_are_late_are_put_where_they_belong(tmp_path: Path) -> None:
    found = search(tmp_path / "log", line(5), line(0), line(3), since_ms=START_MS + 3_000)
    assert [one.at_ms - START_MS for one in found.lines] == [5_000, 3_000]


@given(data=st.binary(max_size=300), chunk=st.integers(1, 40), longest=st.integers(1, 50))
def test_lines_backwards_are_those_of_the_file_but_for_long_ones(
    data: bytes, chunk: int, longest: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log_search, "CHUNK", chunk)
        patch.setattr(log_search, "LONGEST", longest)
        bounds = Bounds(LogSearch(1), lambda: 0.0)
        found = list(backwards(io.BytesIO(data), bounds))
    expected = [one for one in data.split(b"\n") if 0 < len(one) <= longest]
    assert found == [one.decode(errors="replace") for one in reversed(expected)]
    assert bounds.read_bytes == len(data)


def test_a_search_ends_at_each_bound_and_says_which(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log"
    assert search(path, *[line()] * 3, limit=2).cut == "more than 2 lines"
    long = line(target="/" + "x" * (LINE_BYTES * 2))
    found = search(path, *[long] * 40, limit=1_000)
    assert found.cut == "more than 256 KiB of lines"
    assert all(len(one.text.encode()) <= LINE_BYTES for one in found.lines)
    assert sum(len(one.text.encode()) for one in found.lines) <= MOST_TEXT_BYTES
    times = iter([0.0, 0.0, 1.0, 9.0, 9.0, 9.0])
    late = search_log(path, LogSearch(1), Hidden(), lambda: next(times, 9.0))
    assert late.cut == "3 s passed"
    # What nobody wants, and what is no line, counts for the bytes that are read.
    monkeypatch.setattr(log_search, "MOST_READ", 1_000)
    monkeypatch.setattr(log_search, "CHUNK", 100)
    for text in (line(), "no line of a request", "x" * 3_000):
        found = search(path, *[text] * 200, status="500")
        assert (found.lines, found.cut) == ((), "0 MiB of the log were read")
        assert found.read_bytes < 1_200


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    missing = search_log(tmp_path / "log", LogSearch(1), Hidden())
    assert missing.error == f"there is no {tmp_path / 'log'} yet"
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path):
        found = search_log(path, LogSearch(1), Hidden())
        assert found.error.startswith(f"{path} cannot be read: ")


def test_events_are_searched_by_time_and_text() -> None:
    def event(n: int, message: str) -> bytes:
        said = {"seq": n, "unix_ms": START_MS + n, "level": "info", "kind": "reload"}
        return json.dumps(said | {"message": message}).encode()

    kept = [event(n, f"run {n}") for n in range(5)] + [event(9, f"Bearer {SECRET}"), b"{"]
    found = search_events(kept, LogSearch(3, START_MS + 2, text="RUN", limit=2), Hidden())
    assert found.lines == (
        LogLine(START_MS + 4, "info reload: run 4"),
        LogLine(START_MS + 3, "info reload: run 3"),
    )
    assert found.cut == "more than 2 lines"
    assert SECRET not in str(search_events(kept, LogSearch(3), Hidden()))
    assert search_events(kept, LogSearch(3, text=SECRET[:5]), Hidden()).lines == ()


def test_parameters_of_the_config_are_hidden_in_lines_of_any_age() -> None:
    hidden = Hidden(parameters=["shop"])
    for one in (line(target='/a?b=1&%53hop=x"hunter2;y&c=2'), combined("/a?b=1&shop=hunter2")):
        said = read(one)
        assert said is not None
        shown = wanted(LogSearch(1), said, one, hidden)
        assert shown is not None
        assert "hunter2" not in shown.text
        assert "b=1" in shown.text
        assert wanted(LogSearch(1, text="hunter2"), said, one, hidden) is None
        assert wanted(LogSearch(1, path="/a?b=1&shop=h"), said, one, hidden) is None
