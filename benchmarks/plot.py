"""A bar chart as SVG: CPU per request of every case as a ratio to nginx, with its spread."""

from collections.abc import Sequence
from html import escape

from rows import Spread

_COLOURS = {
    "nginx": "#9a9a9a",
    "haproxy": "#5b8db8",
    "envoy": "#b07aa1",
    "caddy": "#76a76e",
    "sozu": "#c9a227",
    "aegis": "#6b8e8e",
    "headgate": "#d9662b",
    "headgate-earlier": "#e8b08f",
}
_LEFT, _TOP, _WIDTH, _BAR, _GAP = 190, 66, 640, 13, 14
_MOST = 2.0
_STYLE = "font-family: system-ui, sans-serif; font-size: 12px"

Group = tuple[str, Sequence[tuple[str, Spread]]]
"""A case's title, and (peer, ratio) of each bar."""


def chart(title: str, groups: Sequence[Group]) -> str:
    """The chart; ratios above 2 are cut and written out."""
    out: list[str] = []
    y = _TOP
    for name, bars in groups:
        out.append(_text(_LEFT - 8, y + len(bars) * _BAR / 2 + 4, name, "end"))
        for peer, ratio in bars:
            out += _bar(y, peer, ratio)
            y += _BAR
        y += _GAP
    height = y + 10
    grid = [
        f'<line x1="{_x(at)}" x2="{_x(at)}" y1="{_TOP - 6}" y2="{height - 10}" '
        f'stroke="{"#444" if at == 1 else "#ddd"}"/>'
        + _text(_x(at), _TOP - 12, f"{at:g}", "middle")
        for at in (0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75, 2)
    ]
    peers = list(dict.fromkeys(peer for _, bars in groups for peer, _ in bars))
    legend = [
        f'<rect x="{_LEFT + i * 110}" y="{24}" width="11" height="11" fill="{_colour(peer)}"/>'
        + _text(_LEFT + i * 110 + 16, 34, peer, "start")
        for i, peer in enumerate(peers)
    ]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LEFT + _WIDTH + 90}" '
        f'height="{height}" style="{_STYLE}"><rect width="100%" height="100%" fill="white"/>'
    )
    return "\n".join([head, _text(10, 16, title, "start"), *legend, *grid, *out, "</svg>\n"])


def _bar(y: float, peer: str, ratio: Spread) -> list[str]:
    middle = y + _BAR / 2
    end = _x(ratio.median)
    mark = "" if ratio.median <= _MOST else " →"
    return [
        f'<rect x="{_LEFT}" y="{y + 1}" width="{end - _LEFT:.1f}" height="{_BAR - 2}" '
        f'fill="{_colour(peer)}"/>',
        f'<line x1="{_x(ratio.low):.1f}" x2="{_x(ratio.high):.1f}" y1="{middle}" y2="{middle}" '
        'stroke="#222"/>',
        _text(max(end, _x(ratio.high)) + 5, middle + 4, f"{ratio.median:.2f}{mark}", "start"),
    ]


def _x(ratio: float) -> float:
    return _LEFT + min(ratio, _MOST) / _MOST * _WIDTH


def _colour(peer: str) -> str:
    return _COLOURS.get(peer, "#000000")


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
