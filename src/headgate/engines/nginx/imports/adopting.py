"""Carries an edit of a release back to the files of the imported config that it was made of. Pure.

The edit is the difference that a node reports. A release is the imported text with its includes in
place, one directive a line; each of its lines is known by the directive of the original.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count, islice
from typing import Final, Literal, NamedTuple

from msgspec.structs import replace

from headgate.engines.nginx.imports.changes import Hunk
from headgate.kernel.redaction import SHOWN, redacted
from headgate.nginxtext import writer
from headgate.nginxtext.includes import Tree
from headgate.nginxtext.parse import NginxSyntaxError, parse
from headgate.nginxtext.tree import Directive, Document, Node, to_bytes, walk

Place = Literal["before", "instead", "after", "first", "last"]

_FARTHEST: Final = 32
"""The most lines by which a node's release is longer or shorter than ours: those of its own."""
_OURS: Final = 0
_GUARDS: Final = frozenset(
    {
        *(b"allow", b"deny", b"satisfy", b"internal", b"auth_basic", b"auth_basic_user_file"),
        *(b"auth_request", b"auth_request_set", b"auth_delay", b"limit_except", b"limit_req"),
        *(b"limit_req_zone", b"limit_conn", b"limit_conn_zone", b"valid_referers", b"secure_link"),
        *(b"secure_link_md5", b"ssl_verify_client", b"ssl_verify_depth", b"ssl_protocols"),
        *(b"ssl_ciphers", b"ssl_client_certificate", b"ssl_trusted_certificate", b"ssl_crl"),
        *(b"proxy_ssl_verify", b"set_real_ip_from", b"real_ip_header", b"real_ip_recursive"),
        *(b"client_max_body_size", b"client_header_timeout", b"client_body_timeout"),
    }
)
"""Directives that say who may do what. A level that has one may take none of those around it, so
that even one more can open what was closed."""


class CannotAdoptError(ValueError):
    """An edit does not become part of the imported config; says why."""


class Line(NamedTuple):
    """A line of a release, and the directive of the original that it is of; 0: none."""

    text: str
    of: int
    part: Literal["whole", "begin", "end", "some"]


class Release(NamedTuple):
    """The nginx.conf of a release: its lines, and the files of the original with each directive's
    number in place of its line."""

    lines: Sequence[Line]
    documents: Mapping[str, Document]


class Edited(NamedTuple):
    """The files of the original with an edit, by path, and the nginx.conf as it was edited."""

    files: dict[str, bytes]
    release: bytes


class _Group(NamedTuple):
    """Lines that are gone, by the place of the first and their number, and those instead."""

    at: int
    size: int
    added: list[str]


@dataclass(slots=True)
class _Edit:
    dropped: set[int] = field(default_factory=set)
    added: dict[tuple[int, Place], list[str]] = field(default_factory=dict)


def numbered(tree: Tree) -> Tree:
    """Returns a tree whose directives have numbers of their own, from 1, in place of lines."""
    numbers = count(1)

    def of(nodes: Sequence[Node]) -> tuple[Node, ...]:
        return tuple(one(node) if isinstance(node, Directive) else node for node in nodes)

    def one(node: Directive) -> Directive:
        number = next(numbers)
        children = None if node.children is None else of(node.children)
        return replace(node, line=number, children=children)

    documents = {path: Document(each.name, of(each.nodes)) for path, each in tree.documents.items()}
    return tree._replace(documents=documents)


def release_of(tree: Tree, nodes: Sequence[Node]) -> Release:
    """Returns the release of a numbered tree as lines; `nodes` are those of its nginx.conf."""
    return Release(tuple(_lines(nodes)), tree.documents)


def _lines(nodes: Sequence[Node]) -> Iterator[Line]:
    for node in nodes:
        if not isinstance(node, Directive) or node.children is None:
            of = node.line if isinstance(node, Directive) else _OURS
            texts = _texts(writer.render([node]))
            for text in texts:
                yield Line(text, of, "whole" if len(texts) == 1 else "some")
            continue
        *heads, _ = _texts(writer.render([replace(node, children=())]))
        for text in heads:
            yield Line(text, node.line, "begin" if len(heads) == 1 else "some")
        yield from _lines(node.children)
        yield Line("}", node.line, "end")


def _texts(rendered: bytes) -> list[str]:
    return rendered.decode(errors="replace").removesuffix("\n").split("\n")


def edited(release: Release, hunks: Sequence[Hunk]) -> Edited:
    """Returns the original with an edit of the release; raises CannotAdoptError."""
    if not hunks:
        raise CannotAdoptError("the node reports no lines that differ")
    moved = _moved(release.lines, hunks)
    edit, texts, at = _Edit(), [], 0
    for hunk in hunks:
        start = hunk.start - 1 + moved
        texts += [line.text for line in release.lines[at:start]]
        at = start
        for removed, added in hunk.groups():
            if added is None:
                texts.append(release.lines[at].text)
            else:
                _take(edit, release.lines, _Group(at, len(removed), added))
                texts += added
            at += len(removed)
    texts += [line.text for line in release.lines[at:]]
    _require_guards(release, edit)
    files = {path: _written(one.nodes, edit) for path, one in release.documents.items()}
    return Edited(files, "\n".join((*texts, "")).encode())


def _moved(lines: Sequence[Line], hunks: Sequence[Hunk]) -> int:
    """Returns by how many lines the release of the node is shorter than ours."""
    shown = [redacted(line.text).strip() for line in lines]
    places = range(-_FARTHEST, _FARTHEST + 1)
    found = [by for by in places if all(_fits(lines, shown, one, by) for one in hunks)]
    if len(found) != 1:
        raise CannotAdoptError(
            "the lines around the edit are not those of the newest revision, or are there twice"
        )
    return found[0]


def _fits(lines: Sequence[Line], shown: Sequence[str], hunk: Hunk, by: int) -> bool:
    at = hunk.start - 1 + by
    if at < 0 or at + len(hunk.before) > len(lines):
        return False
    return all(
        _is_line(lines[at + place], shown[at + place], text.strip())
        for place, (_, text) in enumerate(hunk.before)
    )


def _is_line(line: Line, shown: str, text: str) -> bool:
    """Reports whether a line is the node's; of ours, which have paths of the node, the name."""
    if line.of == _OURS:
        return shown.partition(" ")[0] == text.partition(" ")[0]
    return shown == text


def _take(edit: _Edit, lines: Sequence[Line], group: _Group) -> None:
    """Takes a group; raises CannotAdoptError as it does where the difference has the group."""
    errors: list[CannotAdoptError] = []
    group = _trimmed(lines, group)
    if not group.size and not group.added:
        return
    for one in islice(_slid(lines, group), _FARTHEST):
        try:
            _take_here(edit, lines, one)
        except CannotAdoptError as error:
            errors.append(error)
        else:
            return
    raise errors[0]


def _trimmed(lines: Sequence[Line], group: _Group) -> _Group:
    """Returns a group without lines that differ in their indentation alone."""
    at, count, added = group
    while count and added and lines[at].text.strip() == added[0].strip():
        at, count, added = at + 1, count - 1, added[1:]
    while count and added and lines[at + count - 1].text.strip() == added[-1].strip():
        count, added = count - 1, added[:-1]
    return _Group(at, count, added)


def _slid(lines: Sequence[Line], group: _Group) -> Iterator[_Group]:
    """Yields the groups that are the same edit: a block that comes or goes beside one like it may
    begin with the end of the other one."""
    yield group
    at, count, added = group
    if count and added:
        return
    texts = [line.text.strip() for line in lines]
    here = texts[at : at + count] or [text.strip() for text in added]
    down, by = here, 0
    while at + by + count < len(texts) and down[0] == texts[at + by + count]:
        down, by = [*down[1:], down[0]], by + 1
        yield _Group(at + by, count, down if added else [])
    up, by = here, 0
    while at - by > 0 and up[-1] == texts[at - by - 1]:
        up, by = [up[-1], *up[:-1]], by + 1
        yield _Group(at - by, count, up if added else [])


def _take_here(edit: _Edit, lines: Sequence[Line], group: _Group) -> None:
    at, count, added = group
    if any(SHOWN in text for text in added):
        raise CannotAdoptError("a line of the edit looks like a secret, which the node left out")
    dropped = list(_whole(lines[at : at + count]))
    text = "\n".join(added).strip()
    try:
        parse(text.encode(), "the edit")
    except NginxSyntaxError as error:
        raise CannotAdoptError(f"the edit adds no whole directives ({error})") from None
    place: tuple[int, Place] | None = (dropped[0], "instead") if dropped else None
    place = place or _after(lines, at) or _before(lines, at + count)
    if place is None:
        raise CannotAdoptError("the edit is within lines of headgate's own")
    edit.dropped.update(dropped)
    if text:
        edit.added.setdefault(place, []).append(text)


def _whole(lines: Sequence[Line]) -> Iterator[int]:
    """Yields the directives that are these lines; raises CannotAdoptError for a part of one."""
    rest = iter(lines)
    for line in rest:
        if line.of == _OURS:
            raise CannotAdoptError(f"`{line.text.strip()}` is a line of headgate's own")
        if line.part in {"some", "end"}:
            raise CannotAdoptError(f"the edit changes only a part of `{line.text.strip()}`")
        if line.part == "begin" and not any(
            one.of == line.of and one.part == "end" for one in rest
        ):
            raise CannotAdoptError(
                f"the edit changes the block `{line.text.strip()}` and not all of it"
            )
        yield line.of


def _after(lines: Sequence[Line], at: int) -> tuple[int, Place] | None:
    if at == 0 or lines[at - 1].of == _OURS:
        return None
    line = lines[at - 1]
    return line.of, "first" if line.part == "begin" else "after"


def _before(lines: Sequence[Line], at: int) -> tuple[int, Place] | None:
    if at >= len(lines) or lines[at].of == _OURS:
        return None
    line = lines[at]
    return line.of, "last" if line.part == "end" else "before"


def _require_guards(release: Release, edit: _Edit) -> None:
    """Raises CannotAdoptError for an edit of who may do what: that is for people to write."""
    every = (node for one in release.documents.values() for node in walk(one.nodes))
    gone = (node for node in every if node.line in edit.dropped)
    new = (node for texts in edit.added.values() for text in texts for node in _parsed(text))
    for node in (*walk(tuple(gone)), *walk(tuple(new))):
        if node.name in _GUARDS or node.name == b"include":
            name = node.name.decode()
            raise CannotAdoptError(
                f"the edit is about `{name}`, which a person writes into the imported config"
            )


def _parsed(text: str) -> Iterable[Node]:
    return parse(text.encode(), "the edit").nodes


def _written(nodes: Sequence[Node], edit: _Edit) -> bytes:
    return to_bytes(_changed(nodes, edit))


def _changed(nodes: Sequence[Node], edit: _Edit) -> tuple[Node, ...]:
    out: list[Node] = []
    for node in nodes:
        if not isinstance(node, Directive):
            out.append(node)
            continue
        out += _added(edit, node.line, "before")
        if node.line in edit.dropped:
            out += _added(edit, node.line, "instead")
        elif node.children is not None:
            inside = _changed(node.children, edit)
            first, last = (_added(edit, node.line, place) for place in ("first", "last"))
            out.append(replace(node, children=(*first, *inside, *last)))
        else:
            out.append(node)
        out += _added(edit, node.line, "after")
    return tuple(out)


def _added(edit: _Edit, number: int, place: Place) -> tuple[Node, ...]:
    # No line more than the edit has: refusals of the model name the lines of the original.
    begin = "" if place in {"before", "instead"} else "\n"
    found: list[Node] = []
    for text in edit.added.get((number, place), ()):
        end = "\n" if place in {"before", "last"} or "#" in text else ""
        found += _parsed(f"{begin}{text}{end}")
    return tuple(found)


def is_same(one: Sequence[Node], other: Sequence[Node]) -> bool:
    """Reports whether nginx reads the same of both."""
    return _read(one) == _read(other)


def _read(nodes: Sequence[Node]) -> list[object]:
    return [
        (node.name, node.values, node.body, None if node.children is None else _read(node.children))
        for node in nodes
        if isinstance(node, Directive)
    ]
