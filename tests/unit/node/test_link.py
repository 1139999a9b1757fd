"""The control process's connection to the supervisor."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import loops
import pytest
from waiting import DEADLINE_S

from headgate.node.link import BusyError, DataPlane, LinkError, SupervisorLink

Answer = Callable[[dict[str, object]], list[dict[str, object]]]


def converse(
    folder: Path, answer: Answer, body: Callable[[SupervisorLink], Awaitable[None]]
) -> None:
    """Runs `body` with a link to a supervisor that says what `answer` gives to each request."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                for message in answer(json.loads(line)):
                    writer.write(json.dumps(message).encode() + b"\n")
        finally:
            writer.close()  # asyncio of 3.11.2 does not, where this fails

    async def all_of_it() -> None:
        path = str(folder / "supervisor.sock")
        server = await asyncio.start_unix_server(serve, path)
        link = await SupervisorLink.connect(path)
        try:
            async with asyncio.timeout(DEADLINE_S):
                await body(link)
        finally:
            await link.close()
            server.close()

    loops.run(all_of_it())


def test_events_between_answers_are_not_lost(tmp_path: Path) -> None:
    plane: dict[str, object] = {"generation": 2, "pid": 5, "grpc_socket": "/x"}

    def answer(request: dict[str, object]) -> list[dict[str, object]]:
        return [{"event": "dataplane", **plane}, {"id": request["id"], "ok": True}]

    async def body(link: SupervisorLink) -> None:
        await link.control_ready()
        async for name, found in link.events():
            assert (name, found) == ("dataplane", DataPlane(2, 5, "/x"))
            return

    converse(tmp_path, answer, body)


def test_a_busy_address_is_an_error_with_its_holder(tmp_path: Path) -> None:
    def answer(request: dict[str, object]) -> list[dict[str, object]]:
        errors = [{"address": "a:1", "error": "address already in use", "holder": "x (pid 1)"}]
        return [{"id": request["id"], "ok": False, "errors": errors}]

    async def body(link: SupervisorLink) -> None:
        with pytest.raises(BusyError) as caught:
            await link.listen(["a:1"], 1)
        assert caught.value.errors[0].holder == "x (pid 1)"

    converse(tmp_path, answer, body)


def test_a_supervisor_that_goes_away_ends_events_and_requests(tmp_path: Path) -> None:
    def answer(request: dict[str, object]) -> list[dict[str, object]]:
        raise ConnectionResetError

    async def body(link: SupervisorLink) -> None:
        with pytest.raises(LinkError):
            await link.upgrade()
        assert [event async for event in link.events()] == []

    converse(tmp_path, answer, body)


def test_without_a_supervisor_there_is_no_link(tmp_path: Path) -> None:
    with pytest.raises(LinkError):
        loops.run(SupervisorLink.connect(str(tmp_path / "none.sock")))
