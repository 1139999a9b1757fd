"""What the benchmark's report says of given results; nothing is measured here."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
_RUN = ROOT / "benchmarks" / "run.py"
_NOTHING = "\N{EN DASH}"
"""What a cell says in which no figure belongs."""


def _line(case: str, number: int, peer: str, **figures: float) -> str:
    result = {
        "case": case,
        "round": number,
        "peer": peer,
        "commit": "abc",
        "variants": {"": figures},
    }
    return json.dumps(result) + "\n"


def _journal(case: str, ours: list[dict[str, float]]) -> str:
    """Rounds of nginx, always 100 of everything, and of headgate."""
    theirs = {"us": 100.0, "machine_us": 100.0, "rps": 100.0}
    return "".join(
        _line(case, number, "nginx", **theirs) + _line(case, number, "headgate", **one)
        for number, one in enumerate(ours)
    )


@pytest.fixture
def report(tmp_path: Path) -> "Report":
    """Writes reports of journals."""
    return Report(tmp_path)


class Report:
    """Runs the harness so that it only writes its report."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def row(self, journal: str, title: str) -> list[str]:
        """The cells of the row with that title."""
        (self.folder / "given.jsonl").write_text(journal)
        journal_path, stem = str(self.folder / "given.jsonl"), str(self.folder / "out")
        command = [sys.executable, str(_RUN), "--report-only", "--journal", journal_path]
        subprocess.run([*command, "--report", stem], check=True, capture_output=True)
        rows = (self.folder / "out.md").read_text().splitlines()
        (row,) = (one for one in rows if one.startswith(f"| {title} |"))
        return [cell.strip() for cell in row.strip("|").split("|")]


def test_every_row_of_requests_names_the_whole_machine_and_the_rate(report: Report) -> None:
    """A low CPU of the proxy cannot hide what the rest of the machine pays."""
    ours = [{"us": 30.0, "machine_us": 102.0, "rps": 69.0}] * 3
    cells = report.row(_journal("h1-1m", ours), "1 MiB response")
    assert cells[1].startswith("0.30 ") and cells[1].endswith("aim met")
    assert cells[2].startswith("1.02 ") and cells[2].endswith("at most 0.72: **missed**")
    assert cells[3].startswith("0.69 ") and cells[3].endswith("at least 1: **missed**")


def test_a_verdict_names_the_noise_when_rounds_lie_on_both_sides_of_its_bar(report: Report) -> None:
    """The median alone decides, and the reader learns how sure that is."""
    rest = {"machine_us": 50.0, "rps": 120.0}
    ours = [{"us": us, **rest} for us in (81.0, 90.0, 98.0)]
    cells = report.row(_journal("h1-13", ours), "13 B keep-alive, 64 connections")
    assert cells[1].endswith("must met, but its rounds lie on both sides of 0.92")


def test_what_guards_cost_is_a_ratio_within_each_round(report: Report) -> None:
    """The machine may be faster in one round than in another; both variants of a round share it."""
    variants = [{"bare": {"us": us}, "guarded": {"us": us * 1.02}} for us in (10.0, 20.0, 15.0)]
    results = [
        {"case": "guarded", "round": n, "peer": "headgate", "commit": "abc", "variants": one}
        for n, one in enumerate(variants)
    ]
    journal = "".join(json.dumps(one) + "\n" for one in results)
    cells = report.row(journal, "retries, breaker, outliers and checks on, over none")
    assert any("1.020" in cell for cell in cells), cells
    assert any("**missed**" in cell for cell in cells), cells


def test_bulk_is_judged_by_its_own_figures_beside_the_base(report: Report) -> None:
    """CPU for each GB and GB a second; latency at half load is not asked."""
    rounds = [
        _line("l4-bulk-16", 0, "nginx", s_per_gb=1.0, machine_s_per_gb=2.0, gb_per_s=2.0),
        _line("l4-bulk-16", 0, "headgate", s_per_gb=0.4, machine_s_per_gb=1.4, gb_per_s=1.8),
    ]
    cells = report.row("".join(rounds), "TCP bulk, 16 connections")
    assert cells[1] == "0.40; at most 0.49, aim 0.45: aim met"
    assert cells[2] == "0.70; at most 0.75, aim 0.67: must met"
    assert cells[3] == "0.90; at least 1: **missed**"
    assert cells[4] == _NOTHING


def test_a_row_of_which_more_is_better_names_the_least(report: Report) -> None:
    """10 Gbit/s through one core are asked; 8 miss it, and 12 do not."""
    for rate, verdict in ((8.0, "**missed**"), (12.0, "must met")):
        journal = _line("l4-bulk-16", 0, "headgate", gbit_per_s=rate)
        cells = report.row(journal, "TCP bulk through one core, 16 connections")
        assert cells[1:] == [f"{rate:.2f}", "Gbit/s", "≥ 10", _NOTHING, verdict]


def test_the_memory_of_many_sessions_is_that_of_one_times_their_number(report: Report) -> None:
    """No machine here has descriptors for 100,000 of them."""
    journal = _line("l4-sessions", 0, "headgate", bytes=600.0)
    assert report.row(journal, "100,000 idle TCP sessions, on paper")[1:3] == ["60.00", "MB"]
    assert report.row(journal, "idle TCP session")[-1] == "aim met"


def test_a_machine_that_becomes_slower_in_a_round_slows_both_sides_of_the_ratio(
    report: Report,
) -> None:
    """Each is measured twice, in the order bare, guarded, guarded, bare."""
    order = ("bare", "guarded", "guarded-again", "bare-again")
    variants = {name: {"us": us} for name, us in zip(order, (10.0, 11.0, 12.0, 13.0), strict=True)}
    result = {"case": "guarded", "round": 0, "peer": "headgate", "commit": "abc"}
    journal = json.dumps(result | {"variants": variants}) + "\n"
    cells = report.row(journal, "retries, breaker, outliers and checks on, over none")
    assert any("1.000" in cell for cell in cells), cells


def test_calls_of_grpc_are_compared_with_envoy(report: Report) -> None:
    """nginx stands beside it in the case's own table."""
    figures = {"us": 40.0, "machine_us": 40.0, "rps": 1.0}
    journal = "".join(
        _line("grpc-13", 0, peer, **{key: value * times for key, value in figures.items()})
        for peer, times in (("nginx", 4.0), ("envoy", 2.0), ("headgate", 1.0))
    )
    cells = report.row(journal, "unary gRPC, ratios to Envoy")
    assert cells[1].startswith("0.50;") and cells[1].endswith("must met")


def test_memory_over_http2_is_what_it_takes_over_that_of_http1(report: Report) -> None:
    """Both over TLS, in the same round."""
    variants = {"tls": {"bytes": 2200.0}, "h2": {"bytes": 4400.0}}
    result = {"case": "memory-h2", "round": 0, "peer": "headgate", "commit": "abc"}
    journal = json.dumps(result | {"variants": variants}) + "\n"
    cells = report.row(journal, "idle connection, HTTP/2 over TLS, over HTTP/1.1 over TLS")
    assert cells[1] == "2200" and cells[-1] == "must met"


def test_a_row_without_results_is_not_measured(report: Report) -> None:
    """No figure is made up."""
    cells = report.row(_journal("h1-13", [{"us": 80.0}]), "WebSocket echo")
    assert cells[1:] == ["not measured"] * 4


def test_the_raw_results_lie_beside_the_report(report: Report) -> None:
    """Whoever doubts a median reads the rounds."""
    journal = _journal("h1-13", [{"us": 80.0, "machine_us": 90.0, "rps": 110.0}])
    report.row(journal, "1 KiB response")
    assert (report.folder / "out.jsonl").read_text() == journal


def test_an_earlier_build_is_compared_in_each_round(report: Report) -> None:
    """What features cost must not be paid by routes that have none of them."""
    cpu = {"nginx": (10.0, 20.0), "headgate-earlier": (8.0, 16.0), "headgate": (8.2, 16.6)}
    lines = [
        _line("h1-13", number, peer, us=us)
        for peer, rounds in cpu.items()
        for number, us in enumerate(rounds)
    ]
    title = "bare route, 64 connections, this build less the earlier"
    cells = report.row("".join(lines), title)
    assert cells[1].startswith("0.025 (0.020") and cells[-1] == "**missed**"
    cells = report.row("".join(lines), "bare route, 64 connections, the earlier build")
    assert cells[1].startswith("0.800 ")
