"""A rollout as people see it."""

import io
import threading
from collections.abc import Callable

import httpx2
import pytest
from told_clock import ToldClock

from headgate.cli.remote import rollout_view
from headgate.cli.remote.client import Master
from headgate.cli.remote.contexts import Context
from headgate.cli.remote.errors import MasterError
from headgate.cli.remote.waiting import Code, Patience

_DETAIL = {
    "id": "r1", "revision": 8, "status": "holding", "hold": "too little traffic", "reason": "",
    "waves": [
        {"name": "1", "members": ["a"], "began_at": "10:00", "passed_at": "10:05",
         "how": "its gates passed", "outcome": "pass"},
        {"name": "rest", "members": [], "began_at": None, "passed_at": None, "how": "",
         "outcome": ""},
    ],
    "agents": [
        {"agent": "a", "standing": "serving", "is_online": True, "error": ""},
        {"agent": "b", "standing": "failed", "is_online": False, "error": "no such file"},
    ],
    "timeline": [{"at": "10:00", "kind": "wave", "text": "wave 1 (1) begins with 1 agents"}],
}  # fmt: skip


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> ToldClock:
    one = ToldClock()
    monkeypatch.setattr(rollout_view, "time", one)
    return one


def answering(handler: Callable[[httpx2.Request], httpx2.Response]) -> Master:
    context = Context("http://127.0.0.1:1", "t", workspace="shop")
    return Master(context, httpx2.MockTransport(handler))


def test_it_says_what_it_waits_for_and_where_agents_stand() -> None:
    text = rollout_view.text(_DETAIL)
    assert text.startswith("rollout r1: revision 8, holding: too little traffic\n")
    assert "1 (1)      1        10:00   10:05    its gates passed\n" in text
    assert "2 (rest)   0        -       -        -\n" in text
    assert "2 agents: 1 failed, 1 serving; 1 offline\n  b: no such file\n" in text
    assert text.endswith("10:00  wave 1 (1) begins with 1 agents\n")


def test_an_upgrade_says_which_versions_run_and_who_is_left_out() -> None:
    agents = [
        {"agent": "a", "standing": "serving", "is_online": True, "error": "", "program": "1.5.0"},
        {"agent": "b", "standing": "unreached", "is_online": True, "error": "", "program": "1.4.2"},
    ]
    more = {"revision": None, "program": "1.5.0", "agents": agents, "unable": ["c (01m)"]}
    text = rollout_view.text(_DETAIL | more)
    assert text.startswith("rollout r1: headgate 1.5.0, holding: too little traffic\n")
    assert "  headgate 1.4.2 on 1, 1.5.0 on 1\n  c (01m): left out, it cannot upgrade\n" in text


def test_it_says_how_soon_agents_served() -> None:
    assert "served after" not in rollout_view.text(_DETAIL)
    text = rollout_view.text(_DETAIL | {"serving_p50_s": 0.8, "serving_p99_s": 2.5})
    assert "\nserved after the offer: 0.8 s by half of the agents, 2.5 s by 99 in 100\n" in text


def test_without_a_terminal_each_line_of_the_timeline_comes_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("headgate.cli.remote.rollout_view.time.sleep", lambda _seconds: None)
    entries = [{"at": str(n), "kind": "wave", "text": f"line {n}"} for n in range(3)]
    answers = [
        _DETAIL | {"timeline": entries[:count], "status": status}
        for count, status in ((1, "rolling"), (1, "rolling"), (3, "undone"))
    ]

    def handler(_request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, json=answers.pop(0))

    context = Context("http://127.0.0.1:1", "t", workspace="shop")
    master = Master(context, httpx2.MockTransport(handler))
    assert rollout_view.watch(master, "r1", Patience()).code is Code.UNDONE
    assert capsys.readouterr().out == "0  line 0\n1  line 1\n2  line 2\n"


def test_the_newest_rollout_is_meant_unless_one_is_named() -> None:
    def handler(request: httpx2.Request) -> httpx2.Response:
        assert request.url.path == "/api/v1/workspaces/shop/rollouts"
        return httpx2.Response(200, json={"items": [{"id": "r1"}, {"id": "r2"}], "next": None})

    context = Context("http://127.0.0.1:1", "t", workspace="shop")
    master = Master(context, httpx2.MockTransport(handler))
    assert rollout_view.chosen(master, None) == "r2"
    assert rollout_view.chosen(master, "r1") == "r1"
    with pytest.raises(MasterError, match="choose a workspace"):
        rollout_view.path_of(Master(Context("http://127.0.0.1:1", "t")))


def test_a_master_that_is_away_for_a_while_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headgate.cli.remote.rollout_view.time.sleep", lambda _seconds: None)
    answers: list[httpx2.Response | httpx2.ConnectError] = [
        httpx2.Response(200, json=_DETAIL | {"status": "rolling"}),
        httpx2.Response(503, json={"detail": "the database is away"}),
        httpx2.ConnectError("refused"),
        httpx2.Response(200, json=_DETAIL | {"status": "undone"}),
    ]

    def handler(_request: httpx2.Request) -> httpx2.Response:
        answer = answers.pop(0)
        if isinstance(answer, httpx2.ConnectError):
            raise answer
        return answer

    context = Context("http://127.0.0.1:1", "t", workspace="shop")
    master = Master(context, httpx2.MockTransport(handler))
    assert rollout_view.followed(master, "r1", Patience()).code is Code.UNDONE
    answers.append(httpx2.Response(404, json={"detail": "there is no rollout r1"}))
    with pytest.raises(MasterError, match="no rollout"):
        rollout_view.followed(master, "r1", Patience())


def test_it_says_of_many_failures_how_many_more_there_are() -> None:
    one = {"standing": "failed", "is_online": True, "error": "no space"}
    agents = [one | {"agent": f"a{number}"} for number in range(21)]
    text = rollout_view.text(_DETAIL | {"agents": agents[:20]})
    assert "\n20 agents: 20 failed; 0 offline\n  a0: no space\n" in text
    assert "more" not in text
    text = rollout_view.text(_DETAIL | {"agents": agents})
    assert "  a19: no space\n  and 1 more\n" in text
    assert "a20" not in text


def test_a_rollout_without_agents_or_lines_says_so() -> None:
    none: dict[str, object] = {"agents": None, "timeline": None, "waves": []}
    text = rollout_view.text(_DETAIL | none | {"revision": None, "program": "1.5.0"})
    assert text.endswith("0 agents: none; 0 offline\n\n")


def test_the_gates_of_a_wave_say_their_outcome_where_they_say_no_more() -> None:
    wave: dict[str, object] = {"name": "1", "members": [], "began_at": "T1", "passed_at": None}
    text = rollout_view.text(_DETAIL | {"waves": [wave | {"how": "", "outcome": "pass"}]})
    assert "1 (1)   0        T1      -        pass\n" in text


def test_what_agents_and_people_wrote_cannot_forge_lines_or_reach_a_terminal(
    clock: ToldClock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = "\x1b]0;x\x07\n10:01  forged"
    shown = "?]0;x??10:01  forged"
    agent = {"agent": bad, "standing": bad, "is_online": True, "error": bad, "program": bad}
    detail = _DETAIL | {"hold": bad, "agents": [agent], "program": bad, "unable": [bad]}
    detail |= {"timeline": [{"at": "10:00", "text": bad}]}
    text = rollout_view.text(detail)
    assert text.replace("\n", "").isprintable()
    assert f"holding: {shown}\n" in text
    assert f"  {shown}: {shown}\n" in text
    assert text.endswith(f"10:00  {shown}\n")
    answers = [detail | {"status": "undone"}]
    monkeypatch.setattr("sys.stdout.isatty", lambda: False)
    rollout_view.watch(
        answering(lambda _request: httpx2.Response(200, json=answers.pop())), "r1", Patience()
    )
    assert capsys.readouterr().out == f"10:00  {shown}\n"


def test_how_soon_agents_served_is_said_only_with_both_figures() -> None:
    for half in ({"serving_p50_s": 0.8}, {"serving_p99_s": 2.5}):
        assert rollout_view.text(_DETAIL | half).splitlines()[1] == ""


def test_without_a_rollout_none_is_the_newest() -> None:
    master = answering(lambda _request: httpx2.Response(200, json={"items": []}))
    with pytest.raises(MasterError, match="there is no rollout; begin one with"):
        rollout_view.chosen(master, None)


def test_a_terminal_shows_each_state_of_the_rollout_as_it_is(
    clock: ToldClock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = set(threading.enumerate())
    answers = [_DETAIL | {"status": status, "hold": ""} for status in ("rolling", "undone")]

    def handler(request: httpx2.Request) -> httpx2.Response:
        assert request.url.path == "/api/v1/workspaces/shop/rollouts/r1"
        assert before >= set(threading.enumerate()), "it is drawn when it changes, and not between"
        return httpx2.Response(200, json=answers.pop(0))

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    end = rollout_view.watch(answering(handler), "r1", Patience())
    assert end.code is Code.UNDONE
    said = capsys.readouterr().out
    assert said.index("revision 8, rolling") < said.index("revision 8, undone")
    assert clock.waits == [1.0]


def test_a_line_goes_out_before_the_next_look(
    clock: ToldClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = io.BytesIO()
    seen: list[bytes] = []

    def handler(_request: httpx2.Request) -> httpx2.Response:
        seen.append(out.getvalue())
        return httpx2.Response(200, json=_DETAIL | {"status": ["rolling", "undone"][len(seen) - 1]})

    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(out, "utf-8"))
    rollout_view.watch(answering(handler), "r1", Patience())
    assert seen == [b"", b"10:00  wave 1 (1) begins with 1 agents\n"]
    assert clock.waits == [1.0]


def test_what_was_shown_of_a_timeline_that_lost_its_middle_is_not_shown_again(
    clock: ToldClock, capsys: pytest.CaptureFixture[str]
) -> None:
    entries = [{"at": str(n), "kind": "wave", "text": f"line {n}"} for n in range(5)]
    kept = ([0, 1, 2], [0, 2, 3], [0, 3, 4], [0, 3, 4])
    answers = [_DETAIL | {"timeline": [entries[n] for n in some]} for some in kept]
    answers[-1]["status"] = "undone"
    master = answering(lambda _request: httpx2.Response(200, json=answers.pop(0)))
    assert rollout_view.watch(master, "r1", Patience()).code is Code.UNDONE
    assert capsys.readouterr().out == "".join(f"{n}  line {n}\n" for n in range(5))
    assert clock.waits == [1.0, 1.0, 1.0]


def test_a_master_is_not_waited_for_without_end(clock: ToldClock) -> None:
    detail = _DETAIL | {"status": "rolling"}

    def handler(_request: httpx2.Request) -> httpx2.Response:
        # It is there once, and away again: each time counts by itself.
        if clock.now == 150.0:
            return httpx2.Response(200, json=detail)
        return httpx2.Response(502, json={"detail": "away"})

    with pytest.raises(MasterError, match="away"):
        rollout_view.followed(answering(handler), "r1", Patience())
    assert clock.now == 151.0 + 121.0


def test_patience_may_end_while_the_master_is_away(clock: ToldClock) -> None:
    master = answering(lambda _request: httpx2.Response(504, json={"detail": "away"}))
    end = rollout_view.followed(master, "r1", Patience(timeout_s=10))
    assert (end.code, end.text) == (Code.LATE, "away; follow rollout r1 when it is back")
    assert clock.waits == [1.0] * 10
