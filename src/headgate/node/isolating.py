"""Has a provider's config served without the objects that only the engine refuses.

What the engine names is quarantined alone, and the rest is tried again: an engine often names the
first fault only. It ends with a config that serves, with a refusal that names nothing or that a
quarantine does not help against, or after `TRIES` of them.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final, NamedTuple

from headgate.node.ports import Candidate, Rejected, Verdict

TRIES: Final = 8
"""The number of times that the rest of a config is tried after the whole of it."""

Serve = Callable[[Candidate], Awaitable[Verdict]]
Isolate = Callable[[Candidate, Verdict], Awaitable[Candidate | Rejected]]
"""Returns a candidate without what was refused of it; rejected where that cannot be."""


class Tried(NamedTuple):
    """The candidate that was tried last, and how that ended; with `errors` those of every try.

    `is_passing`: what keeps a part of it from serving may pass by itself.
    """

    candidate: Candidate
    verdict: Verdict
    is_passing: bool = False


async def serve_the_rest(candidate: Candidate, serve: Serve, isolate: Isolate) -> Tried:
    """Serves a candidate, without what the engine refuses of it if that can be left out."""
    verdict = await serve(candidate)
    refused = [verdict]
    for _ in range(TRIES):
        if not verdict.errors or not verdict.refused:
            break
        other = await isolate(candidate, verdict)
        if isinstance(other, Rejected):
            break
        candidate = other
        verdict = await serve(candidate)
        refused.append(verdict)
    if not verdict.errors:
        return Tried(candidate, verdict, any(one.is_passing for one in refused))
    errors = tuple(dict.fromkeys(error for one in refused for error in one.errors))
    is_undone = any(one.is_undone for one in refused)
    return Tried(candidate, replace(verdict, errors=errors, is_undone=is_undone))
