"""The picture of the dashboard: every panel is on it, and one without data says so."""

import re
from xml.etree import ElementTree

import pytest
from dashboard import ROWS
from dashboard_chart import EMPTY, Line, figure, named, nice, page
from dashboard_picture import FILE

PANELS = [(row, panel.title) for row, panels in ROWS.items() for panel in panels]
SVG = "{http://www.w3.org/2000/svg}"


def groups(svg: str) -> dict[str, ElementTree.Element]:
    """The panels of a picture, by their name."""
    found = ElementTree.fromstring(svg).iter(f"{SVG}g")  # noqa: S314 - our own text
    return {str(one.get("data-panel")): one for one in found}


def lines_of(panel: ElementTree.Element) -> int:
    return len(panel.findall(f"{SVG}polyline"))


def test_the_picture_in_the_docs_has_every_panel_and_none_is_empty_without_a_word() -> None:
    svg = FILE.read_text(encoding="utf-8")
    drawn = groups(svg)
    assert list(drawn) == [f"{row}: {title}" for row, title in PANELS]
    for name, panel in drawn.items():
        text = "".join(panel.itertext())
        assert lines_of(panel) == int(panel.get("data-series", "-1"))
        assert (lines_of(panel) > 0) != (EMPTY in text), name
        points = [one.get("points", "") for one in panel.findall(f"{SVG}polyline")]
        assert all(len(one.split()) > 10 for one in points), name
    assert "Grafana did not draw it" in svg
    how_to = FILE.parent / "monitoring.md"
    assert FILE.name in how_to.read_text(encoding="utf-8")


def test_a_panel_without_points_says_so() -> None:
    first, second = PANELS[:2]
    svg = page({first: [Line("a<b", [(0, 1), (1, 3)]), Line("none", [])], second: []}, ["a & b"])
    drawn = groups(svg)
    assert len(drawn) == len(PANELS)
    assert lines_of(drawn[": ".join(first)]) == 1
    assert EMPTY not in "".join(drawn[": ".join(first)].itertext())
    for name in drawn.keys() - {": ".join(first)}:
        assert lines_of(drawn[name]) == 0
        assert EMPTY in "".join(drawn[name].itertext())


def test_lines_stay_within_their_panel() -> None:
    first = PANELS[0]
    svg = page({first: [Line("x", [(0, 0), (5, 123.0), (10, 7)])]}, [])
    (line,) = groups(svg)[": ".join(first)].findall(f"{SVG}polyline")
    numbers = [float(one) for one in re.findall(r"[0-9.]+", line.get("points", ""))]
    assert all(0 <= x <= 400 for x in numbers[::2])
    assert all(0 <= y <= 200 for y in numbers[1::2])


@pytest.mark.parametrize(
    ("most", "end"), [(0, 1), (1, 1), (1.1, 2), (2.1, 5), (70, 100), (0.03, 0.05), (-1, 1)]
)
def test_an_axis_ends_at_a_round_number(most: float, end: float) -> None:
    assert nice(most) == pytest.approx(end)


def test_figures_and_legends() -> None:
    assert figure(2_500, "reqps") == "2.5 k/s"
    assert figure(0.5, "percentunit") == "50%"
    assert figure(0.02, "s") == "20 ms"
    assert figure(5e7, "bytes") == "50 MB"
    assert named("denied: {{reason}} {{x}}", {"reason": "budget"}) == "denied: budget "
