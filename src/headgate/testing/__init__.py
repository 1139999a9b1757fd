"""pytest fixtures of a real proxy and of upstreams, and route tests as data.

`pytest_plugins = ["headgate.testing"]` in a `conftest.py` makes the fixtures available.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from headgate.library import Proxy
from headgate.library.compiled import Config
from headgate.testing.routes import assert_routes
from headgate.testing.upstream import Seen, Upstream

__all__ = ["Seen", "Upstream", "assert_routes", "proxy", "upstream"]


@pytest.fixture
def proxy() -> Iterator[Callable[[Config], Proxy]]:
    """A function that starts a `Proxy` with a config; it ends with the test."""
    with ExitStack() as running:
        yield lambda config: running.enter_context(Proxy(config))


@pytest.fixture
def upstream() -> Iterator[Callable[..., Upstream]]:
    """A function that starts an `Upstream` of its arguments; it ends with the test."""
    with ExitStack() as running:

        def start(body: str = "", *, status: int = 200) -> Upstream:
            return running.enter_context(Upstream(body, status=status))

        yield start
