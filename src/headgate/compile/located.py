"""Finds where a user wrote what the core speaks of: the plan's paths in the config's words."""

from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from headgate._core import PlanError, check_tls
from headgate.compile.loaded import Loaded
from headgate.kernel.diagnostics import Diagnostic, Severity, dotted
from headgate.model.config import SECTIONS
from headgate.model.route import ACTIONS
from headgate.plan.kinds import KINDS, Kind

Locate = Callable[[str, str, str], Diagnostic]
"""(kind, name, path in the plan's object) → where the user wrote it, with an empty message."""

_WRITTEN: Final[dict[Kind, dict[str, str]]] = {
    "certificate": {"cert": "cert_file", "key": "key_file", "ocsp": "ocsp_file"},
    "host": {"certificates": "certificate"},
    "listener": {"addresses": "address"},
    "route": {f"action.{key}": key for key in ACTIONS},
    "settings": {
        "tracing.export.tls.ca": "tracing.tls.ca_file",
        "tracing.export.tls.cert": "tracing.tls.cert_file",
        "tracing.export.tls.key": "tracing.tls.key_file",
        "tracing.export": "tracing",
        "access_log.otlp.tls.ca": "access_log.otlp.tls.ca_file",
        "access_log.otlp.tls.cert": "access_log.otlp.tls.cert_file",
        "access_log.otlp.tls.key": "access_log.otlp.tls.key_file",
        "limit_store.tls.ca": "limit_store.tls.ca_file",
        "limit_store.tls.cert": "limit_store.tls.cert_file",
        "limit_store.tls.key": "limit_store.tls.key_file",
    },
    "tls_policy": {
        "client_auth.ca": "client_auth.ca_file",
        "client_auth.crl": "client_auth.crl_file",
    },
    "upstream": {"tls.ca": "tls.ca_file"},
}
"""Keys of the core's problems that have another name in the text."""

_SECTION_OF: Final[dict[Kind, str]] = {section.kind: key for key, section in SECTIONS.items()}


def locator(loaded: Loaded, fallback: str) -> Locate:
    """Returns a function that finds where an object, or a field of it,
    is written, else `fallback`.
    """

    def locate(kind: str, name: str, path: str) -> Diagnostic:
        known = next((one for one in KINDS if one == kind), None)
        if known is None:  # about no object
            return Diagnostic(file=fallback, message="")
        path = _as_written(known, path)
        words = [part for part in path.replace("[", ".").replace("]", "").split(".") if part]
        parts = [int(part) if part.isdecimal() else part for part in words]
        place = loaded.place(known, name, *parts)
        section = _SECTION_OF.get(known)
        written = dotted((section, name)) if section else "node"
        shown = f"{written}.{path}" if path else written
        if place is None:
            return Diagnostic(file=fallback, path=shown, message="")
        return Diagnostic(
            file=place.file, line=place.line, column=place.column, path=shown, message=""
        )

    return locate


def refusals(loaded: Loaded, error: PlanError) -> tuple[Diagnostic, ...]:
    """Returns what the core finds wrong with a plan, in the order of the text."""
    return located(loaded, error.problems)


def located(
    loaded: Loaded,
    problems: Iterable[tuple[str, str, str, str]],
    severity: Severity = Severity.ERROR,
) -> tuple[Diagnostic, ...]:
    """Returns the core's problems, (kind, name, path, message), in the order of the text."""
    locate = locator(loaded, "config")
    found = [said(locate(kind, name, path), message) for kind, name, path, message in problems]
    return tuple(sorted(msgspec.structs.replace(one, severity=severity) for one in found))


def said(place: Diagnostic, message: str, allowed: str = "") -> Diagnostic:
    """Returns the error at a place that was found."""
    return msgspec.structs.replace(place, message=message, allowed=allowed)


def _as_written(kind: Kind, path: str) -> str:
    for plan, text in _WRITTEN.get(kind, {}).items():
        rest = path.removeprefix(plan)
        if path.startswith(plan) and rest[:1] in {"", ".", "["}:
            return text + rest
    return path


def tls_findings(loaded: Loaded) -> tuple[Diagnostic, ...]:
    """Returns what only the core finds wrong with TLS:
    pairs that do not match, what cannot be parsed.

    Certificates outside their time are warnings.
    """
    if loaded.plan is None:
        return ()
    objects = [(e.key.kind, e.key.name, e.canonical) for e in loaded.plan.objects.values()]
    blobs = {str(sha256): content for sha256, content in loaded.blobs.items()}
    errors, warnings = check_tls(objects, blobs)
    return (*located(loaded, errors), *located(loaded, warnings, Severity.WARNING))
