"""The master's side of a session with one agent: `handle(event, now) -> commands`. Pure;
`master_offers` decides what is offered when.

| state    | event                        | next    | commands                                     |
|----------|------------------------------|---------|----------------------------------------------|
| greeting | Hello                        | joining | Join                                         |
| greeting | anything else, 10 s pass     | closed  | Goodbye, HangUp                              |
| greeting | Hello of an unknown protocol | closed  | Goodbye, HangUp                              |
| joining  | Joined                       | live    | Welcome, AskDesired                          |
| live     | Woken                        | live    | AskDesired                                   |
| live     | DesiredIs                    | live    | Order, where it has one; Offer, Record.      |
|          |                              |         | The first time, that upgrades are signed     |
| live     | Report                       | live    | Record; Offer                                |
| live     | Heartbeat                    | live    | Seen; Beat if wanted; Offer                  |
| live     | Outdated                     | live    | Beat with the wish to renew                  |
| live     | Wanted                       | live    | AskBind; of an older agent Beat with it      |
| live     | BindIs                       | live    | Order to upgrade                             |
| live     | Notices                      | live    | Tell, as many as its budget allows           |
| live     | Asked                        | live    | Order                                        |
| live     | LogLines                     | live    | Answered                                     |
| live     | Fetch                        | live    | FindBlobs                                    |
| live     | Found                        | live    | Chunks                                       |
| live     | 4 intervals of silence       | closed  | Goodbye, HangUp                              |
| live     | 30 min ± 20 % pass           | closed  | Goodbye, HangUp                              |
| any      | Cut                          | closed  | Goodbye, HangUp                              |

Frames of another fence, or of a sequence that was already seen, are dropped.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from headgate.fleet import frames as fr
from headgate.fleet import master_events as ev
from headgate.fleet.master_offers import Offers
from headgate.fleet.order_codec import encode_order
from headgate.fleet.orders import UPGRADE, Order, OrderBody, Upgrade, digest, word_of
from headgate.fleet.pacing import Random, TokenBucket, age_s
from headgate.fleet.searches import LOGS, LogLines
from headgate.fleet.signing import Bind, order_content

_GREETING_S = 10.0
_SILENT_INTERVALS = 4
_WANTS = 64
_NOTICES_PER_S, _NOTICES_AT_ONCE = 5.0, 100.0


class State(Enum):
    """See the table above."""

    GREETING = "greeting"
    JOINING = "joining"
    LIVE = "live"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Terms:
    """The settings that a master requires of its sessions."""

    heartbeat_s: float = 10.0
    chunk_bytes: int = 256 << 10
    oldest_protocol: int = fr.OLDEST_PROTOCOL
    newest_protocol: int = fr.NEWEST_PROTOCOL


class MasterSession:
    """One session with one agent, from its Hello on."""

    def __init__(self, terms: Terms, random: Random, now: float) -> None:
        self.state = State.GREETING
        self.offers = Offers()
        self.fence = 0
        self.clock_ms = 0
        """The wall clock, for Welcome; the driver sets it."""
        self._terms = terms
        self._age_s = age_s(random)
        self._ends: float | None = None
        self._due: float | None = now + _GREETING_S
        self._protocol = 0
        self._sent = 0
        self._seen = 0
        self._finding: tuple[fr.Want, ...] | None = None
        self._following: fr.Fetch | None = None
        self._is_asking = False
        self._ask_again = False
        self._notices_left = TokenBucket(_NOTICES_PER_S, _NOTICES_AT_ONCE)
        self._notices_dropped = 0
        self._takes: frozenset[str] = frozenset()
        self._given: dict[str, OrderBody] = {}
        self._orders = 0
        self._wanted: Upgrade | None = None
        """The order to upgrade that waits for BindIs."""
        self._has_vouched = False

    def handle(self, event: ev.Event, now: float) -> list[ev.Command]:
        """Returns the commands for `event`; `now` is monotonic seconds and never decreases."""
        commands: list[ev.Command] = []
        match event:
            case _ if self.state is State.CLOSED:
                pass
            case ev.Received(frame):
                commands = self._received(frame, now)
            case ev.Cut(code, text, retry_after_s):
                commands = self._close(fr.Goodbye(code, text, retry_after_s))
            case ev.Tick():
                commands = self._tick(now)
            case ev.Joined(fence):
                commands = self._joined(fence, now) if self.state is State.JOINING else []
            case _ if self.state is State.LIVE:
                commands = self._answered(event, now)
        return commands

    def _answered(self, event: ev.Event, now: float) -> list[ev.Command]:
        match event:
            case ev.DesiredIs():
                return self._desired(event, now)
            case ev.Found(blobs):
                return self._found(blobs)
            case ev.Asked(search, bind):
                return [self._order(search, bind)] if self.takes(LOGS) else []
            case ev.Outdated(within_s):
                return [self._frame(fr.Beat(within_s))]
            case ev.Wanted() | ev.BindIs():
                return self._upgrade(event)
            case _:
                return self._ask()

    def takes(self, word: str) -> bool:
        """Says whether the agent named this among what it may be ordered."""
        return word in self._takes

    def deadline(self) -> float | None:
        """Returns when the next Tick is due; None: not before another event."""
        times = (self._due, self._ends, self.offers.deadline())
        return min((at for at in times if at is not None), default=None)

    def _received(self, frame: fr.AgentFrame, now: float) -> list[ev.Command]:
        body = frame.body
        if self.state is State.GREETING:
            return self._greeted(body, frame.sequence, now)
        if not self._is_new(frame):
            return []
        self._due = now + self._terms.heartbeat_s * _SILENT_INTERVALS
        return self._heard(body, now)

    def _heard(self, body: fr.AgentBody, now: float) -> list[ev.Command]:
        match body:
            case fr.Heartbeat():
                self.offers.beaten(body.held, now)
                answer = [self._frame(fr.Beat())] if body.wants_answer else []
                return [ev.Seen(body), *answer, *self._offer(now)]
            case fr.Report():
                return self._reported(body, now)
            case fr.Fetch():
                return self._fetch(body)
            case fr.Notices():
                return self._noticed(body, now)
            case LogLines():
                return [ev.Answered(body)]
        return []

    def _noticed(self, body: fr.Notices, now: float) -> list[ev.Command]:
        """Takes what the agent's budget allows; the rest is counted with the next ones."""
        taken = [one for one in body.notices if not self._notices_left.take(1, now)]
        dropped = self._notices_dropped + body.dropped + len(body.notices) - len(taken)
        self._notices_dropped = 0 if taken else dropped
        return [ev.Tell(fr.Notices(tuple(taken), dropped))] if taken else []

    def _is_new(self, frame: fr.AgentFrame) -> bool:
        """Says whether the frame is of this session and comes after those before it."""
        if self.state is not State.LIVE or frame.fence != self.fence:
            return False
        if frame.sequence <= self._seen:
            return False
        self._seen = frame.sequence
        return True

    def _greeted(self, body: fr.AgentBody, sequence: int, now: float) -> list[ev.Command]:
        if not isinstance(body, fr.Hello):
            return self._close(fr.Goodbye("protocol", "an agent says Hello first"))
        terms = self._terms
        self._protocol = min(body.newest_protocol, terms.newest_protocol)
        if self._protocol < max(body.oldest_protocol, terms.oldest_protocol):
            text = (
                f"the agent speaks protocol {body.oldest_protocol} to {body.newest_protocol}, "
                f"the master {terms.oldest_protocol} to {terms.newest_protocol}; "
                "upgrade the older one"
            )
            return self._close(fr.Goodbye("protocol", text, 60.0))
        self.state = State.JOINING
        self._seen = sequence
        self._due = now + _GREETING_S
        self.offers.held = body.held
        self.offers.agent = body.agent
        self._takes = frozenset(body.orders)
        return [ev.Join(body)]

    def _joined(self, fence: int, now: float) -> list[ev.Command]:
        self.state = State.LIVE
        self.fence = self.offers.fence = fence
        self._due = now + self._terms.heartbeat_s * _SILENT_INTERVALS
        self._ends = now + self._age_s
        terms = self._terms
        welcome = fr.Welcome(self._protocol, terms.heartbeat_s, terms.chunk_bytes, self.clock_ms)
        return [self._frame(welcome), *self._ask()]

    def _ask(self) -> list[ev.Command]:
        """Asks once at a time; what changes meanwhile is asked about after the answer."""
        if self._is_asking:
            self._ask_again = True
            return []
        self._is_asking = True
        return [ev.AskDesired()]

    def _desired(self, event: ev.DesiredIs, now: float) -> list[ev.Command]:
        self._is_asking = False
        again = self._ask_again
        self._ask_again = False
        self.offers.want(event.desired, event.listed, event.changes, event.contents)
        orders = event.orders
        sent = [self._order(one, orders.bind) for one in self._news(orders)] if orders else []
        vouched = self._vouch(event.desired)
        return [*vouched, *sent, *self._offer(now), *(self._ask() if again else [])]

    def _vouch(self, desired: ev.Desired | None) -> list[ev.Command]:
        """Says once that orders to upgrade are signed, so that the agent takes no other ones."""
        if desired is None or self._has_vouched or not self.takes(UPGRADE):
            return []
        self._has_vouched = True
        return [self._order(Upgrade(0, ""), desired.bind)]

    def _upgrade(self, event: ev.Wanted | ev.BindIs) -> list[ev.Command]:
        """Orders an upgrade, signed for an agent that takes it so."""
        waiting, self._wanted = self._wanted, None
        if isinstance(event, ev.BindIs):
            return [] if waiting is None else [self._order(waiting, event.bind)]
        if not self.takes(UPGRADE):
            return [self._frame(fr.Beat(upgrade=event.upgrade))]
        self._wanted = event.upgrade
        return [] if waiting is not None else [ev.AskBind()]

    def _news(self, orders: ev.Orders) -> list[OrderBody]:
        """Returns the orders that the agent takes and was not given in this session."""
        taken = [one for one in orders.bodies if word_of(one) in self._takes]
        return [one for one in taken if self._given.get(word_of(one)) != one]

    def _order(self, body: OrderBody, bind: Bind) -> ev.Send:
        self._given[word_of(body)] = body
        self._orders += 1
        raw = encode_order(body)
        content = order_content(self.offers.agent, self.fence, self._orders, digest(raw))
        return self._frame(Order(self._orders, raw, bind(content)))

    def _offer(self, now: float) -> list[ev.Command]:
        offer = self.offers.next(now)
        if offer is None:
            return []
        report = ev.AgentReport(
            scope=offer.scope,
            version=offer.version,
            phase=fr.Phase.OFFERED,
            held=self.offers.held,
            rollout=offer.rollout,
            wave=offer.wave,
        )
        return [self._frame(offer, len(offer.manifest) + len(offer.contents)), ev.Record(report)]

    def _reported(self, report: fr.Report, now: float) -> list[ev.Command]:
        desired = self.offers.desired
        self.offers.reported(report, now)
        is_desired = desired is not None and desired.version == report.version
        record = ev.AgentReport(
            scope=report.scope,
            version=report.version,
            phase=report.phase,
            held=report.held,
            warnings=report.warnings,
            fault=report.fault,
            effective_hash=report.effective_hash,
            rollout=desired.rollout if desired and is_desired else "",
            wave=desired.wave if desired and is_desired else 0,
        )
        return [ev.Record(record), *self._offer(now)]

    def _fetch(self, fetch: fr.Fetch) -> list[ev.Command]:
        """Looks for what the agent's manifest names, and for nothing else."""
        if self._finding is not None:
            self._following = fetch  # the agent does not wait for the one before any more
            return []
        listed = self.offers.listed
        named = {entry.sha256 for entry in listed.entries} if listed else set()
        self._finding = fetch.wants[:_WANTS]
        hashes = dict.fromkeys(want.sha256 for want in self._finding if want.sha256 in named)
        return [ev.FindBlobs(tuple(hashes))]

    def _found(self, blobs: Mapping[str, bytes]) -> list[ev.Command]:
        wants, self._finding = self._finding, None
        following, self._following = self._following, None
        if following is not None:
            return self._fetch(following)
        chunks: list[fr.Chunk] = []
        unknown: list[str] = []
        room = self._terms.chunk_bytes
        for want in wants or ():
            blob = blobs.get(want.sha256)
            if blob is None or want.offset > len(blob):
                unknown.append(want.sha256)
            elif room > 0:
                data = blob[want.offset : want.offset + room]
                room -= len(data) + 1
                chunks.append(fr.Chunk(want.sha256, want.offset, len(blob), data))
        size = sum(len(one.data) for one in chunks)
        return [self._frame(fr.Chunks(tuple(chunks), tuple(unknown)), size)]

    def _tick(self, now: float) -> list[ev.Command]:
        if self._due is not None and now >= self._due:
            return self._close(fr.Goodbye("silent", "nothing came for too long"))
        if self._ends is not None and now >= self._ends:
            return self._close(fr.Goodbye("age", "the connection is old; make a new one"))
        return self._offer(now) if self.state is State.LIVE else []

    def _close(self, goodbye: fr.Goodbye) -> list[ev.Command]:
        self.state = State.CLOSED
        self._due = self._ends = None
        return [self._frame(goodbye), ev.HangUp(goodbye.code)]

    def _frame(self, body: fr.MasterBody, cost: int = 0) -> ev.Send:
        self._sent += 1
        return ev.Send(fr.MasterFrame(self.fence, self._sent, body), cost)
