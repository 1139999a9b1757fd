"""Holds objects and whole configs against the model, the same as for files. Pure.

Nothing of this machine is read: neither files nor the environment.
"""

import errno
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from pydantic import ValidationError

from headgate._core import PlanError
from headgate.compile.compiler import Compiler
from headgate.compile.lints import lints
from headgate.compile.loaded import Loaded
from headgate.compile.located import refusals, tls_findings
from headgate.compile.reads import Reads
from headgate.compile.routing import Routing, shadows
from headgate.compile.sources import Given, Trust
from headgate.fleet.manifest import SECRETS, resource_of, resource_path
from headgate.kernel.diagnostics import Diagnostic, Severity
from headgate.kernel.errors import Invalid
from headgate.master.api.problems import Fault, json_path
from headgate.model.config import SECTIONS
from headgate.model.nulls import nulls
from headgate.model.problems import Problem, problems
from headgate.plan.plan import Plan

Contents = Mapping[str, bytes]
"""The contents of a revision: canonical specs and secret files, by path."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The errors in a config, and its probable mistakes."""

    errors: list[Fault]
    warnings: list[Fault]


def faults_of(kind: str, name: str, spec: object) -> list[Fault]:
    """Returns what is wrong with one object by itself; references are not followed."""
    section, base = SECTIONS[kind], (kind, name)
    try:
        section.name(name)
    except Invalid as wrong:
        return [Fault(path="name", detail=wrong.what, allowed=wrong.allowed)]
    found: list[Problem] = list(nulls(spec, base))
    try:
        section.validate(spec, context=Reads(_Contents({}), PurePath()))
    except ValidationError as wrong:
        found += problems(base, wrong)
    return [
        Fault(path=json_path(("spec", *one.path[2:])), detail=one.message, allowed=one.allowed)
        for one in found
        if one.severity is Severity.ERROR
    ]


def verdict(contents: Contents) -> Verdict:
    """Returns what the compiler and its lints say of a whole config; costs a compilation.

    People wrote it, so any error refuses it; agents put broken objects in quarantine instead.
    """
    return judged(loaded_from(contents))


def loaded_from(contents: Contents, compiler: Compiler | None = None) -> Loaded:
    """Returns a compiled config; costs a compilation, or with a compiler that had one like it only
    what differs."""
    given = [
        Given(PurePath(path), Trust.REFUSE_WHOLE, PurePath())
        for path in sorted(contents)
        if resource_of(path) is not None
    ]
    return (compiler or Compiler()).load(given, _Contents(contents), {})


def judged(loaded: Loaded) -> Verdict:
    """Returns what is wrong with a compiled config: what every node would say of it, too."""
    found: Sequence[Diagnostic] = (*loaded.diagnostics, *_refused(loaded), *tls_findings(loaded))
    errors = [one for one in found if one.severity is Severity.ERROR]
    warnings = [one for one in found if one.severity is not Severity.ERROR]
    if not errors:
        warnings += lints(loaded, shadows)
    return Verdict([_fault(one) for one in errors], [_fault(one) for one in warnings])


def _refused(loaded: Loaded) -> tuple[Diagnostic, ...]:
    """Returns what only the core finds wrong with routes, hosts and middlewares."""
    try:
        Routing(loaded.plan or Plan())
    except PlanError as error:
        return refusals(loaded, error)
    return ()


def _fault(one: Diagnostic) -> Fault:
    return Fault(
        path=f"{one.file}: {one.path}" if one.path else one.file,
        detail=one.message,
        allowed=one.allowed,
        severity=one.severity.value,
    )


class _Contents:
    """The contents as files; nothing else is there."""

    def __init__(self, contents: Contents) -> None:
        self._contents = contents

    def read(self, path: PurePath) -> bytes:
        """Returns a content; a resource's is the document that defines it. Raises OSError."""
        content = self._contents.get(str(path))
        if content is None:
            text = f"no such file below `{SECRETS}`"
            raise FileNotFoundError(errno.ENOENT, text, str(path))
        of = resource_of(str(path))
        if of is None:
            return content
        return json.dumps({of[0]: {of[1]: json.loads(content)}}, ensure_ascii=False).encode()

    def glob(self, _pattern: PurePath) -> Sequence[PurePath]:
        """Returns nothing: a config's objects are named one by one."""
        return []

    def is_public(self, _path: PurePath) -> bool:
        """Reports that nobody else reads the contents."""
        return False

    def is_directory(self, _path: PurePath) -> bool:
        """Reports that there are no directories."""
        return False


__all__ = [
    "Contents",
    "Verdict",
    "faults_of",
    "judged",
    "loaded_from",
    "resource_path",
    "verdict",
]
