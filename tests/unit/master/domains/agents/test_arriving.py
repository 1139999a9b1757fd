"""How long revisions take until agents serve them."""

from headgate.fleet.frames import Phase
from headgate.master.domains.agents.arriving import Arrivals

NOW = 1_800_000_000_000


class Told:
    """Arrivals with a clock."""

    def __init__(self) -> None:
        self.arrivals = Arrivals()
        self.now = NOW

    def say(self, *phases: Phase, revision: int = 4, published: int | None = NOW - 9_000) -> None:
        for phase in phases:
            self.now += 100
            self.arrivals.said("a", phase, revision, published, self.now)

    def counted(self) -> tuple[int, int]:
        found = self.arrivals
        return sum(found.from_offer.buckets().counts), sum(found.from_publication.buckets().counts)


def test_what_was_offered_received_and_served_counts_once() -> None:
    told = Told()
    told.say(Phase.OFFERED, Phase.RECEIVED, Phase.VALIDATED, Phase.APPLIED, Phase.SERVING)
    told.say(Phase.SERVING)
    assert told.counted() == (1, 1)
    assert told.arrivals.from_offer.buckets().total == 0.4
    assert told.arrivals.from_publication.buckets().total == 9.5


def test_who_serves_it_already_does_not_count() -> None:
    told = Told()
    told.say(Phase.OFFERED, Phase.SERVING)
    told.say(Phase.SERVING)
    assert told.counted() == (0, 0)


def test_refusals_others_revisions_and_ended_sessions_do_not_count() -> None:
    told = Told()
    told.say(Phase.OFFERED, Phase.RECEIVED, Phase.REJECTED, Phase.SERVING)
    told.say(Phase.OFFERED, Phase.RECEIVED)
    told.say(Phase.SERVING, revision=3)
    told.arrivals.left("a")
    told.say(Phase.SERVING)
    assert told.counted() == (0, 0)


def test_without_a_time_of_publication_the_offer_still_counts() -> None:
    told = Told()
    told.say(Phase.OFFERED, Phase.RECEIVED, Phase.SERVING, published=None)
    assert told.counted() == (1, 0)
