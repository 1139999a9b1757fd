"""Pausing the cyclic collector while many objects are made that form no cycles."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def paused() -> Iterator[None]:
    """No collection within; what was the setting before is the setting after.

    Making a hundred thousand objects would make the collector look at all of them some ten times;
    they are freed by their reference counts.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
