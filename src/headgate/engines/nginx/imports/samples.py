"""Finds requests that an imported config answers otherwise than the original nginx.

It puts each request to our router with the imported routes; the nginx engine runs the original's
directives, so there it compares the release's text with the original, word by word.
"""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Final

import msgspec

from headgate.compile.load import load
from headgate.compile.routing import Question, Routing
from headgate.engines.nginx.imports import listens, originals, proof
from headgate.engines.nginx.imports.document import NAME, ImportedDocument
from headgate.engines.nginx.imports.imported import Imported
from headgate.engines.nginx.imports.matching import split
from headgate.engines.nginx.imports.objects import ModelObject, items_in, to_toml
from headgate.kernel.diagnostics import Severity
from headgate.kernel.errors import Invalid
from headgate.nginxtext.includes import Located, Tree
from headgate.nginxtext.parse import parse
from headgate.nginxtext.tree import walk

MOST: Final = 1000
"""The most requests made from a config."""

_SERVERS: Final = 200
_PLAIN: Final = re.compile(r"[A-Za-z0-9_/.-]+")
_WITH_PORT: Final = re.compile(r":[0-9]+$")
_EVERYBODY: Final = "*"
_WORDLESS: Final = frozenset({"tls", "certificate", "middlewares"})


class Otherwise(msgspec.Struct, frozen=True):
    """A request with another answer, and how it differs."""

    method: str
    url: str
    answer: str
    requests: int = 1


class Tried(msgspec.Struct, frozen=True):
    """The result of tried requests: how many, `made` from the locations or read from an access log,
    and those that each engine answers otherwise; `nginx` are lines of the text that differ.
    `untried` says why the native engine was not tried; empty if it was.
    """

    requests: int
    made: bool
    native: tuple[Otherwise, ...]
    nginx: tuple[str, ...]
    untried: str = ""


def made(tree: Tree) -> list[tuple[Question, int]]:
    """Returns requests to the servers' names and locations, each once."""
    found: dict[bytes, Question] = {}
    for server in itertools.islice(_servers(tree), _SERVERS):
        for question in _of_server(list(tree.inside(server))):
            found.setdefault(msgspec.json.encode(question), question)
            if len(found) >= MOST:
                return [(one, 1) for one in found.values()]
    return [(one, 1) for one in found.values()]


def tried(
    tree: Tree, one: Imported, asked: Sequence[tuple[Question, int]], *, is_made: bool
) -> Tried:
    """Tries requests on both engines."""
    hosts = {_host_of(question) for question, _ in asked} | {_EVERYBODY}
    objects = [_plain(each) for each in one.objects if _may_take(each, hosts)]
    loaded = load([PurePath(NAME)], ImportedDocument(to_toml(objects), {}), {})
    count, differing = sum(count for _, count in asked), differences(tree, one)
    if loaded.plan is None:
        errors = (each for each in loaded.diagnostics if each.severity is Severity.ERROR)
        why = "; ".join(f"{each.path}: {each.message}" for each in itertools.islice(errors, 1))
        return Tried(count, is_made, (), differing, f"its routes do not compile: {why}")
    return Tried(count, is_made, _native(Routing(loaded.plan), objects, asked), differing)


def differences(tree: Tree, one: Imported) -> tuple[str, ...]:
    """Returns where the nginx engine's text differs from the original; empty if nowhere."""
    found = []
    for file, data in originals.restored(one.verbatim, one.originals).items():
        if data == tree.documents[file].to_bytes():
            continue
        before = walk(tree.documents[file].nodes)
        after = walk(parse(data, file).nodes)
        for old, new in itertools.zip_longest(before, after):
            if old is None or new is None or proof.words_of(old) != proof.words_of(new):
                found.append(f"{file}:{old.line if old else 0}")
                break
    return tuple(found)


def _native(
    routing: Routing, objects: Sequence[ModelObject], asked: Sequence[tuple[Question, int]]
) -> tuple[Otherwise, ...]:
    why = {
        each.name: str(each.table["not_imported"])
        for each in objects
        if each.section == "routes" and "not_imported" in each.table
    }
    found: list[Otherwise] = []
    for question, count in asked:
        answer = _answer(routing, question, why)
        if answer:
            found.append(Otherwise(question.method, question.url, answer, count))
    return tuple(found)


def _answer(routing: Routing, question: Question, why: Mapping[str, str]) -> str:
    """Returns the answer in place of nginx's; empty where a route took its place."""
    try:
        request = routing.request(_on_plain(question))
        if request.refusal is not None:
            return f"{request.refusal.status}: {request.refusal.detail}"
        found = routing.find(request)
    except (Invalid, ValueError) as error:
        return str(error)
    if found is None:
        return "404: no route takes it"
    return f"503 not-imported: {why[found.route]}" if found.route in why else ""


def _on_plain(question: Question) -> Question:
    """Returns the request as the model without TLS takes it."""
    scheme, _, rest = question.url.partition("://")
    if scheme != "https":
        return msgspec.structs.replace(question, listener=None)
    authority, slash, path = rest.partition("/")
    port = "" if _WITH_PORT.search(authority) else ":443"
    return msgspec.structs.replace(
        question, url=f"http://{authority}{port}{slash}{path}", listener=None
    )


def _servers(tree: Tree) -> Iterator[Located]:
    for block in tree.top():
        if block.directive.name == b"http":
            yield from (one for one in tree.inside(block) if one.directive.name == b"server")


def _of_server(lines: Sequence[Located]) -> Iterator[Question]:
    names = [
        value.decode(errors="replace")
        for one in lines
        if one.directive.name == b"server_name"
        for value in one.directive.values
    ]
    name = next((one for one in names if _PLAIN.fullmatch(one) and one != "_"), "unknown.example")
    ports = dict.fromkeys(_ports(lines)) or {"http://{}": None}
    paths = dict.fromkeys(
        ["/", *(path for one in lines if one.directive.name == b"location" for path in _paths(one))]
    )
    for base, path in itertools.product(ports, paths):
        yield Question(url=base.format(name.strip(".")) + path)


def _ports(lines: Sequence[Located]) -> Iterator[str]:
    for one in lines:
        found = listens.listen_of(one) if one.directive.name == b"listen" else None
        if found is not None and found.is_address:
            port = found.address.rpartition(":")[2]
            yield "http://{}" if port == "80" else f"http://{{}}:{port}"


def _paths(location: Located) -> list[str]:
    modifier, path = split(location.directive)
    text = path.decode(errors="replace")
    if modifier in (b"~", b"~*"):
        parts = _PLAIN.findall(re.sub(r"\\(.)", r"\1", text))
        joined = "".join(parts).lstrip("/")
        return [f"/{joined}", f"/a/{joined}", *(f"/x.{part.strip('./')}" for part in parts)]
    if not text.startswith("/") or not _PLAIN.fullmatch(text):
        return []
    return [text] if modifier == b"=" else [text, f"{text}x", f"{text.rstrip('/')}/x"]


def _host_of(question: Question) -> str:
    return question.url.partition("://")[2].partition("/")[0].partition(":")[0].lower()


def _may_take(one: ModelObject, hosts: set[str]) -> bool:
    """Reports whether an object matters to requests for these hosts."""
    if one.section == "routes":
        return any(str(host) in hosts or "*" in str(host) for host in items_in(one.table, "hosts"))
    return one.section in ("listeners", "upstreams")


def _plain(one: ModelObject) -> ModelObject:
    """Returns the object without TLS and middlewares, which choose no route and name files of the
    host."""
    table = {key: value for key, value in one.table.items() if key not in _WORDLESS}
    return ModelObject(one.section, one.name, table)
