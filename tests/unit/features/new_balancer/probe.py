"""Says as JSON what a copy of headgate with the balancer `pinned` makes of it."""

import json
import sys
from typing import cast

from feature_probe import explained, loaded

from headgate.compile.explanation import Outcome
from headgate.engines.nginx.endpoints.table import why_static
from headgate.features import nginx_registry
from headgate.features.nginx import Findings, Shared
from headgate.kernel.ids import ObjectName
from headgate.model.schema import config_schema
from headgate.plan.kinds import ObjectKey
from headgate.plan.objects import Upstream

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
    won = explained(plan, Outcome("forward")).won
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
