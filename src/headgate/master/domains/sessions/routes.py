"""The routes of set-up, login and logout."""

import contextlib
from collections.abc import AsyncIterator
from typing import Final

from headgate.master.access import Permission
from headgate.master.api.call import Here
from headgate.master.api.problems import ProblemError
from headgate.master.api.routing import Routes
from headgate.master.domains.audit.store import Event, record
from headgate.master.domains.sessions import service, store
from headgate.master.domains.sessions.keys import ACCESS_MS
from headgate.master.domains.sessions.passwords import Hashing
from headgate.master.domains.sessions.throttle import ADDRESS, NAME, PAIR, Limit, network_of
from headgate.master.domains.sessions.types import (
    CallerGrant,
    Login,
    Me,
    Refresh,
    Setup,
    Tokens,
)
from headgate.master.domains.users import store as users
from headgate.master.domains.users.types import Account
from headgate.master.store.scope import MASTER

PROOFS_PER_MINUTE: Final = 60
"""Sessions that a user begins, and tokens that they exchange: each leaves rows for weeks."""

ROUTES = Routes("auth")


@ROUTES.post("/auth/setup", Permission.PUBLIC, status=200, has_secret=True)
async def set_up(call: Here, new: Setup) -> Tokens:
    """Uses a set-up link: makes the first administrator, or gives an invited user a password."""
    keys = {ADDRESS: f"setup {network_of(call.address)}"}
    await _refuse_early(call, keys)
    async with _failures(call, keys), call.master.database.read(MASTER) as tx:
        await service.require_link(tx, new.token, call.now_ms)
    async with call.master.passwords.turn(network_of(call.address)) as hashing:
        password_hash = await hashing.hashed(new.password)
    async with _failures(call, keys):
        opened = await call.write(
            lambda tx: service.set_up(tx, new, password_hash, call.now_ms), scope=MASTER
        )
    async with call.master.database.read(MASTER) as tx:
        account = await users.account(tx, opened.user_id)
    if account is not None:
        call.master.logged_in.add(_pair(call, account.name))
    return await _tokens(call, opened)


@ROUTES.post("/auth/login", Permission.PUBLIC, status=200, has_secret=True)
async def log_in(call: Here, given: Login) -> Tokens:
    """Begins a session with a user's name and password. Failures are throttled and audited."""
    network, pair = network_of(call.address), _pair(call, given.name)
    keys = {PAIR: pair, ADDRESS: f"login {network}", NAME: f"login {given.name}"}
    waits = keys
    if call.master.logged_in.has(pair):  # those who fail with the name elsewhere do not hold it up
        waits = {limit: key for limit, key in keys.items() if limit is not NAME}
    await _refuse_early(call, waits)
    async with call.master.passwords.turn(network) as hashing:
        # Those before it in the line may have failed meanwhile.
        await _refuse_early(call, waits)
        account = await _proven(call, given, hashing)
        if account is None:
            await call.master.logins.failed(keys)
            raise service.refused()
    _require_pace(call, "login", account.id)
    await call.master.logins.passed(keys)
    call.master.logged_in.add(pair)
    opened = await call.write(
        lambda tx: service.open_session(tx, account.id, call.now_ms), scope=MASTER
    )
    return await _tokens(call, opened)


def _pair(call: Here, name: str) -> str:
    return f"login {name} {network_of(call.address)}"


async def _proven(call: Here, given: Login, hashing: Hashing) -> Account | None:
    """Returns whose name and password these are; None, and a line of the audit log, if nobody's."""
    async with call.master.database.read(MASTER) as tx:
        account = await users.account_named(tx, given.name)
    password_hash = None if account is None or account.is_disabled else account.password_hash
    if await hashing.is_right(given.password, password_hash):
        return account
    event = Event(
        "",
        "a login failed",
        actor=account.id if account else "",
        actor_name=given.name,
        address=call.address,
        outcome="refused",
    )
    await call.master.database.write(MASTER, lambda tx: record(tx, event, call.now_ms))
    return None


@ROUTES.post("/auth/refresh", Permission.PUBLIC, status=200, has_secret=True)
async def refresh(call: Here, given: Refresh) -> Tokens:
    """Exchanges a refresh token for new tokens. Using one twice ends the session."""
    keys = {ADDRESS: f"refresh {network_of(call.address)}"}
    await _refuse_early(call, keys)
    async with call.master.database.read(MASTER) as tx:
        user_id = await service.user_of_unused(tx, given.refresh_token, call.now_ms)
    if user_id is not None:
        _require_pace(call, "refresh", user_id)
    opened = await call.master.database.write(
        MASTER, lambda tx: service.refresh(tx, given.refresh_token, call.address, call.now_ms)
    )
    if opened is None:
        await call.master.logins.failed(keys)
        raise service.refused()
    return await _tokens(call, opened)


@ROUTES.post("/auth/logout", Permission.SELF, status=204)
async def log_out(call: Here) -> None:
    """Ends the caller's session; its tokens are good no more."""
    session_id = call.caller.session_id
    if session_id:
        await call.write(
            lambda tx: store.end_sessions(tx, call.now_ms, session_id=session_id), scope=MASTER
        )


@ROUTES.get("/auth/me", Permission.SELF)
async def who_am_i(call: Here) -> Me:
    """Says who the caller is, and where they have which role."""
    caller = call.caller
    grants = [
        CallerGrant(
            organisation_id=one.organisation_id,
            workspace_id=one.workspace_id,
            role=one.role.name.lower(),  # type: ignore[arg-type]
        )
        for one in caller.grants
    ]
    return Me(
        id=caller.id,
        name=caller.name,
        is_token=caller.is_token,
        is_master_admin=caller.is_master_admin,
        grants=grants,
    )


@contextlib.asynccontextmanager
async def _failures(call: Here, keys: dict[Limit, str]) -> AsyncIterator[None]:
    """Counts it as a failure if the block refuses the request."""
    try:
        yield
    except ProblemError:
        await call.master.logins.failed(keys)
        raise


async def _refuse_early(call: Here, keys: dict[Limit, str]) -> None:
    wait_ms = await call.master.logins.wait_ms(keys)
    if wait_ms:
        raise ProblemError(
            429,
            "throttled",
            f"too many failures; wait {wait_ms / 1_000:.0f} s before the next try",
            headers={"retry-after": str(-(-wait_ms // 1_000))},
        )


def _require_pace(call: Here, what: str, user_id: str) -> None:
    """Raises ProblemError if a user proves in this way who they are too often."""
    wait_ms = call.master.rates.wait_ms(f"{what} {user_id}", PROOFS_PER_MINUTE)
    if wait_ms:
        raise ProblemError(
            429,
            "throttled",
            f"you may do this {PROOFS_PER_MINUTE} times a minute; wait, and use a token that you"
            " have for as long as it is good",
            headers={"retry-after": str(-(-wait_ms // 1_000))},
        )


async def _tokens(call: Here, opened: service.Opened) -> Tokens:
    access = await call.master.keys.signed(opened.user_id, opened.session_id)
    call.master.proven.add(access)
    return Tokens(
        access_token=access,
        refresh_token=opened.refresh_token,
        expires_in=ACCESS_MS // 1_000,
    )
