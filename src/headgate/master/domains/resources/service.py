"""The rules of resources."""

import json
from asyncio import to_thread
from collections.abc import Iterable, Mapping
from typing import Final

from headgate.engines.nginx.imports import published
from headgate.fleet.manifest import resource_bytes, resource_path
from headgate.kernel.errors import Invalid
from headgate.master.access import Caller, Permission
from headgate.master.api.expecting import ANY, Expected
from headgate.master.api.problems import (
    Fault,
    ForbiddenError,
    ProblemError,
    invalid,
    not_found,
    stale,
    taken,
)
from headgate.master.domains.resources import store
from headgate.master.domains.resources.parameters import certain
from headgate.master.domains.resources.sets import Claim, faults, require_own
from headgate.master.domains.resources.types import Change, Resource, Row
from headgate.master.domains.resources.validation import faults_of
from headgate.master.ids import new_id
from headgate.master.store.errors import TakenError
from headgate.master.store.scope import Scope
from headgate.master.store.transaction import Transaction

MOST_BYTES = 256 << 10
VERBATIM: Final = frozenset({published.SECTION})
"""The kinds whose text agents run as it is: whoever writes them needs `resources.verbatim`."""
_PERMISSION: Final = Permission.RESOURCES_VERBATIM.value
_ASK: Final = "ask an administrator for the role approver"


def checked(change: Change, at: str = "$") -> bytes | None:
    """Returns the canonical bytes of a change's spec, None for a removal.

    Raises ProblemError with every fault of the object by itself; `at` is the change's JSON path.
    """
    if change.spec is None:
        return None
    try:
        content = resource_bytes(change.spec)
    except Invalid as wrong:
        raise invalid(f"{at}.spec", wrong.what, wrong.allowed) from None
    most = published.MOST_BYTES if change.kind in VERBATIM else MOST_BYTES
    if len(content) > most:
        raise invalid(f"{at}.spec", f"{len(content)} bytes are too many", f"at most {most}")
    located = faults_of(change.kind, change.name, change.spec)
    if change.kind in VERBATIM:  # what looks like a parameter there is nginx's text
        faults = [one.fault for one in located]
    else:
        faults = certain(located, change.spec)
    if faults:
        found = [one.model_copy(update={"path": one.path.replace("$", at, 1)}) for one in faults]
        detail = "; ".join(f"{one.path}: {one.detail}" for one in found[:3])
        raise ProblemError(422, "invalid", detail, errors=found)
    return content


async def _checked_apart(change: Change) -> bytes | None:
    """Does `checked`, in a thread if there is much text to read."""
    return checked(change) if change.kind not in VERBATIM else await to_thread(checked, change)


async def write(
    tx: Transaction, change: Change, by: Caller, now_ms: int, *, expected: Expected = ANY
) -> Row | None:
    """Writes or removes an object; returns its new row. Raises ProblemError, also for an object of
    another set."""
    require_verbatim([change], by, tx.scope)
    content = await _checked_apart(change)
    path = resource_path(change.kind, change.name)
    current = await store.find(tx, path)
    require_own(_claim(change, current.set_name if current else None))
    if not expected.fits(current):
        is_taken = expected.is_new and change.spec is not None
        raise taken(change.kind, change.name) if is_taken else _stale(change, current)
    if content is None:
        if current is None:
            raise not_found(change.kind, change.name)
        if not await store.remove(tx, current):
            raise _stale(change, current)
        return None
    row = Row(
        id=current.id if current else new_id(now_ms),
        version=current.version + 1 if current else 1,
        kind=change.kind,
        name=change.name,
        path=path,
        spec=content.decode(),
        fleets=current.fleets if current and change.fleets is None else selector(change.fleets),
        set_name=change.set,
        changed_at=now_ms,
        changed_by=by.id,
    )
    if current is None:
        try:
            await store.insert(tx, row)
        except TakenError:
            raise taken(change.kind, change.name) from None
        return row
    if _content(current) == _content(row):
        return current
    if not await store.put(tx, row, current):
        raise _stale(change, current)
    return row


def _content(row: Row) -> tuple[str, str, str]:
    return row.spec, row.fleets, row.set_name


def _claim(change: Change, owner: str | None) -> Claim:
    return Claim(f"{change.kind}/{change.name}", owner, change)


async def set_faults(tx: Transaction, changes: Iterable[Change]) -> list[Fault]:
    """Returns what refuses those of these changes that are of objects of other sets, by path."""
    by_path = {resource_path(one.kind, one.name): one for one in changes}
    owners = await store.owners(tx, by_path)
    return faults((path, _claim(by_path[path], owner)) for path, owner in sorted(owners.items()))


def require_verbatim(changes: Iterable[Change], by: Caller, scope: Scope) -> None:
    """Raises ProblemError if one of them is text that agents run as it is, and the caller may not
    write such text."""
    if wrong := verbatim_faults(changes, by, scope):
        detail = f"{wrong[0].path} {wrong[0].detail}; {_ASK}"
        raise ForbiddenError(Permission.RESOURCES_VERBATIM, detail)


def verbatim_faults(changes: Iterable[Change], by: Caller, scope: Scope) -> list[Fault]:
    """Returns the changes of text that agents run as it is, if the caller may not write these."""
    if by.may(Permission.RESOURCES_VERBATIM, scope):
        return []
    detail = f"is text that nginx runs as it is, which needs the permission {_PERMISSION}"
    return [
        Fault(path=resource_path(one.kind, one.name), detail=detail, allowed=_ASK)
        for one in changes
        if one.kind in VERBATIM
    ]


def selector(labels: Mapping[str, str] | None) -> str:
    """Returns the labels that choose an object's fleets, as the database has them."""
    return json.dumps(labels or {}, sort_keys=True)


async def exists(tx: Transaction, change: Change) -> bool:
    """Reports whether the object of a change is there."""
    return await store.find(tx, resource_path(change.kind, change.name)) is not None


def _stale(change: Change, current: Row | None) -> ProblemError:
    if current is None:
        return ProblemError(412, "stale", f"{change.kind}.{change.name} was removed meanwhile")
    return stale(store.shown(current))


async def put(
    tx: Transaction, change: Change, by: Caller, now_ms: int, expected: Expected
) -> Resource:
    """Writes an object and returns it; an equal one stays as it is."""
    row = await write(tx, change, by, now_ms, expected=expected)
    assert row is not None  # noqa: S101 - the spec is not null
    return store.shown(row)


async def remove(
    tx: Transaction, change: Change, by: Caller, now_ms: int, expected: Expected
) -> None:
    """Removes an object."""
    await write(tx, change, by, now_ms, expected=expected)
