"""The rules of organisations."""

from headgate.master.access import Caller, Role
from headgate.master.api.problems import taken
from headgate.master.domains.organisations import store
from headgate.master.domains.organisations.types import NewOrganisation, Organisation
from headgate.master.domains.users import service as users
from headgate.master.ids import new_id
from headgate.master.store.errors import TakenError
from headgate.master.store.scope import Scope
from headgate.master.store.transaction import Transaction


async def create(
    tx: Transaction, new: NewOrganisation, founder: Caller, now_ms: int
) -> Organisation:
    """Makes an organisation whose first administrator is the founder."""
    one = Organisation(id=new_id(now_ms), version=1, name=new.name, created_at=now_ms)
    try:
        await store.insert(tx, one)
    except TakenError:
        raise taken("organisation", new.name) from None
    if not founder.is_token:
        await users.grant(tx.within(Scope(one.id)), founder.id, "", Role.ADMIN, now_ms)
    return one
