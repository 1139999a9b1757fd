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
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from mutants.mutation import Mutant
from mutants.python import Overlays
from mutants.reached import LIMIT_S, fate, reaches
from mutants.together import MODULE, SWITCH, Fault, Switched, switched
from mutants.verdict import Fate

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


def judge(
    root: Path,
    packages: list[str],
    mutants: dict[Mutant, Fault],
    further: dict[Mutant, list[str]],
    jobs: int,
) -> dict[Mutant, Fate]:
    """Returns what the tests of packages, and further ones in Python, make of mutants of the first.
    Raises `CargoError` if they do not build, and `NoVerdictError` if they fail without one.
    """
    workspace = Workspace(root, packages)
    numbered = dict(enumerate(mutants.items(), 1))
    tests, fates = workspace.build({number: fault for number, (_, fault) in numbered.items()})
    reached = reaches(tests, workspace.crate, workspace.environment, jobs)

    def one(number: int) -> None:
        if number not in fates:
            fates[number] = fate(reached, number, workspace.crate, workspace.environment)
        sys.stdout.write(f"{fates[number] or 'is built alone'}: {numbered[number][0]}\n")
        sys.stdout.flush()

    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(one, numbered))
    survived = {n: further[m] for n, (m, _) in numbered.items() if fates[n] is Fate.SURVIVED}
    fates |= _judge_further(workspace, {n: tests for n, tests in survived.items() if tests}, jobs)
    alone = [fault.name for number, (_, fault) in numbered.items() if fates[number] is None]
    more = workspace.judge_alone(alone) if alone else {}
    return {mutant: fates[n] or more[fault.name] for n, (mutant, fault) in numbered.items()}


def _judge_further(
    workspace: "Workspace", further: dict[int, list[str]], jobs: int
) -> dict[int, Fate]:
    """Runs tests in Python with the extension that has all faults in it."""
    if not further:
        return {}

    def one(number: int) -> Fate:
        with overlays.one() as overlay:
            fate = overlay.judge_switched({SWITCH: str(number)}, further[number])
        sys.stdout.write(f"{fate} by tests in Python: mutant {number}\n")
        sys.stdout.flush()
        return fate

    built = workspace.extension()
    with Overlays(workspace.root, jobs, built) as overlays, ThreadPoolExecutor(jobs) as pool:
        return dict(zip(further, pool.map(one, further), strict=True))


class Workspace:
    """A copy of the Rust workspace, in which faults are built."""

    def __init__(self, root: Path, packages: list[str]) -> None:
        self.root = root
        self._packages = packages
        self._folder = root / "build" / "mutants" / "rust"
        self._crates = [self._folder / "engine" / "crates" / package for package in packages]
        self.crate = self._crates[0]
        target = os.environ.get("CARGO_TARGET_DIR", "target")
        self.environment = os.environ | {"CARGO_TARGET_DIR": str(root / target)}
        # Not optimized: each fault is compiled once and run for seconds.
        settings = ("opt-level=0", "debug=false")
        self._quick = [f"--config=profile.dev.package.{packages[0]}.{one}" for one in settings]

    def _copy(self) -> None:
        """Makes the copy anew, without a fault."""
        shutil.rmtree(self._folder, ignore_errors=True)
        for name in _COPIED:
            copy = shutil.copytree if (self.root / name).is_dir() else shutil.copy2
            self._folder.mkdir(parents=True, exist_ok=True)
            copy(self.root / name, self._folder / name)
        # The last build had a fault in it; cargo compares the age of the files.
        for crate in self._crates:
            for source in (crate / "src").rglob("*.rs"):
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
                raise CargoError(f"{self._packages[0]} does not build; see the errors above")
            fates |= bad

    def _put(self, faults: dict[int, Fault]) -> dict[str, Switched]:
        """Writes the files that have faults, and those that have none any more."""
        by_file: defaultdict[str, dict[int, Fault]] = defaultdict(dict)
        for number, fault in faults.items():
            by_file[fault.file][number] = fault
        files = {}
        roots = [crate / "src" / "lib.rs" for crate in self._crates]
        for path in {*(self.crate / "src").rglob("*.rs"), *roots}:
            name = str(path.relative_to(self._folder))
            source = (self.root / name).read_text()
            if name in by_file:
                files[name] = switched(source, by_file[name])
                source = files[name].source
            if path in roots:
                source += MODULE
            if path.read_text() != source:
                path.write_text(source)
        return files

    def _compile(self) -> tuple[list[Path], list[dict[str, Any]]]:
        """Returns the test programs, those of the library first; or the errors if there are any."""
        command = ["cargo", "test", "--locked", "--no-run", "--message-format=json"]
        command += [*(f"--package={package}" for package in self._packages), *self._quick]
        run = subprocess.run(
            command, cwd=self._folder, env=self.environment, stdout=subprocess.PIPE, check=False
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

    def extension(self) -> Path:
        """Builds the extension of Python with the faults that are in place."""
        command = ["cargo", "build", "--locked", "--message-format=json", "--package=hg-py"]
        run = subprocess.run(
            [*command, *self._quick], cwd=self._folder, env=self.environment,
            stdout=subprocess.PIPE, check=False,
        )  # fmt: skip
        said = [json.loads(line) for line in run.stdout.splitlines() if line.startswith(b"{")]
        made = [one for one in said if "cdylib" in one.get("target", {}).get("kind", ())]
        files = [file for one in made for file in one["filenames"] if file.endswith(".so")]
        if run.returncode or not files:
            raise CargoError("the extension does not build with the faults")
        built = self._folder / "extension.so"  # the next build takes cargo's own away
        shutil.copy2(files[-1], built)
        return built

    def judge_alone(self, names: list[str]) -> dict[str, Fate]:
        """Has cargo-mutants build and judge mutants one by one."""
        self._copy()
        command = [_cargo_mutants(), "mutants", "--in-place", "--package", self._packages[0]]
        command += [f"--test-package={package}" for package in self._packages]
        command += ["--cargo-arg=--locked", f"--timeout={LIMIT_S}"]
        command += [f"--cargo-arg={setting}" for setting in self._quick]
        # The expressions do not keep out fields that are left out of a struct: not looked at.
        for file in {name.split(":")[0] for name in names}:
            command += ["--file", file]
        for name in names:
            command += ["--re", f"^{re.escape(name)}$"]
        run = subprocess.run(command, cwd=self._folder, env=self.environment, check=False)
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
        made = files.get(os.path.normpath(span["file_name"]))  # hg-sim includes the sources
        if made is None or not span["is_primary"]:
            continue
        line = span["line_start"]
        inside = [number for number, lines in made.faults.items() if line in lines]
        around = [number for number, lines in made.functions.items() if line in lines]
        fates |= dict.fromkeys(inside, Fate.UNBUILT) or dict.fromkeys(around, None)
    return fates
