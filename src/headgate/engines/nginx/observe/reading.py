"""Reads the facts about an nginx from its config's tree, with inheritance. Pure."""

import posixpath
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import msgspec

from headgate.engines.nginx.observe.facts import (
    AccessLogUse,
    BuiltIn,
    Facts,
    KeyPair,
    Listen,
    Server,
    StatusPage,
)
from headgate.engines.nginx.observe.listens import listen_of
from headgate.engines.nginx.observe.log_format import COMBINED, Escape, format_of
from headgate.nginxtext.includes import Located, Tree
from headgate.nginxtext.tree import Directive

_DEPTH: Final = 64
_LOG: Final = b"access_log"


@dataclass(frozen=True, slots=True)
class _Context:
    """The settings that a block inherits."""

    logs: tuple[tuple[str, ...], ...] = ()
    error_logs: tuple[str, ...] = ()
    certificates: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()


def facts_of(tree: Tree, built_in: BuiltIn) -> Facts:
    """Returns the facts of a config; `built_in` is what its binary falls back on."""
    return _Reader(tree, built_in).facts()


@dataclass(slots=True)
class _Reader:
    tree: Tree
    built_in: BuiltIn
    formats: dict[str, tuple[str, Escape]] = field(default_factory=dict)
    servers: list[Server] = field(default_factory=list)
    logs: dict[tuple[str, ...], dict[str, None]] = field(default_factory=lambda: defaultdict(dict))
    errors: dict[str, None] = field(default_factory=dict)
    pages: list[StatusPage] = field(default_factory=list)

    def facts(self) -> Facts:
        top = list(self.tree.top())
        context = _Context(logs=((self.built_in.http_log,),), error_logs=(self.built_in.error_log,))
        context = self._entered(top, context)
        self._errors_of(context)
        for one in top:
            if one.directive.name == b"http":
                self._http(one, context)
            elif one.directive.name == b"stream":
                self._stream(one, context)
        return Facts(
            files=tuple(self.tree.documents),
            servers=tuple(self.servers),
            access_logs=tuple(self._log_uses()),
            error_logs=tuple(self.errors),
            status_pages=tuple(self.pages),
            problems=tuple(str(problem) for problem in self.tree.problems),
        )

    def _http(self, block: Located, context: _Context) -> None:
        inside = list(self.tree.inside(block))
        for one in inside:
            if one.directive.name == b"log_format":
                self._format(one.directive)
        context = self._entered(inside, context)
        for one in inside:
            if one.directive.name == b"server":
                self._http_server(one, context)

    def _stream(self, block: Located, context: _Context) -> None:
        inside = list(self.tree.inside(block))
        context = self._entered(inside, context)
        for one in inside:
            if one.directive.name == b"server":
                own = list(self.tree.inside(one))
                self._server(one, own, self._entered(own, context))

    def _http_server(self, block: Located, context: _Context) -> None:
        inside = list(self.tree.inside(block))
        here = self._entered(inside, context)
        server = self._server(block, inside, here)
        self._logs_of(here, server.label)
        self._locations(inside, here, server)

    def _server(self, block: Located, inside: Sequence[Located], context: _Context) -> Server:
        self._errors_of(context)
        listens = _listens(inside)
        pairs = _pairs(context) if any(one.tls for one in listens) else ()
        server = Server(_names(inside), listens, pairs, block.file, block.directive.line)
        self.servers.append(server)
        return server

    def _locations(
        self, inside: Iterable[Located], context: _Context, server: Server, depth: int = 0
    ) -> None:
        """Reads the locations of a block, nested ones too."""
        for one in inside:
            if one.directive.name != b"location" or depth > _DEPTH:
                continue
            own = list(self.tree.inside(one))
            here = self._entered(own, context)
            self._logs_of(here, server.label)
            self._errors_of(here)
            if any(each.directive.name == b"stub_status" for each in own):
                is_logged = any(log and log[0] != "off" for log in here.logs)
                match = " ".join(_text(value) for value in one.directive.values)
                self._status_page(match, server, is_logged=is_logged)
            self._locations(own, here, server, depth + 1)

    def _status_page(self, match: str, server: Server, *, is_logged: bool) -> None:
        path = match.removeprefix("= ").removeprefix("^~ ")
        if not path.startswith("/"):
            return
        host = next((name for name in server.names if _is_plain(name)), "")
        for listen in server.listens:
            if listen.tls or listen.proxy_protocol or listen.quic:
                continue
            where = (
                f"{listen.address}:{path}"
                if listen.is_unix
                else f"http://{_own_side(listen.address)}{path}"
            )
            self.pages.append(StatusPage(where, host, is_logged))
            return

    def _entered(self, inside: Sequence[Located], context: _Context) -> _Context:
        """Returns the context inside a block: its own settings replace inherited ones."""
        found: dict[bytes, list[tuple[str, ...]]] = defaultdict(list)
        for one in inside:
            name = one.directive.name
            if name in (_LOG, b"error_log", b"ssl_certificate", b"ssl_certificate_key"):
                found[name].append(tuple(_text(value) for value in one.directive.values))
        if _LOG in found:
            context = replace(context, logs=tuple(found[_LOG]))
        if b"error_log" in found:
            paths = tuple(values[0] for values in found[b"error_log"] if values)
            context = replace(context, error_logs=paths)
        if b"ssl_certificate" in found:
            paths = tuple(values[0] for values in found[b"ssl_certificate"] if values)
            context = replace(context, certificates=paths)
        if b"ssl_certificate_key" in found:
            paths = tuple(values[0] for values in found[b"ssl_certificate_key"] if values)
            context = replace(context, keys=paths)
        return context

    def _format(self, directive: Directive) -> None:
        values = [_text(value) for value in directive.values]
        if len(values) < 2:  # noqa: PLR2004 - a name and a text
            return
        name, *texts = values
        self.formats[name] = format_of(texts)

    def _logs_of(self, context: _Context, site: str) -> None:
        for log in context.logs:
            if log and log[0] != "off":
                self.logs[log][site] = None

    def _errors_of(self, context: _Context) -> None:
        for path in context.error_logs:
            if path not in ("stderr", "") and not path.startswith(("syslog:", "memory:")):
                self.errors[posixpath.join(self.built_in.prefix, path)] = None

    def _log_uses(self) -> Iterator[AccessLogUse]:
        """Yields each log and format once, whatever their other parameters (`buffer=`, `if=`)."""
        merged: dict[AccessLogUse, dict[str, None]] = defaultdict(dict)
        for log, sites in self.logs.items():
            merged[self._log_use(log)].update(sites)
        for use, sites in merged.items():
            yield msgspec.structs.replace(use, sites=tuple(sites))

    def _log_use(self, log: tuple[str, ...]) -> AccessLogUse:
        path, *rest = log
        name = rest[0] if rest and "=" not in rest[0] else "combined"
        text, escape = self.formats.get(name, (COMBINED if name == "combined" else "", "default"))
        problem = ""
        if path.startswith("syslog:"):
            problem = "it goes to syslog"
        elif "$" in path:
            problem = "its path holds variables"
        elif any(part == "gzip" or part.startswith("gzip=") for part in rest):
            problem = "it is compressed"
        elif not text:
            problem = f"there is no log_format {name}"
        if not problem:
            path = posixpath.join(self.built_in.prefix, path)
        return AccessLogUse(path, text, escape, (), problem)


def _names(inside: Iterable[Located]) -> tuple[str, ...]:
    return tuple(
        _text(value)
        for one in inside
        if one.directive.name == b"server_name"
        for value in one.directive.values
    )


def _listens(inside: Sequence[Located]) -> tuple[Listen, ...]:
    """Returns a server's listens; without one nginx takes port 80 as root (the usual case)."""
    is_ssl_on = any(
        one.directive.name == b"ssl" and one.directive.values == (b"on",) for one in inside
    )
    found = [
        listen
        for one in inside
        if one.directive.name == b"listen"
        for listen in listen_of([_text(value) for value in one.directive.values])
    ]
    found = found or [Listen("0.0.0.0:80")]
    if is_ssl_on:
        found = [Listen(one.address, True, one.proxy_protocol, one.default) for one in found]
    return tuple(dict.fromkeys(found))


def _pairs(context: _Context) -> tuple[KeyPair, ...]:
    keys: Iterator[str] = iter(context.keys)
    return tuple(KeyPair(path, next(keys, "")) for path in context.certificates)


def _is_plain(name: str) -> bool:
    return bool(name) and name != "_" and not set(name) & set("*~$")


def _own_side(address: str) -> str:
    """Returns the address at which its own host reaches a wildcard."""
    return address.replace("0.0.0.0:", "127.0.0.1:").replace("[::]:", "[::1]:")


def _text(value: bytes) -> str:
    return value.decode(errors="replace")
