"""A scenario fails whatever its peers meet, also what no step asks about."""

import socket
import threading
from pathlib import Path

from scenario import Body, Head, Scenario, Upstream
from scenario_run import BareStage

SCENARIO = Scenario(
    about="A client that reads a body; no upstream is asked.",
    clients=((Head(start="HTTP/1.1 200"), Body(text="x")),),
    upstreams={"app": Upstream()},
)


def test_a_client_that_nobody_serves_fails_it(tmp_path: Path) -> None:
    (failure,) = BareStage({"x": SCENARIO}, tmp_path).run("x")
    assert failure.startswith("client 1: ConnectionRefusedError")


def test_an_answer_that_makes_no_sense_fails_it(tmp_path: Path) -> None:
    stage = BareStage({"x": SCENARIO}, tmp_path)
    with socket.create_server(("127.0.0.1", stage.ports["x"])) as server:

        def answer() -> None:
            link, _ = server.accept()
            with link:
                link.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")

        threading.Thread(target=answer, daemon=True).start()
        (failure,) = stage.run("x")
    assert failure.startswith("client 1: ValueError")
