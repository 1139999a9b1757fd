"""The number of descriptors that a process may have open."""

from __future__ import annotations

import resource


def raise_limit() -> None:
    """Takes as many as we may have: the usual soft limit (1024) is for select(2)."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError):
        pass  # then the limit is what it was
