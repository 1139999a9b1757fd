"""The growth of a node's counters between two looks, and the slots of time it falls into. Pure.

Agents send counters that only grow, so a heartbeat that is lost loses nothing. A counter begins
anew with its engine; what was served between the last look and the engine's end is not known.
"""

import math
from collections.abc import Mapping
from typing import Final, NamedTuple

from headgate.fleet.frames import Heartbeat
from headgate.fleet.latency import in_buckets
from headgate.master.domains.metrics.tally import Tally, divided
from headgate.master.domains.rollouts.figures import judged

SHORT_MS: Final = 15_000
LONG_MS: Final = 300_000
KEPT_MS: Final = 86_400_000
_ONE_SLOT_MS: Final = 2 * SHORT_MS
_SPREAD_MS: Final = 300_000
"""The longest time between two looks that is spread over slots of 15 s; a longer one, of which the
master did not hear, goes into slots of five minutes."""
_APART_MS: Final = 1_000
_AHEAD_MS: Final = 60_000
_MOST: Final = 1 << 53


class Counters(NamedTuple):
    """A look at a node's counters. None: its agent does not say it."""

    measured_at: int
    """The time of the look, by the master's clock, in milliseconds."""
    began_at: int | None
    """The time when the engine began to count."""
    connections: int
    requests: int
    client_errors: int | None
    server_errors: int
    endpoint_failures: int | None
    latency: tuple[int, ...] = ()
    drifting: int | None = None
    """1 while its nginx drifts, else 0."""
    judged: Mapping[str, float] = {}
    """The figures that rollouts judge by, as the agent said them."""


class Growth(NamedTuple):
    """The tally of a node from one time to another, in milliseconds."""

    since: int
    until: int
    tally: Tally


class Slot(NamedTuple):
    """A time: its length and its begin, in milliseconds; a multiple of its length."""

    length: int
    at: int


def counters_of(beat: Heartbeat, now_ms: int) -> Counters | None:
    """Returns what a heartbeat that came now says; None if it has no figures."""
    said = beat.figures
    if "requests" not in said:
        return None
    measured_at = now_ms - min(beat.figures_age_ms, KEPT_MS)
    uptime = _number(said, "uptime_s", 1000)
    latency = in_buckets(beat.latency) if beat.latency is not None else ()
    latency = tuple(min(count, _MOST) for count in latency)
    drifting = _number(said, "drifting")
    return Counters(
        measured_at=measured_at,
        began_at=None if uptime is None else max(0, measured_at - uptime),
        connections=min(_number(said, "connections") or 0, 1 << 31),
        # The buckets belong to the engine, the other counters to objects that a config can lose.
        requests=min(sum(latency), _MOST) if latency else _number(said, "requests") or 0,
        client_errors=_number(said, "errors_4xx"),
        server_errors=_number(said, "errors") or 0,
        endpoint_failures=_number(said, "endpoint_failures"),
        latency=latency,
        drifting=None if drifting is None else min(drifting, 1),
        judged=judged(said),
    )


def _number(said: Mapping[str, float], name: str, times: int = 1) -> int | None:
    value = said.get(name)
    if value is None or not math.isfinite(value):
        return None
    return int(min(max(0.0, value * times), _MOST))


def is_newer(before: Counters | None, now: Counters) -> bool:
    """Says whether a look takes the place of the last one: it is not the same one repeated, nor
    one that came late by way of another master. A last one far ahead shows a clock set back."""
    if before is None:
        return True
    apart = now.measured_at - before.measured_at
    return apart >= _APART_MS or apart < -_AHEAD_MS


def grown(before: Counters | None, now: Counters) -> Growth | None:
    """Returns what was served since the last look, or since the engine began if that was later;
    None if neither is known. `now` is newer than `before`."""
    is_anew = before is None or _began_anew(before, now)
    known = [before.measured_at] if before is not None else []
    known += [now.began_at] if is_anew and now.began_at is not None else []
    since = max(known, default=now.measured_at)
    if since >= now.measured_at:
        return None
    base = None if is_anew else before
    elapsed = now.measured_at - since
    tally = Tally(
        covered_ms=elapsed,
        connection_ms=now.connections * elapsed,
        requests=_more(base and base.requests, now.requests, base) or 0,
        client_errors=_more(base and base.client_errors, now.client_errors, base),
        server_errors=_more(base and base.server_errors, now.server_errors, base) or 0,
        endpoint_failures=_more(base and base.endpoint_failures, now.endpoint_failures, base),
        latency=_latency(base, now),
        drift_ms=None if now.drifting is None else now.drifting * elapsed,
    )
    return Growth(since, now.measured_at, tally)


def _began_anew(before: Counters, now: Counters) -> bool:
    if now.began_at is not None and now.began_at > before.measured_at:
        return True
    if now.latency and before.latency:
        if now.requests < before.requests:
            return True
        # A config with other bounds moves what was counted, and so empties buckets.
        is_known = now.began_at is not None and now.began_at < before.measured_at - _APART_MS
        return not is_known and _fell(before, now)
    # Without buckets nothing tells an engine that began anew from an upstream that was removed.
    return now.began_at is None and now.requests < before.requests


def _fell(before: Counters, now: Counters) -> bool:
    return any(one < last for one, last in zip(now.latency, before.latency, strict=True))


def _more(before: int | None, now: int | None, base: Counters | None) -> int | None:
    if now is None:
        return None
    if base is None:
        return now
    # A counter that fell has lost an object with its counts.
    return 0 if before is None else max(0, now - before)


def _latency(base: Counters | None, now: Counters) -> tuple[int, ...]:
    if base is None:
        return now.latency
    if not base.latency or _fell(base, now):
        return ()  # what was counted moved to other bounds: nobody knows what is new in which
    return tuple(one - last for one, last in zip(now.latency, base.latency, strict=False))


def slots(growth: Growth) -> dict[Slot, Tally]:
    """Returns what was served by slot. What is of the usual length belongs to the slot of its
    middle; what is longer is spread evenly; what is older than a day is left out."""
    since, until, tally = growth
    if until - since <= _ONE_SLOT_MS:
        middle = (since + until) // 2
        return {_slot(SHORT_MS, middle): tally}
    length = SHORT_MS if until - since <= _SPREAD_MS else LONG_MS
    first = max(since, until - KEPT_MS)
    found: dict[Slot | None, int] = {None: first - since} if first > since else {}
    at = first
    while at < until:
        slot = _slot(length, at)
        end = min(slot.at + length, until)
        found[slot] = end - at
        at = end
    parts = divided(tally, list(found.values()))
    return {slot: part for slot, part in zip(found, parts, strict=True) if slot is not None}


def _slot(length: int, at: int) -> Slot:
    return Slot(length, at - at % length)
