"""Renders `retry` of a route: which failed tries nginx passes to the next endpoint."""

from collections.abc import Mapping
from typing import Final

from headgate.engines.nginx.common.retries import UNLIMITED
from headgate.engines.nginx.render.context import Context
from headgate.features.nginx import About
from headgate.nginxtext.tree import Node
from headgate.nginxtext.writer import Word, directive
from headgate.plan.objects import OnlyMethods, Retry, RetryBackoff, RetryBudget, Route

_WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "reset": ("invalid_header",),
    "timeout": ("timeout",),
    "gateway-error": ("http_502", "http_503", "http_504"),
}
"""Besides `error`, which is always there."""

_STATUSES: Final = ("403", "404", "429", "500", "502", "503", "504")


def route(name: str, one: Route, ctx: Context) -> list[Node]:
    """Returns what differs from the default, which passes on what could not be connected to."""
    if one.retry is None:
        return []
    about = ctx.findings.of("route", name, "retry")
    retry = one.retry
    if not ctx.has("proxy_next_upstream_tries"):
        about.refuse("retries", "this nginx cannot limit the tries")
    if retry.backoff != RetryBackoff():
        about.refuse("backoff", "nginx does not wait between two tries")
    if retry.budget != RetryBudget() and retry.budget.per_second < UNLIMITED:
        about.refuse(
            "budget",
            f"nginx has no budget of retries: leave it out, or write `per_second = {UNLIMITED}`",
        )
    if retry.hedge is not None:
        about.refuse("hedge", "nginx does not ask a second endpoint beside the first")
    about.note(
        "",
        "nginx goes to another endpoint at once and never to the same one again, counts endpoints "
        "that it cannot connect to as tries, and has no budget of retries",
    )
    words = dict.fromkeys(("error", *_conditions(retry, about), *_methods(retry, ctx, about)))
    return [
        directive("proxy_next_upstream", *map(Word, words)),
        directive("proxy_next_upstream_tries", Word(str(retry.retries + 1))),
    ]


def _conditions(retry: Retry, about: About) -> list[str]:
    words: list[str] = []
    for condition in retry.on:
        if condition in _WORDS:
            words += _WORDS[condition]
        elif condition in _STATUSES:
            words.append(f"http_{condition}")
        elif condition == "5xx":
            about.refuse("on", "of 5xx nginx tries 500, 502, 503 and 504 again: write these")
        else:
            about.refuse("on", f"nginx does not try {condition} again")
    return words


def _methods(retry: Retry, ctx: Context, about: About) -> list[str]:
    if isinstance(retry.methods, OnlyMethods):
        about.refuse("methods", "nginx repeats idempotent requests or all, not those of a list")
        return []
    if retry.methods == "idempotent":
        return []
    if not ctx.has("proxy_next_upstream_non_idempotent"):
        about.refuse("methods", "this nginx repeats every request, and cannot be told otherwise")
    return ["non_idempotent"]
