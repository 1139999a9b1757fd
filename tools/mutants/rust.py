"""Lists Rust mutants with cargo-mutants, and runs their tests in a copy of the workspace.

All mutants of a draw are built together (see `together`), since the build takes longer than the
tests. Those that cannot share a build are left to cargo-mutants.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from mutants.mutation import Mutant
from mutants.together import MODULE, SWITCH, Fault, Switched, switched
from mutants.verdict import Fate

LIMIT_S: Final = 300
"""The time that the tests of one mutant may take."""
_COPIED: Final = ("Cargo.toml", "Cargo.lock", "engine", "proto", "fuzz/corpus")
_FATES: Final = {
    "CaughtMutant": Fate.KILLED,
    "MissedMutant": Fate.SURVIVED,
    "Timeout": Fate.TIMED_OUT,
    "Unviable": Fate.UNBUILT,
}


class CargoError(Exception):
    """cargo or cargo-mutants gave no verdict."""


def _cargo_mutants() -> str:
    """Returns the command, as `make mutants` installs it, or as it stands on PATH."""
    name = os.environ.get("CARGO_MUTANTS", "cargo-mutants")
    if (command := shutil.which(name)) is None:
        raise CargoError(f"{name} is not here; run `make mutants`, which installs it")
    return str(Path(command).resolve())


def _part(span: dict[str, dict[str, int]]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Returns the two ends of a part of a source."""
    start, end = span["start"], span["end"]
    return (start["line"], start["column"]), (end["line"], end["column"])


def found(root: Path, package: str, patterns: list[str]) -> dict[Mutant, Fault]:
    """Returns every mutant of the functions in a package's files."""
    command = [_cargo_mutants(), "mutants", "--list", "--json", "--package", package]
    for pattern in patterns:
        command += ["--file", pattern]
    listing = subprocess.run(command, cwd=root, check=True, capture_output=True).stdout
    seen: Counter[tuple[str, str]] = Counter()
    mutants = {}
    for entry in json.loads(listing):
        if entry["function"] is None:  # a constant: the size of something, not what is done
            continue
        name, file, function = entry["name"], entry["file"], entry["function"]["function_name"]
        mutation = re.sub(r"^[^ ]*:\d+:\d+: ", "", name)
        seen[file, mutation] += 1
        if (nth := seen[file, mutation]) > 1:
            mutation += f" #{nth}"
        within, part = _part(entry["function"]["span"]), _part(entry["span"])
        fault = Fault(name, file, function, within, part, entry["replacement"])
        mutants[Mutant(file, function, mutation)] = fault
    return mutants


def judge(root: Path, package: str, mutants: dict[Mutant, Fault], jobs: int) -> dict[Mutant, Fate]:
    """Returns what a package's tests make of mutants.
    Raises `CargoError` if they fail without one.
    """
    workspace = Workspace(root, package)
    numbered = dict(enumerate(mutants.items(), 1))
    tests, fates = workspace.build({number: fault for number, (_, fault) in numbered.items()})
    if workspace.fate(tests, 0) is not Fate.SURVIVED:
        raise CargoError(f"tests of {package} fail without a fault; make them pass first")

    def one(number: int) -> None:
        if number not in fates:
            fates[number] = workspace.fate(tests, number)
        sys.stdout.write(f"{fates[number] or 'is built alone'}: {numbered[number][0]}\n")
        sys.stdout.flush()

    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(one, numbered))
    alone = [fault.name for number, (_, fault) in numbered.items() if fates[number] is None]
    more = workspace.judge_alone(alone) if alone else {}
    return {mutant: fates[n] or more[fault.name] for n, (mutant, fault) in numbered.items()}


class Workspace:
    """A copy of the Rust workspace, in which faults are built."""

    def __init__(self, root: Path, package: str) -> None:
        self._root = root
        self._package = package
        self._folder = root / "build" / "mutants" / "rust"
        self._crate = self._folder / "engine" / "crates" / package
        target = os.environ.get("CARGO_TARGET_DIR", "target")
        self._environment = os.environ | {"CARGO_TARGET_DIR": str(root / target)}
        # Not optimized: each fault is compiled once and run for seconds.
        settings = ("opt-level=0", "debug=false")
        self._quick = [f"--config=profile.dev.package.{package}.{one}" for one in settings]

    def _copy(self) -> None:
        """Makes the copy anew, without a fault."""
        shutil.rmtree(self._folder, ignore_errors=True)
        for name in _COPIED:
            copy = shutil.copytree if (self._root / name).is_dir() else shutil.copy2
            self._folder.mkdir(parents=True, exist_ok=True)
            copy(self._root / name, self._folder / name)
        # The last build had a fault in it; cargo compares the age of the files.
        for source in (self._crate / "src").rglob("*.rs"):
            source.touch()

    def build(self, faults: dict[int, Fault]) -> tuple[list[Path], dict[int, Fate | None]]:
        """Returns the tests with all faults that build together, and the fate of the others: None
        for one that must be built alone.
        """
        self._copy()
        fates: dict[int, Fate | None] = {}
        while True:
            files = self._put({n: fault for n, fault in faults.items() if n not in fates})
            there = {number for made in files.values() for number in made.faults}
            fates |= {n: None for n in faults if n not in fates and n not in there}
            tests, errors = self._compile()
            if tests:
                return tests, fates
            bad = {n: fate for error in errors for n, fate in blamed(files, error).items()}
            if not bad:
                raise CargoError(f"{self._package} does not build; see the errors above")
            fates |= bad

    def _put(self, faults: dict[int, Fault]) -> dict[str, Switched]:
        """Writes the files that have faults, and those that have none any more."""
        by_file: defaultdict[str, dict[int, Fault]] = defaultdict(dict)
        for number, fault in faults.items():
            by_file[fault.file][number] = fault
        files = {}
        for path in (self._crate / "src").rglob("*.rs"):
            name = str(path.relative_to(self._folder))
            source = (self._root / name).read_text()
            if name in by_file:
                files[name] = switched(source, by_file[name])
                source = files[name].source
            if path == self._crate / "src" / "lib.rs":
                source += MODULE
            if path.read_text() != source:
                path.write_text(source)
        return files

    def _compile(self) -> tuple[list[Path], list[dict[str, Any]]]:
        """Returns the test programs, those of the library first; or the errors if there are any."""
        command = ["cargo", "test", "--locked", "--no-run", "--message-format=json"]
        command += ["--package", self._package, *self._quick]
        run = subprocess.run(
            command, cwd=self._folder, env=self._environment, stdout=subprocess.PIPE, check=False
        )
        said = [json.loads(line) for line in run.stdout.splitlines() if line.startswith(b"{")]
        if run.returncode == 0:
            made = [one for one in said if one.get("executable") and one["profile"]["test"]]
            made.sort(key=lambda one: ("lib" not in one["target"]["kind"], one["target"]["name"]))
            return [Path(one["executable"]) for one in made], []
        errors = [one["message"] for one in said if one["reason"] == "compiler-message"]
        errors = [error for error in errors if error["level"] == "error"]
        sys.stderr.write("".join(error["rendered"] for error in errors))
        return [], errors

    def fate(self, tests: list[Path], number: int) -> Fate:
        """Runs test programs with one fault until a test notices it."""
        environment = self._environment | {SWITCH: str(number)}
        for program in tests:
            fate = outcome(program, self._crate, environment)
            if fate is not Fate.SURVIVED:
                return fate
        return Fate.SURVIVED

    def judge_alone(self, names: list[str]) -> dict[str, Fate]:
        """Has cargo-mutants build and judge mutants one by one."""
        self._copy()
        command = [_cargo_mutants(), "mutants", "--in-place", "--package", self._package]
        command += ["--cargo-arg=--locked", f"--timeout={LIMIT_S}"]
        command += [f"--cargo-arg={setting}" for setting in self._quick]
        # The expressions do not keep out fields that are left out of a struct: not looked at.
        for file in {name.split(":")[0] for name in names}:
            command += ["--file", file]
        for name in names:
            command += ["--re", f"^{re.escape(name)}$"]
        run = subprocess.run(command, cwd=self._folder, env=self._environment, check=False)
        outcomes = self._folder / "mutants.out" / "outcomes.json"
        if not outcomes.exists():
            raise CargoError(f"cargo-mutants ended with {run.returncode}; see its output above")
        fates = {
            one["scenario"]["Mutant"]["name"]: _FATES.get(one["summary"], Fate.UNBUILT)
            for one in json.loads(outcomes.read_text())["outcomes"]
            if one["scenario"] != "Baseline"
        }
        if missing := [name for name in names if name not in fates]:
            raise CargoError(f"cargo-mutants gave no verdict on {', '.join(missing)}")
        return fates


def blamed(files: dict[str, Switched], error: dict[str, Any]) -> dict[int, Fate | None]:
    """Returns the faults that an error is about: the one that it is in, which does not build, or
    all of the function around it, which must be built alone.
    """
    fates: dict[int, Fate | None] = {}
    for span in error["spans"]:
        made = files.get(span["file_name"])
        if made is None or not span["is_primary"]:
            continue
        line = span["line_start"]
        inside = [number for number, lines in made.faults.items() if line in lines]
        around = [number for number, lines in made.functions.items() if line in lines]
        fates |= dict.fromkeys(inside, Fate.UNBUILT) or dict.fromkeys(around, None)
    return fates


def outcome(program: Path, folder: Path, environment: dict[str, str]) -> Fate:
    """Runs a test program up to the first failure that a second run of the same test confirms."""
    process = subprocess.Popen(
        [program], cwd=folder, env=environment, text=True, errors="replace",
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
                if _fails(program, failed.group(1), folder, environment):
                    return Fate.KILLED
        status = process.wait()
    finally:
        limit.cancel()
        process.kill()
        process.wait()
    if is_over.is_set():
        return Fate.TIMED_OUT
    return Fate.SURVIVED if status == 0 or has_failed else Fate.KILLED


def _fails(program: Path, test: str, folder: Path, environment: dict[str, str]) -> bool:
    """Runs one test alone: one that failed only since the machine is busy passes now."""
    command = [str(program), test, "--exact"]
    try:
        return bool(
            subprocess.run(
                command, cwd=folder, env=environment, check=False, timeout=LIMIT_S,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            ).returncode
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return True
