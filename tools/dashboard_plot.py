"""Draws the panels of the dashboard in `deploy/grafana` as one SVG; pure."""

from collections.abc import Sequence
from html import escape
from itertools import pairwise
from typing import Final, NamedTuple

_COLOURS: Final = (
    *("#7eb26d", "#e0b400", "#5195ce", "#ef843c", "#e24d42", "#1f78c1"),
    *("#ba43a9", "#705da0", "#508642", "#967302", "#2f575e", "#99440a"),
)
_PANEL: Final = (440, 250)
_PLOT: Final = (68, 34, 358, 128)
"""Left, top, width and height of the graph in its panel."""
_COLUMNS: Final = 3
_ROW: Final = 34
_LEGEND: Final = 9
_LONGEST: Final = 19
"""Names of series that are shown, and their letters."""
_MARKS: Final = 4
_GAP: Final = 3
"""A line breaks where so many steps have no sample."""

Samples = Sequence[tuple[float, float]]
"""(seconds since the begin, value)."""


class Graph(NamedTuple):
    """A panel with what its queries found."""

    title: str
    unit: str
    series: Sequence[tuple[str, Samples]]


class Span(NamedTuple):
    """The length of the graphs, and the interval between samples, in seconds."""

    whole: float
    step: float


def picture(rows: Sequence[tuple[str, Sequence[Graph]]], span: Span, caption: str) -> str:
    """The SVG: a heading for each row, and its graphs below it."""
    width, height = _PANEL
    out, y = [_text(8, 18, caption, "#555")], 28
    for title, graphs in rows:
        out.append(_text(8, y + 22, title, "#111", "bold 15px system-ui, sans-serif"))
        y += _ROW
        for index, graph in enumerate(graphs):
            x, top = index % _COLUMNS * width, y + index // _COLUMNS * height
            out += [f'<g transform="translate({x} {top})">', *_panel(graph, span), "</g>"]
        y += -(-len(graphs) // _COLUMNS) * height
    size = f'width="{width * _COLUMNS}" height="{y}" viewBox="0 0 {width * _COLUMNS} {y}"'
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} style="font: 11px system-ui, sans-serif">'
    )
    return "\n".join([head, '<rect width="100%" height="100%" fill="#f4f5f5"/>', *out, "</svg>\n"])


def _panel(graph: Graph, span: Span) -> list[str]:
    width, height = _PANEL
    left, top, wide, high = _PLOT
    most = _rounded(max((v for _, found in graph.series for _, v in found), default=1.0))
    out = [
        f'<rect x="4" y="2" width="{width - 8}" height="{height - 8}" rx="3" fill="#fff" '
        'stroke="#ddd"/>',
        _text(14, 20, graph.title, "#222", "bold 12px system-ui, sans-serif"),
    ]
    for mark in range(_MARKS + 1):
        value, y = most * mark / _MARKS, top + high - high * mark / _MARKS
        out.append(f'<path d="M{left} {y:.1f}h{wide}" stroke="#e7e7e7"/>')
        out.append(_text(left - 5, y + 4, said(value, graph.unit), "#666", anchor="end"))
    for minute in range(int(span.whole // 60) + 1):
        x = left + wide * minute * 60 / span.whole
        out.append(_text(x, top + high + 14, f"{minute}m", "#666", anchor="middle"))
    for index, (name, found) in enumerate(graph.series):
        colour = _COLOURS[index % len(_COLOURS)]
        out.append(_line(found, span, most, colour))
        if index < _LEGEND:
            out += _legend(index, name, colour)
    if not graph.series:
        out.append(_text(left + wide / 2, top + high / 2, "No data", "#888", anchor="middle"))
    return out


def _line(found: Samples, span: Span, most: float, colour: str) -> str:
    left, top, wide, high = _PLOT
    points = [(left + wide * t / span.whole, top + high - high * v / most) for t, v in found]
    gap = wide * span.step * _GAP / span.whole
    path = [f"M{points[0][0]:.1f} {points[0][1]:.1f}"] if points else []
    for (before, _), (x, y) in pairwise(points):
        path.append(f"{'M' if x - before > gap else 'L'}{x:.1f} {y:.1f}")
    return f'<path d="{"".join(path)}" fill="none" stroke="{colour}" stroke-width="1.4"/>'


def _legend(index: int, name: str, colour: str) -> list[str]:
    x, y = 16 + index % _COLUMNS * 138, 192 + index // _COLUMNS * 17
    shown = name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
    mark = f'<rect x="{x}" y="{y}" width="10" height="3" fill="{colour}"/>'
    return [mark, _text(x + 14, y + 6, shown, "#333")]


def _rounded(value: float) -> float:
    """The next of 1, 2, 2.5, 5 times a power of ten; 1 for 0."""
    if value <= 0:
        return 1.0
    power = 1.0
    while power > value:
        power /= 10
    while power * 10 <= value:
        power *= 10
    return next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= value * 0.999)


def said(value: float, unit: str) -> str:
    """A value as Grafana writes it, nearly."""
    if unit == "s":
        return f"{value:g} s" if value >= 1 else f"{value * 1000:g} ms"
    if unit == "percentunit":
        return f"{value * 100:g} %"
    ending = {"reqps": "req/s", "Bps": "B/s", "bytes": "B", "d": "days"}.get(unit, "")
    for size, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g} {name}{ending}"
    return f"{value:g} {ending}".rstrip()


def _text(
    x: float, y: float, text: str, colour: str, font: str = "", *, anchor: str = "start"
) -> str:
    style = f' style="font: {font}"' if font else ""
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}"'
    return f"<text {place}{style}>{escape(text)}</text>"
