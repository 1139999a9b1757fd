"""Lists and runs Rust mutants with cargo-mutants, in a copy of the workspace."""

import json
import os
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Final

from mutants.mutation import Mutant
from mutants.verdict import Fate

LIMIT_S: Final = 300
"""The time that the tests of one mutant may take."""
_COPIED: Final = ("Cargo.toml", "Cargo.lock", "engine", "proto")
_FATES: Final = {
    "CaughtMutant": Fate.KILLED,
    "MissedMutant": Fate.SURVIVED,
    "Timeout": Fate.TIMED_OUT,
    "Unviable": Fate.UNBUILT,
}


class CargoError(Exception):
    """cargo-mutants gave no verdict."""


def _cargo_mutants() -> str:
    """Returns the command, as `make mutants` installs it, or as it stands on PATH."""
    name = os.environ.get("CARGO_MUTANTS", "cargo-mutants")
    if (command := shutil.which(name)) is None:
        raise CargoError(f"{name} is not here; run `make mutants`, which installs it")
    return str(Path(command).resolve())


def found(root: Path, package: str, patterns: list[str]) -> dict[str, Mutant]:
    """Returns every mutant of the functions in a package's files, by the name
    that cargo-mutants gives.
    """
    command = [_cargo_mutants(), "mutants", "--list", "--json", "--package", package]
    for pattern in patterns:
        command += ["--file", pattern]
    listing = subprocess.run(command, cwd=root, check=True, capture_output=True).stdout
    seen: Counter[tuple[str, str]] = Counter()
    mutants = {}
    for entry in json.loads(listing):
        if entry["function"] is None:  # a constant: the size of something, not what is done
            continue
        function = entry["function"]["function_name"]
        mutation = re.sub(r"^[^ ]*:\d+:\d+: ", "", entry["name"])
        seen[entry["file"], mutation] += 1
        if (nth := seen[entry["file"], mutation]) > 1:
            mutation += f" #{nth}"
        mutants[entry["name"]] = Mutant(entry["file"], function, mutation)
    return mutants


def judge(root: Path, package: str, names: list[str]) -> dict[str, Fate]:
    """Returns what a package's tests make of mutants.
    Raises `CargoError` if they fail without one.
    """
    folder = root / "build" / "mutants" / "rust"
    shutil.rmtree(folder, ignore_errors=True)
    for name in _COPIED:
        copy = shutil.copytree if (root / name).is_dir() else shutil.copy2
        folder.mkdir(parents=True, exist_ok=True)
        copy(root / name, folder / name)
    # The last build of an earlier draw had a fault in it; cargo compares the age of the files.
    for source in (folder / "engine" / "crates" / package / "src").rglob("*.rs"):
        source.touch()
    # Not optimized: each mutant is compiled once and run for seconds.
    quick = f"--config=profile.dev.package.{package}.opt-level=0"
    command = [_cargo_mutants(), "mutants", "--in-place", "--package", package]
    command += ["--cargo-arg=--locked", f"--cargo-arg={quick}", f"--timeout={LIMIT_S}"]
    # The expressions do not keep out fields that are left out of a struct; those are not looked at.
    for file in {name.split(":")[0] for name in names}:
        command += ["--file", file]
    for name in names:
        command += ["--re", f"^{re.escape(name)}$"]
    target = os.environ.get("CARGO_TARGET_DIR", "target")
    environment = os.environ | {"CARGO_TARGET_DIR": str(root / target)}
    status = subprocess.run(command, cwd=folder, env=environment, check=False).returncode
    outcomes = folder / "mutants.out" / "outcomes.json"
    if not outcomes.exists():
        raise CargoError(f"cargo-mutants ended with {status}; see its output above")
    fates = {
        outcome["scenario"]["Mutant"]["name"]: _FATES.get(outcome["summary"], Fate.UNBUILT)
        for outcome in json.loads(outcomes.read_text())["outcomes"]
        if outcome["scenario"] != "Baseline"
    }
    if missing := [name for name in names if name not in fates]:
        raise CargoError(f"cargo-mutants gave no verdict on {', '.join(missing)}")
    return fates
