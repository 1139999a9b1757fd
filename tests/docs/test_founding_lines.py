"""Pages that name tests name those that exist, and scenarios for the engines that meet them."""

import re
import tomllib
from pathlib import Path
from typing import Final

import pytest
import scenario

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs/internals/founding-lines.md"
SCENARIOS: Final = "tests/scenarios/"
_NAMED: Final = re.compile(r"`([\w./-]+)::(\w+)`")
_PLAYED: Final = re.compile(rf"`({SCENARIOS}[^`:]*)`")
_ROW: Final = re.compile(r"(?m)^\| (?!line |---)(.*) \|$")


def rows() -> list[list[str]]:
    """The cells of each line: line, native, nginx, note."""
    return [[cell.strip() for cell in row.split(" | ")] for row in _ROW.findall(PAGE.read_text())]


def has_test(cell: str) -> bool:
    """Whether a test or a scenario is named."""
    return bool(_NAMED.search(cell) or _PLAYED.search(cell))


def found_scenarios() -> dict[str, scenario.Scenario]:
    """Each scenario that `tests/scenarios/test_scenarios.py` plays, by its path."""
    files = (ROOT / SCENARIOS).glob("*/*.toml")
    return {file.relative_to(ROOT).as_posix(): scenario.load(file) for file in files}


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


def test_each_scenario_that_is_named_is_played_and_met_by_its_engine() -> None:
    """Every scenario is played on the native engine; on nginx, those that say why it cannot meet
    them are expected to fail."""
    found = found_scenarios()
    native, nginx = ([path for row in rows() for path in _PLAYED.findall(row[at])] for at in (1, 2))
    assert native
    assert nginx
    assert [path for path in native + nginx if path not in found] == []
    assert {path: found[path].nginx for path in nginx if found[path].nginx} == {}


def test_each_line_has_a_test_or_says_why_it_has_none() -> None:
    for line, native, nginx, note in rows():
        bare = [cell for cell in (native, nginx) if not has_test(cell)]
        assert set(bare) <= {"no", "no test"}, line
        assert note or not bare, line
        assert native != "no" or note.startswith("not built"), line


def test_only_one_crate_may_have_unsafe_code() -> None:
    """What a crate's lints forbid, none of its files can allow."""
    workspace = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]
    assert workspace["members"] == ["engine/crates/*"]
    assert workspace["lints"]["rust"]["unsafe_code"] == "forbid"
    files = (ROOT / "engine/crates").glob("*/Cargo.toml")
    lints = {file.parent.name: tomllib.loads(file.read_text()).get("lints") for file in files}
    assert [name for name, own in lints.items() if own != {"workspace": True}] == ["hg-net"]
