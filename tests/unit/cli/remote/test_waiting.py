"""When a command that waits for a rollout ends, and with which code."""

import pytest

from headgate.cli.remote.waiting import Code, Patience

_AGENTS = [{"agent": "a", "serving": 8}, {"agent": "b", "serving": 8}]
_ROLLOUT: dict[str, object] = {
    "id": "r1",
    "revision": 8,
    "base": 7,
    "status": "rolling",
    "hold": "",
    "reason": "",
    "agents": _AGENTS,
}


def test_it_ends_with_0_only_where_every_agent_serves() -> None:
    end = Patience().end(_ROLLOUT | {"status": "succeeded"}, 0.0)
    assert end is not None
    assert (end.code, end.text) == (Code.SERVING, "revision 8 is serving on all 2 agents")
    away = [*_AGENTS, {"agent": "c", "serving": 7}]
    end = Patience().end(_ROLLOUT | {"status": "succeeded", "agents": away}, 0.0)
    assert end is not None
    assert end.code is Code.PARTLY
    assert "not on c; see why with `headgate describe agent ID`" in end.text


@pytest.mark.parametrize("status", ["undone", "aborted", "failed", "superseded"])
def test_what_did_not_stay_has_a_code_of_its_own(status: str) -> None:
    end = Patience().end(_ROLLOUT | {"status": status, "reason": "wave 1 failed"}, 0.0)
    assert end is not None
    assert end.code is Code.UNDONE
    assert "wave 1 failed; " in end.text


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        ("holding", "rollout promote r1"),
        ("paused", "rollout promote r1"),
        ("frozen", "freeze list"),
        ("waiting", "rollout approve r1"),
    ],
)
def test_a_hold_ends_the_waiting_when_it_lasts(status: str, advice: str) -> None:
    patience = Patience(hold_s=30)
    held = _ROLLOUT | {"status": status}
    assert patience.end(held, 0.0) is None
    assert patience.end(_ROLLOUT, 20.0) is None
    assert patience.end(held, 25.0) is None
    assert patience.end(held, 54.0) is None
    end = patience.end(held, 55.0)
    assert end is not None
    assert end.code is Code.HELD
    assert advice in end.text


def test_without_a_limit_a_hold_is_watched_on() -> None:
    patience = Patience()
    assert patience.end(_ROLLOUT | {"status": "holding"}, 0.0) is None
    assert patience.end(_ROLLOUT | {"status": "holding"}, 1e9) is None


def test_the_time_is_over_from_the_first_look_on() -> None:
    patience = Patience(timeout_s=10)
    assert patience.end(_ROLLOUT, 100.0) is None
    assert patience.end(_ROLLOUT, 109.0) is None
    end = patience.end(_ROLLOUT, 110.0)
    assert end is not None
    assert end.code is Code.LATE
    assert "headgate rollout status r1 --watch" in end.text


def test_an_upgrade_has_ended_where_every_agent_runs_the_program() -> None:
    agents = [{"agent": "a", "serving": None, "program": "1.5.0"}]
    upgrade = _ROLLOUT | {"revision": None, "base": None, "program": "1.5.0", "unable": []}
    done = upgrade | {"status": "succeeded", "agents": agents}
    end = Patience().end(done, 0.0)
    assert end is not None
    assert (end.code, end.text) == (Code.SERVING, "headgate 1.5.0 is serving on all 1 agents")
    end = Patience().end(done | {"unable": ["b (01m)"]}, 0.0)
    assert end is not None
    assert end.code is Code.PARTLY
    assert "headgate 1.5.0 is serving, but not on b (01m); " in end.text
    end = Patience().end(upgrade | {"status": "undone", "reason": "a failed"}, 0.0)
    assert end is not None
    assert end.text.endswith("its agents go on with the program that each ran before")


@pytest.mark.parametrize(
    ("more", "end"),
    [
        ({"status": "superseded"}, "a newer rollout took its place; see `headgate get rollouts`"),
        ({"status": "undone"}, "the fleet goes on with revision 7; publish a corrected one"),
        (
            {"status": "undone", "base": None},
            "there is no earlier revision to go back to; publish a corrected one",
        ),
    ],
)
def test_the_end_of_a_rollout_says_what_goes_on(more: dict[str, object], end: str) -> None:
    found = Patience().end(_ROLLOUT | {"reason": "wave 1 failed"} | more, 0.0)
    assert found is not None
    assert found.text.endswith(f"wave 1 failed; {end}")


@pytest.mark.parametrize(
    ("hold", "text"), [("", "is frozen; see"), ("night", "is frozen: night; ")]
)
def test_a_hold_says_its_reason_if_it_has_one(hold: str, text: str) -> None:
    patience, held = Patience(hold_s=1), _ROLLOUT | {"status": "frozen", "hold": hold}
    patience.end(held, 0.0)
    found = patience.end(held, 2.0)
    assert found is not None
    assert text in found.text


def test_five_agents_that_do_not_serve_are_named_and_of_more_the_number() -> None:
    behind = [{"agent": name, "serving": 7} for name in "abcdef"]
    said = {5: "not on a, b, c, d, e; ", 6: "not on a, b, c, d, e and 1 more; "}
    for count, text in said.items():
        done = _ROLLOUT | {"status": "succeeded", "agents": behind[:count]}
        found = Patience().end(done, 0.0)
        assert found is not None
        assert text in found.text
