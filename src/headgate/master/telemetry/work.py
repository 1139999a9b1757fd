"""The families of what a master did: upgrades, searches of logs, previews. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from headgate.kernel.openmetrics import Labels, family, histogram
from headgate.master.domains.agents.ending import EndedUpgrades
from headgate.master.domains.drafts.counting import PreviewCounts
from headgate.master.domains.logs.counting import SearchCounts


@dataclass(frozen=True, slots=True)
class Work:
    """The counts of a master's work."""

    upgrades: EndedUpgrades
    searches: SearchCounts
    searches_under_way: int
    previews: PreviewCounts


def families(work: Work) -> Iterator[str]:
    """Yields them."""
    yield from _upgrades(work.upgrades)
    yield from _searches(work)
    yield family(
        "headgate_master_previews",
        "counter",
        "Previews that were given, by `result`: refused is one of a config with errors.",
        _by("result", work.previews.results),
    )
    yield family(
        "headgate_master_preview_requests",
        "counter",
        "Requests that previews asked the configs before and after for, by `fate`: they stay the"
        " same, or would go elsewhere.",
        _by("fate", work.previews.requests),
    )


def _upgrades(upgrades: EndedUpgrades) -> Iterator[str]:
    yield family(
        "headgate_master_agent_upgrades_ended",
        "counter",
        "Orders to upgrade that agents of this master ended, by `result`.",
        _by("result", upgrades.results),
    )
    yield histogram(
        "headgate_master_agent_upgrade_seconds",
        "From the order to an agent to upgrade until it ended that.",
        [({}, upgrades.durations.buckets())],
        "seconds",
    )


def _searches(work: Work) -> Iterator[str]:
    searches = work.searches
    yield family(
        "headgate_master_log_searches",
        "counter",
        "Searches of the logs of nodes, by `result`: throttled are those above the limit of"
        " searches at a time.",
        _by("result", searches.results),
    )
    yield histogram(
        "headgate_master_log_search_seconds",
        "How long they took that were answered.",
        [({}, searches.durations.buckets())],
        "seconds",
    )
    about = "Searches that are under way."
    under_way: list[tuple[Labels, float]] = [({}, work.searches_under_way)]
    yield family("headgate_master_log_searches_in_progress", "gauge", about, under_way)
    yield family(
        "headgate_master_log_search_agents",
        "counter",
        "Agents that searches were for, by `state`: how it went there.",
        _by("state", searches.agents),
    )


def _by(label: str, counts: Mapping[str, int]) -> list[tuple[Labels, float]]:
    return [({label: word}, count) for word, count in counts.items()]
