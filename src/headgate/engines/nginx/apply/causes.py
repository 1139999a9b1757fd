"""Turns nginx's words into causes with file, line, object and advice. Pure."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from headgate.features.nginx import NO_OBJECT


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong with a release.

    `code` is stable: of `_KNOWN` or of our own checks; `file` is relative to the release,
    `line` from 1 (0: not known), `object` as in the block's comment (`route shop`).
    """

    code: str
    text: str
    file: str = ""
    line: int = 0
    object: str = ""
    is_error: bool = True
    is_transient: bool = False


_KNOWN: Final = (
    ("port_held", r"(?:still could not bind\(\)|bind\(\) to \S+ failed \(98)"),
    ("port_forbidden", r"bind\(\) to \S+ failed \(13"),
    ("address_missing", r"bind\(\) to \S+ failed \(99"),
    (
        "zone_clash",
        r"while previously|had previously|conflicts with already declared zone|zone .* is already",
    ),
    ("certificate", r"cannot load certificate|SSL_CTX_use_|PEM_read_bio|key values mismatch"),
    ("unresolvable", r"host not found in"),
    ("duplicate_name", r"conflicting server name"),
    ("duplicate_listen", r"duplicate listen options"),
    ("worker_init", r"exited with fatal code"),
    ("worker_crash", r"exited on signal"),
    ("no_space", r"\(28: No space left on device\)"),
    ("missing_file", r"\(2: No such file or directory\)"),
    ("forbidden", r"\(13: Permission denied\)"),
    (
        "syntax",
        r"unknown directive|unexpected|invalid number of arguments|is not allowed here"
        r"|not terminated|directive is duplicate|invalid (?:value|parameter|condition)",
    ),
)
_PATTERNS: Final = tuple((code, re.compile(pattern)) for code, pattern in _KNOWN)
_PLACE = re.compile(r" in (/[^\n]*?):([0-9]+)$")
_PREFIX = re.compile(
    r"^(?:nginx: |[0-9/]+ [0-9:]+ )?\[(?:emerg|alert|crit|warn|error)\] (?:[0-9]+#[0-9]+: )?"
)
_COMMENT = re.compile(r"\s*# ((?:route|upstream|host|listener|certificate|middleware) [^\s,]+)")
_NOBODY = f"# {NO_OBJECT}"
_UNFRUITFUL = frozenset({"address_missing", "no_space", "port_held", "unresolvable"})
"""Causes outside of the config: the same release may be accepted later."""


def finding_of(line: str, roots: tuple[str, ...], read: Callable[[str], str | None]) -> Finding:
    """Returns one of nginx's lines as a finding.

    `roots` are the folders that lead to the release; `read` gives the text of a file in it by its
    relative path, None if there is none.
    """
    text = _PREFIX.sub("", line.strip())
    code = next((code for code, pattern in _PATTERNS if pattern.search(text)), "nginx")
    file, number, about = "", 0, ""
    place = _PLACE.search(text)
    if place is not None:
        file, number = _relative(place[1], roots), int(place[2])
        about = object_at(read(file) or "", number)
    return Finding(code, text, file, number, about, is_transient=code in _UNFRUITFUL)


def findings_of(
    lines: tuple[str, ...], roots: tuple[str, ...], read: Callable[[str], str | None]
) -> tuple[Finding, ...]:
    """Returns all lines, each cause once, the most telling first: final words before retries."""
    found: dict[tuple[str, str, int], Finding] = {}
    for line in sorted(lines, key=lambda line: "still could not bind" in line):
        one = finding_of(line, roots, read)
        found.setdefault((one.code, one.file, one.line), one)
    return tuple(found.values())


def object_at(text: str, line: int) -> str:
    """Returns the object whose comment stands above a line (from 1):
    `route shop`; empty without one.
    """
    for above in reversed(text.split("\n")[:line]):
        if above.startswith(_NOBODY):
            return ""
        found = _COMMENT.match(above)
        if found is not None:
            return found[1]
    return ""


def _relative(path: str, roots: tuple[str, ...]) -> str:
    for root in roots:
        prefix = root.rstrip("/") + "/"
        if path.startswith(prefix):
            return path[len(prefix) :]
    return path
