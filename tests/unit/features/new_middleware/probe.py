"""Says as JSON what a copy of headgate with the middleware `stamp` makes of it."""

import json
import sys
from types import SimpleNamespace
from typing import cast

import msgspec
from feature_probe import explained, loaded

from headgate.compile.explanation import Outcome
from headgate.compile.veil import veiled
from headgate.features import nginx_registry
from headgate.features.nginx import Findings
from headgate.features.nginx_chain import Chain
from headgate.kernel.ids import ObjectName
from headgate.model.schema import config_schema
from headgate.plan.kinds import ObjectKey
from headgate.plan.middleware import MiddlewareUse

HEAD = """
[listeners.web]
address = "127.0.0.1:1"
default = true
[upstreams.app]
endpoints = ["127.0.0.1:2"]
[middlewares.named]
stamp = { ink = "blue" }
"""
GOOD = HEAD + '[routes.r]\nupstream = "app"\nmiddlewares = ["named", { stamp = {} }]\n'


def in_nginx() -> list[str]:
    """Returns why nginx refuses one."""
    findings = Findings()
    chain = cast(Chain, SimpleNamespace(answer=None))
    about = findings.of("route", "r", "middlewares[0]")
    nginx_registry.add_middleware(MiddlewareUse(stamp={"ink": "red"}), chain, about)
    return [f"{one.path}: {one.message}" for one in findings.problems]


def main() -> None:
    """Prints what it found."""
    good = loaded(GOOD)
    plan = good.plan
    if plan is None:
        sys.exit("\n".join(map(str, good.diagnostics)))
    route = plan.objects[ObjectKey("route", ObjectName("r"))]
    named = plan.objects[ObjectKey("middleware", ObjectName("named"))]
    outcome = Outcome("answer", status=200, headers=[("ink", "of blue")], body="blue")
    told = explained(plan, outcome)
    hidden = veiled(told, plan, ["blue"]).won
    found = {
        "faults": [str(one) for one in good.diagnostics],
        "wrong": [
            str(one)
            for one in loaded(GOOD.replace("stamp = {}", 'stamp = { inc = "x" }')).diagnostics
        ],
        "raw": [str(one) for one in loaded(GOOD + 'forward_path = "raw"\n').diagnostics],
        "route": route.canonical.decode(),
        "named": named.canonical.decode(),
        "schema": config_schema(),
        "steps": [one.kind for one in told.won.middlewares] if told.won else [],
        "veiled": msgspec.to_builtins(hidden.outcome) if hidden else {},
        "parity": [line.key for line in nginx_registry.PARITY if "stamp" in line.key],
        "nginx": in_nginx(),
    }
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
