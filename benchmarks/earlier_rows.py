"""The rows that compare this build with an earlier one, which `--earlier` adds to every round."""

from results import Result, table
from rows import BASE, OURS, Measure, Row, Spread, paired, spread

EARLIER = "headgate-earlier"
"""The name of the earlier build among the peers."""
_BARE = (
    ("h1-13", "bare route, 64 connections"),
    ("h1-13-c256", "bare route, 256 connections"),
)


def _over_nginx(case: str, peer: str) -> Measure:
    def measure(results: list[Result]) -> Spread | None:
        return paired(table(results, case, ""), peer, "us")

    return measure


def _more(case: str) -> Measure:
    """Returns how much this build's ratio to nginx is above the earlier one's, in each round."""

    def measure(results: list[Result]) -> Spread | None:
        found = table(results, case, "")
        ours, before, base = (found.get(peer, {}) for peer in (OURS, EARLIER, BASE))
        return spread(
            (one["us"] - before[n]["us"]) / base[n]["us"]
            for n, one in ours.items()
            if n in before and n in base
        )

    return measure


def _rows(case: str, title: str) -> tuple[Row, ...]:
    return (
        Row(f"{title}, the earlier build", "× nginx", _over_nginx(case, EARLIER), None, digits=3),
        Row(f"{title}, this build", "× nginx", _over_nginx(case, OURS), None, digits=3),
        Row(f"{title}, this build less the earlier", "× nginx", _more(case), 0.01, digits=3),
    )


ROWS: tuple[Row, ...] = tuple(row for case, title in _BARE for row in _rows(case, title))
"""The CPU time of the proxy per request, because bare routes must not pay for features."""
