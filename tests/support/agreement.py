"""What explain and test say of random requests, and what a running engine does with them."""

import io
import json
from pathlib import Path
from random import Random
from typing import Any

import random_routes
from wire import Wire

from headgate.cli import test
from headgate.compile import explanation
from headgate.compile.routing import Question, Routing

Outcome = tuple[int, str, str]
"""Status, route, and the target that is forwarded."""


def disagreements(
    config: Path,
    routing: Routing,
    wire: Wire,
    random: Random,
    requests: int,
    *,
    nginx: bool = False,
) -> list[str]:
    """A line for each of so many requests that the engine treats otherwise than explain says, or
    than `headgate test` finds right.

    Of nginx what the docs say differs is not asked or not counted: it takes an IPv6 address with a
    dot behind, and of two reasons to refuse a request it may give the other one.
    """
    wrong, seen = [], []
    for _ in range(requests):
        asked = random_routes.request(random)
        if nginx and asked.host.startswith("[::1]."):
            continue
        said, done = foretold(routing, asked), observed(wire, asked)
        if nginx and {said[0], done[0]} == {400, 405}:
            continue
        if said != done:
            wrong.append(f"{asked}: served {done}, explain {said}")
        seen.append((asked, done))
    return [*wrong, *untrue(config, seen)]


def untrue(config: Path, seen: list[tuple[random_routes.Asked, Outcome]]) -> list[str]:
    """A line for each request of which `headgate test` expects something else than was done."""
    file = config.with_name("cases.json")
    file.write_text(json.dumps({"cases": [_case(*one) for one in seen]}))
    output, errors = io.StringIO(), io.StringIO()
    code = test.test(file, [config], stream=output, errors=errors)
    return [] if code == test.OK else [*output.getvalue().splitlines(), errors.getvalue()]


def _case(asked: random_routes.Asked, done: Outcome) -> dict[str, object]:
    status, route, target = done
    expect = {"route": route, "path": target} if target else {"route": route, "status": status}
    return {
        "request": f"{asked.method} http://{asked.host}{asked.target}",
        "headers": asked.fields(),
        "listener": "web",
        "expect": expect,
    }


def foretold(routing: Routing, asked: random_routes.Asked) -> Outcome:
    """What explain says of a request as a peer that is trusted sends it."""
    url = f"http://{asked.host}{asked.target}"
    question = Question(url, asked.method, asked.fields(), "127.0.0.1", "web")
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
