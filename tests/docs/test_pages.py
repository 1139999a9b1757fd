"""Every code block of the README, the tutorials, the how-tos and two reference pages does what its
page says."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from doc_page import blocks

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs" / "howto").glob("*.md")),
    *sorted((ROOT / "docs" / "tutorial").glob("*.md")),
    ROOT / "docs" / "reference" / "admin-api.md",
    ROOT / "docs" / "reference" / "agent.md",
]


def _limit_s(page: Path) -> int:
    """The longest time for a page: the tutorial promises ten minutes."""
    return 600 if page.parent.name == "tutorial" else 900


@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=pytest.mark.timeout(_limit_s(page)), id=page.stem) for page in PAGES],
)
def test_every_block_of_a_page_does_what_it_says(
    page: Path, run_page: "Callable[[Path], subprocess.CompletedProcess[str]]"
) -> None:
    done = run_page(page)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_page_runs_more_blocks_than_it_leaves_out() -> None:
    found = [one for page in PAGES for one in blocks(page.read_text()) if one.language != "text"]
    left_out = [one for one in found if "not" in one.marks]
    assert len(left_out) < len(found) / 4


def test_the_unit_starts_the_program_where_the_how_to_installs_it() -> None:
    page = (ROOT / "docs" / "howto" / "native.md").read_text()
    unit = (ROOT / "deploy" / "systemd" / "headgate.service").read_text()
    started = {line.split("=", 1)[1].split()[0] for line in unit.splitlines() if line[:4] == "Exec"}
    assert len(started) == 1
    assert f"python3 -m venv {Path(*started).parent.parent}\n" in page
