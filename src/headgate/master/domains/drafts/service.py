"""The rules of drafts."""

from collections.abc import Collection, Mapping

from headgate.fleet.manifest import resource_path
from headgate.master.access import Caller
from headgate.master.api.expecting import ANY, Expected
from headgate.master.api.problems import invalid, not_found, stale, taken
from headgate.master.domains.drafts import store
from headgate.master.domains.drafts.types import Draft, NewDraft
from headgate.master.domains.resources import service as resources
from headgate.master.domains.resources.types import Change
from headgate.master.ids import new_id
from headgate.master.store.errors import TakenError
from headgate.master.store.transaction import Transaction


def checked(changes: list[Change]) -> list[Change]:
    """Returns the changes; raises ProblemError for a bad object, or one that is there twice.

    Takes seconds for imported nginx configs: a thread is the place for it.
    """
    seen: set[str] = set()
    for index, change in enumerate(changes):
        resources.checked(change, f"$.changes[{index}]")
        path = resource_path(change.kind, change.name)
        if path in seen:
            raise invalid(f"$.changes[{index}]", f"{path} is here twice", "write it once")
        seen.add(path)
    return changes


async def create(tx: Transaction, new: NewDraft, by: Caller, now_ms: int) -> Draft:
    """Makes a draft of changes that were checked."""
    draft = Draft(
        id=new_id(now_ms),
        version=1,
        name=new.name,
        changes=new.changes,
        created_by=by.id,
        changed_at=now_ms,
    )
    try:
        await store.insert(tx, draft)
    except TakenError:
        raise taken("draft", new.name) from None
    return draft


async def find(tx: Transaction, name: str, *, is_locked: bool = False) -> Draft:
    """Returns a draft; raises ProblemError. Locked, others wait until the transaction ends."""
    found = await store.find(tx, name, is_locked=is_locked)
    if found is None:
        raise not_found("draft", name)
    return found


async def change(
    tx: Transaction, name: str, changes: list[Change], expected: Expected, now_ms: int
) -> Draft:
    """Gives a draft other changes, which were checked."""
    current = await find(tx, name)
    if not expected.fits(current):
        raise stale(current)
    return await _put(tx, current, {"changes": changes, "changed_at": now_ms})


async def replace(tx: Transaction, new: NewDraft, current: Draft, by: Caller, now_ms: int) -> Draft:
    """Puts a draft of changes that were checked in the place of another one, as its next
    version."""
    values = {"changes": new.changes, "created_by": by.id, "changed_at": now_ms}
    return await _put(tx, current, values)


async def _put(tx: Transaction, current: Draft, values: Mapping[str, object]) -> Draft:
    draft = current.model_copy(update={**values, "version": current.version + 1})
    if not await store.put(tx, draft, current.version):
        raise stale(current)
    return draft


async def leave_out(tx: Transaction, name: str, paths: Collection[str], now_ms: int) -> None:
    """Takes the changes of the objects at these paths out of a draft, if it is there. A draft
    without changes goes."""
    current = await store.find(tx, name, is_locked=True)
    if current is None:
        return
    left = [one for one in current.changes if resource_path(one.kind, one.name) not in paths]
    if not left:
        await store.remove(tx, current.id)
    elif len(left) < len(current.changes):
        await change(tx, name, left, ANY, now_ms)


async def remove(tx: Transaction, name: str) -> None:
    """Removes a draft."""
    await store.remove(tx, (await find(tx, name)).id)
