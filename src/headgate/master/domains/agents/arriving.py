"""The times of revisions from their publication, and from their offer, until agents serve them."""

from typing import NamedTuple

from headgate.fleet.frames import Phase
from headgate.kernel.durations import SLOW_S, Durations


class _Offer(NamedTuple):
    revision: int
    at_ms: int
    is_received: bool


class Arrivals:
    """Counts the first time that an agent proves to serve what it was offered. One that serves it
    already, as after a reconnect, says so at once and does not count."""

    def __init__(self) -> None:
        self.from_publication = Durations(SLOW_S)
        self.from_offer = Durations(SLOW_S)
        self._offers: dict[str, _Offer] = {}

    def said(
        self, agent: str, phase: Phase, revision: int, published_at: int | None, now_ms: int
    ) -> None:
        """Takes how far an agent is with a revision; `published_at` is None where nobody knows."""
        if phase is Phase.OFFERED:
            self._offers[agent] = _Offer(revision, now_ms, False)
            return
        offer = self._offers.get(agent)
        if offer is None or offer.revision != revision:
            return
        if phase is Phase.RECEIVED:
            self._offers[agent] = offer._replace(is_received=True)
        if not phase.is_final:
            return
        del self._offers[agent]
        if phase is Phase.SERVING and offer.is_received:
            self.from_offer.record((now_ms - offer.at_ms) / 1_000)
            if published_at is not None:
                self.from_publication.record((now_ms - published_at) / 1_000)

    def left(self, agent: str) -> None:
        """The agent's session has ended; it is offered again in the next one, if need be."""
        self._offers.pop(agent, None)
