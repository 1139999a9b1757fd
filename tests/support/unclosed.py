"""Sees what code forgets to close: the garbage collector warns of it."""

import contextlib
import gc
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def nothing_left_open() -> Iterator[None]:
    """Fails if what the block made, and nothing refers to at its end, was not closed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gc.collect()  # earlier tests may have left cycles, which are nothing of the block
    with warnings.catch_warnings(record=True) as left_open:
        warnings.simplefilter("always", ResourceWarning)
        yield
        gc.collect()
    found = [str(one.message) for one in left_open if one.category is ResourceWarning]
    assert not found, found
