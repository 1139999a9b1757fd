"""The answers of the upstreams that `headgate up` starts."""

import asyncio

import loops
import pytest
from waiting import DEADLINE_S

from headgate.cli.up import upstreams
from headgate.cli.up.upstreams import NAMES, serve

ASKED = b"POST /a?b HTTP/1.1\r\nhost: x\r\nContent-Length: 3\r\n\r\nabc"
PLAIN = b"GET /c HTTP/1.1\r\nhost: x\r\n\r\n"


def answer(name: str, body: str) -> str:
    head = f"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nx-upstream: {name}\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n{body}"


async def said(port: int, sent: bytes) -> str:
    """Returns what comes back until the upstream closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    writer.write_eof()
    async with asyncio.timeout(DEADLINE_S):
        found = (await reader.read()).decode()
    writer.close()
    return found


def test_each_says_its_name_and_what_it_received_on_one_connection() -> None:
    async def asked() -> list[str]:
        servers = await serve([0] * len(NAMES))
        try:
            ports = [one.sockets[0].getsockname()[1] for one in servers]
            found = [await said(port, ASKED + PLAIN) for port in ports]
            return [
                *found,
                await said(ports[0], b"GET / HTTP"),
                await said(ports[0], b"x" * 70_000),
            ]
        finally:
            for one in servers:
                one.close()

    *found, cut, endless = loops.run(asked())
    assert found == [
        answer(name, f"upstream {name}\nPOST /a?b HTTP/1.1\n  host: x\n  Content-Length: 3\n")
        + answer(name, f"upstream {name}\nGET /c HTTP/1.1\n  host: x\n")
        for name in NAMES
    ]
    assert (cut, endless) == ("", ""), "it hangs up"


def test_each_needs_a_port_of_its_own() -> None:
    with pytest.raises(ValueError, match="shorter"):
        loops.run(serve([]))


class Full(asyncio.Transport):
    """The way to a client that takes no more until the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent += data

    def is_closing(self) -> bool:
        return False

    def close(self) -> None:
        pass


def test_one_whose_client_takes_no_answer_reads_no_more_requests() -> None:
    async def answers() -> list[int]:
        reader, transport = asyncio.StreamReader(), Full()
        protocol = asyncio.StreamReaderProtocol(reader)
        protocol.connection_made(transport)
        protocol.pause_writing()
        reader.feed_data(PLAIN * 2)
        reader.feed_eof()
        loop = asyncio.get_running_loop()
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        served = asyncio.create_task(upstreams.answer("one", reader, writer))
        await asyncio.wait([served], timeout=0)
        found = [transport.sent.count(b"upstream one")]
        protocol.resume_writing()
        await served
        return [*found, transport.sent.count(b"upstream one")]

    assert loops.run(answers()) == [1, 2]
