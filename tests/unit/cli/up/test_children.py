"""What is said of a process of `headgate up` that does not come up."""

import asyncio
import sys
from pathlib import Path

import loops
import pytest

from headgate.cli.up.children import Child, UpError


def test_one_that_ended_is_named_with_the_end_of_what_it_said(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("an earlier start\nno port is free\n")

    async def wait() -> None:
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", "raise SystemExit(3)")
        await process.wait()
        await Child(process, "master", log, begin=17).until(lambda: False, "its start", 5)

    with pytest.raises(UpError) as error:
        loops.run(wait())
    assert str(error.value) == "the master ended with exit code 3:\nno port is free\n"


def test_one_that_takes_too_long_is_told_with_its_log(tmp_path: Path) -> None:
    async def wait() -> None:
        process = await asyncio.create_subprocess_exec("sleep", "60")
        child = Child(process, "agent", tmp_path / "a.log", begin=0)
        try:
            await child.until(lambda: False, "its start", 0)
        finally:
            process.kill()
            await process.wait()

    with pytest.raises(UpError, match=rf"its start did not happen within 0 s; see {tmp_path}"):
        loops.run(wait())
