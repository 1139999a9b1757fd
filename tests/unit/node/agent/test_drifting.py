"""What an agent tells of drift, and does about it: policies over restarts, ordered heals."""

import asyncio
from pathlib import Path

import loops
from waiting import until_async

from headgate.engines.nginx.common.drifted import DriftFile, DriftReport
from headgate.fleet.drift import Drift, HealEnd
from headgate.fleet.orders import DriftPolicy, Heal
from headgate.node.agent.drifting import Drifting, FleetDrift, drift_of

FILE = DriftFile("releases/1-a/http.conf", "edited", 1.5, "-a\n+b\n", "same")
DRIFTS = DriftReport(1.5, ("disk drift",), (FILE,), 1, "report")


class Nginx:
    """An nginx whose drift is said here."""

    def __init__(self) -> None:
        self.report: DriftReport | None = None
        self.policies: list[tuple[str, float]] = []
        self.heals = 0
        self.why = ""

    def order_policy(self, policy: str, heal_after_s: float) -> None:
        self.policies.append((policy, heal_after_s))

    async def heal(self) -> str:
        self.heals += 1
        return self.why

    async def drift(self) -> DriftReport | None:
        return self.report


def test_a_report_is_told_in_the_fleets_words() -> None:
    told = drift_of(DRIFTS)
    assert (told.since_ms, told.states, told.total) == (1_500, ("disk drift",), 1)
    (file,) = told.files
    assert (file.path, file.since_ms, file.diff, file.next) == (FILE.path, 1_500, FILE.diff, "same")


def test_the_policy_of_a_fleet_is_followed_after_a_restart_too(tmp_path: Path) -> None:
    nginx = Nginx()
    assert isinstance(nginx, Drifting)
    FleetDrift(nginx, tmp_path).recall("agent-1")
    assert nginx.policies == []
    FleetDrift(nginx, tmp_path).ordered("agent-1", DriftPolicy("heal", 5.0))
    later = Nginx()
    FleetDrift(later, tmp_path).recall("agent-1")
    assert later.policies == [("heal", 5.0)]
    other = Nginx()
    FleetDrift(other, tmp_path).recall("agent-2")
    assert other.policies == []
    once = FleetDrift(nginx, tmp_path)
    once.recall("agent-1")
    once.ordered("agent-1", DriftPolicy("node", 0.0))
    FleetDrift(other, tmp_path).recall("agent-1")
    assert other.policies == []


def test_drift_is_told_when_it_changes_and_a_heal_is_done_once(tmp_path: Path) -> None:
    nginx, told = Nginx(), list[Drift]()
    fleet = FleetDrift(nginx, tmp_path)

    async def play() -> None:
        running = asyncio.create_task(fleet.run(told.append))
        nginx.report = DRIFTS
        await until_async(lambda: len(told) == 1, "the first report")
        nginx.why = "a hold keeps it"
        fleet.ordered("agent-1", Heal(7))
        fleet.ordered("agent-1", Heal(7))
        await until_async(lambda: len(told) == 2, "the end of the heal")
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    loops.run(play())
    assert nginx.heals == 1
    assert [one.heal for one in told] == [None, HealEnd(7, "a hold keeps it")]
    assert [one.states for one in told] == [("disk drift",)] * 2
