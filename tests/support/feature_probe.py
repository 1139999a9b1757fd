"""What the probes of new features ask of a copy of headgate."""

from pathlib import PurePath
from types import SimpleNamespace
from typing import cast

import msgspec
from memory_files import MemoryFiles

from headgate.compile.explanation import Explanation, Outcome, Won, explain
from headgate.compile.load import load
from headgate.compile.loaded import Loaded
from headgate.compile.routing import Request, Routing
from headgate.plan.plan import Plan

_REQUEST = Request(
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


def explained(plan: Plan, outcome: Outcome) -> Explanation:
    """Returns an explanation; the core, which does not know the feature, is not asked."""
    found = msgspec.json.encode(Explanation(won=Won("r", 0, "", 0, [], outcome)))
    core = SimpleNamespace(plan=plan, router=SimpleNamespace(explain=lambda _: found))
    return explain(cast(Routing, core), _REQUEST, lambda *place: ".".join(place))
