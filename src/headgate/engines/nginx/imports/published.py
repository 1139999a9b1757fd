"""Makes one object of an import, as a master publishes it, and the import's files of the object.

The object has the kept text, the text of what became model, and the model as it was imported. Files
of the host that the model names travel as secret files of the master. Pure.
"""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Final, NoReturn

import msgspec

from headgate.engines.nginx.imports import imported, originals, survey
from headgate.engines.nginx.imports.bundle import (
    MAP,
    MODEL,
    VERBATIM,
    BrokenBundleError,
    Map,
    as_imported,
    from_files,
    stem_of,
)
from headgate.engines.nginx.imports.objects import ModelObject, Table, Toml, table_in, to_toml
from headgate.fleet.manifest import NGINX_IMPORTS, SECRETS
from headgate.nginxtext.dump import DumpedFiles, TooManyStepsError
from headgate.nginxtext.includes import load
from headgate.nginxtext.parse import NginxSyntaxError, parse
from headgate.nginxtext.tree import Directive, Node

SECTION: Final = NGINX_IMPORTS
"""The kind of the object."""
MOST_PART_BYTES: Final = 128 << 10
"""The largest file of kept text, and the largest text of what became model."""
MOST_BYTES: Final = 512 << 10
"""The largest object."""
MOST_RESTORED_BYTES: Final = 4 * MOST_BYTES
"""The most that `headgate_…` lines stand for together."""
MOST_DIRECTIVES: Final = 100_000
"""The most directives of a config, with included files in place of each `include`."""

_MOST_STEPS: Final = 1_000_000_000
"""The most work of all patterns of includes together: about a second of it."""
_CODING: Final = "latin-1"
_SECRET: Final = re.compile(r"secrets/[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}")
_UTF8: Final = "write the file in UTF-8, or leave these nodes without a master"
_AGAIN: Final = "import the config again"
_FEWER: Final = "include each file once"
_SMALLER: Final = f"at most {MOST_PART_BYTES} bytes; divide the file by `include`"


class Replaced(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A `headgate_…` line of the kept text, and the text of the original that it stands for."""

    line: str
    text: str


class Published(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The object. `files` is the kept text by path, `objects` the model as TOML, as imported;
    `secrets` are the secret files that stand for files of the imported host, by their path there.
    """

    entry: str
    files: dict[str, str]
    originals: list[Replaced]
    objects: str
    secrets: dict[str, str] = {}


class CannotTravelError(ValueError):
    """A part of an import cannot be published; names the part, what is wrong, and what to do."""

    def __init__(self, part: tuple[str, ...], what: str, allowed: str) -> None:
        super().__init__(f"{'.'.join(part)}: {what}; {allowed}")
        self.part = part
        self.what = what
        self.allowed = allowed


def spec_of(files: Mapping[str, bytes], secrets: Mapping[str, str]) -> dict[str, object]:
    """Returns the object of an import's files; `secrets`: the names that the master has for files
    of this host. Raises CannotTravelError, BrokenBundleError.
    """
    one = from_files(files)
    texts = {path: _text(("files", path), data) for path, data in one.verbatim.items()}
    found = Published(
        entry=one.entry,
        files=texts,
        originals=list(_replaced(one.verbatim, one.originals)),
        objects=_objects(as_imported(files), secrets),
        secrets={path: SECRETS + name for path, name in sorted(secrets.items())},
    )
    spec: dict[str, object] = msgspec.to_builtins(found)
    checked(spec)
    return spec


def checked(spec: object) -> Published:
    """Returns the object that a spec is; raises CannotTravelError for the first part that is wrong,
    or that nginx could not have."""
    try:
        one = msgspec.convert(spec, Published)
    except msgspec.ValidationError as error:
        raise CannotTravelError((), str(error), _AGAIN) from None
    _check_sizes(one)
    _check_depths(one)
    for path, secret in one.secrets.items():
        if not path.startswith("/") or not _SECRET.fullmatch(secret):
            _refuse(("secrets", path), f'"{secret}" is not a secret file', "write secrets/NAME")
    try:
        known = _by_key(one)
        _check_restored(one, known)
        texts = originals.restored(_verbatim(one), known)
        tree = load(one.entry, DumpedFiles(texts, _MOST_STEPS))
    except TooManyStepsError:
        _refuse(
            ("files",), "its includes have too many patterns, or patterns of too many files", _FEWER
        )
    except (NginxSyntaxError, originals.ChangedLineError) as error:
        _refuse(("files",), str(error), "correct the kept text")
    if one.entry not in one.files:
        _refuse(("entry",), f"there is no text of {one.entry}", _AGAIN)
    if problems := survey.refusals(tree):
        _refuse(("files",), str(problems[0]), _AGAIN)
    if survey.is_longer(tree, MOST_DIRECTIVES):
        what = f"its includes make more than {MOST_DIRECTIVES} directives of it"
        _refuse(("files",), what, _FEWER)
    _check_objects(one.objects)
    return one


def to_bundle(one: Published, secrets: Mapping[str, bytes]) -> dict[str, bytes]:
    """Returns the import's files, as `headgate nginx import` writes them, with the secret files;
    raises CannotTravelError for a secret file that is missing.
    """
    files = {f"{VERBATIM}/{n:04d}-{stem_of(path)}": path for n, path in enumerate(one.files, 1)}
    mapped = Map(one.entry, files, (), (), _by_key(one), one.objects, one.secrets)
    found = {
        MODEL: one.objects.encode(),
        MAP: msgspec.json.encode(mapped),
        **{place: one.files[path].encode() for place, path in files.items()},
    }
    for path, name in one.secrets.items():
        if name not in secrets:
            _refuse(("secrets", path), f"there is no {name}", "make it before you publish")
        found[name] = secrets[name]
    return found


def host_files(table: Mapping[str, object]) -> Iterator[str]:
    """Yields the absolute paths of the files that an object names (`file`, `cert_file`, …)."""
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from host_files(value)
        elif _is_host_file(key, value):
            yield str(value)


def with_secrets(table: Table, secrets: Mapping[str, str]) -> dict[str, Toml]:
    """Returns an object that names secret files in place of these files of the host."""
    return {key: _with_secret(key, value, secrets) for key, value in table.items()}


def _with_secret(key: str, value: Toml, secrets: Mapping[str, str]) -> Toml:
    if isinstance(value, Mapping):
        return with_secrets(value, secrets)
    if _is_host_file(key, value) and str(value) in secrets:
        return SECRETS + secrets[str(value)]
    return value


def _is_host_file(key: str, value: object) -> bool:
    is_file = key == "file" or key.endswith("_file")
    return is_file and isinstance(value, str) and value.startswith("/")


def _objects(text: str, secrets: Mapping[str, str]) -> str:
    """Returns the model without settings of nodes, which stay on the nodes."""
    sections = tomllib.loads(text)
    return to_toml(
        ModelObject(section, name, with_secrets(table_in(table, name), secrets))
        for section, table in sections.items()
        for name in table
        if section != "node"
    )


def _replaced(verbatim: Mapping[str, bytes], known: originals.Originals) -> Iterator[Replaced]:
    seen: set[str] = set()
    for path, data in verbatim.items():
        for line in _placeholders(parse(data, path).nodes):
            key = originals.key_of(line)
            if key in seen:
                continue
            seen.add(key)
            if key not in known:
                name = line.name.decode(errors="replace")
                part = ("files", path)
                _refuse(part, f"line {line.line}: `{name}` stands for nothing", _AGAIN)
            part = ("originals", f"{path}:{line.line}")
            yield Replaced(
                _text(part, originals.text_of(line).encode(_CODING)).strip(),
                _text(part, known[key].encode(_CODING)),
            )


def _placeholders(nodes: tuple[Node, ...]) -> Iterator[Directive]:
    for node in nodes:
        if isinstance(node, Directive):
            if node.name in imported.PLACEHOLDERS:
                yield node
            else:
                yield from _placeholders(node.children or ())


def _by_key(one: Published) -> dict[str, str]:
    found: dict[str, str] = {}
    for number, each in enumerate(one.originals):
        part = ("originals", str(number))
        try:
            lines = list(parse(each.line.encode(), "line").directives())
        except NginxSyntaxError as error:
            _refuse(part, str(error), _AGAIN)
        if len(lines) != 1 or lines[0].name not in imported.PLACEHOLDERS:
            _refuse(part, "this is not one `headgate_…` line", _AGAIN)
        found[originals.key_of(lines[0])] = each.text.encode().decode(_CODING)
    return found


def _verbatim(one: Published) -> dict[str, bytes]:
    return {path: text.encode() for path, text in one.files.items()}


def _check_objects(text: str) -> None:
    try:
        sections = tomllib.loads(text)
    except ValueError as error:
        _refuse(("objects",), f"it is not TOML ({error})", _AGAIN)
    for section, table in sections.items():
        for path in host_files(table):
            _refuse(("objects", section), f"{path} is a file of a host", "name a secret file")


def _check_sizes(one: Published) -> None:
    for path, text in one.files.items():
        _check_size(("files", path), text)
    for number, each in enumerate(one.originals):
        _check_size(("originals", str(number)), each.text)
    size = len(json.dumps(msgspec.to_builtins(one), ensure_ascii=False).encode())
    if size > MOST_BYTES:
        _refuse((), f"{size} bytes are too many", f"at most {MOST_BYTES}; import fewer servers")


def _check_restored(one: Published, known: originals.Originals) -> None:
    """Refuses originals that stand in so many places that the whole config is far larger."""
    size = 0
    for path, text in one.files.items():
        for line in _placeholders(parse(text.encode(), path).nodes):
            size += len(known.get(originals.key_of(line), ""))
            if size > MOST_RESTORED_BYTES:
                part = ("files", path)
                what = (
                    f"line {line.line}: with the text that it stands for, there is too much of it"
                )
                _refuse(part, what, _AGAIN)


def _check_depths(one: Published) -> None:
    """Refuses blocks in blocks before anything goes through them."""
    texts = {("files", path): text for path, text in one.files.items()}
    texts |= {("originals", str(n)): each.text for n, each in enumerate(one.originals)}
    for part, text in texts.items():
        try:
            nodes = parse(text.encode(), part[1]).nodes
        except NginxSyntaxError as error:
            _refuse(part, str(error), "correct the kept text")
        if survey.is_deep(nodes):
            _refuse(part, "blocks are nested too deep", "nest at most 100 blocks")


def _check_size(part: tuple[str, ...], text: str) -> None:
    if len(data := text.encode()) > MOST_PART_BYTES:
        _refuse(part, f"{len(data)} bytes are too many", _SMALLER)


def _text(part: tuple[str, ...], data: bytes) -> str:
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        _refuse(part, f"line {line} is not UTF-8", _UTF8)
    if "\0" in text:
        _refuse(part, "it has a NUL character", "remove it")
    return text


def _refuse(part: tuple[str, ...], what: str, allowed: str) -> NoReturn:
    raise CannotTravelError(part, what, allowed)


__all__ = [
    "MOST_BYTES",
    "MOST_PART_BYTES",
    "SECTION",
    "BrokenBundleError",
    "CannotTravelError",
    "Published",
    "checked",
    "host_files",
    "spec_of",
    "to_bundle",
    "with_secrets",
]
