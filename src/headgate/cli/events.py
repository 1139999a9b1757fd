"""`headgate events`: what happened on a running node, and what happens now."""

import http.client
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from headgate.cli import calls
from headgate.node.about import Problem
from headgate.node.events import Event

_AGAIN_S: Final = 0.2
_AWAY_S: Final = 20.0


def events(state_dir: Path, after: int, *, follow: bool) -> Iterator[Event]:
    """Yields the events that the node keeps, and new ones if `follow`.

    While the control process is replaced it waits for the next one and goes on where it was. Raises
    calls.NoNodeError once the node has ended.
    """
    away_since = None
    while True:
        try:
            for one in _stream(state_dir, after, follow=follow):
                after, away_since = one.seq, None
                yield one
        except calls.NoNodeError:
            now = time.monotonic()
            away_since = away_since or now
            calls.supervisor(state_dir, "status")  # without a node there is nothing to wait for
            if not follow or now - away_since > _AWAY_S:
                raise
        if not follow:
            return
        time.sleep(_AGAIN_S)


def _stream(state_dir: Path, after: int, *, follow: bool) -> Iterator[Event]:
    """Yields the events of one answer of the admin API."""
    asked = calls.connection(state_dir)
    try:
        asked.request("GET", f"/events?after={after}&follow={str(follow).lower()}")
        response = asked.getresponse()
        if response.status != http.client.OK:
            raise calls.NoNodeError(_error(response.read()))
        if follow and asked.sock is not None:
            asked.sock.settimeout(None)  # hours may pass without an event
        for line in response:
            yield msgspec.json.decode(line, type=Event)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise calls.no_node(state_dir, error) from error
    finally:
        asked.close()


def _error(body: bytes) -> str:
    try:
        return msgspec.json.decode(body, type=Problem).error
    except ValueError:
        return body.decode(errors="replace").strip()


def text(event: Event) -> str:
    """Returns the line of an event for a person."""
    at = datetime.fromtimestamp(event.unix_ms / 1_000, UTC)
    when = f"{at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1_000:03}Z"
    return f"{when} {event.level:5} {event.kind}: {event.message}\n"
