"""Says as JSON what a copy of headgate with the balancer `pinned` makes of it.

The first argument is the folder of `memory_files`.
"""

import json
import sys
from pathlib import PurePath
from types import SimpleNamespace
from typing import cast

import msgspec
from memory_files import MemoryFiles

from headgate.compile.explanation import Explanation, Outcome, Won, explain
from headgate.compile.load import load
from headgate.compile.loaded import Loaded
from headgate.compile.routing import Request, Routing
from headgate.engines.nginx.endpoints.table import why_static
from headgate.features import nginx_registry
from headgate.features.nginx import Findings, Shared
from headgate.kernel.ids import ObjectName
from headgate.model.schema import config_schema
from headgate.plan.kinds import ObjectKey
from headgate.plan.objects import Upstream
from headgate.plan.plan import Plan

HEAD = """
[listeners.web]
address = "127.0.0.1:1"
default = true
[listeners.db]
address = "127.0.0.1:2"
protocol = "tcp"
[upstreams.app]
endpoints = ["127.0.0.1:3"]
balance = { pinned = { by = "header:x" } }
[upstreams.word]
endpoints = ["127.0.0.1:4"]
balance = "pinned"
[routes.r]
listeners = ["web"]
upstream = "app"
"""
TCP = '[tcp_routes.t]\nlisteners = ["db"]\nupstream = "app"\n'
REQUEST = Request(
    listener="web",
    scheme="http",
    host="a.example",
    port=None,
    path="/",
    query=None,
    method="GET",
    headers=[],
    client="192.0.2.1",
)


def loaded(text: str) -> Loaded:
    """Returns what a config becomes."""
    return load([PurePath("a.toml")], MemoryFiles({"a.toml": text}), {})


def explained(plan: Plan) -> Explanation:
    """Returns an explanation; the core, which does not know the balancer, is not asked."""
    found = msgspec.json.encode(Explanation(won=Won("r", 0, "", 0, [], Outcome("forward"))))
    core = SimpleNamespace(plan=plan, router=SimpleNamespace(explain=lambda _: found))
    return explain(cast(Routing, core), REQUEST, lambda *place: ".".join(place))


def in_nginx(upstream: Upstream) -> list[str]:
    """Returns why nginx refuses one."""
    findings = Findings()
    about = findings.of("upstream", "app")
    nginx_registry.balanced(upstream.balance, Shared(), lambda _: True, about)
    return [f"{one.path}: {one.message}" for one in findings.problems]


def main() -> None:
    """Prints what it found."""
    good = loaded(HEAD)
    plan = good.plan
    if plan is None:
        sys.exit("\n".join(map(str, good.diagnostics)))
    entries = {
        name: plan.objects[ObjectKey("upstream", ObjectName(name))] for name in ("app", "word")
    }
    app = cast(Upstream, entries["app"].value)
    won = explained(plan).won
    found = {
        "faults": [str(one) for one in good.diagnostics],
        "wrong": [str(one) for one in loaded(HEAD.replace("{ by", "{ bu")).diagnostics],
        "unknown": [str(one) for one in loaded(HEAD.replace('"pinned"', '"pined"')).diagnostics],
        "tcp": [str(one) for one in loaded(HEAD + TCP).diagnostics],
        "plan": {name: entry.canonical.decode() for name, entry in entries.items()},
        "schema": config_schema(),
        "explained": [one.balance for one in won.upstreams] if won else [],
        "parity": [line.key for line in nginx_registry.PARITY if "pinned" in line.key],
        "nginx": in_nginx(app),
        "lua": why_static(app),
    }
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
