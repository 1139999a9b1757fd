"""Families that were observed on an nginx, as OpenMetrics text. Pure."""

from headgate.engines.nginx.observe.family import Family
from headgate.kernel.openmetrics import head, sample


def text(one: Family) -> str:
    """Returns a family observed on an nginx."""
    lines = head(one.name, one.kind, one.about, one.unit)
    lines += [sample(one.name + suffix, labels, value) for suffix, labels, value in one.samples]
    return "\n".join(lines) + "\n"
