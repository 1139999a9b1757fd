"""Types for the result of an import: model objects, kept text, and a line on each directive."""

from collections.abc import Mapping
from typing import Final

import msgspec

from headgate.engines.nginx.imports.objects import ModelObject
from headgate.nginxtext.includes import Problem

PREFIX: Final = b"headgate_"
"""The prefix of the directives in kept text that stand for what became model."""

UPSTREAM: Final = b"headgate_upstream"
LISTEN: Final = b"headgate_listen"
NAMES: Final = b"headgate_names"
CERTIFICATE: Final = b"headgate_certificate"
KEY: Final = b"headgate_certificate_key"
ROUTE: Final = b"headgate_route"
RETURN: Final = b"headgate_return"
TCP_ROUTE: Final = b"headgate_tcp_route"
UDP_ROUTE: Final = b"headgate_udp_route"
ACCESS_LOG: Final = b"headgate_access_log"
LOG_FORMAT: Final = b"headgate_log_format"

PLACEHOLDERS: Final = frozenset(
    {
        *(UPSTREAM, LISTEN, NAMES, CERTIFICATE, KEY, ROUTE, RETURN, TCP_ROUTE, UDP_ROUTE),
        *(ACCESS_LOG, LOG_FORMAT),
    }
)


class Fate(msgspec.Struct, frozen=True):
    """The fate of one directive: `object` is the path of a model object (`routes.shop`), empty
    where the directive was kept verbatim; `why` says why a block or a log that might have become
    model was kept, `refused_by` names the route that refuses what it would have answered.
    """

    file: str
    line: int
    column: int
    name: str
    object: str = ""
    why: str = ""
    refused_by: str = ""


class Note(msgspec.Struct, frozen=True):
    """A place to check, and what differs there."""

    file: str
    line: int
    message: str


class Imported(msgspec.Struct, frozen=True):
    """An imported config.

    `verbatim` are the files by path with a `headgate_…` directive in place of whatever became
    model: together with `objects` they are the whole original. `fates` has every directive of the
    original once, in the order of the files. `originals` are the texts that `headgate_…`
    directives stand for (`originals.key_of`).
    """

    entry: str
    objects: tuple[ModelObject, ...]
    verbatim: Mapping[str, bytes]
    fates: tuple[Fate, ...]
    notes: tuple[Note, ...]
    originals: Mapping[str, str] = {}

    @property
    def modelled(self) -> int:
        """The number of directives that became model."""
        return sum(1 for fate in self.fates if fate.object)

    @property
    def kept(self) -> tuple[Fate, ...]:
        """The directives that were kept verbatim."""
        return tuple(fate for fate in self.fates if not fate.object)


class ImportRefusedError(Exception):
    """The import would lose a part of the config; nothing has changed."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems
