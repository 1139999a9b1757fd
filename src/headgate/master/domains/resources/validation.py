"""Holds objects and whole configs against the model, the same as for files. Pure.

Nothing of this machine is read: neither files nor the environment.
"""

import errno
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Final, NamedTuple

from pydantic import ValidationError

from headgate._core import PlanError
from headgate.compile.compiler import Compiler
from headgate.compile.lints import lints
from headgate.compile.loaded import Loaded
from headgate.compile.located import refusals, tls_findings
from headgate.compile.reads import Reads
from headgate.compile.routing import Routing, shadows
from headgate.compile.sources import Given, Trust
from headgate.engines.nginx.imports import published
from headgate.fleet.manifest import SECRETS, resource_of, resource_path
from headgate.kernel.diagnostics import Diagnostic, Severity
from headgate.kernel.errors import Invalid
from headgate.master.api.problems import Fault, json_path
from headgate.master.domains.resources.parameters import Located, Path
from headgate.model.config import SECTIONS, object_name
from headgate.model.nulls import nulls
from headgate.model.problems import Problem, problems
from headgate.plan.plan import Plan

_NO_SUCH_FILE: Final = f"no such file below `{SECRETS}`"
Contents = Mapping[str, bytes]
"""The contents of a revision: canonical specs and secret files, by path."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The errors in a config, and its probable mistakes."""

    errors: list[Fault]
    warnings: list[Fault]


def faults_of(kind: str, name: str, spec: object) -> list[Located]:
    """Returns what is wrong with one object by itself; references are not followed, neither to
    other objects nor to secret files."""
    if kind == published.SECTION:
        return _of_import(name, spec)
    section, base = SECTIONS[kind], (kind, name)
    try:
        section.name(name)
    except Invalid as wrong:
        return [_of_name(wrong)]
    found: list[Problem] = list(nulls(spec, base))
    try:
        section.validate(spec, context=Reads(_Contents({}), PurePath()))
    except ValidationError as wrong:
        found += problems(base, wrong)
    return [
        _located(("spec", *one.path[2:]), one.message, one.allowed)
        for one in found
        if one.severity is Severity.ERROR and not _is_of_a_secret(one)
    ]


def _is_of_a_secret(one: Problem) -> bool:
    """Reports whether a secret file is missing, of which an object by itself has none."""
    return f'"{SECRETS}' in one.message and _NO_SUCH_FILE in one.message


def _of_name(wrong: Invalid) -> Located:
    return Located(("name",), Fault(path="name", detail=wrong.what, allowed=wrong.allowed))


def _located(path: Path, detail: str, allowed: str) -> Located:
    return Located(path, Fault(path=json_path(path), detail=detail, allowed=allowed))


def _of_import(name: str, spec: object) -> list[Located]:
    try:
        object_name(name)
        published.checked(spec)
    except Invalid as wrong:
        return [_of_name(wrong)]
    except published.CannotTravelError as wrong:
        return [_located(("spec", *wrong.part), wrong.what, wrong.allowed)]
    return []


class SentImport(NamedTuple):
    """An import among the contents of a revision: its path there, and the import's files."""

    path: str
    files: Mapping[str, bytes]


def import_of(contents: Contents) -> SentImport | None:
    """Returns the import that a fleet would get, the first one if there are several; None if there
    is none, or it is not whole: then `verdict` has an error."""
    for path in _imports(contents):
        try:
            one = published.checked(json.loads(contents[path]))
            return SentImport(path, published.to_bundle(one, contents))
        except published.CannotTravelError:
            return None
    return None


def _imports(contents: Contents) -> list[str]:
    return [path for path in sorted(contents) if _is_import(path)]


def _is_import(path: str) -> bool:
    return path.startswith(published.SECTION + "/") and resource_of(path) is not None


def import_faults(contents: Contents) -> list[Fault]:
    """Returns why the imports among the contents cannot be published together, or by themselves."""
    found = _imports(contents)
    faults = [
        Fault(
            path=path,
            detail=f"an nginx has one imported config, and {found[0]} is another",
            allowed="choose another fleet for it by `fleets`, or remove one of them",
        )
        for path in found[1:]
    ]
    for path in found:
        try:
            published.to_bundle(published.checked(json.loads(contents[path])), contents)
        except published.CannotTravelError as wrong:
            at = f"{path}: {'.'.join((published.SECTION, *wrong.part))}"
            faults.append(Fault(path=at, detail=wrong.what, allowed=wrong.allowed))
    return faults


def verdict(contents: Contents) -> Verdict:
    """Returns what the compiler and its lints say of a whole config; costs a compilation.

    People wrote it, so any error refuses it; agents put broken objects in quarantine instead.
    """
    return judged(loaded_from(contents), contents)


def loaded_from(contents: Contents, compiler: Compiler | None = None) -> Loaded:
    """Returns a compiled config; costs a compilation, or with a compiler that had one like it only
    what differs."""
    given = [
        Given(PurePath(path), Trust.REFUSE_WHOLE, PurePath())
        for path in sorted(contents)
        if resource_of(path) is not None and not _is_import(path)
    ]
    loaded = (compiler or Compiler()).load(given, _Contents(contents), {})
    found = _imports(contents)
    if not found or loaded.node is None:
        return loaded
    nginx = replace(loaded.node.nginx, imported=found[0])
    return replace(loaded, node=replace(loaded.node, nginx=nginx))


def judged(loaded: Loaded, contents: Contents) -> Verdict:
    """Returns what is wrong with a compiled config: what every node would say of it, too."""
    found: Sequence[Diagnostic] = (*loaded.diagnostics, *_refused(loaded), *tls_findings(loaded))
    errors = [one for one in found if one.severity is Severity.ERROR]
    warnings = [one for one in found if one.severity is not Severity.ERROR]
    if not errors:
        warnings += lints(loaded, shadows)
    faults = [*map(_fault, errors), *import_faults(contents)]
    return Verdict(faults, [_fault(one) for one in warnings])


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
            raise FileNotFoundError(errno.ENOENT, _NO_SUCH_FILE, str(path))
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
