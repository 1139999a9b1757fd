"""Compares the results of a draw with the committed list of survivors; reads only that list."""

import tomllib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from mutants.mutation import Mutant

Key = tuple[str, str, str]


class Fate(StrEnum):
    """The result of a mutant's tests."""

    KILLED = "killed"
    TIMED_OUT = "timed out"
    SURVIVED = "survived"
    UNBUILT = "does not build"


class NoVerdictError(Exception):
    """The tests give no verdict: they fail without a mutant, or none were found."""


@dataclass(frozen=True)
class Judged:
    """A drawn mutant and its fate."""

    area: str
    mutant: Mutant
    fate: Fate


def listed(path: Path) -> dict[Key, str]:
    """Returns the reason of each listed survivor. Raises `ValueError` for an entry without one."""
    known: dict[Key, str] = {}
    for entry in tomllib.loads(path.read_text()).get("survivor", []):
        key = (entry["file"], entry["function"], entry["mutation"])
        if not str(entry.get("reason", "")).strip():
            raise ValueError(f"{path.name}: {' '.join(key)} has no reason; say why it may survive")
        if key in known:
            raise ValueError(f"{path.name}: {' '.join(key)} is listed twice; remove one")
        known[key] = entry["reason"]
    return known


def gone(known: Iterable[Key], existing: Iterable[Mutant]) -> list[str]:
    """Returns a complaint for each listed survivor that no source has any more."""
    there = {mutant.key for mutant in existing}
    return [
        f"listed, but this mutant does not exist: {': '.join(key)}; remove the entry"
        for key in known
        if key not in there
    ]


def complaints(judged: Iterable[Judged], known: dict[Key, str]) -> list[str]:
    """Returns where the list and the results of a draw disagree."""
    wrong = []
    for one in judged:
        if one.fate is Fate.SURVIVED and one.mutant.key not in known:
            wrong.append(f"survived: {one.mutant}; write the test that notices it")
        if one.fate in {Fate.KILLED, Fate.TIMED_OUT} and one.mutant.key in known:
            wrong.append(f"listed, but a test notices it: {one.mutant}; remove the entry")
    return wrong


def table(judged: list[Judged]) -> list[str]:
    """Returns one line for each area, then their sum."""
    lines = []
    for area in [*dict.fromkeys(one.area for one in judged), None]:
        fates = Counter(one.fate for one in judged if area in {None, one.area})
        counts = ", ".join(f"{fates[fate]} {fate}" for fate in Fate)
        lines.append(f"{area or 'all'}: {fates.total()} drawn, {counts}")
    return lines
