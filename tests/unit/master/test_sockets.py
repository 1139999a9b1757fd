"""WebSockets leave places to requests."""

from headgate.master.sockets import (
    MOST_AGENTS,
    MOST_CONNECTIONS,
    MOST_OF_CALLER,
    MOST_STRANGERS,
    MOST_WATCHERS,
)


def test_websockets_never_take_all_connections_nor_one_caller_all_of_them() -> None:
    assert MOST_AGENTS + MOST_WATCHERS <= MOST_CONNECTIONS - 200
    assert MOST_OF_CALLER < MOST_WATCHERS
    assert MOST_STRANGERS < MOST_AGENTS
