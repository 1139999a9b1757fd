"""Draws mutants, runs the tests that should notice them, and compares survivors with the list.

`--count 100 --seed 7` draws in equal shares from every area; without a seed the commit is the seed.
`--file src/headgate/cli/diff.py` takes every mutant of one file, with its nearest unit tests alone:
if they notice each, the file may be listed as `proven`.
"""

import argparse
import os
import random
import subprocess
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, TypedDict

from mutants import python, rust
from mutants.mutation import Mutant
from mutants.together import Fault
from mutants.verdict import Judged, NoVerdictError, complaints, gone, listed, table

ROOT: Final = Path(__file__).resolve().parents[2]
HERE: Final = Path(__file__).resolve().parent


class Further(TypedDict):
    """Tests that concern some files of an area, by their names without suffix."""

    files: list[str]
    tests: list[str]


@dataclass(frozen=True)
class Area:
    """Files with a common draw; with packages they are Rust's, of the first of these packages."""

    name: str
    files: list[str]
    tests: list[str] = field(default_factory=list)
    further: list[Further] = field(default_factory=list)
    packages: list[str] = field(default_factory=list)
    proven: list[str] = field(default_factory=list)
    """Files of which every mutant was tried: the unit tests nearest to a file notice each that is
    not listed."""

    def only(self, files: list[str]) -> "Area":
        """Returns the area with some of its files, by their exact names."""
        there = {str(path.relative_to(ROOT)) for one in self.files for path in ROOT.glob(one)}
        return replace(self, files=[file for file in files if file in there])

    def tests_of(self, file: str, *, is_near: bool) -> list[str]:
        """Returns the tests that concern a file, those that are likely to notice first."""
        stem = Path(file).stem
        more = [test for one in self.further if stem in one["files"] for test in one["tests"]]
        if self.packages:
            return [] if is_near else list(dict.fromkeys([*more, *self.tests]))
        return python.concerned(ROOT, file, [] if is_near else [*self.tests, *more])


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


def judge_python(
    area: Area, mutants: list[Mutant], jobs: int, *, is_near: bool = False
) -> list[Judged]:
    """Runs the tests of an area's mutants, several at a time."""

    def one(mutant: Mutant) -> Judged:
        with overlays.one() as overlay:
            fate = overlay.judge(mutant, area.tests_of(mutant.file, is_near=is_near))
        sys.stdout.write(f"{fate}: {mutant}\n")
        sys.stdout.flush()
        return Judged(area.name, mutant, fate)

    with python.Overlays(ROOT, jobs) as overlays, ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(one, mutants))


def judge_rust(
    area: Area, faults: dict[Mutant, Fault], jobs: int, *, is_near: bool = False
) -> list[Judged]:
    """Runs the tests of an area's mutants, which are built together, several at a time."""
    further = {mutant: area.tests_of(mutant.file, is_near=is_near) for mutant in faults}
    fates = rust.judge(ROOT, area.packages, faults, further, jobs)
    return [Judged(area.name, mutant, fate) for mutant, fate in fates.items()]


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
    parser.add_argument("--proven", action="store_true", help="only from files tried as a whole")
    parser.add_argument("--file", action="append", help="tries this file as a whole")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    return parser.parse_args()


def wanted(options: argparse.Namespace) -> list[Area]:
    """Returns the areas of a draw, each with those of its files that the options ask for."""
    found = [area for area in areas() if area.name in (options.area or [area.name])]
    if options.proven:
        found = [area.only(area.proven) for area in found]
    if options.file:
        found = [area.only(options.file) for area in found]
    return [area for area in found if area.files]


def main() -> int:
    """Draws, judges and reports; 1 where the list and the tests disagree."""
    options = arguments()
    known = listed(HERE / "survivors.toml")
    faults: dict[Mutant, Fault] = {}
    found: dict[str, list[Mutant]] = {}
    chosen = {area.name: area for area in wanted(options)}
    for area in chosen.values():
        if area.packages:
            faults |= (there := rust.found(ROOT, area.packages[0], area.files))
            found[area.name] = list(there)
        else:
            found[area.name] = python.found(ROOT, area.files)
    every = [mutant for mutants in found.values() for mutant in mutants]
    count = len(every) if options.file else options.count
    seed = options.seed or commit()
    sys.stdout.write(f"mutants: {count} of {len(every)} with seed {seed}\n")
    sys.stdout.flush()
    judged: list[Judged] = []
    for name, mutants in drawn(found, count, seed).items():
        area, is_near = chosen[name], bool(options.proven or options.file)
        if area.packages:
            some = {mutant: faults[mutant] for mutant in mutants}
            judged += judge_rust(area, some, options.jobs, is_near=is_near)
        else:
            judged += judge_python(area, mutants, options.jobs, is_near=is_near)
    wrong = complaints(judged, known)
    files = {mutant.file for mutant in every}
    is_whole = list(chosen.values()) == areas()
    wrong += gone([key for key in known if key[0] in files or is_whole], every)
    sys.stdout.write("\n".join([*table(judged), *wrong]) + "\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (NoVerdictError, rust.CargoError, ValueError) as error:
        sys.exit(f"mutants: {error}")
