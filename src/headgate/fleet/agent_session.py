"""The agent's side of a session, from dialling to the next dialling: `handle(event, now) ->
commands`. Pure; `agent_work` decides about offers.

| state     | event                     | next      | commands                                  |
|-----------|---------------------------|-----------|-------------------------------------------|
| waiting   | Start, the wait is over   | dialling  | Dial                                      |
| dialling  | Connected                 | greeting  | Hello                                     |
| greeting  | Welcome of a newer fence  | live      | reports that waited; Fetch again          |
| greeting  | Welcome of another one    | waiting   | HangUp                                    |
| greeting  | Welcome of a protocol     | waiting   | HangUp; at least a minute                 |
|           | that the agent lacks      |           |                                           |
| live      | Offer, Chunks, Beat       | live      | what `agent_work` says                    |
| live      | an interval passes        | live      | Heartbeat                                 |
| live      | Described, with news      | live      | Heartbeat                                 |
| live      | Obeyed                    | live      | Heartbeat                                 |
| live      | Beat that wants it        | live      | Renew, GoOver                             |
| live      | Drifted, with news        | live      | Heartbeat                                 |
| live      | Order that is bound to it | live      | CarryOut, GoOver                          |
| live      | Searched                  | live      | LogLines, in parts                        |
| dialling, | 30 s pass                 | waiting   | HangUp                                    |
| greeting  |                           |           |                                           |
| live      | 4 intervals of silence    | waiting   | HangUp                                    |
| greeting, | Goodbye                   | waiting   | HangUp; at least as long as it says       |
| live      |                           |           |                                           |
| any       | Disconnected              | waiting   | full jitter, 1 s to 60 s                  |
| live      | Happened                  | live      | Notices, at most once a second            |
| any       | Stop                      | stopped   | HangUp                                    |

Frames of another fence, or of a sequence that was already seen, are dropped.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from headgate.fleet import agent_events as ev
from headgate.fleet import frames as fr
from headgate.fleet.agent_work import Step, Work
from headgate.fleet.drift import Drift
from headgate.fleet.manifest import Manifest
from headgate.fleet.notices import Outbox
from headgate.fleet.order_codec import decode_order
from headgate.fleet.orders import Order, Upgrade, digest, word_of
from headgate.fleet.pacing import Jitter, Random
from headgate.fleet.searches import parts
from headgate.fleet.signing import offer_is_bound, order_content
from headgate.kernel.errors import Invalid

GREETING_S = 30.0
_SILENT_INTERVALS = 4
_ASK_INTERVALS = 2
_LASTED_S = 30.0
_UNSENT = 32
_UPGRADE_S = 60.0


class State(Enum):
    """See the table above."""

    WAITING = "waiting"
    DIALLING = "dialling"
    GREETING = "greeting"
    LIVE = "live"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class AgentFacts:
    """An agent's facts about itself, and the keys that it trusts for manifests (raw Ed25519)."""

    agent: str
    epoch: int
    program: str
    instances: tuple[fr.Instance, ...] = ()
    keys: Sequence[bytes] = ()
    oldest_protocol: int = fr.OLDEST_PROTOCOL
    newest_protocol: int = fr.NEWEST_PROTOCOL
    can_upgrade: bool = False
    orders: tuple[str, ...] = ()
    """The orders that it takes, in words of `headgate.fleet.orders`."""


class AgentSession:
    """One agent's sessions with its master, one after the other."""

    def __init__(
        self,
        facts: AgentFacts,
        random: Random,
        held: fr.Held | None = None,
        serving: Manifest | None = None,
        bound: int = 0,
    ) -> None:
        """`held`, `serving` and `bound` (see `Work.bound`): what the agent found on disk when it
        started."""
        self.state = State.WAITING
        self.work = Work(facts.agent, facts.keys, held or fr.Held(), serving, bound)
        self._facts = facts
        self._jitter = Jitter(random)
        self._random = random
        self._fence = 0
        self._newest_fence = bound
        self._sent = 0
        self._seen = 0
        self._due: float | None = None
        self._interval_s = 10.0
        self._next_beat: float | None = None
        self._heard = 0.0
        self._live_since: float | None = None
        self._unsent: deque[fr.Report] = deque(maxlen=_UNSENT)
        self._figures: ev.Summary = ev.Summary()
        self._looked_at: float | None = None
        self._notices = Outbox()
        self._protocol = 0
        self.clock_ms = 0
        """The wall clock, for Hello and Heartbeat; the driver sets it."""
        self.identity: fr.Identity | None = None
        """The state of the agent's certificate in Hello and Heartbeat; its owner sets it."""
        self.inventory: fr.Inventory | None = None
        """The certificates that the node serves with; its owner sets it."""
        self._told_inventory: fr.Inventory | None = None
        self.failed_starts = 0
        """Starts of the process, before this one, that did not last; its owner sets it."""
        self.upgrade_ended: fr.UpgradeEnded | None = None
        """The newest order to upgrade, if it has ended; its owner sets it."""
        self._told_ended: fr.UpgradeEnded | None = None
        self._instances = self._told_instances = facts.instances
        self._drift: Drift | None = None
        self._told_drift: Drift | None = None
        self._last_order = 0
        self.signs_upgrades = False
        """True once the master has signed an order to upgrade: from then on one that is not signed
        is not taken. Its owner sets what it remembers."""

    def handle(self, event: ev.Event, now: float) -> list[ev.Command]:
        """Returns the commands for `event`; `now` is monotonic seconds and never decreases."""
        if self.state is State.STOPPED:
            return []
        match event:
            case ev.Received(frame):
                return self._received(frame, now)
            case ev.Tick():
                return self._tick(now)
            case ev.Missing() | ev.Stored() | ev.DiskFailed() | ev.Progress() | ev.Noticed():
                return self._say(self._worked(event, now))
            case (
                ev.Summary()
                | ev.Described()
                | ev.Happened()
                | ev.Obeyed()
                | ev.Drifted()
                | ev.Searched()
            ):
                return self._informed(event, now)
            case _:
                return self._link(event, now)

    def deadline(self) -> float | None:
        """Returns when the next Tick is due; None: not before another event."""
        times = [self._due, self._next_beat]
        if self.state is State.LIVE:
            times.append(self.work.deadline())
            times.append(self._notices.deadline() if self._may_tell else None)
        return min((at for at in times if at is not None), default=None)

    def _link(self, event: ev.Event, now: float) -> list[ev.Command]:
        match event:
            case ev.Start() if self.state is State.WAITING:
                return self._dial(now)
            case ev.Connected() if self.state is State.DIALLING:
                return self._greet(now)
            case ev.Disconnected() if self.state is not State.WAITING:
                self._wait(now)
                return []
            case ev.Redial() if self.state in (State.GREETING, State.LIVE):
                return [ev.HangUp("redial"), *self._dial(now)]
            case ev.Stop():
                was_up = self.state is not State.WAITING
                self.state, self._due, self._next_beat = State.STOPPED, None, None
                return [ev.HangUp("stop")] if was_up else []
        return []

    def _worked(
        self, event: ev.Missing | ev.Stored | ev.DiskFailed | ev.Progress | ev.Noticed, now: float
    ) -> list[Step]:
        match event:
            case ev.Missing():
                return self.work.missing(event, now)
            case ev.Stored():
                return self.work.stored(event, now)
            case ev.DiskFailed():
                return self.work.disk_failed(event, now)
            case ev.Progress():
                return self.work.progress(event, now)
            case _:
                return self.work.noticed(event)

    def _informed(
        self,
        event: (ev.Summary | ev.Described | ev.Happened | ev.Obeyed | ev.Drifted | ev.Searched),
        now: float,
    ) -> list[ev.Command]:
        """Keeps what heartbeats say; what is new of the engines is said at once."""
        if isinstance(event, ev.Obeyed):
            return self._obeyed(event.ended, now)
        if isinstance(event, ev.Summary):
            self._figures, self._looked_at = event, now
            return []
        if isinstance(event, ev.Searched):
            # Whoever asked in a session that has ended waits no more.
            is_live = self.state is State.LIVE
            return [self._frame(one) for one in parts(event.answer)] if is_live else []
        if isinstance(event, ev.Happened):
            self._notices.add(event.notice)
            return self._tell(now)
        if isinstance(event, ev.Drifted):
            self._drift = event.drift
            has_news = self._drift != self._told_drift
        else:
            self._instances = event.instances
            has_news = self._instances != self._told_instances
        if self.state is not State.LIVE or not has_news:
            return []
        return [self._frame(self._beat(now))]

    def _obeyed(self, ended: fr.UpgradeEnded, now: float) -> list[ev.Command]:
        """Says at once that an order has ended, also if it was said before: a master that repeats
        the order has not kept it."""
        self.upgrade_ended, self._told_ended = ended, None
        return [self._frame(self._beat(now))] if self.state is State.LIVE else []

    def _dial(self, now: float) -> list[ev.Command]:
        self._reset(State.DIALLING)
        self._due = now + GREETING_S
        return [ev.Dial()]

    def _greet(self, now: float) -> list[ev.Command]:
        self.state = State.GREETING
        self._due = now + GREETING_S
        self._told_instances = self._instances
        self._told_ended = self.upgrade_ended
        hello = fr.Hello(
            agent=self._facts.agent,
            epoch=self._facts.epoch,
            program=self._facts.program,
            oldest_protocol=self._facts.oldest_protocol,
            newest_protocol=self._facts.newest_protocol,
            instances=self._instances,
            held=self.work.held,
            last_fault=self.work.last_fault,
            fault_of=self.work.fault_of,
            clock_ms=self.clock_ms,
            identity=self.identity,
            can_upgrade=self._facts.can_upgrade,
            upgrade_ended=self.upgrade_ended,
            orders=self._facts.orders,
            failed_starts=self.failed_starts,
        )
        return [self._frame(hello)]

    def _received(self, frame: fr.MasterFrame, now: float) -> list[ev.Command]:
        body = frame.body
        if isinstance(body, fr.Welcome) and self.state is State.GREETING:
            return self._welcomed(frame, body, now)
        is_parting = isinstance(body, fr.Goodbye) and self.state is State.GREETING
        if not is_parting and not self._is_new(frame):
            return []
        self._heard = now
        return self._told(body, now)

    def _told(self, body: fr.MasterBody, now: float) -> list[ev.Command]:
        match body:
            case fr.Offer():
                return self._say(self.work.offered(body, now))
            case fr.Chunks():
                return self._say(self.work.chunks(body, now))
            case fr.Goodbye():
                return self._left(body, now)
            case fr.Beat():
                return self._wishes(body)
            case Order():
                return self._ordered(body)
        return []

    def _ordered(self, order: Order) -> list[ev.Command]:
        """Takes an order that the master bound to this session, if the agent said that it does; any
        other one is nobody's."""
        facts = self._facts
        content = order_content(facts.agent, self._fence, order.nonce, digest(order.body))
        is_bound = offer_is_bound(facts.keys, content, order.binding)
        if order.nonce <= self._last_order or not is_bound:
            return []
        self._last_order = order.nonce
        try:
            body = decode_order(order.body)
        except Invalid:
            return []
        if word_of(body) not in facts.orders:
            return []
        if not isinstance(body, Upgrade):
            return [ev.CarryOut(body)]
        self.signs_upgrades = True
        return [ev.GoOver(body)] if body.order else []

    def _wishes(self, beat: fr.Beat) -> list[ev.Command]:
        """Returns what the master wishes in an answer to a heartbeat. It is not signed: only of an
        older master this may be an order to upgrade."""
        renew: list[ev.Command] = [ev.Renew(beat.renew_within_s)] if beat.renew_within_s > 0 else []
        if beat.upgrade is None or self.signs_upgrades:
            return renew
        return [*renew, ev.GoOver(beat.upgrade)]

    def _is_new(self, frame: fr.MasterFrame) -> bool:
        """Says whether the frame is of this session and comes after those before it."""
        if self.state is not State.LIVE or frame.fence != self._fence:
            return False
        if frame.sequence <= self._seen:
            return False
        self._seen = frame.sequence
        return True

    def _welcomed(self, frame: fr.MasterFrame, welcome: fr.Welcome, now: float) -> list[ev.Command]:
        if frame.fence <= self._newest_fence:
            return self._hang_up("the master is behind: its fence is not newer", now)
        facts = self._facts
        if not facts.oldest_protocol <= welcome.protocol <= facts.newest_protocol:
            why = (
                f"the master speaks protocol {welcome.protocol}, this agent "
                f"{facts.oldest_protocol} to {facts.newest_protocol}; upgrade the older one"
            )
            return self._hang_up(why, now, at_least_s=_UPGRADE_S)
        self.state = State.LIVE
        self._fence = self._newest_fence = self.work.fence = frame.fence
        self._seen = frame.sequence
        self._heard = self._live_since = now
        self._interval_s = max(welcome.heartbeat_s, 0.05)
        self._due = None
        self._protocol = welcome.protocol
        # The beats of a fleet that came back at once are spread over an interval.
        self._next_beat = now + self._interval_s * self._random()
        waiting = [replace(report, nonce=0) for report in self._unsent]
        self._unsent.clear()
        return [*self._say([*waiting, *self.work.resumed(now)]), *self._tell(now)]

    def _left(self, body: fr.Goodbye, now: float) -> list[ev.Command]:
        return self._hang_up(f"{body.code}: {body.text}", now, at_least_s=body.retry_after_s)

    def _hang_up(self, why: str, now: float, at_least_s: float = 0.0) -> list[ev.Command]:
        self._wait(now, at_least_s)
        return [ev.HangUp(why)]

    def _wait(self, now: float, at_least_s: float = 0.0) -> None:
        if self._live_since is not None and now - self._live_since >= _LASTED_S:
            self._jitter.reset()
        self._reset(State.WAITING)
        self._due = now + at_least_s + self._jitter.wait_s()

    def _reset(self, state: State) -> None:
        self.state = state
        self._fence = self._sent = self._seen = 0
        self._next_beat = self._live_since = None
        self._told_inventory = None
        self._told_drift = None
        self._last_order = 0

    def _tick(self, now: float) -> list[ev.Command]:
        if self._due is not None and now >= self._due:
            if self.state is State.WAITING:
                return self._dial(now)
            return self._hang_up("the master does not answer", now)
        if self.state is not State.LIVE:
            return []
        if now - self._heard >= self._interval_s * _SILENT_INTERVALS:
            return self._hang_up("the master is silent", now)
        commands = [*self._say(self.work.tick(now)), *self._tell(now)]
        if self._next_beat is not None and now >= self._next_beat:
            self._next_beat = now + self._interval_s
            commands.append(self._frame(self._beat(now)))
        return commands

    @property
    def _may_tell(self) -> bool:
        return self.state is State.LIVE and self._protocol >= fr.NOTICES_PROTOCOL

    def _tell(self, now: float) -> list[ev.Command]:
        notices = self._notices.take(now) if self._may_tell else None
        return [] if notices is None else [self._frame(notices)]

    def _beat(self, now: float) -> fr.Heartbeat:
        return fr.Heartbeat(
            held=self.work.held,
            wants_answer=now - self._heard >= self._interval_s * _ASK_INTERVALS,
            clock_ms=self.clock_ms,
            figures=self._figures.figures,
            identity=self.identity,
            inventory=self._news(),
            instances=self._newly_found(),
            latency=self._figures.latency,
            figures_age_ms=self._age_ms(now),
            upgrade_ended=self._newly_ended(),
            drift=self._new_drift(),
        )

    def _age_ms(self, now: float) -> int:
        """Returns how long ago the figures were looked at; 0 means that it is not said."""
        return 0 if self._looked_at is None else max(1, round((now - self._looked_at) * 1000))

    def _news(self) -> fr.Inventory | None:
        """Returns the inventory, once in a session for each change."""
        if self.inventory == self._told_inventory:
            return None
        self._told_inventory = self.inventory
        return self.inventory

    def _new_drift(self) -> Drift | None:
        """Returns the drift, once in a session for each change."""
        if self._drift == self._told_drift:
            return None
        self._told_drift = self._drift
        return self._drift

    def _newly_found(self) -> tuple[fr.Instance, ...]:
        """Returns the engines, if this session has not said them as they are."""
        if self._instances == self._told_instances:
            return ()
        self._told_instances = self._instances
        return self._instances

    def _newly_ended(self) -> fr.UpgradeEnded | None:
        """Returns the order that has ended, if this session has not said it."""
        if self.upgrade_ended == self._told_ended:
            return None
        self._told_ended = self.upgrade_ended
        return self.upgrade_ended

    def _say(self, steps: Iterable[Step]) -> list[ev.Command]:
        commands: list[ev.Command] = []
        for step in steps:
            if isinstance(step, fr.Fetch | fr.Report):
                if self.state is State.LIVE:
                    commands.append(self._frame(step))
                elif isinstance(step, fr.Report):
                    self._unsent.append(step)
            else:
                commands.append(step)
        return commands

    def _frame(self, body: fr.AgentBody) -> ev.Send:
        self._sent += 1
        return ev.Send(fr.AgentFrame(self._fence, self._sent, body))
