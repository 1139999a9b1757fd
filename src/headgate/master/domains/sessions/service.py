"""The rules of sessions: set-up, login, rotating refresh tokens, and who a token proves."""

from dataclasses import dataclass
from typing import Final

from headgate.master.access import Caller, Role
from headgate.master.api.problems import ProblemError, invalid
from headgate.master.domains.audit.store import Event, record
from headgate.master.domains.organisations import store as organisations
from headgate.master.domains.organisations.types import Organisation
from headgate.master.domains.sessions import store
from headgate.master.domains.sessions.types import Session, Setup
from headgate.master.domains.users import service as users
from headgate.master.domains.users import store as user_store
from headgate.master.domains.users.types import Account
from headgate.master.domains.workspaces import service as workspaces
from headgate.master.domains.workspaces.types import NewWorkspace
from headgate.master.ids import digest_of, new_id, new_secret
from headgate.master.store.errors import TakenError
from headgate.master.store.scope import Scope
from headgate.master.store.transaction import Transaction

SESSION_MS: Final = 30 * 86_400_000
LINK_MS: Final = 86_400_000
FIRST_WORKSPACE: Final = "default"


@dataclass(frozen=True, slots=True)
class Opened:
    """A session that goes on, and the refresh token that is good next."""

    user_id: str
    session_id: str
    refresh_token: str


def refused() -> ProblemError:
    """Returns the answer to any proof that is not good; it never says what was wrong with it."""
    return ProblemError(
        401,
        "unauthenticated",
        "this is not proof of who you are; log in again, or send a token that is valid",
        headers={"www-authenticate": "Bearer"},
    )


async def setup_token(tx: Transaction, now_ms: int) -> str | None:
    """Returns the token of a new link for the first set-up; None once there is a user."""
    if await user_store.count(tx):
        return None
    token = new_secret("s")
    await store.add_link(tx, digest_of(token), None, now_ms, now_ms + LINK_MS)
    return token


async def password_token(tx: Transaction, name: str, now_ms: int) -> str | None:
    """Returns the token of a new link by which a user chooses another password; None if nobody has
    the name."""
    account = await user_store.account_named(tx, name)
    if account is None:
        return None
    token = new_secret("s")
    await store.add_link(tx, digest_of(token), account.id, now_ms, now_ms + LINK_MS)
    event = Event("", "a link for another password was made", object=account.id)
    await record(tx, event, now_ms)
    return token


async def require_link(tx: Transaction, token: str, now_ms: int) -> None:
    """Raises ProblemError unless the token's set-up link is good."""
    if not await store.is_good_link(tx, digest_of(token), now_ms):
        raise _bad_link()


def _bad_link() -> ProblemError:
    return invalid("$.token", "this set-up link is unknown, used or expired", "ask for a new one")


async def set_up(tx: Transaction, new: Setup, password_hash: str, now_ms: int) -> Opened:
    """Carries out a set-up link: makes the first administrator, or gives a user a password."""
    link = await store.use_link(tx, digest_of(new.token), now_ms)
    if link is None:
        raise _bad_link()
    if link.user_id is not None:
        if new.name is not None:
            raise invalid("$.name", "the link is for a user who has a name", "leave it out")
        await user_store.set_password(tx, link.user_id, password_hash)
        await store.end_sessions(tx, now_ms, user_id=link.user_id)
        return await open_session(tx, link.user_id, now_ms)
    if await user_store.count(tx):
        raise ProblemError(409, "taken", "the master is set up already; log in instead")
    if new.name is None:
        raise invalid("$.name", "this field is missing", "write the administrator's name")
    admin = Account(
        id=new_id(now_ms),
        name=new.name,
        password_hash=password_hash,
        is_master_admin=True,
        is_disabled=False,
        version=1,
        created_at=now_ms,
    )
    await user_store.insert(tx, admin)
    await _first_organisation(tx, new.organisation, admin, now_ms)
    return await open_session(tx, admin.id, now_ms)


async def _first_organisation(tx: Transaction, name: str, admin: Account, now_ms: int) -> None:
    one = Organisation(id=new_id(now_ms), version=1, name=name, created_at=now_ms)
    try:
        await organisations.insert(tx, one)
    except TakenError:
        raise invalid("$.organisation", "this name is taken", "write another one") from None
    inside = tx.within(Scope(one.id))
    await users.grant(inside, admin.id, "", Role.ADMIN, now_ms)
    await workspaces.create(inside, NewWorkspace(name=FIRST_WORKSPACE), now_ms)


async def open_session(tx: Transaction, user_id: str, now_ms: int) -> Opened:
    """Begins a session, with its first refresh token."""
    session = Session(
        id=new_id(now_ms), user_id=user_id, expires_at=now_ms + SESSION_MS, ended_at=None
    )
    await store.add_session(tx, session, now_ms)
    token = new_secret("r")
    await store.add_refresh(tx, digest_of(token), session.id, now_ms)
    return Opened(user_id, session.id, token)


async def user_of_unused(tx: Transaction, token: str, now_ms: int) -> str | None:
    """Returns whose refresh token it is, if it is good and was not used; None otherwise."""
    found = await store.find_refresh(tx, digest_of(token))
    if found is None or found.used_at is not None:
        return None
    session = await store.find_session(tx, found.session_id)
    if session is None or session.ended_at is not None or session.expires_at <= now_ms:
        return None
    return session.user_id


async def refresh(tx: Transaction, token: str, address: str, now_ms: int) -> Opened | None:
    """Exchanges a refresh token for the next one; None if it is not good.

    One that was used before is in two hands: the whole session ends, in the same transaction.
    """
    found = await store.find_refresh(tx, digest_of(token))
    session = None if found is None else await store.find_session(tx, found.session_id)
    if found is None or session is None or session.ended_at is not None:
        return None
    if session.expires_at <= now_ms or not await _is_enabled(tx, session.user_id):
        return None
    if not await store.use_refresh(tx, found.digest, now_ms):
        await store.end_sessions(tx, now_ms, session_id=session.id)
        event = Event(
            "",
            "a refresh token was used twice; its session was ended",
            actor=session.user_id,
            address=address,
            outcome="refused",
        )
        await record(tx, event, now_ms)
        return None
    following = new_secret("r")
    await store.add_refresh(tx, digest_of(following), session.id, now_ms)
    return Opened(session.user_id, session.id, following)


async def _is_enabled(tx: Transaction, user_id: str) -> bool:
    account = await user_store.account(tx, user_id)
    return account is not None and not account.is_disabled


async def caller_of_session(
    tx: Transaction, user_id: str, session_id: str, now_ms: int
) -> Caller | None:
    """Returns who an access token proves; None if the session ended or the user may not in."""
    found = await store.signed_in(tx, user_id, session_id)
    if not found:
        return None
    one = found[0]
    if one.ended_at is not None or one.is_disabled or one.expires_at <= now_ms:
        return None
    return Caller(
        id=user_id,
        name=one.name,
        is_master_admin=one.is_master_admin,
        session_id=session_id,
        grants=tuple(grant for row in found if (grant := row.grant) is not None),
    )
