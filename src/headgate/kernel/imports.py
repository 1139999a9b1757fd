"""Imports what a process that stays is made of, for less CPU time and with less of it."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from headgate.kernel.collector import paused

_NOT_NEEDED: Final = ("rich", "pygments")
"""The packages that our dependencies use if they find them, to show their own errors in colours."""


@contextmanager
def program() -> Iterator[None]:
    """Use it for the imports that a process of ours begins with, while it has one thread.

    The cyclic collector rests, and later leaves alone what was made, which stays anyway: it would
    look at it for an eighth of the time of these imports, and for most of each later round. What no
    process that stays needs is not found: structlog and Mako do without.
    """
    hidden = [name for name in _NOT_NEEDED if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment] # as the import system documents it
    try:
        with paused():
            yield
            gc.freeze()  # once it is on again, the collector would look at everything at once
    finally:
        for name in hidden:
            del sys.modules[name]
