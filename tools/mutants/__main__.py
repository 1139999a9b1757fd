"""Draws mutants, runs the tests that should notice them, and compares survivors with the list.

`--count 100 --seed 7` draws in equal shares from every area; `--area cli --all` takes every mutant
of one area. Without a seed the commit is the seed.
"""

import argparse
import os
import queue
import random
import subprocess
import sys
import tempfile
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypedDict

from mutants import python, rust
from mutants.mutation import Mutant
from mutants.verdict import Judged, complaints, gone, listed, table

ROOT: Final = Path(__file__).resolve().parents[2]
HERE: Final = Path(__file__).resolve().parent


class Further(TypedDict):
    """Tests that concern some files of an area, by their names without suffix."""

    files: list[str]
    tests: list[str]


@dataclass(frozen=True)
class Area:
    """Files with a common draw; with a package they are Rust's."""

    name: str
    files: list[str]
    tests: list[str] = field(default_factory=list)
    further: list[Further] = field(default_factory=list)
    package: str = ""
    is_proven: bool = False
    """True if every mutant was tried, and each survivor is listed."""

    def tests_of(self, file: str) -> list[str]:
        """Returns the tests that concern a file, those that are likely to notice first."""
        stem = Path(file).stem
        more = [test for one in self.further if stem in one["files"] for test in one["tests"]]
        return python.concerned(ROOT, file, [*self.tests, *more])


def areas() -> list[Area]:
    """Returns the areas of `areas.toml`."""
    return [Area(**area) for area in tomllib.loads((HERE / "areas.toml").read_text())["area"]]


def drawn(found: dict[str, list[Mutant]], count: int, seed: str) -> dict[str, list[Mutant]]:
    """Draws equally many of each area, where it has them; the same seed draws the same."""
    shares = dict.fromkeys(found, 0)
    while count > sum(shares.values()) and any(shares[a] < len(found[a]) for a in found):
        least = min((a for a in found if shares[a] < len(found[a])), key=lambda a: shares[a])
        shares[least] += 1
    return {
        area: random.Random(f"{seed} {area}").sample(found[area], share)  # noqa: S311
        for area, share in shares.items()
    }


def judge_python(area: Area, mutants: list[Mutant], jobs: int) -> list[Judged]:
    """Runs the tests of an area's mutants, several at a time."""
    overlays: queue.SimpleQueue[python.Overlay] = queue.SimpleQueue()

    def one(mutant: Mutant) -> Judged:
        overlay = overlays.get()
        try:
            fate = overlay.judge(mutant, area.tests_of(mutant.file))
        finally:
            overlays.put(overlay)
        sys.stdout.write(f"{fate}: {mutant}\n")
        sys.stdout.flush()
        return Judged(area.name, mutant, fate)

    build = ROOT / "build" / "mutants"
    build.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="python-", dir=build) as folder:
        for job in range(jobs):
            overlays.put(python.Overlay(ROOT, Path(folder) / str(job)))
        with ThreadPoolExecutor(jobs) as pool:
            return list(pool.map(one, mutants))


def judge_rust(area: Area, names: dict[Mutant, str], mutants: list[Mutant]) -> list[Judged]:
    """Runs the tests of an area's mutants by cargo-mutants."""
    fates = rust.judge(ROOT, area.package, [names[mutant] for mutant in mutants])
    return [Judged(area.name, mutant, fates[names[mutant]]) for mutant in mutants]


def commit() -> str:
    """Returns the commit that is checked out; outside of a repository the same word each time."""
    command = ["git", "-C", str(ROOT), "rev-parse", "HEAD"]
    said = subprocess.run(command, check=False, capture_output=True, text=True)
    return said.stdout.strip() or "no commit"


def arguments() -> argparse.Namespace:
    """Returns the command line."""
    parser = argparse.ArgumentParser(prog="mutants", description=__doc__)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", default="")
    parser.add_argument("--area", action="append", choices=[area.name for area in areas()])
    parser.add_argument("--proven", action="store_true", help="only from areas tried as a whole")
    parser.add_argument("--all", action="store_true", help="every mutant, not a draw")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    return parser.parse_args()


def main() -> int:
    """Draws, judges and reports; 1 where the list and the tests disagree."""
    options = arguments()
    known = listed(HERE / "survivors.toml")
    names: dict[Mutant, str] = {}
    found: dict[str, list[Mutant]] = {}
    is_wanted = {
        area.name: area.is_proven if options.proven else area.name in (options.area or [area.name])
        for area in areas()
    }
    chosen = {area.name: area for area in areas() if is_wanted[area.name]}
    for area in chosen.values():
        if area.package:
            names |= {m: name for name, m in rust.found(ROOT, area.package, area.files).items()}
            found[area.name] = list(names)
        else:
            found[area.name] = python.found(ROOT, area.files)
    there = [mutant for mutants in found.values() for mutant in mutants]
    count = len(there) if options.all else options.count
    seed = options.seed or commit()
    sys.stdout.write(f"mutants: {count} of {len(there)} with seed {seed}\n")
    sys.stdout.flush()
    judged: list[Judged] = []
    for name, mutants in drawn(found, count, seed).items():
        if chosen[name].package:
            judged += judge_rust(chosen[name], names, mutants)
        else:
            judged += judge_python(chosen[name], mutants, options.jobs)
    wrong = complaints(judged, known)
    files = {mutant.file for mutant in there}
    wrong += gone([key for key in known if key[0] in files or len(chosen) == len(areas())], there)
    sys.stdout.write("\n".join([*table(judged), *wrong]) + "\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (python.NoVerdictError, rust.CargoError, ValueError) as error:
        sys.exit(f"mutants: {error}")
