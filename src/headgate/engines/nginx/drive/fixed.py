"""Knows which settings of an nginx may change while the node runs. Pure."""

from dataclasses import fields
from typing import Final

from headgate.compile.settings import NginxSettings

_FREE: Final = frozenset(
    {
        "probes",
        "drift_policy",
        "heal_after_s",
        "shutdown_timeout_s",
        "endpoints",
        "imported",
        "latency_bounds_us",
    }
)
"""Read anew for each apply, or passed on to their users."""

_WRITTEN: Final = {"soak_s": "soak", "debounce_s": "debounce"}


def fixed_changes(old: NginxSettings, new: NginxSettings) -> tuple[str, ...]:
    """Returns the keys of `[node.nginx]`, as written, that differ and need another engine.

    >>> fixed_changes(NginxSettings(), NginxSettings(start="systemd", heal_after_s=5.0))
    ('start',)
    """
    return tuple(
        _WRITTEN.get(one.name, one.name)
        for one in fields(NginxSettings)
        if one.name not in _FREE and getattr(old, one.name) != getattr(new, one.name)
    )
