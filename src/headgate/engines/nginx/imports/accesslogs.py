"""Converts `access_log`: one log becomes that of the node, `off` becomes the switch of routes.

The node has one log for all requests. It is the first one of `http` whose lines would be the same,
or, where `http` has none, the one that all its servers have. Every other log of a place that became
a route stays in the text, and the report says so with its line.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from pydantic import ValidationError

from headgate.engines.nginx.imports import imported, logformats, skeleton, splits, values
from headgate.engines.nginx.imports.around import Around, Level
from headgate.engines.nginx.imports.gathering import Gathered
from headgate.engines.nginx.imports.logformats import BUILT_IN
from headgate.engines.nginx.imports.objects import (
    ModelObject,
    NotExpressibleError,
    Table,
    Toml,
    collected,
    object_path,
)
from headgate.model.access_log import AccessLog
from headgate.nginxtext.includes import Located, Tree
from headgate.nginxtext.tree import Directive, walk
from headgate.nginxtext.writer import FilePath, UnsafeValueError, Word, argument, directive

NAME: Final = b"access_log"
FORMAT: Final = b"log_format"
KEY: Final = "access_log"

_STDOUT: Final = "/dev/stdout"
_BUFFERED: Final = (b"buffer=", b"flush=")
"""Words that say when lines are written, and not which."""

_WORDS: Final = 2
_ONE: Final = "`node.access_log` is one log for all requests"
_STREAMS: Final = "TCP connections and UDP flows of `stream` would have lines in it, too"
_CONNECTIONS: Final = (
    "lines of TCP connections and UDP flows are in `node.access_log` alone here, in another form"
)
_PATH: Final = object_path("node", KEY)


class _Log(NamedTuple):
    """An `access_log`: its path, the name of its format, and further words."""

    path: bytes
    format: bytes
    more: tuple[bytes, ...]


class _Chosen(NamedTuple):
    """The log that became the node's: its table, its `access_log` lines, and its `log_format`,
    None = the one that nginx has built in.
    """

    table: Table
    lines: Sequence[Located]
    format: Located | None


def is_off(lines: Sequence[Located]) -> bool:
    """Reports whether the `access_log` lines of one block say that nothing is logged."""
    return any(one.directive.values == (b"off",) for one in lines)


def silenced(lines: Sequence[Located], file: str) -> tuple[Directive, ...]:
    """Returns the lines of a block, in its own file, that become the switch of its route."""
    return tuple(
        one.directive
        for one in lines
        if one.file == file and one.directive.name == NAME and is_off([one])
    )


def switch(around: Around) -> dict[str, Toml]:
    """Returns the key of a route whose requests have no lines, because its location or its server
    says so; an empty table for others.
    """
    return {KEY: False} if is_off(_nearest(around)) else {}


def switched_off(route: Table) -> list[Directive]:
    """Returns the lines of a location for its route."""
    return [directive("access_log", Word("off"))] if route.get(KEY) is False else []


def _nearest(around: Around) -> Sequence[Located]:
    """Returns the lines below `http` that count for a place."""
    return next((found for level in around.levels[:-1] if (found := level.named(NAME))), ())


def notes_of(around: Around) -> tuple[str, ...]:
    """Returns how the lines of a place that forwards differ, whatever they say."""
    asks = around.nearest(b"auth_request") or around.nearest(b"mirror")
    if asks and around.value(b"log_subrequest", b"off") == b"on":
        return ("`log_subrequest`: what `auth_request` and `mirror` ask has no lines here",)
    return ()


def keep_of_streams(gathered: Gathered, levels: Sequence[Level]) -> None:
    """Reports the logs of a server of `stream`; `levels` are its own and what it stands in."""
    lines = next((found for level in levels if (found := level.named(NAME))), ())
    for one in () if is_off(lines) else lines:
        gathered.keep(one, _CONNECTIONS)


class NodeLog:
    """Finds the log of the node, once all routes are there; `servers` are the lines of each."""

    def __init__(
        self, tree: Tree, gathered: Gathered, http: Level, servers: Sequence[Level]
    ) -> None:
        self._tree = tree
        self._gathered = gathered
        self._http = http
        self._servers = servers

    def run(self, *, has_streams: bool, is_trusting: bool) -> tuple[ModelObject, ...]:
        """Marks what became the log and reports the others; returns the log, if there is one.

        `has_streams` says that connections or flows have routes, `is_trusting` that listeners
        believe some peers.
        """
        if not self._gathered.places:
            return ()
        chosen: _Chosen | None = None
        for lines in self._candidates():
            try:
                if has_streams:
                    raise NotExpressibleError(_STREAMS)
                if chosen is not None:
                    raise NotExpressibleError(_instead(chosen))
                chosen = self._chosen(lines, is_trusting=is_trusting)
            except NotExpressibleError as error:
                for one in lines:
                    self._gathered.keep(one, str(error))
        self._below(chosen)
        return () if chosen is None else self._taken(chosen)

    def _candidates(self) -> list[Sequence[Located]]:
        """Returns the logs that all requests have, each with the lines that say so."""
        own = self._http.named(NAME)
        if own:
            return [] if is_off(own) else [(one,) for one in own]
        logging = [one for level in self._servers if not is_off(one := level.named(NAME))]
        words = {tuple(one.directive.values for one in lines) for lines in logging}
        return list(zip(*logging, strict=True)) if len(words) == 1 else []

    def _chosen(self, lines: Sequence[Located], *, is_trusting: bool) -> _Chosen:
        """Returns a log that the node can have; raises `NotExpressibleError` with all obstacles."""
        log = _read(lines[0])
        whys: list[str] = []
        sink = collected(whys, lambda: _sink(log))
        line = collected(whys, lambda: self._format(log.format))
        says: Table | None = None
        if line is not None or log.format == BUILT_IN.name.encode():
            says = collected(whys, lambda: self._says(line, is_trusting=is_trusting))
        if sink is None or says is None:
            raise NotExpressibleError("; ".join(whys))
        for one in (*lines, *((line,) if line is not None else ())):
            self._gathered.check_own_file(one)
        return _Chosen({**says, **sink}, lines, line)

    def _says(self, line: Located | None, *, is_trusting: bool) -> Table:
        """Returns what a format says of a line, None = the built-in one.

        Raises `NotExpressibleError` with the name and the place of the format.
        """
        form = BUILT_IN if line is None else logformats.read(line.directive)
        form = form._replace(is_trusting=is_trusting, own=frozenset(self._set()))
        try:
            table = _validated(logformats.table_of(form))
            argument(logformats.to_nginx(table))
        except (NotExpressibleError, UnsafeValueError) as error:
            place = f" ({line.file}:{line.directive.line})" if line is not None else ""
            raise NotExpressibleError(f"`log_format {form.name}`{place}: {error}") from None
        return table

    def _format(self, name: bytes) -> Located | None:
        """Returns the line of a format, None for the built-in one; raises `NotExpressibleError`."""
        for line in self._http.named(FORMAT):
            if line.directive.values[:1] == (name,):
                return line
        if values.text(name) == BUILT_IN.name:
            return None
        raise NotExpressibleError(f"`log_format {values.text(name)}` is not there")

    def _set(self) -> Iterator[bytes]:
        for document in self._tree.documents.values():
            for line in walk(document.nodes):
                yield from splits.made_by(line)

    def _below(self, chosen: _Chosen | None) -> None:
        """Reports the logs of servers and locations that are not the node's."""
        why = _ONE if chosen is None else _instead(chosen)
        same = None if chosen is None else _read(chosen.lines[0])
        for around in self._gathered.places:
            lines = _nearest(around)
            for one in () if is_off(lines) else lines:
                if same is None or _read(one) != same:
                    self._gathered.keep(one, why)

    def _taken(self, chosen: _Chosen) -> tuple[ModelObject, ...]:
        for line in chosen.lines:
            instead = skeleton.placeholder(imported.ACCESS_LOG, line.directive.args[1:])
            self._gathered.replace(line, _PATH, instead)
        if chosen.format is not None:
            words = chosen.format.directive.args
            kept = words[: _WORDS if _has_escape(chosen.format.directive) else 1]
            instead = skeleton.placeholder(imported.LOG_FORMAT, kept)
            self._gathered.replace(chosen.format, _PATH, instead)
        for line, note in _notes(chosen):
            self._gathered.note(line, note)
        return (ModelObject("node", KEY, chosen.table),)


def _has_escape(line: Directive) -> bool:
    return len(line.args) > 1 and line.values[1].startswith(b"escape=")


def _read(line: Located) -> _Log:
    words = line.directive.values
    path, name, *more = (*words, *(b"", BUILT_IN.name.encode())[len(words) :])
    return _Log(path, name, tuple(one for one in more if not one.startswith(_BUFFERED)))


def _sink(log: _Log) -> dict[str, Toml]:
    """Returns where lines go; raises `NotExpressibleError`."""
    path = values.text(log.path)
    if log.more:
        raise NotExpressibleError(f"`{values.text(log.more[0])}` has no counterpart")
    if path.startswith("syslog:"):
        raise NotExpressibleError("nginx sends RFC 3164 to syslog, headgate RFC 5424")
    if values.has_variables(log.path):
        raise NotExpressibleError("its path has variables")
    if not path.startswith("/"):
        raise NotExpressibleError("its path is relative to nginx's prefix, which no config names")
    try:
        argument(FilePath(path))
    except UnsafeValueError as error:
        raise NotExpressibleError(f"its path: {error}") from None
    return {} if path == _STDOUT else {"sink": {"path": path}}


def _validated(table: dict[str, Toml]) -> dict[str, Toml]:
    try:
        AccessLog.model_validate(table)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise NotExpressibleError(str(first["msg"])) from None
    return table


def _where(table: Table, stdout: str = "standard output") -> str:
    sink = table.get("sink", "stdout")
    return str(sink["path"]) if isinstance(sink, Mapping) else stdout


def _instead(chosen: _Chosen) -> str:
    return f"the node has one access log, which is {_where(chosen.table)}"


def _notes(chosen: _Chosen) -> Iterator[tuple[Located, str]]:
    """Yields what differs on the native engine, each with the line that it is about."""
    if "sink" in chosen.table:
        yield (
            chosen.lines[0],
            f"access_log: the native engine itself writes {_where(chosen.table)}: its user must be "
            "allowed to, and what rotates it must send SIGUSR1 to headgate",
        )
    if chosen.format is not None and logformats.has_texts(chosen.table):
        yield (
            chosen.format,
            "log_format: natively an empty value is `-`, values end after 1 KiB and targets after "
            "8 KiB, several lines of a header are joined, and parameters of `node.redact_query` "
            "are hidden",
        )


def to_nginx(line: Directive, log: Table) -> Directive:
    """Returns the `access_log` or `log_format` that a placeholder stands for.

    Raises `LookupError` for fields that nginx has no variable of its own for, and for a sink that
    is neither a file nor standard output.
    """
    if line.name == imported.ACCESS_LOG:
        path = argument(FilePath(_where(log, _STDOUT)))
        return Directive(NAME, (path, *line.args))
    return Directive(FORMAT, (*line.args, argument(logformats.to_nginx(log))))
