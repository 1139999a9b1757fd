"""The control process's own metrics in OpenMetrics text, and the page around them. Pure."""

from collections.abc import Iterable, Mapping

from headgate.engines.nginx.observe.family import Family

CONTENT_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"
END = b"# EOF\n"

Labels = Mapping[str, str]


def escape(value: str) -> str:
    r"""A label's value as OpenMetrics wants it.

    >>> escape('a"b\\c')
    'a\\"b\\\\c'
    """
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def family(
    name: str, kind: str, about: str, samples: Iterable[tuple[Labels, float]], unit: str = ""
) -> str:
    """One metric family. A counter's name is given without `_total`, which its samples get.

    >>> print(family("x_y", "counter", "Help.", [({"a": "b"}, 2)]), end="")
    # TYPE x_y counter
    # HELP x_y Help.
    x_y_total{a="b"} 2
    """
    suffix = {"counter": "_total", "info": "_info"}.get(kind, "")
    lines = _head(name, kind, about, unit)
    lines += [_sample(f"{name}{suffix}", labels, value) for labels, value in samples]
    return "\n".join(lines) + "\n"


def text(one: Family) -> str:
    """A family that was observed of an nginx."""
    lines = _head(one.name, one.kind, one.about, one.unit)
    lines += [_sample(one.name + suffix, labels, value) for suffix, labels, value in one.samples]
    return "\n".join(lines) + "\n"


def _head(name: str, kind: str, about: str, unit: str) -> list[str]:
    lines = [f"# TYPE {name} {kind}"]
    if unit:
        lines.append(f"# UNIT {name} {unit}")
    return [*lines, f"# HELP {name} {about}"]


def _sample(name: str, labels: Labels, value: float) -> str:
    inside = ",".join(f'{key}="{escape(label)}"' for key, label in labels.items())
    where = f"{{{inside}}}" if inside else ""
    return f"{name}{where} {number(value)}"


def number(value: float) -> str:
    """A sample's value; whole numbers without a fraction.

    >>> number(3.0), number(0.25)
    ('3', '0.25')
    """
    return str(int(value)) if float(value).is_integer() else repr(float(value))
