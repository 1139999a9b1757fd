"""The rules of secret files."""

from headgate.master.access import Caller
from headgate.master.api.problems import not_found, stale, taken
from headgate.master.domains.enrolment.sealing import Seal
from headgate.master.domains.secrets import store
from headgate.master.domains.secrets.types import SealedSecret, Secret
from headgate.master.ids import new_id
from headgate.master.store.errors import TakenError
from headgate.master.store.sealing import Sealer
from headgate.master.store.transaction import Transaction

CONTEXT = "secret file"


async def put(
    tx: Transaction, given: tuple[str, bytes], seal: Seal, by: Caller, now_ms: int
) -> Secret:
    """Writes the secret file of (name, content), sealed."""
    name, content = given
    current = await store.find(tx, name)
    one = SealedSecret(
        id=current.id if current else new_id(now_ms),
        version=current.version + 1 if current else 1,
        name=name,
        size=len(content),
        changed_at=now_ms,
        changed_by=by.id,
        sealed=seal(content, CONTEXT),
    )
    if current is None:
        try:
            await store.insert(tx, one)
        except TakenError:
            raise taken("secret", name) from None
    elif not await store.put(tx, one, current.version):
        raise stale(current)
    return Secret.model_validate(one.model_dump(exclude={"sealed"}))


async def contents(tx: Transaction, sealer: Sealer) -> dict[str, bytes]:
    """Returns the contents of all secret files of the workspace, by name."""
    return {one.name: sealer.open(one.sealed, CONTEXT) for one in await store.every(tx)}


async def remove(tx: Transaction, name: str) -> None:
    """Removes a secret file; revisions that have it keep it."""
    if not await store.remove(tx, name):
        raise not_found("secret", name)
