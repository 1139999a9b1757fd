"""Pages that name tests name those that exist."""

import re
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs/internals/founding-lines.md"
_NAMED: Final = re.compile(r"`([\w./-]+)::(\w+)`")
_ROW: Final = re.compile(r"(?m)^\| (?!line |---)(.*) \|$")


def rows() -> list[list[str]]:
    """The cells of each line: line, native, nginx, note."""
    return [[cell.strip() for cell in row.split(" | ")] for row in _ROW.findall(PAGE.read_text())]


@pytest.mark.parametrize("page", ["founding-lines", "real-use"])
def test_each_test_that_is_named_exists(page: str) -> None:
    named = _NAMED.findall((ROOT / f"docs/internals/{page}.md").read_text())
    assert named
    lost = []
    for path, name in named:
        file = ROOT / path
        word = "fn" if file.suffix == ".rs" else "def"
        found = file.is_file() and re.search(rf"\b{word} {name}\(", file.read_text())
        if not found:
            lost.append(f"{path}::{name}")
    assert lost == []


def test_each_line_has_a_test_or_says_that_it_is_not_built() -> None:
    for line, native, nginx, *note in rows():
        assert _NAMED.search(native) or note == ["not built"], line
        assert _NAMED.search(nginx) or nginx == "no", line
