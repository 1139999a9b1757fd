"""Chooses, of a node's events, what its master is told: what its engine and its checks found. What
becomes of a revision is reported in its own words."""

from collections.abc import AsyncIterator
from typing import Final

import msgspec

from headgate.fleet.frames import Notice
from headgate.node.events import LOST, Event, EventLog

_TOLD: Final = ("endpoint.", "upstream.", "nginx.", "dataplane.hung", "link.")


def notice_of(line: bytes) -> Notice | None:
    """Returns what a master is told of an event; None: nothing."""
    event = msgspec.json.decode(line, type=Event)
    if event.kind != LOST and not event.kind.startswith(_TOLD):
        return None
    about = str(event.fields.get("object", ""))
    return Notice(event.level, event.kind, about, event.message, event.unix_ms)


async def noticed(events: EventLog) -> AsyncIterator[Notice]:
    """Yields what a master is told, from the node's start on; never ends by itself."""
    async for line in events.follow():
        notice = notice_of(line.json)
        if notice is not None:
            yield notice
