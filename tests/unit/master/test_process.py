"""The ports of a master."""

import socket

from headgate.master.process import listen_at
from headgate.master.settings import Address


def test_answers_do_not_wait_for_acknowledgements() -> None:
    with (
        listen_at(Address("127.0.0.1", 0)) as port,
        socket.create_connection(port.getsockname()),
    ):
        taken, _ = port.accept()
        with taken:
            assert taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
