"""Metric families as OpenMetrics text. Pure.

A client that asks for Prometheus' older text instead gets the same page in that format.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

OPENMETRICS: Final = "application/openmetrics-text"
CLASSIC: Final = "text/plain"
CONTENT_TYPES: Final = {
    OPENMETRICS: f"{OPENMETRICS}; version=1.0.0; charset=utf-8",
    CLASSIC: f"{CLASSIC}; version=0.0.4; charset=utf-8",
}
END = b"# EOF\n"

Labels = Mapping[str, str]


def escape(value: str) -> str:
    r"""Returns a label's value as OpenMetrics wants it.

    >>> escape('a"b\\c')
    'a\\"b\\\\c'
    """
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def family(
    name: str, kind: str, about: str, samples: Iterable[tuple[Labels, float]], unit: str = ""
) -> str:
    """Returns one metric family. A counter's name is given without `_total`,
    which its samples get.

    >>> print(family("x_y", "counter", "Help.", [({"a": "b"}, 2)]), end="")
    # TYPE x_y counter
    # HELP x_y Help.
    x_y_total{a="b"} 2
    """
    suffix = {"counter": "_total", "info": "_info"}.get(kind, "")
    lines = head(name, kind, about, unit)
    lines += [sample(f"{name}{suffix}", labels, value) for labels, value in samples]
    return "\n".join(lines) + "\n"


class Buckets(NamedTuple):
    """The number of values in each bucket. `counts` has one more than `bounds`."""

    bounds: Sequence[float]
    counts: Sequence[int]
    total: float
    """The sum of all values."""


def histogram(
    name: str, about: str, samples: Iterable[tuple[Labels, Buckets]], unit: str = ""
) -> str:
    """Returns one family of histograms.

    >>> print(histogram("x", "Help.", [({}, Buckets([0.5], [1, 2], 9))]), end="")
    # TYPE x histogram
    # HELP x Help.
    x_bucket{le="0.5"} 1
    x_bucket{le="+Inf"} 3
    x_count 3
    x_sum 9
    """
    lines = head(name, "histogram", about, unit)
    for labels, found in samples:
        reached = 0
        bounds = [*(repr(float(bound)) for bound in found.bounds), "+Inf"]
        for bound, count in zip(bounds, found.counts, strict=True):
            reached += count
            lines.append(sample(f"{name}_bucket", {**labels, "le": bound}, reached))
        lines.append(sample(f"{name}_count", labels, reached))
        lines.append(sample(f"{name}_sum", labels, round(found.total, 6)))
    return "\n".join(lines) + "\n"


def head(name: str, kind: str, about: str, unit: str) -> list[str]:
    """Returns the lines before a family's samples."""
    lines = [f"# TYPE {name} {kind}"]
    if unit:
        lines.append(f"# UNIT {name} {unit}")
    return [*lines, f"# HELP {name} {about}"]


def sample(name: str, labels: Labels, value: float) -> str:
    """Returns a sample's line."""
    inside = ",".join(f'{key}="{escape(label)}"' for key, label in labels.items())
    where = f"{{{inside}}}" if inside else ""
    return f"{name}{where} {number(value)}"


def number(value: float) -> str:
    """Returns a sample's value; whole numbers without a fraction.

    >>> number(3.0), number(0.25)
    ('3', '0.25')
    """
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def wanted(accept: str) -> str:
    """Returns the format that an Accept header asks for:
    OpenMetrics unless it prefers the older text.

    >>> wanted("text/plain;version=0.0.4;q=1,*/*;q=0.1")
    'text/plain'
    >>> wanted("application/openmetrics-text;version=1.0.0,text/plain;q=0.5"), wanted("*/*")
    ('application/openmetrics-text', 'application/openmetrics-text')
    """
    weights = {"": 0.0}
    for element in accept.split(","):
        name, *parameters = (part.strip().lower() for part in element.split(";"))
        weights[name] = max(weights.get(name, 0.0), _weight(parameters))
    classic = weights.get(CLASSIC, weights.get("text/*", 0.0))
    return CLASSIC if classic > weights.get(OPENMETRICS, 0.0) else OPENMETRICS


def _weight(parameters: Iterable[str]) -> float:
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return float(parameter.removeprefix("q="))
            except ValueError:
                return 0.0
    return 1.0


def classic(page: bytes) -> bytes:
    """Returns an OpenMetrics page in Prometheus' text format 0.0.4:
    families bear their samples' names.

    >>> classic(b'# TYPE x counter\\n# UNIT x s\\n# HELP x About.\\nx_total 1\\n# EOF\\n')
    b'# TYPE x_total counter\\n# HELP x_total About.\\nx_total 1\\n'
    """
    types = {}
    for line in page.splitlines():
        if line.startswith(b"# TYPE "):
            _, _, name, kind = line.split(b" ", 3)
            types[name] = kind
    return b"".join(_classic(line, types) for line in page.splitlines())


def _classic(line: bytes, types: Mapping[bytes, bytes]) -> bytes:
    if line.startswith((b"# UNIT ", b"# EOF")):
        return b""
    if not line.startswith((b"# TYPE ", b"# HELP ")):
        return line + b"\n"
    mark, word, name, rest = line.split(b" ", 3)
    kind = types.get(name, b"")
    suffix = {b"counter": b"_total", b"info": b"_info"}.get(kind, b"")
    if word == b"TYPE" and kind == b"info":
        rest = b"gauge"
    return b" ".join((mark, word, name + suffix, rest)) + b"\n"
