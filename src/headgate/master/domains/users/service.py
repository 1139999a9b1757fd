"""The rules of users and their roles."""

from collections import defaultdict

from headgate.master.access import ROLE_NAMES, Caller, Permission, Role
from headgate.master.api.problems import ForbiddenError, ProblemError, invalid, not_found
from headgate.master.api.types import Page
from headgate.master.domains.organisations import store as organisations
from headgate.master.domains.sessions import store as sessions
from headgate.master.domains.users import store
from headgate.master.domains.users.types import (
    Account,
    InvitedUser,
    Membership,
    NewGrant,
    NewUser,
    User,
    UserGrant,
    UserWindow,
)
from headgate.master.domains.workspaces import store as workspaces
from headgate.master.ids import digest_of, new_id, new_secret
from headgate.master.store.transaction import Transaction

INVITATION_MS = 7 * 86_400_000


async def grant(tx: Transaction, user_id: str, workspace: str, role: Role, now_ms: int) -> None:
    """Gives a user a role in the scope's organisation, or in one of its workspaces."""
    if workspace and await workspaces.find(tx, workspace) is None:
        raise invalid("$.workspace", "no such workspace here", "write the id of a workspace")
    await store.put_role(tx, user_id, (workspace, role), new_id(now_ms), now_ms)


async def invite(tx: Transaction, new: NewUser, inviter: Caller, now_ms: int) -> InvitedUser:
    """Makes a user with a first role, and the token by which they choose a password; or takes one
    of another organisation in, whose password is theirs already. Raises ProblemError.

    Names are those of the whole master: somebody else may have made an account of this one, and
    would get the role. Only administrators of the master know whose it is.
    """
    if new.is_member_elsewhere and not inviter.is_master_admin:
        raise ForbiddenError(
            Permission.USERS_WRITE, "only administrators of the master take in users of others"
        )
    _refuse_more(inviter, ROLE_NAMES[new.role])
    account = await store.account_named(tx, new.name, is_locked=True)
    if account is None:
        if new.is_member_elsewhere:
            raise invalid(
                "$.is_member_elsewhere", "no user has this name", "leave it out to make one"
            )
        return await _made(tx, new, now_ms)
    if await store.members(tx, [account.id]):
        raise ProblemError(
            409, "taken", f'the user "{new.name}" is a member already; change the roles instead'
        )
    if not new.is_member_elsewhere:
        raise ProblemError(
            409,
            "taken",
            f'the name "{new.name}" is not free; choose another one, or have an administrator of'
            " the master take this user in (is_member_elsewhere)",
        )
    return await _joined(tx, account, new, None, now_ms)


def _refuse_more(giver: Caller, role: Role) -> None:
    """Raises ForbiddenError for a token that was narrowed to less than the role may do: the link of
    an invitation is answered to it, and nobody gives more than they have."""
    if not giver.may_give(role):
        raise ForbiddenError(
            Permission.USERS_WRITE,
            "a user may not do more than the token that gives the role; give a lesser role, or use"
            " a token that has all permissions of this one",
        )


async def _made(tx: Transaction, new: NewUser, now_ms: int) -> InvitedUser:
    account = Account(
        id=new_id(now_ms),
        name=new.name,
        password_hash=None,
        is_master_admin=False,
        is_disabled=False,
        version=1,
        created_at=now_ms,
    )
    await store.insert(tx, account)
    token = new_secret("s")
    expires_at = now_ms + INVITATION_MS
    await sessions.add_link(tx, digest_of(token), account.id, now_ms, expires_at)
    return await _joined(tx, account, new, token, now_ms)


async def _joined(
    tx: Transaction, account: Account, new: NewUser, token: str | None, now_ms: int
) -> InvitedUser:
    await grant(tx, account.id, new.workspace, ROLE_NAMES[new.role], now_ms)
    user = await find(tx, account.id)
    return InvitedUser(**user.model_dump(), setup_token=token)


async def find(tx: Transaction, user_id: str, *, is_locked: bool = False) -> User:
    """Returns a member of the scope's organisation; raises ProblemError for others. Locked, others
    wait until the transaction ends."""
    account = await store.account(tx, user_id, is_locked=is_locked)
    members = await store.members(tx, [user_id])
    if account is None or not members:
        raise not_found("user", user_id)
    return _shown(account, members)


async def listed(tx: Transaction, window: UserWindow) -> Page[User]:
    """Returns the members of the scope's organisation, by id."""
    ids = await store.member_ids(tx, window)
    shown = ids[: window.limit]
    grants: dict[str, list[Membership]] = defaultdict(list)
    for one in await store.members(tx, shown):
        grants[one.user_id].append(one)
    found = {one.id: one for one in await store.accounts(tx, shown)}
    items = [_shown(found[user_id], grants[user_id]) for user_id in shown if user_id in found]
    more = len(ids) > len(shown)
    return Page[User](items=items, next=window.following(shown[-1]) if more else None)


async def change_role(
    tx: Transaction, user_id: str, new: NewGrant, giver: Caller, now_ms: int
) -> User:
    """Gives a member another role; the last administrator stays one."""
    _refuse_more(giver, ROLE_NAMES[new.role])
    await find(tx, user_id)
    await organisations.lock(tx)
    await grant(tx, user_id, new.workspace, ROLE_NAMES[new.role], now_ms)
    await _refuse_without_admin(tx)
    return await find(tx, user_id)


async def remove(tx: Transaction, user_id: str) -> None:
    """Takes a user out of the scope's organisation; the last administrator stays. One who belongs
    to no organisation any more is gone, with sessions and links, unless they run the master."""
    account = await store.account(tx, user_id, is_locked=True)
    await find(tx, user_id)
    await organisations.lock(tx)
    await store.remove_roles(tx, user_id)
    await _refuse_without_admin(tx)
    if (
        account is not None
        and not account.is_master_admin
        and not await store.is_member(tx, user_id)
    ):
        await sessions.remove_all(tx, user_id)
        await store.remove(tx, user_id)


async def _refuse_without_admin(tx: Transaction) -> None:
    """Raises ProblemError if the organisation, which is locked, has no administrator any more: of
    two who end each other at the same moment, the second one is to see what the first did."""
    members = await store.members(tx)
    if not any(one.role == Role.ADMIN and not one.workspace for one in members):
        raise ProblemError(
            409,
            "last-admin",
            "this would leave the organisation without an administrator; make another one first",
        )


def _shown(account: Account, members: list[Membership]) -> User:
    grants = [
        UserGrant(workspace=one.workspace, role=Role(one.role).name.lower())  # type: ignore[arg-type]
        for one in members
    ]
    return User(
        id=account.id,
        version=account.version,
        name=account.name,
        created_at=account.created_at,
        is_disabled=account.is_disabled,
        grants=grants,
    )
