"""What asks a master in tests: one that was killed is away, wherever its answer ends."""

import socket
import threading

import pytest
from master_process import call

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{}"


@pytest.mark.parametrize("length", [0, 10, 20, len(ANSWER)])
def test_an_answer_that_is_cut_off_is_an_error_of_the_connection(length: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as door:

        def answer() -> None:
            connection, _ = door.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(ANSWER[:length])

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(OSError):
            call(f"http://127.0.0.1:{door.getsockname()[1]}/")
        thread.join()
