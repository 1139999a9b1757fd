"""Draws the panels of the dashboard on one page, as SVG, from what Prometheus answered. Pure."""

import math
import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Final, NamedTuple

from dashboard import ROWS, Panel

EMPTY: Final = "nothing of this happened in this run"
_COLOURS: Final = ("#d9662b", "#5b8db8", "#76a76e", "#b07aa1", "#c9a227", "#7f7f7f", "#3b3b98")
_WIDTH, _HEIGHT, _COLUMNS = 400, 200, 3
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 12, 30, 34
_HEAD, _ROW, _MORE = 70, 30, 66
_STYLE: Final = "font-family: system-ui, sans-serif; font-size: 11px"
_POWERS: Final = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
_UNITS: Final = {
    "reqps": "/s",
    "Bps": "B/s",
    "bytes": "B",
    "d": " d",
    "percentunit": "%",
    "s": "s",
    "short": "",
}


class Line(NamedTuple):
    """A series: what its legend says, and (seconds since the start, value), in order."""

    name: str
    points: Sequence[tuple[float, float]]


Drawn = Mapping[tuple[str, str], Sequence[Line]]
"""The series of panels, by row and title."""


def named(legend: str, labels: Mapping[str, str]) -> str:
    """Returns a legend with its labels filled in, as Grafana does."""
    return re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found[1], ""), legend)


def page(drawn: Drawn, caption: Sequence[str]) -> str:
    """Returns the page: every panel of the dashboard in its place, with `caption` above.

    A panel without any point says so in words.
    """
    out: list[str] = []
    y = _HEAD
    for row, panels in ROWS.items():
        out.append(_text(10, y + 20, row, size=15, weight="bold"))
        y += _ROW
        for index, panel in enumerate(panels):
            place = (index % _COLUMNS * _WIDTH, y + index // _COLUMNS * _HEIGHT)
            out += _panel(row, panel, drawn.get((row, panel.title), ()), place)
        y += -(-len(panels) // _COLUMNS) * _HEIGHT
    size = f'width="{_WIDTH * _COLUMNS}" height="{y + 10}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} style="{_STYLE}">'
    white = '<rect width="100%" height="100%" fill="white"/>'
    told = [_text(10, 20 + 16 * at, line) for at, line in enumerate(caption)]
    return "\n".join([head, white, *told, *out, "</svg>\n"])


def _panel(row: str, panel: Panel, lines: Sequence[Line], place: tuple[float, float]) -> list[str]:
    x, y = place
    name = escape(f"{row}: {panel.title}", quote=True)
    shown = [line for line in lines if line.points]
    shown.sort(key=lambda line: -max(value for _, value in line.points))
    frame = (
        f'<rect x="4" y="4" width="{_WIDTH - 8}" height="{_HEIGHT - 8}" fill="none" stroke="#ccc"/>'
    )
    body = _graph(panel.unit, shown) if shown else [_text(_WIDTH / 2, _HEIGHT / 2, EMPTY, "middle")]
    return [
        f'<g data-panel="{name}" data-series="{len(shown)}" transform="translate({x},{y})">',
        frame,
        _text(12, 20, panel.title, weight="bold"),
        *body,
        "</g>",
    ]


def _graph(unit: str, lines: Sequence[Line]) -> list[str]:
    most = nice(max(value for line in lines for _, value in line.points))
    last = max(at for line in lines for at, _ in line.points) or 1.0
    inner = (_WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM)

    def spot(at: float, value: float) -> str:
        x, y = _LEFT + at / last * inner[0], _TOP + (1 - value / most) * inner[1]
        return f"{x:.1f},{y:.1f}"

    out = []
    for share in (0.0, 0.5, 1.0):
        y = _TOP + (1 - share) * inner[1]
        out.append(
            f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#eee"/>'
        )
        out.append(_text(_LEFT - 5, y + 4, figure(share * most, unit), "end"))
    for index, line in enumerate(lines):
        points = " ".join(spot(at, value) for at, value in line.points)
        colour = _COLOURS[index % len(_COLOURS)]
        out.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.3"/>'
        )
    return [*out, *_legend(lines)]


def _legend(lines: Sequence[Line]) -> list[str]:
    """Returns the names below the graph, cut where there is no room for all."""
    out, x = [], float(_LEFT)
    for index, line in enumerate(lines):
        width = 14 + 6.2 * len(line.name)
        is_last = index == len(lines) - 1
        if x + width > _WIDTH - (_RIGHT if is_last else _MORE) and index:
            out.append(_text(x, _HEIGHT - 14, f"… {len(lines) - index} more"))
            break
        colour = _COLOURS[index % len(_COLOURS)]
        out.append(f'<rect x="{x:.1f}" y="{_HEIGHT - 22}" width="8" height="8" fill="{colour}"/>')
        out.append(_text(x + 11, _HEIGHT - 14, line.name))
        x += width + 8
    return out


def nice(most: float) -> float:
    """Returns the next 1, 2 or 5 times a power of ten, at which an axis ends; 1 for nothing."""
    if most <= 0 or not math.isfinite(most):
        return 1.0
    power = 10.0 ** math.floor(math.log10(most))
    return next((step * power for step in (1, 2, 5) if most <= step * power), 10 * power)


def figure(value: float, unit: str) -> str:
    """Returns a number with its unit, as short as an axis needs."""
    if unit == "percentunit":
        return f"{value * 100:g}%"
    if unit == "s" and 0 < value < 1:
        return f"{value * 1000:g} ms"
    for power, letter in _POWERS:
        if value >= power:
            return f"{value / power:g} {letter}{_UNITS[unit]}"
    return f"{value:g}{_UNITS[unit]}"


def _text(
    x: float, y: float, text: str, anchor: str = "start", *, size: int = 11, weight: str = "normal"
) -> str:
    about = f'text-anchor="{anchor}" font-size="{size}" font-weight="{weight}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {about}>{escape(text)}</text>'
