"""Runs the tests of Python mutants, each mutant in a copy of the sources of its own."""

import contextlib
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, Self

from mutants.mutation import Mutant, altered, mutants_of
from mutants.verdict import Fate, NoVerdictError

LIMIT_S: Final = 240.0
"""The least time limit for the tests of one mutant; a mutant that makes them hang counts as
noticed. On a busy machine the limit grows with the time that they take without a mutant."""
_SLOWER: Final = 3
_MOST_S: Final = 1_800.0
_NO_TESTS: Final = {4, 5}
"""pytest's exit codes for a wrong path and without any test."""


def found(root: Path, patterns: list[str]) -> list[Mutant]:
    """Returns every mutant of the files that a pattern names."""
    return [
        mutant
        for pattern in patterns
        for path in sorted(root.glob(pattern))
        for mutant in mutants_of(str(path.relative_to(root)), path.read_text())
    ]


def concerned(root: Path, file: str, further: list[str]) -> list[str]:
    """Returns the unit test that mirrors a file, those that name its module, then the further."""
    module = ".".join(Path(file).with_suffix("").parts[1:])
    package, _, name = module.rpartition(".")
    mirror = Path("tests", "unit", *Path(file).parts[2:-1], f"test_{name}.py")
    naming = [str(mirror)] if (root / mirror).exists() else []
    names = re.compile(rf"from {re.escape(package)} import [^\n(]*\b{name}\b")
    for path in sorted((root / "tests" / "unit").rglob("test_*.py")):
        text = path.read_text()
        if f"{module} " in text or names.search(text):
            naming.append(str(path.relative_to(root)))
    return list(dict.fromkeys([*naming, *further]))


class Overlay:
    """A copy of `src` that stands before the real one on the path of Python."""

    def __init__(self, root: Path, folder: Path, built: Path | None = None) -> None:
        """Copies the sources and links the compiled extension, or another that was built."""
        self._root = root
        self._source = folder / "src"
        shutil.copytree(root / "src", self._source, ignore=shutil.ignore_patterns("*.so"))
        for extension in (root / "src").rglob("*.so"):
            (self._source / extension.relative_to(root / "src")).symlink_to(built or extension)
        self._took_s: dict[str, float] = {}

    def judge(self, mutant: Mutant, tests: list[str], limit_s: float = LIMIT_S) -> Fate:
        """Runs the tests with a mutant, file by file (or folder) until one notices it.
        Raises `NoVerdictError` if a file's tests fail without the mutant.
        """
        return _first(self._judge_by(mutant, test, limit_s) for test in tests)

    def judge_switched(self, switch: dict[str, str], tests: list[str]) -> Fate:
        """Does the same with a fault of the extension, which the environment switches on."""
        return _first(
            self._run(test, max(LIMIT_S, _SLOWER * self._took(test)), switch) for test in tests
        )

    def _took(self, test: str) -> float:
        """Returns how many seconds a file's tests take without a mutant."""
        if test not in self._took_s:
            began = time.monotonic()
            if (fate := self._run(test, _MOST_S)) is not Fate.SURVIVED:
                raise NoVerdictError(f"{fate} without a mutant: pytest {test}")
            self._took_s[test] = time.monotonic() - began
        return self._took_s[test]

    def _judge_by(self, mutant: Mutant, test: str, limit_s: float) -> Fate:
        took_s = self._took(test)
        original = self._root / mutant.file
        copy = self._source.parent / mutant.file
        for stale in (copy.parent / "__pycache__").glob(f"{copy.stem}.*"):
            stale.unlink()
        copy.write_text(altered(original.read_text(), mutant))
        try:
            return self._run(test, max(limit_s, _SLOWER * took_s))
        finally:
            shutil.copy2(original, copy)

    def _run(self, test: str, limit_s: float, switch: dict[str, str] | None = None) -> Fate:
        with tempfile.TemporaryDirectory(prefix="hg-mutant-") as folder:
            base = ["-m", "pytest", "-x", "-n0", "-p", "no:cacheprovider", f"--basetemp={folder}/t"]
            environment = {
                **os.environ,
                **(switch or {}),
                "PYTHONPATH": str(self._source),
                "PYTHONDONTWRITEBYTECODE": "1",
                "HYPOTHESIS_STORAGE_DIRECTORY": f"{folder}/hypothesis",
            }
            for name in ("PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER", "PYTEST_CURRENT_TEST"):
                environment.pop(name, None)
            process = subprocess.Popen(
                [sys.executable, *base, test],
                cwd=self._root,
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            try:
                status = process.wait(limit_s)
            except subprocess.TimeoutExpired:
                return Fate.TIMED_OUT
            finally:
                _end(process)
        if status in _NO_TESTS:
            raise NoVerdictError(f"pytest finds no test: pytest {test}")
        return Fate.KILLED if status else Fate.SURVIVED


def _first(fates: Iterable[Fate]) -> Fate:
    """Returns the first fate that says that a test noticed."""
    return next((fate for fate in fates if fate is not Fate.SURVIVED), Fate.SURVIVED)


class Overlays:
    """One overlay for each of so many jobs; a job takes one and gives it back."""

    def __init__(self, root: Path, jobs: int, built: Path | None = None) -> None:
        build = root / "build" / "mutants"
        build.mkdir(parents=True, exist_ok=True)
        self._folder = tempfile.TemporaryDirectory(prefix="python-", dir=build)
        self._free: queue.SimpleQueue[Overlay] = queue.SimpleQueue()
        for job in range(jobs):
            self._free.put(Overlay(root, Path(self._folder.name) / str(job), built))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()

    @contextlib.contextmanager
    def one(self) -> Iterator[Overlay]:
        """Lends an overlay; waits until one is free."""
        overlay = self._free.get()
        try:
            yield overlay
        finally:
            self._free.put(overlay)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends the tests and what they started in their own process group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
