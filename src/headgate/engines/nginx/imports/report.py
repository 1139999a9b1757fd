"""Reports an import to people."""

from collections import Counter

import msgspec

from headgate.engines.nginx.imports.bundle import REASON
from headgate.engines.nginx.imports.imported import Fate, Imported, Note
from headgate.engines.nginx.imports.objects import ModelObject, is_refusal
from headgate.engines.nginx.imports.samples import Tried
from headgate.engines.nginx.lint.finding import Finding

_SHOWN = 20


class Kept(msgspec.Struct, frozen=True):
    """A directive that was kept verbatim, and why."""

    file: str
    line: int
    name: str
    why: str


class Report(msgspec.Struct, frozen=True):
    """The import in figures and lists.

    `objects` counts model objects by section, and settings of the node by their key, `directives`
    all of the original, `modelled` those that became model, `not_imported` the routes that refuse a
    place without counterpart; `kept` are what could have become model but for its reason,
    `verbatim` every directive that was kept; `tried` are requests that an engine answers otherwise.
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
    tried: Tried


def report(one: Imported, findings: tuple[Finding, ...], tried: Tried) -> Report:
    """Returns the report of an import."""
    return Report(
        one.entry,
        len(one.verbatim),
        len(one.fates),
        one.modelled,
        dict(Counter(_kind(item) for item in one.objects if not is_refusal(item))),
        sum(map(is_refusal, one.objects)),
        tuple(Kept(f.file, f.line, f.name, f.why) for f in one.fates if f.why and not f.object),
        one.kept,
        one.notes,
        findings,
        tried,
    )


def _kind(item: ModelObject) -> str:
    """Returns what an object counts as: its section, or the setting of the node that it is."""
    return item.name if item.section == "node" else item.section


def to_text(of: Report) -> str:
    """Returns the report as text: figures, then one line for each thing to look at."""
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
    lines += _tried(of.tried)
    return "\n".join(lines) + "\n"


def _tried(of: Tried) -> list[str]:
    """Returns the requests with other answers, as many as a person reads."""
    source = "made from the locations" if of.made else "of the access log"
    lines = [f"tried: {of.requests} requests {source}"]
    count = sum(one.requests for one in of.native)
    if of.untried:
        lines.append(f"  engine native: not tried, {of.untried}")
    else:
        lines.append(f"  engine native: {count} would be answered otherwise")
    lines += [
        f"    {one.requests} times {one.method} {one.url}: {one.answer}"
        for one in of.native[:_SHOWN]
    ]
    if len(of.native) > _SHOWN:
        lines.append(f"    and {len(of.native) - _SHOWN} more (--output json has them all)")
    if of.nginx:
        lines.append(f"  engine nginx: the text differs from the original at {', '.join(of.nginx)}")
    else:
        lines.append("  engine nginx: none, it runs the original's directives word by word")
    return lines
