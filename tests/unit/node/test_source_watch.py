"""What counts as a change of the files a node was given."""

import asyncio
from pathlib import Path

import loops

from headgate.node.source import FileSource

CONFIG = "[routes.r]\nrespond = { status = 200 }\n"


async def _next_change(source: FileSource) -> None:
    async with asyncio.timeout(20):
        async for _ in source.changes():
            return


def test_a_path_that_was_a_directory_is_seen_as_a_file_again(tmp_path: Path) -> None:
    path = tmp_path / "main.toml"
    path.mkdir()
    source = FileSource([path])
    source.load()
    path.rmdir()
    path.write_text(CONFIG)
    loops.run(_next_change(source))
