"""The control process's own metrics in OpenMetrics text, and the page around them. Pure."""

from collections.abc import Iterable, Mapping

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
    lines = [f"# TYPE {name} {kind}"]
    if unit:
        lines.append(f"# UNIT {name} {unit}")
    lines.append(f"# HELP {name} {about}")
    for labels, value in samples:
        inside = ",".join(f'{key}="{escape(text)}"' for key, text in labels.items())
        where = f"{{{inside}}}" if inside else ""
        lines.append(f"{name}{suffix}{where} {number(value)}")
    return "\n".join(lines) + "\n"


def number(value: float) -> str:
    """A sample's value; whole numbers without a fraction.

    >>> number(3.0), number(0.25)
    ('3', '0.25')
    """
    return str(int(value)) if float(value).is_integer() else repr(float(value))
