"""The command that installs a version: bounded, without a shell, its last words kept."""

import asyncio
import contextlib
import os
import signal
from pathlib import Path

import loops
import pytest
from waiting import until, until_async

from headgate.node.agent.installing import CommandInstaller, InstallError


def script(folder: Path, text: str) -> Path:
    path = folder / "install"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def installer(folder: Path, text: str, limit_s: float = 30.0) -> CommandInstaller:
    check = ["/bin/sh", "-c", f"cat {folder}/version"]
    return CommandInstaller(script(folder, text), check, folder, (limit_s, 30.0))


def test_the_version_is_the_one_argument(tmp_path: Path) -> None:
    one = installer(tmp_path, f'echo "$1" >{tmp_path}/version; echo "$#" >{tmp_path}/count')
    loops.run(one.install("1.4.2"))
    assert loops.run(one.installed()) == "1.4.2"
    assert (tmp_path / "count").read_text() == "1\n"


def test_a_failure_is_told_with_the_end_of_what_the_command_wrote(tmp_path: Path) -> None:
    one = installer(tmp_path, "seq 1 5000; echo 'no such wheel' >&2; exit 7")
    with pytest.raises(InstallError, match="failed with exit code 7: ") as failed:
        loops.run(one.install("1.4.2"))
    assert str(failed.value).endswith("5000\nno such wheel")
    assert len(str(failed.value)) < 2_000


def test_the_log_has_what_the_command_wrote_and_is_for_its_owner_alone(tmp_path: Path) -> None:
    log = tmp_path / "upgrade.log"
    log.write_text("that of an older version of headgate, which is longer")
    log.chmod(0o644)
    one = installer(tmp_path, f'echo "fetching $1"; echo "$1" >{tmp_path}/version')
    loops.run(one.install("1.4.2"))
    assert loops.run(one.installed()) == "1.4.2"
    assert log.read_text() == "fetching 1.4.2\n"
    assert log.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "install",
        "upgrade.lock",
        "upgrade.log",
        "version",
    ]


def test_the_join_token_does_not_reach_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADGATE_AGENT_TOKEN", "hgj_secret")
    loops.run(installer(tmp_path, f"env >{tmp_path}/env").install("1.4.2"))
    assert "hgj_secret" not in (tmp_path / "env").read_text()


def test_a_command_that_does_not_end_is_ended_with_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit_s = 600.0
    one = installer(tmp_path, f"sleep 1000 & echo $! >{tmp_path}/child; wait", limit_s)

    async def story() -> None:
        loop = asyncio.get_running_loop()
        installing = asyncio.create_task(one.install("1.4.2"))
        child = tmp_path / "child"
        await until_async(
            lambda: child.exists() and child.read_text().endswith("\n"), "a running command"
        )
        assert not installing.done()
        time = loop.time
        with monkeypatch.context() as patch:
            patch.setattr(loop, "time", lambda: time() + limit_s)
            with pytest.raises(InstallError, match="did not end within 600 s"):
                await installing

    loops.run(story())
    child = int((tmp_path / "child").read_text())
    until(lambda: not _lives(child), "the child is gone")


def _lives(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def test_no_second_command_runs_beside_one_that_outlived_its_agent(tmp_path: Path) -> None:
    one = installer(tmp_path, f"echo $$ >{tmp_path}/pid; exec sleep 1000")

    async def story() -> None:
        first = asyncio.create_task(one.install("1.4.2"))
        pid = tmp_path / "pid"
        await until_async(
            lambda: pid.exists() and pid.read_text().endswith("\n"), "a running command"
        )
        with pytest.raises(InstallError, match="an earlier upgrade command still runs"):
            await one.install("1.4.3")
        os.kill(int(pid.read_text()), signal.SIGKILL)
        with contextlib.suppress(InstallError):
            await first

    loops.run(story())


@pytest.mark.parametrize(("text", "said"), [("boom", "boom"), ("", "")])
def test_a_program_that_does_not_say_its_version_cannot_drive_the_node(
    tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / "version").write_text(text)
    with pytest.raises(InstallError, match=f"cannot drive this node.*{said}"):
        loops.run(installer(tmp_path, "").installed())


def test_a_command_that_is_gone_is_said(tmp_path: Path) -> None:
    one = installer(tmp_path, "")
    (tmp_path / "install").unlink()
    with pytest.raises(InstallError, match="cannot be run: No such file"):
        loops.run(one.install("1.4.2"))


def test_instances_of_an_agent_take_turns(tmp_path: Path) -> None:
    """A second command waits for the first, where both install for the same agent."""
    log = tmp_path / "log"
    text = f'echo "begin $1" >>{log}; [ "$1" != 1.0 ] || cat {tmp_path}/go; echo "end $1" >>{log}'
    os.mkfifo(tmp_path / "go")
    command, check = script(tmp_path, text), ["/bin/true"]
    places = [tmp_path / name for name in ("one", "two")]
    for place in places:
        place.mkdir()
    one, two = (
        CommandInstaller(command, check, place, (30.0, 30.0), shared=tmp_path) for place in places
    )

    async def both() -> None:
        first = asyncio.create_task(one.install("1.0"))
        await until_async(
            lambda: log.exists() and log.read_text() == "begin 1.0\n", "the first one runs"
        )
        second = asyncio.create_task(two.install("1.1"))
        done, _ = await asyncio.wait((first, second), timeout=0.5)
        assert not done
        assert log.read_text() == "begin 1.0\n"
        (tmp_path / "go").write_text("")
        await asyncio.gather(first, second)

    loops.run(both())
    assert log.read_text().splitlines() == ["begin 1.0", "end 1.0", "begin 1.1", "end 1.1"]
