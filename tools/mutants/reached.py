"""Finds out which tests of a Rust crate reach which fault; a fault is tried with those alone."""

import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Final

from mutants.together import RECORD, SWITCH
from mutants.verdict import Fate, NoVerdictError

LIMIT_S: Final = 300
"""The time that the tests of one mutant may take."""
_FIRST: Final = 40
"""So many of the quickest tests run first: they notice most faults."""


@dataclass(frozen=True)
class Reach:
    """One test: its program and name, the seconds that it takes, the faults that it reaches."""

    program: Path
    test: str
    took_s: float
    faults: frozenset[int]


def reaches(
    programs: list[Path], folder: Path, environment: dict[str, str], jobs: int
) -> list[Reach]:
    """Runs each test alone, without a fault. Raises `NoVerdictError` if one fails twice."""

    def one(program: Path, test: str) -> Reach:
        for _ in range(2):
            with tempfile.NamedTemporaryFile(prefix="hg-reached-") as record:
                began = time.monotonic()
                recording = environment | {RECORD: record.name}
                if _passes(program, test, folder, recording):
                    numbers = frozenset(map(int, Path(record.name).read_text().split()))
                    return Reach(program, test, time.monotonic() - began, numbers)
        raise NoVerdictError(f"{test} of {program.name} fails without a fault; make it pass first")

    tests = [(program, test) for program in programs for test in _listed(program)]
    sys.stdout.write(f"mutants: what each of {len(tests)} tests reaches\n")
    sys.stdout.flush()
    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(one, *zip(*tests, strict=True)))


def fate(reached: list[Reach], number: int, folder: Path, environment: dict[str, str]) -> Fate:
    """Runs the tests that reach a fault, the quickest first, until one notices it."""
    concerned = sorted((r for r in reached if number in r.faults), key=lambda r: r.took_s)
    switched = environment | {SWITCH: str(number)}
    for some in (concerned[:_FIRST], concerned[_FIRST:]):
        for program, tests in groupby(sorted(some, key=_program), key=_program):
            got = _outcome(program, (one.test for one in tests), folder, switched)
            if got is not Fate.SURVIVED:
                return got
    return Fate.SURVIVED


def _program(one: Reach) -> Path:
    return one.program


def _listed(program: Path) -> list[str]:
    """Returns the names of a program's tests."""
    command = [str(program), "--list", "--format", "terse"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [line.removesuffix(": test") for line in said.splitlines() if line.endswith(": test")]


def _outcome(
    program: Path, tests: Iterable[str], folder: Path, environment: dict[str, str]
) -> Fate:
    """Runs tests up to the first failure that a second run of the same test confirms."""
    process = subprocess.Popen(
        [program, "--exact", *tests], cwd=folder, env=environment, text=True, errors="replace",
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    is_over = threading.Event()

    def end() -> None:
        is_over.set()
        process.kill()

    limit = threading.Timer(LIMIT_S, end)
    limit.start()
    has_failed = False
    try:
        for line in process.stdout or ():
            if failed := re.fullmatch(r"test (\S+)(?: - should panic)? \.\.\. FAILED\n", line):
                has_failed = True
                if not _passes(program, failed.group(1), folder, environment):
                    return Fate.KILLED
        status = process.wait()
    finally:
        limit.cancel()
        process.kill()
        process.wait()
    if is_over.is_set():
        return Fate.TIMED_OUT
    return Fate.SURVIVED if status == 0 or has_failed else Fate.KILLED


def _passes(program: Path, test: str, folder: Path, environment: dict[str, str]) -> bool:
    """Runs one test alone: one that failed only since the machine is busy passes now."""
    command = [str(program), test, "--exact"]
    try:
        return not subprocess.run(
            command, cwd=folder, env=environment, check=False, timeout=LIMIT_S,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        ).returncode  # fmt: skip
    except subprocess.TimeoutExpired:
        return False
