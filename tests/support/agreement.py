"""What explain says of random requests, and what a running engine does with them."""

import json
from random import Random
from typing import Any

import random_routes
from wire import Wire

from headgate.compile import explanation
from headgate.compile.routing import Question, Routing

Outcome = tuple[int, str, str]
"""Status, route, and the target that is forwarded."""


def disagreements(
    routing: Routing, wire: Wire, random: Random, requests: int, *, nginx: bool = False
) -> list[str]:
    """A line for each of so many requests that the engine treats otherwise than explain says.

    Of nginx what the docs say differs is not asked or not counted: it takes an IPv6 address with a
    dot behind, and of two reasons to refuse a request it may give the other one.
    """
    wrong = []
    for _ in range(requests):
        asked = random_routes.request(random)
        if nginx and asked.host.startswith("[::1]."):
            continue
        said, done = foretold(routing, asked), observed(wire, asked)
        if nginx and {said[0], done[0]} == {400, 405}:
            continue
        if said != done:
            wrong.append(f"{asked}: served {done}, explain {said}")
    return wrong


def foretold(routing: Routing, asked: random_routes.Asked) -> Outcome:
    """What explain says of a request as a peer that is trusted sends it."""
    headers: dict[str, str | list[str]] = {**dict(asked.headers), "x-forwarded-for": asked.client}
    url = f"http://{asked.host}{asked.target}"
    question = Question(url, asked.method, headers, "127.0.0.1", "web")
    found = explanation.explain(routing, routing.request(question), lambda *_: "")
    if found.won is None:
        return found.status or 0, "", ""
    if found.won.outcome.kind == "forward":
        return 200, found.won.route, found.won.outcome.target
    return found.status or 0, found.won.route, ""


def observed(wire: Wire, asked: random_routes.Asked) -> Outcome:
    """What became of a request that was sent."""
    answer = wire.ask(asked.bytes())
    if answer.status != 200:
        return answer.status, "", ""
    if answer.header("x-up") is None:
        return 200, answer.body.decode(), ""
    seen: dict[str, Any] = json.loads(answer.body)
    route = next(value for name, value in seen["fields"] if name == "x-route")
    return 200, route, seen["line"].split(" ")[1]
