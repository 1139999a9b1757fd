"""The seeds of the fuzz targets: as few and as small as their page says."""

import re
from pathlib import Path
from typing import Final

FUZZ: Final = Path(__file__).resolve().parents[3] / "fuzz"


def test_there_are_no_more_seeds_than_the_page_says() -> None:
    page = " ".join((FUZZ / "README.md").read_text().split())
    said = re.search(r"at most ([0-9]+) files and ([0-9]+) MiB in all", page)
    assert said is not None
    seeds = [path for path in (FUZZ / "corpus").rglob("*") if path.is_file()]
    assert len(seeds) <= int(said[1])
    assert sum(path.stat().st_size for path in seeds) <= int(said[2]) << 20


def test_the_page_has_each_target_and_its_seeds() -> None:
    page = (FUZZ / "README.md").read_text()
    targets = {path.stem for path in (FUZZ / "fuzz_targets").glob("*.rs")}
    assert set(re.findall(r"(?m)^\| `([a-z0-9_]+)` \|", page)) == targets
    assert {path.name for path in (FUZZ / "corpus").iterdir()} <= targets
