"""The page of a master's metrics."""

import dataclasses
from pathlib import Path

from headgate.kernel.durations import QUICK_S, SLOW_S, Durations
from headgate.kernel.openmetrics import classic
from headgate.master.domains.agents.ending import EndedUpgrades
from headgate.master.domains.agents.upgrading import Ended
from headgate.master.domains.drafts.counting import PreviewCounts
from headgate.master.domains.logs.counting import SearchCounts
from headgate.master.domains.logs.types import SearchedAgent
from headgate.master.telemetry.page import Process, Seen, Sessions, Store, page
from headgate.master.telemetry.rest import RestCounts
from headgate.master.telemetry.standing import (
    FleetName,
    SeenAuthority,
    SeenCertificate,
    Standing,
)
from headgate.master.telemetry.work import Work

GOLDEN = Path(__file__).resolve().parents[3] / "golden/master/metrics.txt"
NOW = 1_800_000_000.0
DAY_S = 86_400.0


def counted(*seconds: float, bounds: tuple[float, ...] = SLOW_S) -> Durations:
    found = Durations(bounds)
    for one in seconds:
        found.record(one)
    return found


def seen() -> Seen:
    """A master that has one of everything."""
    edge = FleetName("main", "default", "edge")
    rest = RestCounts(in_progress=1)
    rest.done("GET", "/api/v1/workspaces/{workspace}/fleets", 200, 0.002)
    for status in (200, 401, 401, 429):
        rest.done("POST", "/api/v1/auth/login", status, 0.03)
    return Seen(
        now_s=NOW,
        process=Process({"version": "0.1.0", "python": "3.11.2"}, NOW - 60, 1.5, 90 << 20, 31),
        store=Store(
            kind="sqlite",
            writes={"done": 7, "undone": 1, "failed": 0, "refused": 0},
            durations=counted(0.004, 0.03, bounds=QUICK_S).buckets(),
            waiting=2,
            metrics_waiting=3,
        ),
        sessions=Sessions(
            by_transport={"grpc": 2, "websocket": 1},
            watchers=1,
            stalled=1,
            from_publication=counted(1.5, 620.0).buckets(),
            from_offer=counted(0.4, 0.6).buckets(),
        ),
        work=worked(),
        rest=rest,
        authorities=(SeenAuthority("sha256:aa", True, NOW + 3650 * DAY_S),),
        standing=Standing(
            agents={(edge, "new"): 0, (edge, "connected"): 3},
            drifting={edge: 1},
            rollouts={"rolling": 1, "succeeded": 4},
            program_rollouts={"succeeded": 1},
            holds={edge: 4000.5},
            programs={(edge, "0.1.0"): 2, (edge, "(other)"): 1},
            upgrades={(edge, "asked"): 1, (edge, "done"): 2, (edge, "failed"): 0},
            events=128,
            served_certificates=1,
            certificates=(SeenCertificate(edge, "01ag", 'site"1"', NOW + 12.5 * DAY_S),),
        ),
    )


def worked() -> Work:
    """What was done, some of each."""
    upgrades, searches, previews = EndedUpgrades(), SearchCounts(), PreviewCounts()
    upgrades.add([(Ended("0.1.0", ""), 1_000), (Ended("0.2.0", "no such wheel"), None)], 21_000)
    searches.answered([SearchedAgent(agent="a", name="n", state="away", why="", lines=0)], 0.2)
    searches.results["throttled"] += 1
    previews.results["passed"] += 1
    previews.requests.update({"same": 5, "elsewhere": 1})
    return Work(upgrades, searches, 1, previews)


def test_the_page_is_the_golden_one() -> None:
    assert page(seen()).decode() == GOLDEN.read_text(encoding="utf-8")


def test_no_series_is_there_twice_and_the_older_format_can_be_made() -> None:
    text = page(seen())
    series = [line.rpartition(b" ")[0] for line in text.splitlines() if line[:1] != b"#"]
    assert len(series) == len(set(series))
    assert b"# TYPE headgate_events_total counter" in classic(text)


def test_without_a_database_the_rest_is_told() -> None:
    text = page(dataclasses.replace(seen(), standing=None)).decode()
    assert 'headgate_master_database_up{kind="sqlite"} 0' in text
    assert "headgate_agents{" not in text
    assert "headgate_agent_sessions{" in text
    assert text.endswith("# EOF\n")
