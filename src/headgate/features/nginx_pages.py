"""Pages of a chain in nginx: which statuses have one, and the variables of its text and type.

A page becomes maps of `$status`, because nginx reads words of 4 KB at most: pieces of its text, the
text of them, and the choice of the text.
"""

from dataclasses import dataclass, field
from typing import Final

from headgate.features.nginx import Entry, Parts, Shared, as_arg
from headgate.nginxtext.writer import Arg, Literal, Regex, Var, Word

ERRORS: Final = range(400, 600)
"""Statuses that may have pages."""

UNANSWERED: Final = frozenset({408, 444, 494, 495, 496, 497, 499})
"""Statuses for which nginx ends the connection, or answers 400."""

KEPT: Final = (
    "access-control-allow-credentials",
    "access-control-allow-origin",
    "access-control-expose-headers",
    "allow",
    "cache-control",
    "clear-site-data",
    "content-security-policy",
    "cross-origin-embedder-policy",
    "cross-origin-opener-policy",
    "cross-origin-resource-policy",
    "expires",
    "link",
    "permissions-policy",
    "pragma",
    "ratelimit",
    "ratelimit-policy",
    "referrer-policy",
    "server-timing",
    "strict-transport-security",
    "vary",
    "x-content-type-options",
    "x-frame-options",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
    "x-request-id",
    "x-robots-tag",
)
"""Headers of an endpoint's answer that come along with a page, beside those that need care."""

_STATUS: Final = Var("status")
_NONE: Final = Literal("")
_PIECE: Final = 2_000
_LONGEST: Final = 3_500
_HUNDRED: Final = 100
_MOST_OF: Final = 50

Page = tuple[Var, str]
"""The variable of its text, and its type."""


@dataclass(slots=True)
class Pages:
    """The pages of a chain by status; those of a later middleware count."""

    _by_status: dict[int, Page] = field(default_factory=dict)

    def add(self, pages: dict[int, Page]) -> None:
        """Adds the pages of the next middleware of the chain."""
        self._by_status.update(pages)

    def has(self, status: int) -> bool:
        """Reports whether there is a page for an answer with this status."""
        return status in self._by_status

    @property
    def statuses(self) -> list[int]:
        """The statuses that nginx can answer with a page, in order."""
        return sorted(self._by_status.keys() - UNANSWERED)

    def text(self, shared: Shared, otherwise: Arg = _NONE) -> Var:
        """Returns the variable of the text for the answer's status."""
        return self._chosen(
            "page", shared, {s: p[0] for s, p in self._by_status.items()}, otherwise
        )

    def kind(self, shared: Shared, otherwise: str = "") -> Var:
        """Returns the variable of the `Content-Type` for the answer's status."""
        kinds: dict[int, Arg] = {s: Literal(page[1]) for s, page in self._by_status.items()}
        return self._chosen("page_type", shared, kinds, Literal(otherwise))

    def _chosen(
        self, hint: str, shared: Shared, values: "dict[int, Var] | dict[int, Arg]", otherwise: Arg
    ) -> Var:
        """Returns a map of the status; a value for most of a hundred is one line."""
        exact: list[Entry] = []
        whole: list[Entry] = []
        for first in (ERRORS.start, ERRORS.start + _HUNDRED):
            found = {s: one for s, one in values.items() if first <= s < first + _HUNDRED}
            counts = {one: sum(other == one for other in found.values()) for one in found.values()}
            usual = next((one for one, n in counts.items() if n > _MOST_OF), None)
            if usual is not None and len(found) == _HUNDRED:
                whole.append((Regex(rf"~\A{first // _HUNDRED}"), usual))
                found = {s: one for s, one in found.items() if one != usual}
            exact += [(Word(str(s)), found[s]) for s in sorted(found)]
        return shared.map(hint, _STATUS, (*exact, *whole), otherwise)


def text_of(parts: Parts, shared: Shared) -> Var:
    """Returns the variable of a text of any length.

    Raises `UnsafeValueError` for characters that nginx's text cannot hold, and for a text of which
    even the names of the pieces are too long for a word.
    """
    small: list[str | Var] = []
    for part in parts:
        if isinstance(part, Var):
            small.append(part)
        else:
            small += [part[at : at + _PIECE] for at in range(0, len(part), _PIECE)]
    pieces: list[Var] = []
    taken: list[str | Var] = []
    for one in small:
        for piece in _fitting(one):
            if _length((*taken, piece)) > _LONGEST:
                pieces.append(_piece(taken, shared))
                taken = []
            taken.append(piece)
    if not pieces:
        return _piece(taken, shared)
    return _piece([*pieces, _piece(taken, shared)], shared)


def _fitting(part: str | Var) -> list[str | Var]:
    """Returns a part in halves until each fits into a word, which quotes make longer."""
    if isinstance(part, Var) or _length((part,)) <= _LONGEST:
        return [part]
    half = len(part) // 2
    return [*_fitting(part[:half]), *_fitting(part[half:])]


def _length(parts: Parts) -> int:
    """Returns how long parts are as nginx reads them."""
    found = 0
    for part in parts:
        if isinstance(part, Var):
            found += len(part.name) + 3
        else:
            doubled = sum(part.count(char) for char in '\\"\n\r\t')
            found += len(part.encode(errors="replace")) + doubled + 11 * part.count("$")
    return found


def _piece(parts: list[str | Var], shared: Shared) -> Var:
    return shared.map("page_text", _NONE, (), as_arg(tuple(parts), lines=True))
