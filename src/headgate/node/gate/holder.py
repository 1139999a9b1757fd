"""Decides which control plane a data plane obeys: one at a time. Pure."""

import datetime as dt
from dataclasses import dataclass
from typing import Final

from headgate.node.remote.greeting import Hello, Reason, Welcome
from headgate.node.remote.peer import Peer

SILENCE_S: Final = 15.0
"""A control plane that says nothing for so long is gone; it says something every two seconds."""


@dataclass
class Holding:
    """A control plane that is let in. Times are Unix seconds, but `heard`, which is monotonic."""

    instance: str
    peer: Peer
    link: int
    since: float
    heard: float
    contact: float


class Holder:
    """At most one control plane, and why the others are not let in."""

    def __init__(self) -> None:
        self.current: Holding | None = None

    def objection(self, hello: Hello) -> Welcome | None:
        """Returns what to answer a control plane that is not let in; None when it is."""
        held = self.current
        if hello.is_for_supervisor():
            if held is None or held.instance == hello.instance:
                return None
            return _refusal("held", _held_by(held))
        if held is None or held.instance != hello.instance:
            return _refusal("held", "this connection belongs to no control link that is up")
        return None

    def take(self, holding: Holding) -> None:
        """Lets a control plane in, in place of an earlier link of the same one."""
        self.current = holding

    def leave(self, holding: Holding) -> bool:
        """Notes that a link has ended; returns whether the data plane has no control plane now."""
        if self.current is not holding:
            return False  # the same control plane came back before this one was noticed
        self.current = None
        return True


def silence(holding: Holding, now: float) -> float:
    """Returns after how many seconds of silence from now a control plane counts as gone."""
    return holding.heard + SILENCE_S - now


def _refusal(reason: Reason, error: str) -> Welcome:
    return Welcome(reason=reason, error=error)


def _held_by(held: Holding) -> str:
    since = dt.datetime.fromtimestamp(held.since, dt.UTC).isoformat(timespec="seconds")
    who = f"{held.peer.host} (pid {held.peer.pid}, {held.peer.address}, {held.peer.version})"
    return (
        f"another control plane holds this data plane: {who}, since {since}; "
        "end that one, or wait: this one takes over when it is gone"
    )
