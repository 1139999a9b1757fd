"""A fleet, its master's store and a rollout's driver, simulated from a seed: agents that come and
go, messages that are lost, repeated or late, a driver that dies at any step, a clock that jumps.

Time goes in steps of `STEP_S`. `History` records what a checker needs; nothing here judges.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from headgate.kernel.errors import Invalid
from headgate.master.domains.rollouts import events, machine, state
from headgate.master.domains.rollouts.gates import Sample
from headgate.master.domains.rollouts.spec import Gates, Pace, Spec, parse_waves

STEP_S = 5.0
BASE, TARGET = 7, 8
SOAK_S, APPLY_S = 60.0, 120.0


@dataclass
class Faults:
    """How much goes wrong; all zero is a calm world."""

    loss: float = 0.0
    late: float = 0.0
    repeat: float = 0.0
    flap: float = 0.0
    crash: float = 0.0
    jump: float = 0.0
    meddle: float = 0.0
    leave: float = 0.0


@dataclass
class Agent:
    """One agent: what it serves, and what the master knows of it (`view`)."""

    name: str
    zone: str
    serving: int = BASE
    acknowledged: int = BASE
    applying: tuple[int, float] | None = None
    refused: int | None = None
    back_at: float = 0.0
    is_online: bool = True
    reports: int = 0
    known: int = -1
    view: events.AgentView = field(init=False)

    def __post_init__(self) -> None:
        self.view = events.AgentView(self.name, False, 0.0, BASE, BASE, BASE, zone=self.zone)


@dataclass
class Bad:
    """What the new revision does: refused by a share of the agents, or errors, or slowness; and
    the share of agents that do not come back with a new program."""

    refusing: float = 0.0
    losing: float = 0.0
    errors: float = 0.0
    latency_ms: float = 0.0

    @property
    def is_harmful(self) -> bool:
        return bool(self.refusing or self.errors or self.latency_ms)


@dataclass
class History:
    """What happened, in true time."""

    served: dict[str, list[tuple[float, int]]] = field(default_factory=dict)
    states: list[tuple[float, state.Rollout]] = field(default_factory=list)
    offers: list[tuple[float, int, tuple[str, ...], state.Rollout]] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)
    orders: list[str] = field(default_factory=list)


class World:
    """Everything, at one moment. `is_upgrade`: see `UpgradeWorld`."""

    is_upgrade: ClassVar[bool] = False

    def __init__(
        self,
        seed: int,
        faults: Faults,
        bad: Bad,
        agents: int,
        traffic: float,
        hold_alarm_s: float = 3600.0,
    ) -> None:
        self.rng = random.Random(seed)  # noqa: S311 - a simulation
        self.faults, self.bad, self.traffic = faults, bad, traffic
        self.agents = {f"a{n}": Agent(f"a{n}", f"z{n % 3}") for n in range(agents)}
        self.true_s, self.offset_s = 1_000_000.0, 0.0
        self.desired = {name: BASE for name in self.agents}
        self.settled = BASE
        self.mail: list[tuple[float, int, Agent, events.AgentView]] = []
        self.answers: list[tuple[float, events.Measured]] = []
        self.history = History()
        self.down_until, self.is_resuming = 0.0, False
        waves = self.rng.choice((("1", "10%", "50%"), ("2", "30%"), ("zone:z1",), ("25%",)))
        self.spec = Spec(
            "r1",
            "edge",
            TARGET,
            BASE,
            "ann",
            kind="program" if self.is_upgrade else "config",
            program="2.0.0" if self.is_upgrade else "",
            waves=parse_waves(waves),
            gates=Gates(min_requests=50, failed_applies=0),
            pace=Pace(
                max_unavailable=self.rng.choice((0, 0, 1, 3, 10)),
                soak_s=SOAK_S,
                apply_s=APPLY_S,
                stale_s=30.0,
                settle_s=30.0,
                hold_alarm_s=hold_alarm_s,
            ),
        )
        self.stored = b""
        self._read: state.Rollout | None = None
        self.save(machine.create(self.spec, self.now), [])

    @property
    def now(self) -> float:
        """The clock of the day, as the master reads it."""
        return self.true_s + self.offset_s

    @property
    def rollout(self) -> state.Rollout:
        """What is stored; read from its bytes once after each death of the driver."""
        if self._read is None:
            self._read = state.decode(self.stored)
        return self._read

    def step(self) -> None:
        """Lets one step of time pass for everybody."""
        self.true_s += STEP_S
        if self.rng.random() < self.faults.jump:
            self.offset_s += self.rng.choice((-7200.0, -60.0, 60.0, 7200.0))
        if self.rng.random() < self.faults.leave and len(self.agents) > 1:
            # It was removed, revoked, or moved to another fleet.
            del self.agents[self.rng.choice(sorted(self.agents))]
        for agent in self.agents.values():
            self._live(agent)
        self._deliver()
        self._drive()

    def heal(self) -> None:
        """Ends every fault; the driver and all agents are here from now on."""
        self.faults = Faults()
        self.down_until = self.true_s
        self.bad.losing = 0.0
        for agent in self.agents.values():
            agent.is_online, agent.back_at = True, 0.0

    def order(self, verb: events.Verb) -> bool:
        """Gives a person's order; False if it was refused."""
        try:
            self.tell(events.Order(verb, "bob"))
        except Invalid:
            return False
        self.history.orders.append(verb)
        return True

    def tell(self, event: events.Event) -> bool:
        """One turn of the driver; False if it died before or after what it stored."""
        before = self.rollout
        after, commands = machine.handle(before, event, self.now)
        if self._dies():
            return False
        self.save(after, commands)
        if self._dies():
            return False
        for command in commands:
            if isinstance(command, events.Measure):
                self._measure(command)
        return True

    def save(self, after: state.Rollout, commands: Sequence[events.Command]) -> None:
        """Stores the state and the rows of the agents at once, as one transaction does."""
        self.stored = state.encode(after)
        self._read = after
        self.history.states.append((self.true_s, after))
        for command in commands:
            match command:
                case events.Serve(revision, agents):
                    self.desired |= dict.fromkeys(agents, revision)
                    self.history.offers.append((self.true_s, revision, agents, after))
                case events.Settle(revision):
                    self.settled = revision
                case events.Alarm(text):
                    self.history.alarms.append(text)

    def _dies(self) -> bool:
        if self.rng.random() >= self.faults.crash:
            return False
        self.down_until = self.true_s + self.rng.choice((0.0, 30.0, 600.0))
        self.is_resuming = True
        self._read = None
        self.answers.clear()
        return True

    def _drive(self) -> None:
        if self.true_s < self.down_until:
            return
        if self.is_resuming:
            self.is_resuming = False
            if not self.tell(events.Resumed()):
                return
        if self.rollout.phase == "queued" and not self.tell(events.Begin(BASE)):
            return
        if self.rng.random() < self.faults.meddle:
            verbs: tuple[events.Verb, ...] = ("pause", "promote", "promote", "abort", "undo")
            self.order(self.rng.choice(verbs))
        views = tuple(map(self._known, self.agents.values()))
        if not self.tell(events.Look(self.now, views)):
            return
        due = [one for one in self.answers if one[0] <= self.true_s]
        self.answers = [one for one in self.answers if one[0] > self.true_s]
        for _, answer in due:
            if not self.tell(answer):
                return

    def _live(self, agent: Agent) -> None:
        if self.rng.random() < self.faults.flap:
            agent.is_online = not agent.is_online
        if agent.back_at and agent.back_at <= self.true_s:
            agent.is_online, agent.back_at = True, 0.0
        wanted = self.desired[agent.name]
        is_busy = self.is_upgrade and agent.applying is not None
        is_free = agent.acknowledged != wanted and not is_busy
        if agent.is_online and is_free and not self._lost():
            agent.acknowledged = wanted
            agent.applying = (wanted, self.true_s + self.rng.choice((0.0, 5.0, 20.0)))
        if agent.applying is not None and agent.applying[1] <= self.true_s:
            self._apply(agent, agent.applying[0])
            agent.applying = None
        self._report(agent)

    def _apply(self, agent: Agent, revision: int) -> None:
        number = int(agent.name[1:])
        if revision == TARGET and (number * 7919 % 100) < self.bad.refusing * 100:
            agent.refused = revision
            return
        if self.is_upgrade and agent.serving != revision:
            is_gone = revision == TARGET and self.rng.random() < self.bad.losing
            away_s = float("inf") if is_gone else self.rng.choice((0.0, 5.0, 20.0))
            agent.is_online, agent.back_at = False, self.true_s + away_s
        agent.serving = revision
        self.history.served.setdefault(agent.name, []).append((self.true_s, revision))

    def _lost(self) -> bool:
        return self.rng.random() < self.faults.loss

    def _report(self, agent: Agent) -> None:
        if not agent.is_online:
            # The master sees that the connection is gone.
            agent.view = _replaced(agent.view, is_connected=False)
            return
        agent.reports += 1
        view = events.AgentView(
            agent.name,
            True,
            self.now,
            self.desired[agent.name],
            self._said(agent),
            None if self.is_upgrade else agent.acknowledged,
            agent.refused,
            self.now if agent.refused else 0.0,
            "the certificate is missing" if agent.refused else "",
            zone=agent.zone,
        )
        for _ in range(2 if self.rng.random() < self.faults.repeat else 1):
            if not self._lost():
                is_late = self.rng.random() < self.faults.late
                at = self.true_s + (self.rng.choice((5.0, 25.0, 90.0)) if is_late else 0.0)
                self.mail.append((at, agent.reports, agent, view))

    def _said(self, agent: Agent) -> int:
        """What an agent serves; a program counts once its order has ended."""
        wanted = self.desired[agent.name]
        has_ended = agent.acknowledged == wanted and agent.applying is None
        if not self.is_upgrade or has_ended:
            return agent.serving
        return BASE if wanted == TARGET else TARGET

    def _known(self, agent: Agent) -> events.AgentView:
        """What the master knows of an agent: that an order before has ended says nothing."""
        wanted = self.desired[agent.name]
        if not self.is_upgrade or agent.view.desired == wanted:
            return agent.view
        return _replaced(
            agent.view, desired=wanted, serving=BASE if wanted == TARGET else TARGET, refused=None
        )

    def _deliver(self) -> None:
        due = [one for one in self.mail if one[0] <= self.true_s]
        self.mail = [one for one in self.mail if one[0] > self.true_s]
        for _, number, agent, view in due:
            if number > agent.known:
                agent.known = number
                desired = view.desired if self.is_upgrade else self.desired[agent.name]
                agent.view = _replaced(view, desired=desired, is_connected=agent.is_online)

    def _measure(self, ask: events.Measure) -> None:
        sample = self._sample(ask.agents, ask.seconds)
        control = self._sample(ask.control, ask.seconds)
        if not ask.control:
            rate = self.traffic * len(ask.agents)
            control = Sample(len(ask.agents), 3600.0, self.now, int(rate * 3600.0), 0, 20.0)
        at = self.true_s + (25.0 if self.rng.random() < self.faults.late else 0.0)
        answer = events.Measured(ask.wave, ask.clock_s, self.now, sample, control)
        for _ in range(2 if self.rng.random() < self.faults.repeat else 1):
            if not self._lost():
                self.answers.append((at, answer))

    def _sample(self, names: Sequence[str], seconds: float) -> Sample:
        agents = [self.agents[name] for name in names]
        here = [agent for agent in agents if agent.is_online]
        requests = int(sum(self.traffic * seconds for _ in here))
        harmed = sum(agent.serving == TARGET for agent in here) / max(len(here), 1)
        # A gate that flaps: a little noise around the truth.
        noise = self.rng.random() * 0.004
        slow = self.bad.latency_ms if harmed else 0.0
        return Sample(
            agents=len(here),
            seconds=seconds,
            oldest_at=min((agent.view.seen_at for agent in here), default=0.0),
            requests=requests,
            errors=int(requests * (self.bad.errors * harmed + noise)),
            latency_ms=20.0 + slow if requests else None,
        )


class UpgradeWorld(World):
    """The same where TARGET and BASE are programs: agents are away while they go over, do one thing
    after the other, and count once they say that their order has ended."""

    is_upgrade = True


def _replaced(view: events.AgentView, **fields: object) -> events.AgentView:
    values = {name: getattr(view, name) for name in view.__slots__}
    return events.AgentView(**(values | fields))
