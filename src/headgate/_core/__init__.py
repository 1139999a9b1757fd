"""The compiled extension: the only package that imports it.

Everything here is a thin face of the Rust core; see the stub `_core.pyi` for what each does.
"""

from headgate._core._core import (
    Alike,
    Document,
    EndpointHealth,
    Openings,
    PlanError,
    Router,
    TextError,
    TlsListeners,
    UpstreamHealth,
    alike,
    buckets,
    change_messages,
    check_tls,
    is_client_claim,
    normalise_path,
    parse_text,
    plan_check,
    request_head,
)

__all__ = [
    "Alike",
    "Document",
    "EndpointHealth",
    "Openings",
    "PlanError",
    "Router",
    "TextError",
    "TlsListeners",
    "UpstreamHealth",
    "alike",
    "buckets",
    "change_messages",
    "check_tls",
    "is_client_claim",
    "normalise_path",
    "parse_text",
    "plan_check",
    "request_head",
]
