"""The contents of a revision: the workspace's resources with changes, and the secrets they name."""

import json
from collections.abc import Iterator, Mapping

from headgate.fleet.manifest import SECRETS, resource_bytes, resource_of, resource_path
from headgate.master.domains.drafts.types import ObjectDiff
from headgate.master.domains.resources import store as resources
from headgate.master.domains.resources.types import Change
from headgate.master.domains.secrets import service as secrets
from headgate.master.store.sealing import Sealer
from headgate.master.store.transaction import Transaction


async def gathered(
    tx: Transaction,
    changes: list[Change],
    sealer: Sealer,
    labels: Mapping[str, str] | None = None,
) -> dict[str, bytes]:
    """Returns contents by path: every resource, and each secret file that one of them names.

    With the `labels` of a fleet, only the resources that go to it.
    """
    rows = await resources.every(tx)
    found = {row.path: row.spec.encode() for row in rows}
    wants: dict[str, Mapping[str, str]] = {row.path: json.loads(row.fleets) for row in rows}
    for change in changes:
        path = resource_path(change.kind, change.name)
        if change.spec is None:
            found.pop(path, None)
            continue
        found[path] = resource_bytes(change.spec)
        wants[path] = wants.get(path, {}) if change.fleets is None else change.fleets
    if labels is not None:
        found = {path: one for path, one in found.items() if chooses(wants[path], labels)}
    named = {text for content in found.values() for text in _texts(json.loads(content))}
    known = await secrets.contents(tx, sealer)
    return found | {
        SECRETS + name: content for name, content in known.items() if SECRETS + name in named
    }


def chooses(wanted: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Reports whether an object goes to a fleet with these labels.

    >>> chooses({"env": "prod"}, {"env": "prod", "zone": "a"}), chooses({}, {})
    (True, True)
    >>> chooses({"env": "prod"}, {"zone": "a"})
    False
    """
    return all(labels.get(key) == value for key, value in wanted.items())


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)


def differences(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> list[ObjectDiff]:
    """Returns what differs, by path; of secret files only that they do."""
    found = []
    for path in sorted({*before, *after}):
        old, new = before.get(path), after.get(path)
        if old == new:
            continue
        of = resource_of(path)
        found.append(
            ObjectDiff(
                change="added" if old is None else "removed" if new is None else "changed",
                path=path,
                kind=of[0] if of else None,  # type: ignore[arg-type] # resource_of knows no kinds
                name=of[1] if of else path.removeprefix(SECRETS),
                keys=_keys(old, new) if of and old is not None and new is not None else [],
            )
        )
    return found


def _keys(old: bytes, new: bytes) -> list[str]:
    before, after = json.loads(old), json.loads(new)
    return sorted(key for key in {*before, *after} if before.get(key) != after.get(key))
