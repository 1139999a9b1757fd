"""A fleet in memory whose agents do at once what a rollout's machine tells them."""

from dataclasses import replace

import msgspec

from headgate.master.domains.rollouts import events as ev
from headgate.master.domains.rollouts.gates import Sample
from headgate.master.domains.rollouts.machine import create, handle
from headgate.master.domains.rollouts.spec import Pace, Spec, parse_waves
from headgate.master.domains.rollouts.state import status

OLD, NEW = 1, 2
GOOD = Sample(agents=1, seconds=60.0, oldest_at=0.0, requests=1000, latency_ms=10.0)


class Fleet:
    """A fleet whose agents do at once what they are told, and the rollout that tells them."""

    def __init__(self, spec: Spec, agents: int = 4) -> None:
        self.state = create(spec, 0.0)
        self.now = 100.0
        self.frozen = ""
        self.refusing: set[str] = set()
        self.quarantining: set[str] = set()
        self.away: set[str] = set()
        self.stuck: set[str] = set()
        self.failing: dict[str, float] = {}
        self.sample = GOOD
        self.control: Sample | None = None
        """What the control measured; None: the same as the wave."""
        self.measured_at: float | None = None
        """When the agents of a wave measured last; None: just now."""
        self.silent: tuple[str, ...] = ()
        self.elsewhere: tuple[str, ...] = ()
        self.commands: list[ev.Command] = []
        old = spec.base
        self.views = {
            f"a{n}": ev.AgentView(f"a{n}", True, 0.0, old, old, old, zone=f"z{n % 2}")
            for n in range(agents)
        }
        self.tell(ev.Begin(old))

    def tell(self, event: ev.Event) -> None:
        self.state, commands = handle(self.state, event, self.now)
        self.commands += commands
        for command in commands:
            if isinstance(command, ev.Serve):
                for agent in command.agents:
                    self._offer(agent, command.revision)
            if isinstance(command, ev.Measure):
                at = self.now if self.measured_at is None else self.measured_at
                sample = msgspec.structs.replace(self.sample, oldest_at=at)
                control = self.control or sample
                found = ev.Measured(command.wave, command.clock_s, self.now, sample, control)
                self.tell(replace(found, silent=self.silent, elsewhere=self.elsewhere))

    def _offer(self, agent: str, revision: int) -> None:
        view = replace(self.views[agent], desired=revision)
        if agent not in self.away | self.stuck:
            view = replace(view, acknowledged=revision)
            if agent in self.refusing and revision == NEW:
                view = replace(view, refused=revision, refused_at=self.now, error="no such file")
            else:
                why = "nginx refuses routes/new" if agent in self.quarantining else ""
                view = replace(view, serving=revision, quarantined=why)
        self.views[agent] = view

    def obey(self, agent: str) -> None:
        """Has an agent that was stuck do what it was told."""
        self.stuck.discard(agent)
        self._offer(agent, self.views[agent].desired or 0)

    def look(self, times: int = 1, step_s: float = 5.0) -> None:
        for _ in range(times):
            self.now += step_s
            views = tuple(
                replace(
                    view,
                    seen_at=self.now,
                    is_connected=view.agent not in {*self.away, *self.failing},
                    failing_since=self.failing.get(view.agent),
                )
                for view in self.views.values()
            )
            self.tell(ev.Look(self.now, views, self.frozen))

    def order(self, verb: ev.Verb) -> None:
        self.tell(ev.Order(verb, "bob"))

    def serving(self, revision: int) -> int:
        return sum(view.serving == revision for view in self.views.values())

    @property
    def status(self) -> str:
        return status(self.state)

    @property
    def alarms(self) -> list[str]:
        return [one.text for one in self.commands if isinstance(one, ev.Alarm)]


def spec_of(**more: object) -> Spec:
    """A rollout of three waves, with more of its fields."""
    spec = Spec(
        "r1",
        "edge",
        NEW,
        OLD,
        "ann",
        waves=parse_waves(["1", "50%"]),
        pace=Pace(soak_s=30.0, apply_s=60.0, settle_s=20.0),
    )
    return msgspec.structs.replace(spec, **more)
