"""What tests of rendered text share: a free port, and what those of TCP need."""

from collections.abc import Iterator

import pytest
from nginx_engine import stream_capabilities
from ports import free_port
from tcp_echo import Echo


@pytest.fixture
def has_stream() -> None:
    """Skips the test without `stream`, or fails it in CI."""
    stream_capabilities()


@pytest.fixture
def port() -> int:
    """A free port."""
    return free_port()


@pytest.fixture
def echoes() -> Iterator[list[Echo]]:
    """Two servers, `a` and `b`."""
    both = [Echo(b"a"), Echo(b"b")]
    yield both
    for one in both:
        one.close()
