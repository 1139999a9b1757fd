"""Removes the values that came from secrets from explanations. Pure."""

import re
from collections.abc import Collection, Iterator
from typing import Final

import msgspec

from headgate.compile.explanation import Condition, Explanation, Outcome, Won
from headgate.features.base import AnyMiddlewareNode
from headgate.features.nodes import node_of
from headgate.kernel.ids import ObjectName
from headgate.plan.kinds import Kind, ObjectKey
from headgate.plan.middleware import Middleware, MiddlewareUse
from headgate.plan.objects import Host, PathMatch, Route, ValueMatch
from headgate.plan.plan import Plan

HIDDEN: Final = "(secret)"

_CONDITION: Final = re.compile(r"match\[([0-9]+)\]\.([a-z_]+)(?:\.(.+))?")


def veiled(found: Explanation, plan: Plan, secrets: Collection[str]) -> Explanation:
    """Returns the explanation with every value that is a secret, or was made with one, replaced.

    It covers the texts of conditions, header values, bodies and the targets of rewrites and
    redirects with a secret; costs nothing without secrets.
    """
    if not secrets:
        return found
    near = [
        msgspec.structs.replace(
            miss,
            failed=[_condition(one, miss.route, plan, secrets, "fails") for one in miss.failed],
        )
        for miss in found.near
    ]
    won = found.won and _won(found.won, plan, secrets)
    return msgspec.structs.replace(found, won=won, near=near)


def _won(won: Won, plan: Plan, secrets: Collection[str]) -> Won:
    held = [_condition(one, won.route, plan, secrets, "holds") for one in won.held]
    outcome = won.outcome
    for step in _chain(won, plan):
        outcome = _after(step, outcome, secrets)
    upstreams = [
        msgspec.structs.replace(share, host=HIDDEN) if share.host in secrets else share
        for share in won.upstreams
    ]
    steps = [
        msgspec.structs.replace(one, does=HIDDEN)
        if any(text in one.does for text in secrets if text)
        else one
        for one in won.middlewares
    ]
    return msgspec.structs.replace(
        won, held=held, outcome=outcome, upstreams=upstreams, middlewares=steps
    )


def _condition(
    condition: Condition, route: str, plan: Plan, secrets: Collection[str], how: str
) -> Condition:
    """Returns a condition without its text if that says a secret:
    the word says how the request stands.
    """
    if not any(text in secrets for text in _values(plan, route, condition.key)):
        return condition
    name = condition.key.partition("].")[2]
    return msgspec.structs.replace(condition, text=f"{name} {how}: its value is {HIDDEN}")


def _values(plan: Plan, route: str, key: str) -> Iterator[str]:
    """Yields the texts of a condition; `key` is `match[0].headers.x-tenant`,
    as the router says it.
    """
    entry = plan.objects.get(ObjectKey("route", ObjectName(route)))
    at = _CONDITION.fullmatch(key)
    if entry is None or at is None or not isinstance(entry.value, Route):
        return
    match, kind, name = entry.value.match[int(at[1])], at[2], at[3]
    named = {"headers": match.headers, "cookies": match.cookies, "query": match.query}
    one: PathMatch | ValueMatch | None = None
    if kind == "path":
        one = match.path
    elif kind == "client_subject":
        one = match.client_subject
    elif kind in named:
        one = named[kind].get(name)
    elif kind == "client_certificate" and match.client_certificate is not None:
        certificate = match.client_certificate
        yield from (*certificate.subjects, *certificate.sans)
        yield from (*certificate.spiffe, *certificate.fingerprints)
    if one is not None:
        yield from filter(None, (one.exact, one.prefix, one.regex))


def _chain(won: Won, plan: Plan) -> Iterator[AnyMiddlewareNode]:
    """Yields the middlewares of the winner, and its own answer as one of them."""
    uses: list[MiddlewareUse] = []
    own: list[AnyMiddlewareNode | None] = []
    for kind, name in (("host", won.host), ("route", won.route)):
        entry = plan.objects.get(ObjectKey(_kind(kind), ObjectName(name)))
        if entry is not None and isinstance(entry.value, Host | Route):
            uses += entry.value.middlewares
        if entry is not None and isinstance(entry.value, Route):
            action = entry.value.action
            own += [action.respond, action.redirect]
    for use in uses:
        named = plan.objects.get(ObjectKey("middleware", ObjectName(use.use or "")))
        own.append(node_of(named.value if named and isinstance(named.value, Middleware) else use))
    yield from (node for node in own if node is not None)


def _kind(word: str) -> Kind:
    return "host" if word == "host" else "route"


def _after(node: AnyMiddlewareNode, outcome: Outcome, secrets: Collection[str]) -> Outcome:
    shown = node.shown()
    if shown is None:
        return _hidden(outcome) if _has_secret(msgspec.to_builtins(node), secrets) else outcome
    names = {name for name, text in shown.headers if text in secrets}
    headers = [(name, HIDDEN if name in names else text) for name, text in outcome.headers]
    return msgspec.structs.replace(
        outcome,
        headers=headers,
        body=_unless(outcome.body, shown.body, secrets),
        target=_unless(outcome.target, shown.target, secrets),
        host=_unless(outcome.host or "", shown.host, secrets) or outcome.host,
    )


def _unless(made: str, texts: Collection[str], secrets: Collection[str]) -> str:
    return HIDDEN if made and any(text in secrets for text in texts if text) else made


def _hidden(outcome: Outcome) -> Outcome:
    """Returns an outcome without all that a middleware may have made of a secret."""
    return msgspec.structs.replace(
        outcome,
        headers=[(name, HIDDEN) for name, _ in outcome.headers],
        body=outcome.body and HIDDEN,
        target=outcome.target and HIDDEN,
        host=outcome.host and HIDDEN,
    )


def _has_secret(value: object, secrets: Collection[str]) -> bool:
    if isinstance(value, dict):
        return any(_has_secret(one, secrets) for one in value.values())
    if isinstance(value, list | tuple):
        return any(_has_secret(one, secrets) for one in value)
    return isinstance(value, str) and value in secrets
