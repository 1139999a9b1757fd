"""The table of the import drill."""

from collections.abc import Sequence
from typing import NamedTuple

_WHY = 90


class Row(NamedTuple):
    """What one unit showed; `why` is nginx's complaint, or what is wrong."""

    project: str
    name: str
    kind: str
    files: int = 0
    directives: int = 0
    lossless: bool = False
    modelled: int = 0
    original: bool = False
    rerendered: bool = False
    equal: bool = False
    why: str = ""
    refused: bool = False

    @property
    def is_good(self) -> bool:
        """Whether nothing was lost: accepted as before, equal where it was kept."""
        if self.refused:
            return not self.original
        return self.lossless and self.equal and (self.rerendered or not self.original)

    def line(self) -> str:
        """One line for the terminal."""
        mark = "ok  " if self.is_good else "FAIL"
        return (
            f"{mark} {self.project} {self.name} ({self.kind}): {self.files} files, "
            f"{self.directives} directives, {self.modelled} model; "
            f"nginx {_word(self.original)} then {_word(self.rerendered)} {self.why[:_WHY]}"
        )


def markdown(rows: Sequence[Row]) -> str:
    """The rows as a table, and their sums."""
    lines = [
        "| project | config | kind | files | directives | lossless | model | verbatim "
        "| original accepted | re-render accepted | tokens equal |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.project.replace('+', '/')} | {row.name} | {row.kind} | {row.files} "
        f"| {row.directives} | {_yes(row.lossless)} | {row.modelled} "
        f"| {row.directives - row.modelled} | {_yes(row.original)} | {_yes(row.rerendered)} "
        f"| {'refused' if row.refused else _yes(row.equal)} |"
        for row in rows
    ]
    projects = len({row.project for row in rows})
    accepted = [row for row in rows if row.original]
    refused = sum(row.refused for row in rows)
    lines += [
        "",
        f"{len(rows)} configs of {projects} projects: {sum(r.lossless for r in rows)} lossless, "
        f"{sum(r.equal for r in rows)} with equal tokens, {refused} refused with file and line "
        f"(nginx refuses the same); nginx accepts {len(accepted)} of the "
        f"originals and {sum(r.rerendered for r in accepted)} of these after the re-render; "
        f"{sum(r.modelled for r in rows)} of {sum(r.directives for r in rows)} directives became "
        "model.",
    ]
    return "\n".join(lines) + "\n"


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _word(value: bool) -> str:
    return "accepts" if value else "refuses"
