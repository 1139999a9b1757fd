"""The rules of API tokens."""

from headgate.master.access import ROLE_NAMES, Caller, Grant, Permission, Role
from headgate.master.api.problems import ForbiddenError, invalid, not_found, taken
from headgate.master.domains.organisations import store as organisations
from headgate.master.domains.tokens import store
from headgate.master.domains.tokens.types import ApiToken, HeldToken, MadeToken, NewToken
from headgate.master.domains.users import store as users
from headgate.master.domains.workspaces import store as workspaces
from headgate.master.ids import digest_of, new_id, new_secret
from headgate.master.store.errors import TakenError
from headgate.master.store.scope import Scope
from headgate.master.store.transaction import Transaction

PREFIX = "hgt_"
_DAY_MS = 86_400_000


async def create(tx: Transaction, new: NewToken, maker: Caller, now_ms: int) -> MadeToken:
    """Makes a token; nobody makes one that may do more than themselves."""
    role = ROLE_NAMES[new.role]
    if new.workspace and await workspaces.find(tx, new.workspace) is None:
        raise invalid("$.workspace", "no such workspace here", "write the id of a workspace")
    await organisations.lock(tx)  # nobody takes the role from the maker meanwhile
    own = (await _now(tx, maker)).role_in(Scope(tx.scope.organisation_id, new.workspace))
    narrowed = maker.only is not None and not _is_within(new, maker.only)
    if own is None or own < role or narrowed:
        raise ForbiddenError(
            Permission.TOKENS_WRITE,
            "a token may not do more than who makes it; give it a lesser role",
        )
    secret = new_secret("t")
    permissions = None if new.permissions is None else sorted(new.permissions)
    one = ApiToken(
        id=new_id(now_ms),
        version=1,
        name=new.name,
        workspace=new.workspace,
        role=new.role,
        permissions=None if permissions is None else [one.value for one in permissions],
        created_by=maker.id,
        created_at=now_ms,
        expires_at=now_ms + new.days * _DAY_MS,
        revoked_at=None,
    )
    try:
        await store.insert(tx, one, role, digest_of(secret))
    except TakenError:
        raise taken("token", new.name) from None
    return MadeToken(**one.model_dump(), secret=secret)


def _is_within(new: NewToken, only: frozenset[str]) -> bool:
    return new.permissions is not None and only.issuperset(one.value for one in new.permissions)


async def revoke(tx: Transaction, token_id: str, now_ms: int) -> None:
    """Ends a token at once."""
    if await store.find(tx, token_id) is None:
        raise not_found("token", token_id)
    await store.revoke(tx, token_id, now_ms)


async def makers(tx: Transaction, caller: Caller) -> list[str]:
    """Returns the ids of who made the caller's token, and the token by which they did, and so on up
    to a person; none for a person."""
    found: list[str] = []
    one = await store.find(tx, caller.id) if caller.is_token else None
    while one is not None:
        found.append(one.created_by)
        one = await store.find(tx, one.created_by)
    return found


async def fit(tx: Transaction, user_id: str, now_ms: int) -> list[str]:
    """Takes from the tokens that a user made, and from those that these made, what the user may not
    do any more: lowers their roles, or ends them. Returns their ids. The organisation is locked."""
    maker = await _user(tx, user_id)
    found: list[str] = []
    level = await store.made_by(tx, [user_id])
    while level:
        for one in level:
            own = maker.role_in(Scope(tx.scope.organisation_id, one.workspace))
            if one.revoked_at is not None or (own and own >= ROLE_NAMES[one.role]):
                continue
            found.append(one.id)
            if own is None:
                await store.revoke(tx, one.id, now_ms)
            else:
                await store.narrow(tx, one.id, own)
        level = await store.made_by(tx, [one.id for one in level])
    return found


async def _now(tx: Transaction, caller: Caller) -> Caller:
    """Returns the caller with the roles of now, in the scope's organisation."""
    if not caller.is_token:
        return await _user(tx, caller.id)
    one = await store.find(tx, caller.id)
    if one is None or one.revoked_at is not None:
        return Caller()
    grant = Grant(tx.scope.organisation_id, one.workspace, ROLE_NAMES[one.role])
    return Caller(id=one.id, grants=(grant,))


async def _user(tx: Transaction, user_id: str) -> Caller:
    roles = await users.members(tx, [user_id])
    grants = (Grant(tx.scope.organisation_id, one.workspace, Role(one.role)) for one in roles)
    return Caller(id=user_id, grants=tuple(grants))


async def held(tx: Transaction, secret: str) -> HeldToken | None:
    """Returns the token of a secret, good or not."""
    return await store.held(tx, digest_of(secret))


def is_good(token: HeldToken, now_ms: int) -> bool:
    """Reports whether it is neither revoked nor expired."""
    return token.revoked_at is None and now_ms < token.expires_at


def caller_of(token: HeldToken) -> Caller:
    """Returns who a token proves."""
    only = None if token.permissions is None else frozenset(token.permissions.split())
    return Caller(
        id=token.id,
        name=token.name,
        is_token=True,
        grants=(Grant(token.organisation_id, token.workspace, Role(token.role)),),
        only=only,
    )
