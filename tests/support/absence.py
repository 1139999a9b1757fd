"""What must hold of nodes whose master was away for long, while they restarted. Pure."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from history import Seen

Event = Mapping[str, object]
"""A line of a node's log."""
_APPLIED = ("config.applied", "config.unchanged", "config.failed")


def unchanged(
    seen: Sequence[Seen], served: Mapping[str, int], left: float, back: float
) -> Iterator[str]:
    """Yields who answered otherwise than with the revision that it served when the master left."""
    for name, revision in served.items():
        meanwhile = {
            one.revision
            for one in seen
            if one.node == name and left <= one.begun and one.ended <= back
        }
        if meanwhile != {revision}:
            yield f"traffic changed: {name} served {revision}, then clients got {meanwhile}"


def resynced(name: str, events: Sequence[Event], served: int, wanted: int) -> Iterator[str]:
    """Yields what a node did too much or too little since its last start: it must have one session,
    and apply the wanted revision once if it served another one, and nothing besides."""
    kinds = Counter(one.get("event") for one in events)
    if kinds["master.connected"] != 1:
        yield f"not one session: {name} had {kinds['master.connected']}"
    applied = [
        one.get("reason")
        for one in events
        if one.get("event") in _APPLIED and one.get("reason") != "start"
    ]
    if applied != ([] if served == wanted else [f"revision {wanted}"]):
        yield f"not one resync: {name} served {served}, then applied {applied}"


def resumed(texts: Iterable[str]) -> Iterator[str]:
    """Yields a fault unless a rollout, by its timeline, was taken over once."""
    count = sum(one.startswith("resumed: ") for one in texts)
    if count != 1:
        yield f"taken over {count} times"


def event(line: str) -> Event:
    """Returns a line of a node's log; a line that is no event becomes an empty one."""
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
