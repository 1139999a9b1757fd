"""What an import says to people."""

from collections import Counter

import msgspec

from headgate.engines.nginx.importing.bundle import REASON
from headgate.engines.nginx.importing.imported import Fate, Imported, Note
from headgate.engines.nginx.importing.objects import is_refusal
from headgate.engines.nginx.linting.finding import Finding


class Kept(msgspec.Struct, frozen=True):
    """A block that was kept verbatim, and why."""

    file: str
    line: int
    name: str
    why: str


class Report(msgspec.Struct, frozen=True):
    """The import in figures and lists.

    `objects` counts model objects by section, `directives` all of the original, `modelled` those
    that became model, `not_imported` the routes that refuse because what they stand for has no
    counterpart; `kept` are blocks that could have become model but for the reason given,
    `verbatim` every directive that was kept.
    """

    entry: str
    files: int
    directives: int
    modelled: int
    objects: dict[str, int]
    not_imported: int
    kept: tuple[Kept, ...]
    verbatim: tuple[Fate, ...]
    notes: tuple[Note, ...]
    findings: tuple[Finding, ...]


def report(one: Imported, findings: tuple[Finding, ...]) -> Report:
    """The report of an import."""
    return Report(
        one.entry,
        len(one.verbatim),
        len(one.fates),
        one.modelled,
        dict(Counter(item.section for item in one.objects if not is_refusal(item))),
        sum(map(is_refusal, one.objects)),
        tuple(Kept(f.file, f.line, f.name, f.why) for f in one.fates if f.why and not f.object),
        one.kept,
        one.notes,
        findings,
    )


def to_text(of: Report) -> str:
    """The report as text: figures, then one line for each thing to look at."""
    objects = ", ".join(f"{count} {section}" for section, count in of.objects.items())
    lines = [
        f"{of.entry}: {of.files} files, {of.directives} directives",
        f"model: {of.modelled} directives ({objects or 'no objects'})",
        f"verbatim: {of.directives - of.modelled} directives",
    ]
    if of.not_imported:
        lines.append(f"not imported: {of.not_imported} routes answer 503 ({REASON})")
    lines += [f"  {one.file}:{one.line}: {one.name} kept: {one.why}" for one in of.kept]
    if of.notes:
        lines.append(f"differs: {len(of.notes)}")
        lines += [f"  {one.file}:{one.line}: {one.message}" for one in of.notes]
    lines.append(f"risky: {len(of.findings)}")
    lines += [f"  {one}" for one in of.findings]
    return "\n".join(lines) + "\n"
