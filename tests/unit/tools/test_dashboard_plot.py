"""The picture of the dashboard: every series has its line, and a line breaks where samples lack."""

import re
from xml.etree import ElementTree as ET

from dashboard_plot import Graph, Span, picture, said

SPAN = Span(60, 5)


def drawn(*series: tuple[str, list[tuple[float, float]]]) -> str:
    svg = picture([("Row", [Graph("A <panel>", "reqps", series)])], SPAN, "of a test")
    ET.fromstring(svg)  # noqa: S314 - our own text
    return svg


def test_a_line_goes_from_the_lowest_to_the_highest_sample() -> None:
    svg = drawn(("one", [(0, 0), (5, 10)]))
    assert 'd="M68.0 162.0L97.8 34.0"' in svg
    assert "A &lt;panel&gt;" in svg
    assert "10 req/s" in svg


def test_a_line_breaks_where_samples_lack() -> None:
    svg = drawn(("one", [(0, 1), (5, 1), (40, 1), (45, 1)]))
    (line,) = re.findall(r'd="(M[^"]*L[^"]*)"', svg)
    assert (line.count("M"), line.count("L")) == (2, 2)


def test_a_panel_without_series_says_so() -> None:
    assert "No data" in drawn()
    assert "No data" not in drawn(("one", [(0, 0)]))


def test_values_have_their_units() -> None:
    assert said(0.025, "s") == "25 ms"
    assert said(0.5, "percentunit") == "50 %"
    assert said(25_000_000, "bytes") == "25 MB"
    assert said(0, "Bps") == "0 B/s"
    assert said(3, "short") == "3"
