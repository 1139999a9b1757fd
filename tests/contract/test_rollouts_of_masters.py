"""Rollouts of fleets whose agents have their sessions with several masters of the database."""

import pytest
from master_world import World
from rollout_fleet import Fleet

from headgate.fleet.frames import Heartbeat, Held
from headgate.master.domains.rollouts import hearing
from headgate.master.domains.rollouts.driver import Driver
from headgate.master.services import assembled

# SQLite has one master alone.
pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


class Spread(Fleet):
    """The first agent is connected to the master that drives, the others to another one."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.other = assembled(world.database, world.master.sealer, lambda: world.now_ms)
        self.far = self.names[1:]
        self.hub.here = frozenset(self.names[:1])
        self.is_written = True
        """Whether the other master writes what it hears."""

    def heard(self, name: str, figures: dict[str, float]) -> None:
        if name in self.far:
            self.other.book.measured(name, Heartbeat(Held(), figures=figures))
        else:
            super().heard(name, figures)

    def live(self, seconds: int, driver: Driver | None = None) -> None:
        for _ in range(seconds // 5):
            super().live(5, driver)
            if self.is_written:
                self.world.runner.run(self.other.recorder.flush())


@pytest.fixture
def fleet(world: World) -> Spread:
    one = Spread(world)
    first = one.begin(1, waves=["rest"], soak_s=0, gates={"min_requests": 0})
    one.live(30)
    assert one.shown(first)["status"] == "succeeded", one.shown(first).text
    return one


def test_a_wave_is_judged_by_agents_of_every_master(fleet: Spread) -> None:
    fleet.errors_of = dict.fromkeys(fleet.far, 0.5)
    rollout = fleet.begin(2, waves=["rest"])
    fleet.live(120)
    shown = fleet.shown(rollout)
    assert shown["status"] == "undone", shown.text
    assert "of the wave's requests failed" in shown["reason"]


@pytest.mark.parametrize("most", [1, 2, 3, 500])
def test_a_good_revision_passes_by_agents_of_every_master(
    fleet: Spread, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hearing, "AT_ONCE", most)
    rollout = fleet.begin(2)
    fleet.live(250)
    shown = fleet.shown(rollout)
    assert shown["status"] == "succeeded", shown.text


def test_a_wave_of_which_agents_are_not_heard_holds_and_names_them(fleet: Spread) -> None:
    fleet.is_written = False
    rollout = fleet.begin(2, waves=["rest"])
    fleet.live(120)
    shown = fleet.shown(rollout)
    assert shown["status"] == "holding", shown.text
    assert all(name in shown["hold"] for name in fleet.far)
    assert fleet.names[0] not in shown["hold"]
    assert "connected to another master" in shown["hold"]
    fleet.is_written = True
    fleet.live(30)
    assert fleet.shown(rollout)["status"] == "succeeded", fleet.shown(rollout).text
