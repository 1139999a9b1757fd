"""Reads files of test cases for `headgate test`, and reports every mistake with its place."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import NoneType
from typing import Final, get_args, get_origin

import msgspec

from headgate._core import Document
from headgate.cli.reading import answered
from headgate.features.syntax import described
from headgate.kernel.diagnostics import ConfigPath, Diagnostic, dotted, render_text
from headgate.kernel.nearest import listed, nearest
from headgate.model.problems import Where
from headgate.model.text import position, read_document
from headgate.providers.file.disk import DiskFiles


class Expect(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The expected outcome of a request; fields that are left out are not checked.

    `route`: its name, `""` for none. `upstream`: the route's, or one of its split that has weight.
    `path`: path and query as forwarded, `host`: the Host at one of the endpoints. `status`,
    `location` and `body`: of an answer that headgate makes itself; 404 where no route is, 400 where
    refused.
    """

    route: str | None = None
    upstream: str | None = None
    path: str | None = None
    host: str | None = None
    status: int | None = None
    location: str | None = None
    body: str | None = None


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A request (`GET https://a.example/path`), a connection (`tcp://127.0.0.1:5432`, with the
    server name and the protocols of its ClientHello) or a flow (`udp://127.0.0.1:53`, with the
    name in that of QUIC), and its expected result. The client has a certificate if anything is said
    of one.
    """

    request: str
    expect: Expect
    name: str = ""
    headers: dict[str, str | list[str]] = {}
    client: str = "127.0.0.1"
    listener: str | None = None
    sni: str | None = None
    alpn: list[str] = []
    client_subject: str | None = None
    client_san: list[str] = []
    client_fingerprint: str | None = None


class Suite(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of cases. `config`: what they are about, relative to the file."""

    cases: list[Case]
    config: list[str] = []


class BadSuiteError(Exception):
    """A file of cases that cannot be used; the message has a line for each mistake."""

    def __init__(self, found: list[Diagnostic]) -> None:
        super().__init__(render_text(sorted(found)).rstrip("\n"))


@dataclass(frozen=True, slots=True)
class SuiteFile:
    """A file of cases that was read."""

    document: Document
    suite: Suite

    def wrong(self, path: ConfigPath, message: str, allowed: str) -> Diagnostic:
        """Returns a mistake at a path of the file."""
        return _wrong(self.document, path, message, allowed)

    def place(self, case: int) -> str:
        """Returns where a case stands."""
        line, column = position(self.document, ("cases", case), "value")
        return f"{self.document.name}:{line}:{column}"


_TYPES: Final[Mapping[object, tuple[str, str]]] = {
    str: ("text", "write text in quotes"),
    int: ("a whole number", "write a whole number without quotes"),
    list[str]: ("a list of texts", "write texts in quotes, between brackets"),
    dict[str, str | list[str]]: (
        "a table of header values",
        'write one such as { x-tenant = "a" }',
    ),
}
"""The type that a value must have, in words, and the advice on what to write."""


def read(file: Path) -> SuiteFile:
    """Returns the cases of a TOML, YAML or JSON file. Raises `BadSuiteError`, `UnansweredError`."""
    files = DiskFiles()
    try:
        content = answered(files, partial(files.read, file))
    except OSError as error:
        message = f"the file cannot be read: {(error.strerror or str(error)).lower()}"
        allowed = "name a file that headgate may read"
        raise BadSuiteError(
            [Diagnostic(file=str(file), message=message, allowed=allowed)]
        ) from None
    document = read_document(str(file), content)
    if isinstance(document, Diagnostic):
        raise BadSuiteError([document])
    value = document.value()
    found = list(_table(document, Suite, value, ()))
    if not found and not value["cases"]:
        found = [
            _wrong(document, (), "the file has no test case", "write at least one under [[cases]]")
        ]
    if found:
        raise BadSuiteError(found)
    return SuiteFile(document, msgspec.convert(value, Suite))


def _table(
    document: Document, struct: type[msgspec.Struct], value: object, at: ConfigPath
) -> Iterator[Diagnostic]:
    """Yields everything that is wrong with a table that a struct is to be made of."""
    fields = {field.name: field for field in msgspec.structs.fields(struct)}
    if not isinstance(value, dict):
        allowed = f"write a table of {listed(fields)}"
        yield _wrong(document, at, f"{described(value)} is not a table", allowed)
        return
    meant = set()
    for key in value.keys() - fields.keys():
        near = nearest(str(key), fields)
        meant.add(near)
        allowed = f'write "{near}"' if near else f"write one of {listed(fields)}"
        yield _wrong(document, (*at, str(key)), "the key is unknown", allowed, "key")
    for name, field in fields.items():
        if name in value:
            yield from _value(document, field.type, value[name], (*at, name))
        elif field.required and name not in meant:
            yield _wrong(document, at, f'the key "{name}" is missing', "write it", "key")


def _value(document: Document, kind: object, value: object, at: ConfigPath) -> Iterator[Diagnostic]:
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        yield from _table(document, kind, value, at)
        if kind is Expect and value == {}:
            fields = listed(Expect.__struct_fields__)
            yield _wrong(document, at, "nothing is expected", f"write at least one of {fields}")
        return
    if kind == list[Case]:
        if not isinstance(value, list):
            allowed = "write one [[cases]] for each"
            yield _wrong(document, at, f"{described(value)} is not a list of cases", allowed)
            return
        for index, case in enumerate(value):
            yield from _table(document, Case, case, (*at, index))
        return
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        noun, allowed = _TYPES[_without_none(kind)]
        yield _wrong(document, at, f"{described(value)} is not {noun}", allowed)


def _without_none(kind: object) -> object:
    """Returns `str` for `str | None`."""
    if get_origin(kind) in (list, dict):
        return kind
    plain = [one for one in get_args(kind) if one is not NoneType]
    return plain[0] if len(plain) == 1 else kind


def _wrong(
    document: Document, path: ConfigPath, message: str, allowed: str, where: Where = "value"
) -> Diagnostic:
    line, column = position(document, path, where)
    return Diagnostic(
        file=document.name,
        line=line,
        column=column,
        path=dotted(path),
        message=message,
        allowed=allowed,
    )
