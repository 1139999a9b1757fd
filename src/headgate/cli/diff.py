"""`headgate diff OLD NEW`: which objects change, and which logged requests would go elsewhere."""

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, Literal, NamedTuple, TextIO

import msgspec

from headgate._core import PlanError
from headgate.cli import accesslog
from headgate.cli.reading import read as read_config
from headgate.compile.explanation import Explanation, Outcome, explain, places
from headgate.compile.loaded import Loaded
from headgate.compile.located import refusals
from headgate.compile.logged import NEEDED, Logged
from headgate.compile.routing import Question, Request, Routing
from headgate.compile.veil import veiled
from headgate.kernel.diagnostics import render_text
from headgate.kernel.errors import Invalid
from headgate.plan.kinds import ObjectKey
from headgate.plan.plan import Plan
from headgate.plan.plan import diff as plan_diff

Output = Literal["text", "json"]

OK: Final = 0
USAGE: Final = 2
BAD_CONFIG: Final = 78

_SHOWN: Final = 20
"""Moved requests that the text lists; JSON has all."""


class ObjectDiff(msgspec.Struct, frozen=True):
    """One object that changes; `keys` are the top-level keys that differ in a changed one."""

    change: Literal["added", "removed", "changed"]
    kind: str
    name: str
    keys: list[str]
    place: str


class Move(msgspec.Struct, frozen=True):
    """A logged request that would go elsewhere; `count` = how often it was logged."""

    method: str
    url: str
    client: str
    count: int
    before: str
    after: str


class Requests(msgspec.Struct, frozen=True):
    """The effect on the logged requests. `skipped` counts the lines without a request."""

    logged: int
    moved: int
    skipped: int
    moves: list[Move]


class Diff(msgspec.Struct, frozen=True):
    """The whole answer; no `requests` when no log was given."""

    objects: list[ObjectDiff]
    requests: Requests | None = None


class Log(msgspec.Struct, frozen=True):
    """A log to read; `base` (`https://a.example`) is for lines without a host."""

    file: Path
    base: str | None = None


def diff(  # noqa: PLR0913 - what the command takes
    old: Path,
    new: Path,
    log: Log | None = None,
    output: Output = "text",
    *,
    env: Mapping[str, str] = os.environ,
    stream: TextIO = sys.stdout,
    errors: TextIO = sys.stderr,
) -> int:
    """Writes what differs between two configs (files or directories).

    Returns the exit code: 0 also when something differs, 2 when the log cannot be read, 78 when
    one of the configs would be refused; reasons go to `errors`.
    """
    sides = []
    for path in (old, new):
        loaded = read_config([path], env)
        try:
            routing = (
                Routing(loaded.plan, loaded.secrets, loaded.blobs)
                if loaded.plan is not None
                else None
            )
        except PlanError as error:
            errors.write(render_text(refusals(loaded, error)))
            return BAD_CONFIG
        if routing is None:
            errors.write(render_text(loaded.errors))
            return BAD_CONFIG
        sides.append((loaded, routing))
    (before, routing_before), (after, routing_after) = sides
    requests = None
    if log is not None:
        try:
            logged = accesslog.read_file(log.file, log.base)
        except OSError as error:
            errors.write(f"{log.file}: {error.strerror}\n")
            return USAGE
        requests = moves(logged, routing_before, routing_after)
    found = Diff(list(objects(before, after)), requests)
    if output == "json":
        stream.write(msgspec.json.encode(found).decode() + "\n")
    else:
        stream.writelines(f"{line}\n" for line in text(found))
    return OK


def objects(before: Loaded, after: Loaded) -> Iterator[ObjectDiff]:
    """Yields the objects that change, by kind and name."""
    old, new = before.plan or Plan(), after.plan or Plan()
    delta = plan_diff(old, new)
    for entry in delta.puts:
        known = old.objects.get(entry.key)
        place = places(after)(entry.key.kind, entry.key.name, "")
        keys = _differing(known.canonical, entry.canonical) if known else []
        yield _object("changed" if known else "added", entry.key, keys, place)
    for key in delta.deletes:
        yield _object("removed", key, [], places(before)(key.kind, key.name, ""))


def moves(logged: Logged, before: Routing, after: Routing) -> Requests:
    """Returns the logged requests that would go elsewhere, the most frequent first."""
    delta = plan_diff(before.plan, after.plan)
    keys = {*(entry.key for entry in delta.puts), *delta.deletes}
    # What hosts and middlewares do shows only in the outcome.
    is_any_touched = any(key.kind in ("host", "middleware") for key in keys)
    touched = {key.name for key in keys if key.kind == "route"}
    found = []
    for asked, count in logged.questions:
        old, new = _asked(before, asked), _asked(after, asked)
        route = _route(before, old)
        if route == _route(after, new) and not is_any_touched and route not in touched:
            continue
        was, would = _destination(before, old), _destination(after, new)
        if was.exact != would.exact:
            found.append(Move(asked.method, asked.url, asked.client, count, was.shown, would.shown))
    found.sort(key=lambda move: (-move.count, move.url, move.method))
    total = sum(count for _, count in logged.questions)
    return Requests(total, sum(move.count for move in found), logged.skipped, found)


def text(found: Diff) -> Iterator[str]:
    """Yields the lines of a diff."""
    marks = {"added": "+", "removed": "-", "changed": "~"}
    for one in found.objects:
        keys = f": {', '.join(one.keys)}" if one.keys else ""
        place = f"  ({one.place})" if one.place else ""
        yield f"{marks[one.change]} {one.kind} {one.name}{keys}{place}"
    if not found.objects:
        yield "no object differs"
    if found.requests is not None:
        yield from _requests(found.requests)


def _requests(requests: Requests) -> Iterator[str]:
    lines = "1 line" if requests.skipped == 1 else f"{requests.skipped} lines"
    skipped = f", {lines} skipped" if requests.skipped else ""
    yield f"{requests.moved} of {requests.logged} logged requests would go elsewhere{skipped}"
    if requests.skipped and not requests.logged:
        yield f"  no line holds a request: {NEEDED}"
    for move in requests.moves[:_SHOWN]:
        times = f"{move.count} times " if move.count > 1 else ""
        yield f"  {times}{move.method} {move.url}"
        yield f"      {move.before} → {move.after}"
    if len(requests.moves) > _SHOWN:
        yield f"  and {len(requests.moves) - _SHOWN} more (--output json has all)"


def _asked(routing: Routing, question: Question) -> Request | str:
    """Returns the request in a router's terms, or why it is none there."""
    try:
        return routing.request(question, came=True)
    except Invalid:
        pass
    except ValueError as error:
        return str(error)
    try:
        # The listener it was logged on is gone, perhaps only renamed.
        return routing.request(msgspec.structs.replace(question, listener=None), came=True)
    except Invalid as error:
        return error.what


def _route(routing: Routing, request: Request | str) -> str | None:
    """Returns the name of the route that takes a request, or why none can; None when none does."""
    if isinstance(request, str):
        return request
    try:
        found = routing.find(request)
    except ValueError as error:
        return str(error)
    return found.route if found else None


class _Words(NamedTuple):
    """Words that are equal when the destinations are, and those that hold no secret."""

    exact: str
    shown: str


def _destination(routing: Routing, request: Request | str) -> _Words:
    """Returns where a request goes."""
    if isinstance(request, str):
        return _Words(request, request)
    try:
        found = explain(routing, request, lambda *_: "")
    except ValueError as error:
        return _Words(str(error), str(error))
    return _Words(_words(found), _words(veiled(found, routing.plan, routing.secrets)))


def _words(found: Explanation) -> str:
    if found.refused:
        return f"400 ({found.refused})"
    won = found.won
    if won is None:
        return "404 (no route)"
    shares = [f"{s.name}:{s.weight}" for s in won.upstreams]
    upstream = " ".join(shares) if len(shares) > 1 else "".join(s.name for s in won.upstreams)
    return f"{won.route}: {_outcome(won.outcome, upstream)}"


def _outcome(outcome: Outcome, upstream: str) -> str:
    if outcome.kind == "forward":
        host = f" as {outcome.host}" if outcome.host else ""
        return f"{upstream} {outcome.target}{host}"
    location = dict(outcome.headers).get("location", "")
    return f"{outcome.status} {location}".rstrip()


def _object(
    change: Literal["added", "removed", "changed"], key: ObjectKey, keys: Iterable[str], place: str
) -> ObjectDiff:
    return ObjectDiff(change, key.kind, key.name, sorted(keys), place)


def _differing(old: bytes, new: bytes) -> set[str]:
    """Returns top-level keys whose values differ."""
    a, b = (msgspec.json.decode(side, type=dict[str, msgspec.Raw]) for side in (old, new))
    return {key for key in a.keys() | b.keys() if bytes(a.get(key, b"")) != bytes(b.get(key, b""))}
