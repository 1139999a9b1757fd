"""The query of `fleet-metrics` and the lines of its table."""

from pathlib import Path

import pytest
from scripted_master import SHOP, installed

from headgate.cli.remote.errors import MasterError
from headgate.cli.remote.figures import cells, columns, points, window
from headgate.cli.remote_commands import opened


def test_the_query_has_the_times_in_seconds_and_an_agent_only_if_one_is_named() -> None:
    assert window("2h", "1m", "fleet", "") == {"range_s": 7200, "step_s": 60, "by": "fleet"}
    assert window("1h", "90s", "agent", "a1") == {
        "range_s": 3600,
        "step_s": 90,
        "by": "agent",
        "agent": "a1",
    }


@pytest.mark.parametrize(("given", "option"), [(("x", "1m"), "--range"), (("1h", "x"), "--step")])
def test_a_text_that_is_not_a_time_is_refused_by_its_option(
    given: tuple[str, str], option: str
) -> None:
    with pytest.raises(MasterError, match=f"^{option}: "):
        window(*given, "fleet", "")


def test_the_table_names_agents_only_if_it_is_about_them() -> None:
    assert columns("fleet", "")[0] == "at"
    assert columns("agent", "") == columns("fleet", "a1") == ("agent", *columns("fleet", ""))


def test_a_line_has_the_rate_of_its_time_and_short_names() -> None:
    point = {
        "seconds": 60,
        "requests": 100,
        "client_errors": 4,
        "server_errors": 5,
        "latency_p50_ms": 7,
        "latency_p99_ms": 9,
    }
    assert cells(point) == {
        **point,
        "per_second": 1.67,
        "4xx": 4,
        "5xx": 5,
        "p50_ms": 7,
        "p99_ms": 9,
    }


@pytest.mark.parametrize(
    "point",
    [{"seconds": 60}, {"requests": 1}, {"seconds": 0, "requests": 1}, {}],
)
def test_a_rate_that_is_not_known_is_left_out(point: dict[str, object]) -> None:
    assert cells(point)["per_second"] is None


def test_one_second_is_enough_for_a_rate() -> None:
    assert cells({"seconds": 1, "requests": 2})["per_second"] == 2.0


def test_the_points_are_those_of_the_fleet_in_its_workspace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    master = installed(monkeypatch, tmp_path)
    master.answers = {f"GET {SHOP}/fleets/edge/metrics": {"items": [{"at": "T1"}, {"at": "T2"}]}}
    query = window("2h", "1m", "fleet", "")
    assert list(points(opened(), "edge", query)) == [{"at": "T1"}, {"at": "T2"}]
    (asked,) = master.asked
    assert asked.query == {"limit": "500", "range_s": "7200", "step_s": "60", "by": "fleet"}
