"""All instances of an agent go over together, and the one that was ordered to goes last."""

import asyncio
from pathlib import Path

import loops

from headgate.node.agent.siblings import together


async def _supervisor(place: Path, said: list[str], answer: bytes) -> asyncio.Server:
    """A supervisor that notes what it is asked."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said.append(f"{place.name} {(await reader.readline()).decode().strip()}")
        writer.write(answer)
        writer.close()

    return await asyncio.start_unix_server(serve, place / "supervisor.sock")


def test_every_other_instance_is_replaced_first_and_those_that_do_not_run_are_left(
    tmp_path: Path,
) -> None:
    said: list[str] = []
    folder = tmp_path / "instances"
    for name in ("a", "b", "c", "down"):
        (folder / name).mkdir(parents=True)

    async def alone() -> None:
        said.append("alone")

    async def act() -> None:
        await _supervisor(folder / "a", said, b'{"id":1,"ok":true}\n')
        await _supervisor(folder / "b", said, b'{"id":1,"ok":true}\n')
        await _supervisor(folder / "c", said, b'{"id":1,"ok":false,"error":"it is leaving"}\n')
        await together(tmp_path, "b", alone)()

    loops.run(act())
    asked = '{"id":1,"op":"upgrade"}'
    assert said == [f"a {asked}", f"c {asked}", "alone"]
