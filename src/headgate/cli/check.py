"""`headgate check`: every error of a config, and what its author probably did not mean."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePath
from typing import Final, Literal, TextIO

from headgate._core import PlanError
from headgate.cli.reading import read as read_config
from headgate.compile.emptiness import emptiness
from headgate.compile.lints import Shadows, lints, not_imported
from headgate.compile.loaded import Loaded
from headgate.compile.located import refusals, tls_findings
from headgate.compile.routing import Routing
from headgate.compile.sources import Given
from headgate.kernel.diagnostics import (
    Diagnostic,
    Severity,
    has_errors,
    render_json,
    render_text,
)
from headgate.plan.plan import Plan

Output = Literal["text", "json"]

OK: Final = 0
BAD_CONFIG: Final = 78
"""`EX_CONFIG` of sysexits.h."""


def check(
    paths: Sequence[PurePath | Given],
    output: Output = "text",
    *,
    shadows: Shadows | None = None,
    objections: Callable[[Loaded], tuple[Diagnostic, ...]] = lambda _: (),
    env: Mapping[str, str] = os.environ,
    stream: TextIO = sys.stdout,
) -> int:
    """Writes every diagnostic of the config at `paths` and returns the exit code.

    0 when it could be applied (warnings included), 78 when it would be refused. Text is one line
    per diagnostic and a closing line; JSON is an array of diagnostics. Without paths the
    environment is the config. `objections`: what the engine would refuse.
    """
    loaded = read_config(paths, env)
    found = (*loaded.diagnostics, *_refused(loaded), *tls_findings(loaded))
    if not has_errors(found):
        first = paths[0] if paths else "environment"
        name = str(first.path if isinstance(first, Given) else first)
        found += (*emptiness(loaded, name), *objections(loaded))
    diagnostics = (*found, *lints(loaded, shadows))
    if output == "json":
        stream.write(render_json(diagnostics).decode() + "\n")
    else:
        stream.write(render_text(diagnostics) + _summary(loaded, diagnostics) + "\n")
    return BAD_CONFIG if has_errors(diagnostics) else OK


def _refused(loaded: Loaded) -> tuple[Diagnostic, ...]:
    """Returns what only the core finds wrong with routes, hosts and middlewares."""
    try:
        Routing(loaded.plan or Plan())
    except PlanError as error:
        return refusals(loaded, error)
    return ()


def _summary(loaded: Loaded, diagnostics: Sequence[Diagnostic]) -> str:
    errors = sum(one.severity is Severity.ERROR for one in diagnostics)
    warnings = _count(len(diagnostics) - errors, "warning")
    if errors or loaded.plan is None:
        return f"refused: {_count(errors, 'error')}, {warnings}"
    objects = _count(len(loaded.plan.objects), "object")
    missing = len(not_imported(loaded.plan))
    refused = f", {_count(missing, 'route')} not imported" if missing else ""
    if loaded.quarantined:
        refused += f", {len(loaded.quarantined)} quarantined"
    if sets := len(loaded.key_sets):
        refused += f", {_count(sets, 'key set')} that only a node fetches"
    return f"ok: {objects}, {warnings}{refused}, plan {loaded.plan.digest.hex()[:12]}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
