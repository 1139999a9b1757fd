"""Answers what a fleet served."""

from collections.abc import AsyncIterator, Sequence
from itertools import groupby
from typing import Final

from headgate.master.api.types import Page
from headgate.master.domains.metrics import series, store
from headgate.master.domains.metrics.growth import Slot
from headgate.master.domains.metrics.types import MetricsPoint, MetricsWindow
from headgate.master.store.transaction import Transaction

_NODES: Final = 4
"""Nodes that are read at once; each has some hundred rows, and others wait for the loop."""


async def page(
    tx: Transaction, fleet: str, window: MetricsWindow, now_ms: int
) -> Page[MetricsPoint]:
    """Returns a part of the points of a fleet's id, by agent and time."""
    after = window.reached() or ""
    step_ms = window.step_s * 1_000
    since = (now_ms - window.range_s * 1_000) // step_ms * step_ms
    found: list[tuple[str, MetricsPoint]] = []
    async for nodes in _nodes(tx, fleet, window, since, after):
        rows = await store.series(tx, fleet, nodes, since)
        for node, some in groupby(rows, lambda row: row.node):
            shown = None if node == fleet else node
            stored = ((row.slot, row.tally) for row in some)
            for slot, tally in series.stepped(stored, step_ms):
                if (key := _key(node, slot)) > after:
                    found.append((key, series.point(shown, slot, tally)))
        if len(found) > window.limit:
            break
    shown_now = found[: window.limit]
    last = shown_now[-1][0] if len(found) > window.limit else None
    return Page[MetricsPoint](
        items=[one for _, one in shown_now], next=window.following(last) if last else None
    )


async def _nodes(
    tx: Transaction, fleet: str, window: MetricsWindow, since: int, after: str
) -> AsyncIterator[Sequence[str]]:
    """Yields whose rows are asked for, some nodes at a time."""
    if window.agent is not None:
        yield [window.agent]
    elif window.by == "fleet":
        yield [fleet]
    else:
        first, is_after = after.partition(" ")[0], False
        while nodes := await store.nodes_of(tx, fleet, since, first, _NODES, is_after=is_after):
            yield nodes
            first, is_after = nodes[-1], True


def _key(node: str, slot: Slot) -> str:
    return f"{node} {slot.at:015d} {slot.length:09d}"
