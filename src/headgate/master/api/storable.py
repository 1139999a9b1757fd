"""Finds what the master's databases cannot keep as a client wrote it, before anything reads it.

PostgreSQL has no text with a NUL character, UTF-8 (and so both databases) no half of a surrogate
pair, and neither database an integer of more than 64 bits; JSON (RFC 8259) can write all of them.
Infinite numbers and NaN, which JSON has not, are what Python's reader makes of `1e999` and `NaN`.
"""

import math
import re
from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import Final, NamedTuple

from starlette.requests import HTTPConnection, Request

from headgate.master.api.problems import Fault, ProblemError, invalid, json_path

_HALF: Final = re.compile(r"[\ud800-\udfff]")
_MOST_FAULTS: Final = 20
_LEAST, _MOST = -(1 << 63), (1 << 63) - 1


class _Place(NamedTuple):
    """A key or an index in a body, and the place that it is in: in a deep body one of these for
    each object costs little, and a whole path for each much."""

    above: "_Place | None"
    key: str | int


def wrong_with(value: object) -> tuple[str, str] | None:
    """Returns what is wrong with a text or a number, and what is allowed; None: nothing is.

    >>> wrong_with(1 << 40)
    >>> wrong_with("a\\0b")
    ('this text holds a NUL character', 'write it without `\\\\u0000`')
    """
    if isinstance(value, str):
        if "\0" in value:
            return "this text holds a NUL character", r"write it without `\u0000`"
        if not value.isascii() and _HALF.search(value):
            return "this text holds half of a surrogate pair", "write both halves, or none"
    elif isinstance(value, int):
        if not _LEAST <= value <= _MOST:
            return "this number has more than 64 bits", f"write one from {_LEAST} to {_MOST}"
    elif isinstance(value, float) and not math.isfinite(value):
        return "this is not a finite number", "write a finite number, such as 1.5"
    return None


def faults(body: object) -> Iterator[Fault]:
    """Returns the places of a JSON body that cannot be kept, and what is allowed there; keys are
    texts, too."""
    if wrong := wrong_with(body):
        yield Fault(path="$", detail=wrong[0], allowed=wrong[1])
    waiting: deque[tuple[_Place | None, object]] = deque([(None, body)])
    while waiting:
        place, value = waiting.popleft()
        parts: Iterator[tuple[str | int, object]] = iter(())
        if isinstance(value, dict):
            parts = iter(value.items())
        elif isinstance(value, list):
            parts = iter(enumerate(value))
        for key, one in parts:
            if isinstance(one, dict | list):
                waiting.append((_Place(place, key), one))
            if wrong := wrong_with(key) or wrong_with(one):
                path = _path(_Place(place, key))
                yield Fault(path=path, detail=wrong[0], allowed=wrong[1])


def _path(place: _Place) -> str:
    parts = [place.key]
    while place.above is not None:
        place = place.above
        parts.append(place.key)
    return json_path(parts[::-1])


def check_address(connection: HTTPConnection) -> None:
    """Raises ProblemError (422) for a text in the path or the query that cannot be kept."""
    for name, text in (*connection.path_params.items(), *connection.query_params.multi_items()):
        if wrong := wrong_with(text):
            raise invalid(name, *wrong)


async def check_body(request: Request) -> None:
    """Raises ProblemError (422) with the places of a JSON body that cannot be kept, the first 20.

    What is no JSON is left to whoever reads the body after this; it is not parsed again then.
    """
    if not await request.body():
        return
    try:
        body = await request.json()
    except (ValueError, RecursionError):
        return
    found = list(islice(faults(body), _MOST_FAULTS))
    if found:
        detail = "; ".join(f"{one.path}: {one.detail}" for one in found[:3])
        raise ProblemError(422, "invalid", detail, errors=found)
