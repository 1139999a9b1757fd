"""Removes the values that came from secrets from explanations. Pure."""

import re
from collections.abc import Collection, Iterator
from typing import Final

import msgspec

from headgate.compile.explanation import Condition, Explanation, Outcome, Won
from headgate.kernel.ids import ObjectName
from headgate.plan.kinds import Kind, ObjectKey
from headgate.plan.middleware import Middleware, MiddlewareUse, Redirect, Respond, Rewrite
from headgate.plan.objects import Host, Route
from headgate.plan.plan import Plan

HIDDEN: Final = "(secret)"

_CONDITION: Final = re.compile(r"match\[([0-9]+)\]\.([a-z]+)\.(.+)")


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
    return msgspec.structs.replace(won, held=held, outcome=outcome, upstreams=upstreams)


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
    if kind == "path" and match.path is not None:
        yield from filter(None, (match.path.exact, match.path.prefix, match.path.regex))
    for word, conditions in (("headers", match.headers), ("query", match.query)):
        if kind == word and name in conditions:
            one = conditions[name]
            yield from filter(None, (one.exact, one.prefix, one.regex))


def _chain(won: Won, plan: Plan) -> Iterator[Middleware | MiddlewareUse]:
    """Yields the middlewares of the winner, and its own answer as one of them."""
    uses: list[MiddlewareUse] = []
    for kind, name in (("host", won.host), ("route", won.route)):
        entry = plan.objects.get(ObjectKey(_kind(kind), ObjectName(name)))
        if entry is not None and isinstance(entry.value, Host | Route):
            uses += entry.value.middlewares
        if entry is not None and isinstance(entry.value, Route):
            action = entry.value.action
            uses.append(MiddlewareUse(respond=action.respond, redirect=action.redirect))
    for use in uses:
        named = plan.objects.get(ObjectKey("middleware", ObjectName(use.use or "")))
        yield named.value if named and isinstance(named.value, Middleware) else use


def _kind(word: str) -> Kind:
    return "host" if word == "host" else "route"


def _after(step: Middleware | MiddlewareUse, outcome: Outcome, secrets: Collection[str]) -> Outcome:
    names = {name for name, text in _headers(step) if text in secrets}
    if step.redirect is not None and _is_secret(_places(step.redirect), secrets):
        names.add("location")
    headers = [(name, HIDDEN if name in names else text) for name, text in outcome.headers]
    outcome = msgspec.structs.replace(outcome, headers=headers)
    if step.respond is not None and step.respond.body in secrets:
        outcome = msgspec.structs.replace(outcome, body=outcome.body and HIDDEN)
    if step.rewrite is not None:
        if outcome.target and _is_secret(_path_texts(step.rewrite), secrets):
            outcome = msgspec.structs.replace(outcome, target=HIDDEN)
        if outcome.host and step.rewrite.host in secrets:
            outcome = msgspec.structs.replace(outcome, host=HIDDEN)
    return outcome


def _headers(step: Middleware | MiddlewareUse) -> Iterator[tuple[str, str]]:
    for edits in (step.request_headers, step.response_headers):
        if edits is not None:
            yield from edits.set.items()
            yield from edits.add.items()
    if isinstance(step.respond, Respond):
        yield from step.respond.headers.items()


def _places(redirect: Redirect) -> Iterator[str | None]:
    yield from (redirect.host, redirect.path, redirect.prefix)


def _path_texts(rewrite: Rewrite) -> Iterator[str | None]:
    path = rewrite.path
    if path is not None:
        yield from (path.strip_prefix, path.prefix, path.path)
        if path.regex is not None:
            yield from (path.regex.pattern, path.regex.replacement)


def _is_secret(texts: Iterator[str | None], secrets: Collection[str]) -> bool:
    return any(text in secrets for text in texts if text)
