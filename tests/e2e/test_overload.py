"""Load shedding by memory: what clients get while the data plane holds too much, and afterwards."""

import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import grpc
import pytest
from running_node import RunningNode, Upstream, config, get
from told import until_metric, until_metric_at_least, until_status_says
from waiting import DEADLINE_S, until

MIB = 1024 * 1024
ROOM = 24 * MIB
BODY = b"x" * 60_000
UPLOADS = 550
"""So many bodies take more than the room, and less than a worker collects."""


SERVED = 20
OVERLOADED = 2


def _config(port: int, upstream: str, memory: int = 0) -> str:
    extra = f'shedding = {{ memory = "{memory}B" }}\n' if memory else ""
    text = config(port, upstream, extra=extra)
    collects = 'upstream = "app"\nlimits = { body_buffer = "64KiB" }\n'
    collects += 'timeouts = { body = "5m" }\n'
    text = text.replace('upstream = "app"\n', collects)
    text += '[routes.alive]\nmatch = { path = { exact = "/alive" } }\n'
    text += 'respond = { status = 204 }\nimportance = "high"\n'
    return text.replace("[listeners.web]\n", "[listeners.web]\nh2c = true\n")


def _resident(pid: int) -> int:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


@contextmanager
def _upload(port: int) -> Iterator[socket.socket]:
    """A POST whose last octet is still to come."""
    with socket.create_connection(("127.0.0.1", port), DEADLINE_S) as link:
        head = "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {}\r\n\r\n"
        link.sendall(head.format(len(BODY) + 1).encode() + BODY)
        yield link


def _answer(link: socket.socket) -> bytes:
    return b"".join(iter(lambda: link.recv(65536), b""))


def test_memory_over_its_limit_refuses_new_requests_alone_and_only_while_it_lasts(
    folder: Path, port: int, one: Upstream
) -> None:
    options = ("--no-watch", "--workers", "1")
    with (
        RunningNode(folder, _config(port, one.address), *options).until_ready() as node,
        ExitStack() as held,
    ):
        assert get(port) == (200, b"one")
        pid = node.data_plane()[1]
        node.write(_config(port, one.address, _resident(pid) + ROOM))
        assert node.admin("POST", "/reload")[0] == 200
        uploads = [held.enter_context(_upload(port)) for _ in range(UPLOADS)]
        until(lambda: get(port)[0] == 503, "the overload")
        assert get(port, "/alive") == (204, b"")
        until_metric(node, 'headgate_overload_level{cause="memory"}', OVERLOADED)
        until_metric_at_least(node, 'headgate_overload_shed_total{level="overloaded"}', 1)
        until_status_says(node, ", overloaded (memory)\n")

        with _upload(port) as late:
            refused = _answer(late)
        assert refused.startswith(b"HTTP/1.1 503 "), refused
        assert re.search(rb"\r\nretry-after: [1-3]\r\n", refused), refused
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            with pytest.raises(grpc.RpcError) as failed:
                channel.unary_unary("/t.S/One")(b"", timeout=DEADLINE_S)
            assert failed.value.code() is grpc.StatusCode.UNAVAILABLE
            assert "too little memory" in failed.value.details()

        for link in uploads[:SERVED]:
            link.sendall(b"x")
            answer = _answer(link)
            assert answer.startswith(b"HTTP/1.1 200 "), answer
        held.close()
        until(lambda: get(port) == (200, b"one"), "the end of the overload")
        assert node.data_plane()[1] == pid
