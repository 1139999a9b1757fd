"""Writes docs/reference/fleet-protocol.md from proto/headgate/v1/fleet.proto and its comments.

With `--check` it writes nothing, names the page on stderr when it differs and exits with 1. What
has no comment is named, and then no page is written.
"""

import re
import sys
import tempfile
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    ServiceDescriptorProto,
)
from grpc_tools import protoc

from headgate.kernel.errors import Invalid

ROOT: Final = Path(__file__).resolve().parent.parent
SOURCE: Final = ROOT / "proto/headgate/v1/fleet.proto"
PAGE: Final = "docs/reference/fleet-protocol.md"
TOP: Final = ROOT / "tools/proto_reference.md"
"""The beginning of the page, before the services."""

_WIDTH: Final = 120
_NAME: Final = re.compile(r"`([A-Z][\w.]*)`")
_Descriptor: TypeAlias = Any  # protobuf's own types say no more
_At: TypeAlias = tuple[int, ...]
"""The place of an element in its file: numbers of fields and indices, as protoc gives them."""


class Part(NamedTuple):
    """A message or an enum with its heading: `Report`, `Report.Phase`."""

    name: str
    at: _At
    of: _Descriptor


def main() -> int:
    """Writes the page; with `--check` it only reports whether the page differs."""
    path = ROOT / PAGE
    try:
        text = page(TOP.read_text(encoding="utf-8"), described(SOURCE))
    except Invalid as error:
        sys.stderr.write(f"proto_reference: {error}\n")
        return 1
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return 0
    if "--check" in sys.argv[1:]:
        sys.stderr.write(f"proto_reference: {PAGE} is out of step\n")
        return 1
    path.write_text(text, encoding="utf-8")
    return 0


def described(source: Path) -> _Descriptor:
    """Returns the descriptor of a file, with its comments. Raises Invalid if protoc refuses it,
    which has then said why on stderr."""
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "descriptors"
        options = ["--include_source_info", f"--descriptor_set_out={made}"]
        if protoc.main(["protoc", f"-I{source.parent}", *options, str(source)]):
            raise Invalid(f"protoc refuses {source.name}", "write what it says above")
        return FileDescriptorSet.FromString(made.read_bytes()).file[0]


def page(top: str, file: _Descriptor) -> str:
    """Returns the page. Raises Invalid if the file has elements without a comment."""
    reference = Reference(file)
    blocks = [top.strip(), *reference.blocks()]
    if reference.uncommented:
        names = ", ".join(reference.uncommented)
        raise Invalid(f"no comment in {file.name}: {names}", "write one above or behind each")
    return "\n\n".join(blocks) + "\n"


class Reference:
    """The services, messages and enums of one file, as Markdown."""

    def __init__(self, file: _Descriptor) -> None:
        self._file = file
        self._comments = {tuple(one.path): _text(one) for one in file.source_code_info.location}
        self._package = f".{file.package}."
        messages = enumerate(file.message_type)
        enums = enumerate(file.enum_type)
        self._maps: dict[str, _Descriptor] = {}
        """The entries of maps, which protoc makes messages of, by their full names."""
        self._parts = [
            *self._of_message("", (FileDescriptorProto.MESSAGE_TYPE_FIELD_NUMBER,), messages),
            *_enums("", (FileDescriptorProto.ENUM_TYPE_FIELD_NUMBER,), enums),
        ]
        self._names = {part.name for part in self._parts}
        self.uncommented: list[str] = []
        """The elements that were shown without a comment."""

    def blocks(self) -> Iterator[str]:
        """Yields headings, paragraphs and tables."""
        for index, service in enumerate(self._file.service):
            at = (FileDescriptorProto.SERVICE_FIELD_NUMBER, index)
            yield f"## Service {service.name}"
            yield self._paragraph(at, service.name)
            yield _table(("method", "request", "response", "meaning"), self._methods(at, service))
        yield "## Messages"
        for part in self._parts:
            yield f"### {part.name}"
            yield self._paragraph(part.at, part.name)
            if isinstance(part.of, EnumDescriptorProto):
                yield _table(("value", "number", "meaning"), self._values(part))
                continue
            yield from self._choices(part)
            if part.of.field:
                yield _table(("field", "type", "number", "meaning"), self._fields(part))

    def _of_message(
        self, scope: str, at: _At, messages: Iterable[tuple[int, _Descriptor]]
    ) -> Iterator[Part]:
        """Yields messages, each one followed by those and by the enums within it."""
        for index, message in messages:
            name, here = f"{scope}{message.name}", (*at, index)
            if message.options.map_entry:
                self._maps[f"{self._package}{name}"] = message
                continue
            yield Part(name, here, message)
            nested = (*here, DescriptorProto.NESTED_TYPE_FIELD_NUMBER)
            yield from self._of_message(f"{name}.", nested, enumerate(message.nested_type))
            enums = (*here, DescriptorProto.ENUM_TYPE_FIELD_NUMBER)
            yield from _enums(f"{name}.", enums, enumerate(message.enum_type))

    def _methods(self, at: _At, service: _Descriptor) -> Iterator[tuple[str, ...]]:
        for index, one in enumerate(service.method):
            here = (*at, ServiceDescriptorProto.METHOD_FIELD_NUMBER, index)
            yield (
                f"`{one.name}`",
                ("stream of " if one.client_streaming else "") + self._link(one.input_type),
                ("stream of " if one.server_streaming else "") + self._link(one.output_type),
                self._comment(here, f"{service.name}.{one.name}"),
            )

    def _values(self, part: Part) -> Iterator[tuple[str, ...]]:
        for index, one in enumerate(part.of.value):
            here = (*part.at, EnumDescriptorProto.VALUE_FIELD_NUMBER, index)
            yield f"`{one.name}`", str(one.number), self._comment(here, f"{part.name}.{one.name}")

    def _fields(self, part: Part) -> Iterator[tuple[str, ...]]:
        for index, one in enumerate(part.of.field):
            here = (*part.at, DescriptorProto.FIELD_FIELD_NUMBER, index)
            meaning = self._comment(here, f"{part.name}.{one.name}")
            yield f"`{one.name}`", self._type(part, one), str(one.number), meaning

    def _choices(self, part: Part) -> Iterator[str]:
        """Yields what holds for each oneof; one that stands for `optional` is none."""
        optional = {one.oneof_index for one in part.of.field if one.proto3_optional}
        for index, one in enumerate(part.of.oneof_decl):
            if index not in optional:
                here = (*part.at, DescriptorProto.ONEOF_DECL_FIELD_NUMBER, index)
                said = self._comments.get(here, "")
                yield _filled(self._linked(f"At most one field of `{one.name}` is set. {said}"))

    def _type(self, part: Part, field: _Descriptor) -> str:
        """Returns a field's type in the words of proto files."""
        if entry := self._maps.get(field.type_name):
            key, value = (self._plain(one) for one in entry.field)
            return f"map from {key} to {value}"
        if field.label == FieldDescriptorProto.LABEL_REPEATED:
            return f"repeated {self._plain(field)}"
        if field.proto3_optional:
            return f"optional {self._plain(field)}"
        if field.HasField("oneof_index"):
            choice = part.of.oneof_decl[field.oneof_index].name
            return f"{self._plain(field)}, one of `{choice}`"
        return self._plain(field)

    def _plain(self, field: _Descriptor) -> str:
        if field.type_name:
            return self._link(field.type_name)
        return f"`{FieldDescriptorProto.Type.Name(field.type).removeprefix('TYPE_').lower()}`"

    def _link(self, full_name: str) -> str:
        """Returns the name of a type, as a link if it is on this page."""
        name = full_name.removeprefix(self._package)
        return self._linked(f"`{name.removeprefix('.')}`")

    def _linked(self, text: str) -> str:
        """Returns a text in which names of messages and enums, and of their fields, are links."""

        def link(found: re.Match[str]) -> str:
            for name in (found[1], found[1].rpartition(".")[0]):
                if name in self._names:
                    return f"[{found[0]}](#{name.replace('.', '').lower()})"
            return found[0]

        return _NAME.sub(link, text)

    def _comment(self, at: _At, name: str) -> str:
        """Returns the comment of an element for a table."""
        text = self._comments.get(at, "")
        if not text:
            self.uncommented.append(name)
        return self._linked(text)

    def _paragraph(self, at: _At, name: str) -> str:
        return _filled(self._comment(at, name))


def _enums(scope: str, at: _At, enums: Iterable[tuple[int, _Descriptor]]) -> Iterator[Part]:
    for index, one in enums:
        yield Part(f"{scope}{one.name}", (*at, index), one)


def _text(location: _Descriptor) -> str:
    """Returns the comments above and behind an element on one line."""
    return " ".join(f"{location.leading_comments} {location.trailing_comments}".split())


def _filled(text: str) -> str:
    return textwrap.fill(text, _WIDTH, break_long_words=False, break_on_hyphens=False)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", r"\|")


if __name__ == "__main__":
    sys.exit(main())
