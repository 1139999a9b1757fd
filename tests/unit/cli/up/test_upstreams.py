"""The answers of the upstreams that `headgate up` starts."""

import asyncio

import loops

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
