"""A file of Rust tests that its program does not name is compiled by nobody, and says nothing."""

import re
from pathlib import Path

CRATES = Path(__file__).parents[2] / "engine/crates"

_MODULE = re.compile(r"(?m)^mod (\w+);")


def test_each_file_of_a_joined_program_is_in_it() -> None:
    mains = sorted(CRATES.glob("*/tests/*/main.rs"))
    assert mains
    for main in mains:
        files = {path.stem for path in main.parent.glob("*.rs")} - {"main"}
        named = set(_MODULE.findall(main.read_text())) - {"common"}
        assert files == named, main
