"""Knows the health of every endpoint, and which take nothing. Clock and chance are passed in.

The machine of an endpoint, the panic threshold and the sentences are the data plane's
(`headgate._core`); this says which endpoints there are, and puts orders and results into them.
"""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, NamedTuple

from headgate._core import EndpointHealth, UpstreamHealth
from headgate.engines.nginx.checks.answer import Failure
from headgate.engines.nginx.checks.known import Known
from headgate.engines.nginx.checks.outliers import Ended
from headgate.plan.objects import Endpoint, OutlierDetection, Upstream
from headgate.plan.plan import Plan

Out = Mapping[str, frozenset[str]]
"""The addresses of each upstream that take no requests."""

Addresses = Mapping[str, tuple[str, ...]]
"""The addresses that the names of endpoints resolve to."""

_BREAKER: Final = {
    "open": ("warn", "gets no requests"),
    "half-open": ("info", "gets a few requests"),
    "closed": ("info", "gets requests again"),
}

_SPARED: Final = {"spared-dry-run": "dry_run", "spared-limit": "limit"}
OUTCOMES: Final = ("ejected", "dry_run", "limit")
"""The outcomes for an endpoint that looks like an outlier."""

Tell = Callable[[str, str, str, dict[str, str]], None]


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """One address of an endpoint of an upstream."""

    upstream: str
    endpoint: Endpoint
    target: str
    health: EndpointHealth

    @property
    def as_core(self) -> tuple[EndpointHealth, bool, bool]:
        """The values that the core takes."""
        return self.health, self.endpoint.backup, self.endpoint.weight > 0


@dataclass(slots=True)
class Group:
    """An upstream with its members, in the order of the config."""

    plan: Upstream
    health: UpstreamHealth
    members: list[Member] = field(default_factory=list)

    @property
    def cores(self) -> list[tuple[EndpointHealth, bool, bool]]:
        """The values of the members that the core takes."""
        return [one.as_core for one in self.members]

    def told(self, now_ms: int) -> list[tuple[str, bool, str]]:
        """Returns of each member a word for its state, whether it takes requests, and why."""
        return self.health.told(self.cores, self.plan.health.panic_threshold, now_ms)


class Told(NamedTuple):
    """The report on an endpoint, all its addresses together."""

    state: str
    takes: bool
    why: str
    reason: str
    ago_ms: int
    passed: int
    failed: int


class ToldUpstream(NamedTuple):
    """The report on an upstream: whether it is in panic, its endpoints by their address, how
    often a breaker of them opened, what became of those that looked like outliers, and how many
    breakers are in each state (empty without breakers).
    """

    panic: bool
    endpoints: Mapping[str, Told]
    opened: int = 0
    outliers: Mapping[str, int] = MappingProxyType(dict.fromkeys(OUTCOMES, 0))
    breakers: Mapping[str, int] = MappingProxyType({})


Healths = Mapping[str, ToldUpstream]
"""By the upstream's name."""


class HealthTable:
    """The health of the endpoints of one plan. `orders` outlive it; `known` is what checks of an
    earlier process found of the first plan's.
    """

    def __init__(self, tell: Tell, clock: Callable[[], int], chance: Callable[[], int]) -> None:
        """`clock`: monotonic milliseconds; `chance`: 64 random bits."""
        self.orders: dict[tuple[str, str], str] = {}
        self.known: Known = {}
        self._tell = tell
        self._clock = clock
        self._chance = chance
        self._groups: dict[str, Group] = {}
        self._busy: set[EndpointHealth] = set()
        self._opened: Counter[str] = Counter()
        self._outliers: Counter[tuple[str, str]] = Counter()

    def out(self, plan: Plan, addresses: Addresses) -> Out:
        """Returns the addresses that a plan would begin without; changes nothing."""
        return self._out(dict(self._made(plan, addresses)))

    def serve(self, plan: Plan, addresses: Addresses) -> None:
        """Takes over a plan that is served, and what is known of its endpoints."""
        groups = dict(self._made(plan, addresses))
        now = self._clock()
        for name, group in groups.items():
            for one in group.members:
                one.health.watch(group.plan.health.check, now, self._chance())
                if group.plan.health.outliers is None:
                    one.health.turn(None, now, self._chance())
                if group.plan.health.breaker is None:
                    one.health.turn_breaker(None, now)
            self._turn(name, group, now)
        self._groups = groups
        self.known = {}

    def _made(self, plan: Plan, addresses: Addresses) -> Iterator[tuple[str, Group]]:
        """Yields the upstreams of a plan with what is known of them."""
        now = self._clock()
        for key, entry in plan.objects.items():
            if not isinstance(entry.value, Upstream):
                continue
            old = self._groups.get(key.name)
            known = {one.target: one.health for one in old.members} if old else {}
            group = Group(entry.value, old.health if old else UpstreamHealth())
            for endpoint in entry.value.endpoints:
                for target in _targets(endpoint.address, addresses):
                    health = known.get(target) or self._new(key.name, entry.value, target, now)
                    health.order(self.orders.get((key.name, endpoint.address), "ready"), now)
                    group.members.append(Member(key.name, endpoint, target, health))
            yield key.name, group

    def _new(self, name: str, upstream: Upstream, target: str, now: int) -> EndpointHealth:
        """Returns the health of an endpoint that was just added."""
        check = upstream.health.check
        health = EndpointHealth(check is not None, now)
        if check is not None and (name, target) in self.known:
            failure = self.known[name, target]
            health.watch(check, now, self._chance())
            failed = None if failure is None else (failure.reason, failure.found)
            with contextlib.suppress(ValueError):  # another version's reason says nothing here
                health.result(failed, now, now, self._chance())
        return health

    def concluded(self) -> dict[tuple[str, str], Failure | None]:
        """Returns what checks concluded of endpoints, for `known`."""
        return {
            (name, one.target): (
                Failure(_why(one.health), one.health.found) if one.health.is_down else None
            )
            for name, group in self._groups.items()
            for one in group.members
            if one.health.next_ms is not None and one.health.passed + one.health.failed
        }

    def served_out(self) -> Out:
        """Returns the addresses of the served plan that take no requests now."""
        return self._out(self._groups)

    def _out(self, groups: Mapping[str, Group]) -> Out:
        now = self._clock()
        found = {}
        for name, group in groups.items():
            told = zip(group.members, group.told(now), strict=True)
            out = frozenset(
                one.target for one, (_, takes, _) in told if not takes and one.endpoint.weight
            )
            if out:
                found[name] = out
        return found

    def due(self) -> list[tuple[Member, Upstream]]:
        """Returns the members whose check is due, each once until its result."""
        now = self._clock()
        found = []
        for group in self._checked():
            for one in group.members:
                next_ms = one.health.next_ms
                if next_ms is not None and next_ms <= now and one.health not in self._busy:
                    self._busy.add(one.health)
                    found.append((one, group.plan))
        return found

    def _checked(self) -> Iterator[Group]:
        return (one for one in self._groups.values() if one.plan.health.check is not None)

    def next_ms(self) -> int | None:
        """Returns when the next check is due; None without any."""
        every = (
            one.health.next_ms
            for group in self._checked()
            for one in group.members
            if one.health not in self._busy
        )
        return min((one for one in every if one is not None), default=None)

    def result(self, member: Member, failure: Failure | None, began_ms: int) -> bool:
        """Takes in a result; returns whether it changed anything."""
        self._busy.discard(member.health)
        now = self._clock()
        failed = None if failure is None else (failure.reason, failure.found)
        changed = member.health.result(failed, began_ms, now, self._chance())
        group = self._groups.get(member.upstream)
        healths = [one.health for one in group.members] if group is not None else []
        if group is None or not changed or member.health not in healths:
            return False
        self._changed(group, healths.index(member.health), now)
        self._turn(member.upstream, group, now)
        return True

    def turn(self) -> bool:
        """Looks at what time alone changes: ends of ejections and panic; returns whether any."""
        now = self._clock()
        changed = False
        for name, group in self._groups.items():
            policy = group.plan.health.outliers
            if policy is not None:
                # Each has to be asked: the answer moves its clock.
                moved = [one.health.turn(policy, now, self._chance()) for one in group.members]
                changed |= any(moved)
                changed |= self._sweep(group, policy, now)
            if group.plan.health.breaker is not None:
                changed |= any([self._break(one, group, None, now) for one in group.members])
            if policy is not None or group.health.is_in_panic:
                changed |= self._turn(name, group, now)
        return changed

    @property
    def ejecting(self) -> frozenset[str]:
        """The upstreams whose requests may eject endpoints, or open their breakers."""
        healths = ((name, one.plan.health) for name, one in self._groups.items())
        return frozenset(name for name, one in healths if one.outliers or one.breaker)

    def ended(self, upstream: str, ended: Ended) -> bool:
        """Takes in how a request ended at an endpoint; returns whether that changed anything."""
        group = self._groups.get(upstream)
        if group is None:
            return False
        places = [at for at, one in enumerate(group.members) if one.target == ended.target]
        changed = False
        for at in places:
            if group.plan.health.breaker is not None:
                changed |= self._break(group.members[at], group, ended, self._clock())
            if group.plan.health.outliers is not None:
                changed |= self._ended(group, at, group.plan.health.outliers, ended)
        return changed

    def _break(self, member: Member, group: Group, ended: Ended | None, now: int) -> bool:
        """Gives a breaker a request that ended, or the time; returns whether it turned."""
        health, policy = member.health, group.plan.health.breaker
        if policy is None:
            return False
        if ended is None:
            turned = health.turn_breaker(policy, now)
        elif ended.began_ms < health.changed_ms:
            return False  # it says nothing of the endpoint as it is now
        else:
            turned = health.judged(ended.outcome, ended.head_ms, policy, now)
        if turned:
            self._opened[member.upstream] += health.circuit == "open"
            level, what = _BREAKER[health.circuit]
            self._event(level, "endpoint.breaker", member, what)
        return turned

    def _ended(self, group: Group, at: int, policy: OutlierDetection, ended: Ended) -> bool:
        health, now = group.members[at].health, self._clock()
        # Requests from before it came back say nothing of it as it is now, and may end long after.
        if ended.began_ms < health.changed_ms:
            return False
        if health.is_in:
            why = health.ended(ended.outcome, policy, now)
            return why is not None and self._eject(group, (at, why), policy, now)
        is_back = health.probed(ended.outcome, now)
        if is_back is not None:
            level, what = ("info", "is back") if is_back else ("warn", "is ejected")
            self._event(level, "endpoint.outlier", group.members[at], what)
        return is_back is not None

    def _sweep(self, group: Group, policy: OutlierDetection, now: int) -> bool:
        """Ejects what fails too often by number; returns whether that changed anything."""
        found = group.health.sweep(group.cores, policy, now)
        return any([self._eject(group, one, policy, now) for one in found])

    def _eject(
        self, group: Group, cause: tuple[int, str], policy: OutlierDetection, now: int
    ) -> bool:
        """Ejects an endpoint if it may be; returns whether it was."""
        is_news = group.health.eject(group.cores, cause, policy, (now, self._chance()))
        member = group.members[cause[0]]
        self._outliers[member.upstream, _outcome(member.health)] += 1
        if not is_news:
            return False
        what = "is not ejected" if member.health.is_in else "is ejected"
        self._event("warn", "endpoint.outlier", member, what)
        return not member.health.is_in

    def _event(self, level: str, kind: str, member: Member, what: str) -> None:
        said = f"endpoint {member.target} of upstream {member.upstream} {what}: "
        fields = {"object": f"upstream {member.upstream}"}
        self._tell(level, kind, said + member.health.reason[1], fields)

    def find(self, upstream: str, address: str) -> str:
        """Returns why an endpoint cannot have an order; empty if it can."""
        group = self._groups.get(upstream)
        if group is None:
            return f"there is no upstream `{upstream}`"
        if any(one.endpoint.address == address for one in group.members):
            return ""
        return f"the upstream `{upstream}` has no endpoint `{address}`"

    def order(self, upstream: str, address: str, order: str) -> bool:
        """Puts an order in force; returns whether it is news."""
        key = (upstream, address)
        if order == "ready":
            self.orders.pop(key, None)
        else:
            self.orders[key] = order
        group = self._groups.get(upstream)
        if group is None:
            return False
        now = self._clock()
        those = [one for one in group.members if one.endpoint.address == address]
        changed = any([one.health.order(order, now) for one in those])
        if changed:
            said = f"an operator set endpoint {address} of upstream {upstream} to {order}"
            self._tell("info", "endpoint.order", said, {"object": f"upstream {upstream}"})
        return changed

    def told(self) -> Healths:
        """Returns what is told of every endpoint. Any thread."""
        now = self._clock()
        return {
            name: ToldUpstream(
                group.health.is_in_panic,
                dict(_told(group, now)),
                self._opened[name],
                {one: self._outliers[name, one] for one in OUTCOMES},
                _breakers(group),
            )
            for name, group in self._groups.items()
        }

    def _changed(self, group: Group, at: int, now: int) -> None:
        """Reports that checks changed what is known of an endpoint."""
        member, takes = group.members[at], group.told(now)[at][1]
        health = member.health
        verb = "is down" if health.is_down else "is up"
        found = f" ({health.found})" if health.found else ""
        still = ""
        if takes == health.is_down:
            still = (
                "; it takes traffic all the same"
                if takes
                else ("; it takes no traffic all the same")
            )
        said = f"endpoint {member.target} of upstream {member.upstream} {verb}: "
        level = "warn" if health.is_down else "info"
        fields = {"object": f"upstream {member.upstream}"}
        self._tell(level, "endpoint.health", f"{said}{health.reason[1]}{found}{still}", fields)

    def _turn(self, name: str, group: Group, now: int) -> bool:
        below = group.plan.health.panic_threshold
        turned = group.health.turn(group.cores, below, now)
        if turned is None:
            return False
        fields = {"object": f"upstream {name}"}
        if turned:
            usable, judged = UpstreamHealth.judged(group.cores)
            said = (
                f"upstream {name} is in panic: {usable} of {judged} endpoints are usable, the "
                f"threshold is {below} %; requests go to endpoints that look bad, too"
            )
            self._tell("warn", "upstream.panic", said, fields)
        else:
            self._tell("info", "upstream.panic", f"upstream {name} is no longer in panic", fields)
        return True


def _why(health: EndpointHealth) -> str:
    """Returns why an endpoint fails its checks; its last change may have been another one's."""
    word = health.reason[0]
    return word if word.startswith("check-") and word != "check-passed" else "check-lost"


def _targets(address: str, addresses: Addresses) -> Iterable[str]:
    host, _, port = address.rpartition(":")
    if address.startswith("unix:"):
        return (address,)
    return [f"{one}:{port}" for one in addresses.get(host, ())] or (address,)


def _outcome(health: EndpointHealth) -> str:
    """Returns what became of an endpoint that looked like an outlier."""
    return _SPARED.get(health.reason[0], "limit") if health.is_in else "ejected"


def _breakers(group: Group) -> dict[str, int]:
    """Returns how many breakers of an upstream are in each state; empty without breakers."""
    if group.plan.health.breaker is None:
        return {}
    now = [member.health.circuit for member in group.members]
    return {state: now.count(state) for state in ("closed", "half-open", "open")}


def _told(group: Group, now: int) -> Iterator[tuple[str, Told]]:
    """Yields what is told of each endpoint; that of several addresses is joined."""
    told: dict[str, Told] = {}
    several = len(group.members) != len({one.endpoint.address for one in group.members})
    for one, (word, takes, why) in zip(group.members, group.told(now), strict=True):
        health = one.health
        address = one.endpoint.address
        text = f"{one.target} {why}" if several and one.target != address else why
        ago = max(now - health.changed_ms, 0)
        mine = Told(word, takes, text, health.reason[0], ago, health.passed, health.failed)
        told[address] = _joined(told[address], mine) if address in told else mine
    yield from told.items()


def _joined(one: Told, other: Told) -> Told:
    latest = one if one.ago_ms <= other.ago_ms else other
    return Told(
        one.state if one.state == other.state else "degraded",
        one.takes or other.takes,
        f"{one.why}. {other.why}",
        latest.reason,
        latest.ago_ms,
        one.passed + other.passed,
        one.failed + other.failed,
    )
