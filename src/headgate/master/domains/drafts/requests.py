"""Finds requests that a config would send elsewhere: recent ones of nodes, or made ones. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import msgspec

from headgate._core import PlanError
from headgate.compile.asked import MOST, Moved, made, moved
from headgate.compile.loaded import Loaded
from headgate.compile.logged import read
from headgate.compile.routing import Question, Routing
from headgate.master.domains.drafts.types import MovedRequest, RequestsEffect
from headgate.plan.plan import Plan

MOST_SIDES: Final = 20
"""The configs of nodes that requests are tried with."""
_MOST_SHOWN: Final = 100

_Source = Mapping[bytes, int]


@dataclass(frozen=True, slots=True)
class Seen:
    """The lines of access logs that the nodes of a fleet gave, by agent; how many agents were
    searched, and how many were not."""

    lines: Mapping[str, Sequence[str]]
    searched: int
    unsearched: int


class Side(NamedTuple):
    """A config before and after, and the agents that get it."""

    before: Loaded
    after: Loaded
    agents: Sequence[str]


def requests_effect(sides: Sequence[Side], seen: Seen | None = None) -> RequestsEffect:
    """Returns which requests would go elsewhere: those that the agents of each side had, or without
    any those that the routes of the first side are for."""
    found = RequestsEffect(
        source="made",
        asked=0,
        moved=[],
        more=0,
        searched=0 if seen is None else seen.searched,
        unsearched=0 if seen is None else seen.unsearched,
    )
    if seen is not None:
        logged = [(side, _had(side, seen)) for side in sides[:MOST_SIDES]]
        tried = _tried((side, counts) for side, counts in logged if counts)
        if tried is not None:
            return _shown(found.model_copy(update={"source": "seen"}), *tried)
    tried = _tried((side, None) for side in sides[:1])
    return found if tried is None else _shown(found, *tried)


def _had(side: Side, seen: Seen) -> _Source:
    """Returns the requests that the agents of a side had, and how often."""
    lines = [line for agent in side.agents for line in seen.lines.get(agent, ())]
    return {msgspec.json.encode(one): count for one, count in read(lines).questions}


def _tried(sides: Iterable[tuple[Side, _Source | None]]) -> tuple[int, Counter[bytes]] | None:
    """Returns how many requests were tried, and those that move, with how often they came; None if
    nothing could be tried. Requests of None are made."""
    count, found = 0, Counter[bytes]()
    is_tried = False
    for side, source in sides:
        try:
            old, new = Routing(side.before.plan or Plan()), Routing(side.after.plan or Plan())
        except PlanError:
            continue
        is_tried = True
        asked = _made(old, new) if source is None else source
        questions = [msgspec.json.decode(one, type=Question) for one in asked]
        count += len(questions)
        # A request of an old route whose listener is gone is refused by name; that is where it
        # goes.
        for one in moved(old, new, questions):
            found[_key(one)] += asked[msgspec.json.encode(one.question)]
    return (count, found) if is_tried else None


def _made(old: Routing, new: Routing) -> _Source:
    asked = {msgspec.json.encode(one): 1 for one in made(old.plan)}
    for one in made(new.plan):
        if len(asked) < MOST:
            asked.setdefault(msgspec.json.encode(one), 1)
    return asked


def _key(one: Moved) -> bytes:
    asked = one.question
    return msgspec.json.encode(
        (asked.method, asked.url, asked.listener or "", one.before, one.after)
    )


def _shown(effect: RequestsEffect, asked: int, found: Counter[bytes]) -> RequestsEffect:
    """Returns the effect with what moves: what came most often first."""
    shown = []
    for key, count in found.most_common(_MOST_SHOWN):
        method, url, listener, before, after = msgspec.json.decode(key, type=list[str])
        shown.append(
            MovedRequest(
                method=method, url=url, listener=listener, before=before, after=after, count=count
            )
        )
    more = len(found) - len(shown)
    return effect.model_copy(update={"asked": asked, "moved": shown, "more": more})
