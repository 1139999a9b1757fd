"""Reads an OpenMetrics page as far as `headgate top` and heartbeats need it. Pure."""

import re
from dataclasses import dataclass

_LINE = re.compile(r"(?P<name>[A-Za-z_:][\w:]*)(?:\{(?P<labels>.*)\})? (?P<value>\S+)(?: .*)?")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True, slots=True)
class Sample:
    """One line of the page."""

    name: str
    labels: dict[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class Samples:
    """All lines of a page."""

    lines: tuple[Sample, ...]

    def total(self, name: str) -> float:
        """Returns the sum of a name's samples over all labels; 0 if there are none."""
        return sum(sample.value for sample in self.lines if sample.name == name)

    def buckets(self, name: str) -> dict[float, float]:
        """Returns a histogram's cumulative counts by upper bound, summed over all labels."""
        out: dict[float, float] = {}
        for sample in self.lines:
            if sample.name == f"{name}_bucket":
                bound = float(sample.labels.get("le", "inf").replace("+Inf", "inf"))
                out[bound] = out.get(bound, 0.0) + sample.value
        return dict(sorted(out.items()))

    def quantile(self, name: str, q: float, since: "Samples") -> float | None:
        """Returns an upper estimate of a histogram's quantile since an earlier page; None without
        data, or if the bounds are others than then.
        """
        before, now = since.buckets(name), self.buckets(name)
        if before and before.keys() != now.keys():
            return None
        counts = {b: c - before.get(b, 0.0) for b, c in now.items()}
        total = max(counts.values(), default=0.0)
        if total <= 0:
            return None
        finite = [bound for bound in counts if bound != float("inf")]
        for bound in finite:
            if counts[bound] >= q * total:
                return bound
        return finite[-1] if finite else None


def parse(page: str) -> Samples:
    """Returns the samples of a page; leaves out comments and other lines.

    >>> parse('a_total{x="y"} 2\\n# EOF\\n').total("a_total")
    2.0
    """
    found: list[Sample] = []
    for line in page.splitlines():
        match = None if line.startswith("#") else _LINE.fullmatch(line)
        if match is None:
            continue
        labels = dict(_LABEL.findall(match["labels"] or ""))
        try:
            found.append(Sample(match["name"], labels, float(match["value"])))
        except ValueError:
            continue
    return Samples(tuple(found))
