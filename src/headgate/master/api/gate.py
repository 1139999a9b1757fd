"""The gate that every route passes: who calls, whether they may, and whether it is a repeat."""

import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import get_origin

from fastapi.routing import APIRoute
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from headgate.master.access import RULES, Caller, Permission, Place
from headgate.master.api import repeats, storable
from headgate.master.api.call import Call
from headgate.master.api.expecting import expected_of
from headgate.master.api.problems import Fault, ForbiddenError, ProblemError, invalid, not_found
from headgate.master.api.routing import permission_of
from headgate.master.domains.audit.store import Event, record
from headgate.master.domains.organisations import store as organisations
from headgate.master.domains.sessions import service as sessions
from headgate.master.domains.sessions.throttle import ADDRESS, Limit, network_of
from headgate.master.domains.tokens import service as tokens
from headgate.master.domains.workspaces import store as workspaces
from headgate.master.ids import digest_of
from headgate.master.services import Master
from headgate.master.store.quotas import DEFAULTS
from headgate.master.store.scope import MASTER, Scope
from headgate.master.store.transaction import Transaction

_WRITES = {"POST": "created", "PUT": "changed", "PATCH": "changed", "DELETE": "removed"}
"""Methods that change something, and what the event says then."""

_NOT_FOUND = 404
_TOO_MANY = 429
PER_MINUTE = DEFAULTS.requests_per_minute
"""Requests of a caller to what belongs to no workspace: as many as a workspace may make."""

Handler = Callable[[Request], Coroutine[object, object, Response]]


class GatedRoute(APIRoute):
    """A route that nobody reaches without passing the gate."""

    is_gated = True

    def get_route_handler(self) -> Handler:
        """Returns the handler behind the gate."""
        carry_out = super().get_route_handler()

        async def handle(request: Request) -> Response:
            call = await opened(request, permission_of(self))
            _refuse_unknown_query(self, request)
            call.status = self.status_code or 200
            call.action = f"{request.method} {self.path}"
            if request.method in _WRITES:
                call.event = f"{self.tags[0]}.{_WRITES[request.method]}"
            call.has_secret = bool((self.openapi_extra or {}).get("x-has-secret"))
            call.said = expected_of(request)
            whose = call.scope.workspace_id or call.caller.id
            async with call.master.turns.turn(whose), _noting(call):
                return await carried(request, call)

        async def carried(request: Request, call: Call) -> Response:
            if request.method in _WRITES:
                await storable.check_body(request)
                if (again := await _repeated(request, call)) is not None:
                    return again
            return _finished(request, call, await carry_out(request))

        return handle


async def opened(connection: HTTPConnection, permission: Permission) -> Call:
    """Returns the call of a request that may go on; raises ProblemError for all others, after a
    pause if there are too many."""
    master: Master = connection.app.state.master
    try:
        return await _opened(master, connection, permission)
    except ProblemError as problem:
        if problem.status == _TOO_MANY:
            await master.pauses.pause()
        raise


async def _opened(master: Master, connection: HTTPConnection, permission: Permission) -> Call:
    storable.check_address(connection)
    address = connection.client.host if connection.client else ""
    now_ms = master.clock()
    caller = Caller()
    rule = RULES[permission]
    if rule.place is not Place.ANYWHERE:
        _refuse_again(master, connection, rule.place)
        caller = await authenticated(master, connection.headers.get("authorization"), address)
    scope = await _scope_of(master, connection, caller, rule.place)
    call = Call(
        master=master,
        caller=caller,
        scope=scope,
        address=address,
        now_ms=now_ms,
        action=permission.value,
        object=connection.url.path,
    )
    async with _noting(call):
        require(call, permission)
    connection.state.call = call
    return call


async def still_may(connection: HTTPConnection, permission: Permission, scope: Scope) -> bool:
    """Says whether the sender of a request to a workspace, which was let in, may still do the same
    there. It is not a further request: it counts for no limit and waits for none."""
    master: Master = connection.app.state.master
    address = connection.client.host if connection.client else ""
    _, token = _bearer(connection.headers.get("authorization"))
    caller = await _caller(master, token, address)
    if not isinstance(caller, Caller) or not caller.may(permission, scope):
        return False
    return scope in await _workspaces_named(master, _named_workspace(connection), caller)


def require(call: Call, permission: Permission) -> None:
    """Raises ForbiddenError unless the caller has the permission."""
    if call.caller.may(permission, call.scope):
        return
    raise ForbiddenError(
        permission,
        f"this needs the permission {permission.value}; ask an administrator for the role"
        f" {RULES[permission].role.name.lower()}",
    )


@contextlib.asynccontextmanager
async def _noting(call: Call) -> AsyncIterator[None]:
    """Adds a line to the audit log if the caller lacks a permission in the block, of whose changes
    nothing is left then. After many of them the caller is told to wait, without a line."""
    try:
        yield
    except ForbiddenError as error:
        keys = {ADDRESS: f"forbidden {call.caller.id}"}
        _refuse_throttled(call.master, keys, "too many requests for what you may not do; wait")
        call.master.throttle.failed(keys)
        await _audit_refusal(call, error.permission)
        raise


def _refuse_throttled(master: Master, keys: dict[Limit, str], why: str) -> None:
    """Raises ProblemError (429) after too many failures. Whoever counts one then, without waiting
    for anything between, counts those that come at the same moment as well."""
    if master.throttle.wait_ms(keys):
        raise ProblemError(429, "throttled", why, headers={"retry-after": "5"})


async def authenticated(master: Master, header: str | None, address: str) -> Caller:
    """Returns who the `Authorization` header proves; raises ProblemError (401, 429)."""
    keys = {ADDRESS: f"token {network_of(address)}"}
    scheme, token = _bearer(header)
    why = "too many wrong tokens from here; wait"
    if not master.proven.has(token):
        _refuse_throttled(master, keys, why)
    if scheme != "bearer" or not token:
        raise sessions.refused()
    found = await _caller(master, token, address)
    if isinstance(found, Caller):
        master.proven.add(token)
        return found
    if not master.proven.has(token):  # asked again, for those that came at the same moment
        _refuse_throttled(master, keys, why)
    master.proven.discard(token)
    master.throttle.failed(keys)
    if found is not None:
        await master.database.write(MASTER, lambda tx: record(tx, found, master.clock()))
    raise sessions.refused()


def _bearer(header: str | None) -> tuple[str, str]:
    """Returns the scheme of an `Authorization` header, in lower case, and the token."""
    scheme, _, token = (header or "").partition(" ")
    return scheme.lower(), token.strip()


async def _caller(master: Master, token: str, address: str) -> Caller | Event | None:
    """Returns who a token proves; what to note about one that was good once, or None."""
    now_ms = master.clock()
    if not token.startswith(tokens.PREFIX):
        claims = await master.keys.claims(token)
        if claims is None:
            return None
        async with master.database.look(MASTER) as tx:
            return await sessions.caller_of_session(tx, claims.sub, claims.sid, now_ms)
    async with master.database.look(MASTER) as tx:
        held = await tokens.held(tx, token)
    if held is None:
        return None
    if tokens.is_good(held, now_ms):
        return tokens.caller_of(held)
    return Event(
        held.organisation_id,
        "a token that is revoked or expired was used",
        actor=held.id,
        actor_name=held.name,
        address=address,
        outcome="refused",
    )


async def _scope_of(
    master: Master, connection: HTTPConnection, caller: Caller, place: Place
) -> Scope:
    """Returns the tenant that the request names. Requests for one that is not the caller's are
    audited and throttled."""
    address = connection.client.host if connection.client else ""
    keys = {ADDRESS: f"tenant {caller.id} {network_of(address)}"}
    why = "too many requests for what is not yours or does not exist; wait"
    _refuse_throttled(master, keys, why)
    try:
        return await _scope(master, connection, caller, place)
    except ProblemError as problem:
        if problem.status == _NOT_FOUND:
            _refuse_throttled(master, keys, why)
            master.throttle.failed(keys)
            await _audit_stranger(master, connection, caller, address)
        raise


async def _audit_stranger(
    master: Master, connection: HTTPConnection, caller: Caller, address: str
) -> None:
    """Records in the caller's organisations that it asked for a tenant that is not its own."""
    events = [
        Event(
            organisation,
            "a tenant that is not the caller's was asked for",
            object=connection.url.path,
            actor=caller.id,
            actor_name=caller.name,
            address=address,
            outcome="refused",
        )
        for organisation in sorted(caller.organisations)
    ]

    async def work(tx: Transaction) -> None:
        for event in events:
            await record(tx, event, master.clock())

    await master.database.write(MASTER, work)


async def _scope(master: Master, connection: HTTPConnection, caller: Caller, place: Place) -> Scope:
    """Returns the tenant that the request names; 404 for one that is not the caller's."""
    if place not in {Place.WORKSPACE, Place.ANYWHERE}:
        _count(master, connection, place, (caller.id, PER_MINUTE))
    if place is Place.MASTER:
        return MASTER if caller.is_master_admin else Scope()
    if place is Place.WORKSPACE:
        return await _workspace(master, connection, caller)
    if place is Place.ORGANISATION:
        named = connection.path_params.get("organisation")
        return await _organisation(
            master, named or connection.query_params.get("organisation"), caller
        )
    return Scope()


def _named_workspace(connection: HTTPConnection) -> str:
    named = connection.path_params.get("workspace")
    return named or connection.query_params.get("workspace", "")


async def _workspace(master: Master, connection: HTTPConnection, caller: Caller) -> Scope:
    key = _named_workspace(connection)
    mine = await _workspaces_named(master, key, caller)
    if not mine:
        raise not_found("workspace", key)
    if len(mine) > 1:
        raise invalid("workspace", f'two workspaces are called "{key}"', "write its id")
    ((scope, per_minute),) = mine.items()
    _count(master, connection, Place.WORKSPACE, (scope.workspace_id, per_minute))
    return scope


def _count(
    master: Master, connection: HTTPConnection, place: Place, limit: tuple[str, int]
) -> None:
    """Counts a request of a workspace or caller (its id); raises ProblemError (429) for one beyond
    the limit of a minute."""
    _, per_minute = limit
    wait_ms = master.rates.wait_ms(*limit)
    if wait_ms:
        master.refusals.add(_refusal_key(connection, place), wait_ms, per_minute)
        raise _too_many(place, wait_ms, per_minute)


async def _workspaces_named(master: Master, key: str, caller: Caller) -> dict[Scope, int]:
    """Returns the caller's workspaces of that name or id, with the requests a minute of each."""
    async with master.database.look(MASTER) as tx:
        found = await workspaces.named(tx, key, caller.grants)
    scopes = {Scope(one.organisation_id, one.id): one.requests_per_minute for one in found}
    return {scope: most for scope, most in scopes.items() if caller.role_in(scope) is not None}


def _refuse_again(master: Master, connection: HTTPConnection, place: Place) -> None:
    """Refuses, without the database, whoever was just told to wait for this workspace, or for what
    belongs to none."""
    wait_ms, per_minute = master.refusals.left(_refusal_key(connection, place))
    if wait_ms:
        raise _too_many(place, wait_ms, per_minute)


def _refusal_key(connection: HTTPConnection, place: Place) -> str:
    header = digest_of(connection.headers.get("authorization", ""))
    # Names are not empty, so that no workspace is taken for the other routes.
    return f"{header} {_named_workspace(connection)}" if place is Place.WORKSPACE else header


def _too_many(place: Place, wait_ms: int, per_minute: int) -> ProblemError:
    what = (
        f"the workspace may make {per_minute} requests a minute; wait, or ask an administrator"
        " of the organisation for more"
        if place is Place.WORKSPACE
        else f"you may make {per_minute} requests a minute outside of workspaces; wait"
    )
    return ProblemError(
        429,
        "quota",
        what,
        errors=[
            Fault(
                path="requests_per_minute",
                detail="the quota is used up",
                allowed=f"at most {per_minute}",
            )
        ],
        headers={"retry-after": str(-(-wait_ms // 1_000))},
    )


async def _organisation(master: Master, key: str | None, caller: Caller) -> Scope:
    if key is None:
        if len(caller.organisations) != 1:
            raise invalid(
                "organisation", "it is not clear which one is meant", "add ?organisation=NAME"
            )
        return Scope(next(iter(caller.organisations)))
    async with master.database.look(MASTER) as tx:
        found = await organisations.find(tx, key)
    if found is None or found.id not in caller.organisations:
        raise not_found("organisation", key)
    return Scope(found.id)


async def _audit_refusal(call: Call, permission: Permission) -> None:
    event = Event(
        call.scope.organisation_id,
        f"{permission.value} was refused",
        object=call.object,
        workspace=call.scope.workspace_id,
        actor=call.caller.id,
        actor_name=call.caller.name,
        address=call.address,
        outcome="refused",
    )
    await call.master.database.write(MASTER, lambda tx: record(tx, event, call.now_ms))


def _refuse_unknown_query(route: APIRoute, request: Request) -> None:
    known = {"organisation"} if RULES[permission_of(route)].place is Place.ORGANISATION else set()
    lists: set[str] = set()
    for field in route.dependant.query_params:
        fields = getattr(field.field_info.annotation, "model_fields", {})
        known |= set(fields) or {field.alias}
        lists |= {name for name, one in fields.items() if get_origin(one.annotation) is list}
    for name in request.query_params:
        if name not in known:
            allowed = f"write {', '.join(sorted(known))}" if known else "leave it out"
            raise invalid(name, "this parameter is not known", allowed)
        if name not in lists and len(request.query_params.getlist(name)) > 1:
            raise invalid(name, "this parameter is there more than once", "write it once")


async def _repeated(request: Request, call: Call) -> Response | None:
    """Returns the answer that the request got when it was carried out before."""
    key = request.headers.get("idempotency-key")
    if key is None or not call.caller.is_known:
        return None
    if not 0 < len(key) <= repeats.LONGEST:
        raise invalid("Idempotency-Key", "this key is too long", "write up to 200 characters")
    if wrong := storable.wrong_with(key):
        raise invalid("Idempotency-Key", *wrong)
    request_id = repeats.fingerprint(
        request.method, request.url.path, request.url.query, await request.body()
    )
    call.repeat = repeats.Repeat(call.caller.id, key, request_id)
    async with call.master.database.look(MASTER) as tx:
        kept = await repeats.answered(tx, call.repeat)
    if kept is None:
        return None
    if kept.body is None and call.has_secret:
        raise ProblemError(
            409, "repeated", "this was done before; its secret is not shown again. Make another one"
        )
    headers = {"etag": kept.etag} if kept.etag else {}
    media_type = "application/json" if kept.body is not None else None
    return Response(kept.body, kept.status, headers, media_type)


def _finished(request: Request, call: Call, response: Response) -> Response:
    response.headers["cache-control"] = "no-store"
    if call.tag is None:
        return response
    etag = call.etag(response.body)
    response.headers["etag"] = etag
    wanted = request.headers.get("if-none-match")
    if request.method == "GET" and wanted is not None and wanted.strip() == etag:
        return Response(status_code=304, headers={"etag": etag})
    return response
