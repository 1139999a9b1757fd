"""An agent obeys orders to upgrade once each, and what is installed is what runs in the end."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import loops
import pytest
from waiting import until_async

from headgate.fleet.frames import UpgradeEnded
from headgate.fleet.orders import Upgrade
from headgate.node.agent.installing import InstallError
from headgate.node.agent.upgrading import Upgrading
from headgate.node.link import LinkError


class Host:
    """What is installed, what runs, and what goes wrong; `dies` at the step of that name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.on_disk = self.runs = "1.0.0"
        self.calls: list[str] = []
        self.failing: dict[str, str] = {}
        self.lies: dict[str, str] = {}
        self.dies = ""
        self.link_error = ""
        self.told: list[UpgradeEnded] = []

    async def install(self, program: str) -> None:
        self.calls.append(f"install {program}")
        if self.dies == "installing":
            self.on_disk = program
            await asyncio.Event().wait()
        if program in self.failing:
            raise InstallError(self.failing[program])
        self.on_disk = self.lies.get(program, program)

    async def installed(self) -> str:
        return self.on_disk

    async def hand_over(self) -> None:
        self.calls.append("hand over")
        if self.link_error:
            raise LinkError(self.link_error)
        if self.dies != "handing-over":
            self.runs = self.on_disk

    def process(self, *, can_upgrade: bool = True) -> Upgrading:
        """What a start of the node has."""
        installer = self if can_upgrade else None
        one = Upgrading(self.folder, self.runs, installer, self.hand_over)
        one.on_ended = self.told.append
        return one


async def ordered(host: Host, process: Upgrading, story: Callable[[], bool]) -> None:
    process.order(Upgrade(5, "2.0.0"))
    await until_async(story, f"the story of {host.calls}")


def why(process: Upgrading) -> str:
    return process.ended.text if process.ended else ""


def test_a_version_is_installed_and_takes_over_once(tmp_path: Path) -> None:
    host = Host(tmp_path)

    async def story() -> None:
        process = host.process()
        process.begin()
        await ordered(host, process, lambda: host.runs == "2.0.0")
        after = host.process()
        after.begin()
        # The master had not heard of it yet.
        after.order(Upgrade(5, "2.0.0"))
        await asyncio.sleep(0)
        assert host.told == [UpgradeEnded(5, "2.0.0", "")] * 2

    loops.run(story())
    assert host.calls == ["install 2.0.0", "hand over"]


def test_a_command_that_fails_says_why_and_nothing_takes_over(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.failing = {"2.0.0": "exit code 7: no such wheel"}

    async def story() -> None:
        process = host.process()
        await ordered(host, process, lambda: bool(host.told))
        process.order(Upgrade(5, "2.0.0"))
        await asyncio.sleep(0)
        process.order(Upgrade(4, "0.9.0"))
        await asyncio.sleep(0)

    loops.run(story())
    assert host.calls == ["install 2.0.0"], "an order that ended is not obeyed again"
    assert host.told == [UpgradeEnded(5, "2.0.0", "exit code 7: no such wheel")] * 2
    assert host.process().ended == host.told[0], "a start later it is still known"


def test_another_version_than_the_wanted_one_is_put_back_before_anything_takes_over(
    tmp_path: Path,
) -> None:
    host = Host(tmp_path)
    host.lies = {"2.0.0": "3.0.0"}
    loops.run(ordered(host, host.process(), lambda: bool(host.told)))
    assert host.told[0].text == "the command ended well, but installed is 3.0.0"
    assert (host.on_disk, host.runs) == ("1.0.0", "1.0.0")
    assert "hand over" not in host.calls


def test_processes_that_do_not_take_over_leave_the_former_version_installed(
    tmp_path: Path,
) -> None:
    host = Host(tmp_path)
    host.link_error = "the new data plane ended"
    loops.run(ordered(host, host.process(), lambda: bool(host.told)))
    assert "did not take over: the new data plane ended" in host.told[0].text
    assert host.calls == ["install 2.0.0", "hand over", "install 1.0.0"]
    assert host.on_disk == "1.0.0"


def test_what_cannot_be_put_back_is_said(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.link_error, host.failing = "it ended", {"1.0.0": "no such wheel"}
    loops.run(ordered(host, host.process(), lambda: bool(host.told)))
    assert host.told[0].text.endswith("1.0.0 could not be installed again: no such wheel")


@pytest.mark.parametrize(
    ("step", "text"),
    [
        ("installing", "the agent was restarted while its upgrade command ran"),
        ("handing-over", "the node runs 1.0.0 after the restart"),
    ],
)
def test_a_node_that_was_killed_in_a_step_puts_back_and_says_so(
    tmp_path: Path, step: str, text: str
) -> None:
    host = Host(tmp_path)
    host.dies = step

    async def killed() -> None:
        await ordered(host, host.process(), lambda: host.on_disk == "2.0.0")
        if step == "handing-over":
            await until_async(lambda: "hand over" in host.calls, "a hand-over")

    async def started() -> None:
        process = host.process()
        process.begin()
        await until_async(lambda: bool(host.told), "a failure")
        assert why(process) == text

    loops.run(killed())
    host.dies = ""
    loops.run(started())
    assert host.on_disk == "1.0.0"


@pytest.mark.parametrize("error", ["", "the new data plane ended"])
def test_a_start_of_what_was_just_installed_is_no_hand_over(tmp_path: Path, error: str) -> None:
    host = Host(tmp_path)
    host.dies = "installing"

    async def killed() -> None:
        await ordered(host, host.process(), lambda: host.on_disk == "2.0.0")

    async def started() -> None:
        process = Upgrading(tmp_path, host.on_disk, host, host.hand_over)
        process.on_ended = host.told.append
        process.begin()
        await until_async(lambda: bool(host.told) or host.runs == "2.0.0", "a hand-over")
        after = host.process()
        after.on_ended = host.told.append
        after.begin()

    loops.run(killed())
    host.dies, host.link_error = "", error
    loops.run(started())
    assert host.calls == ["install 2.0.0", "hand over"]
    expected = f"its control process runs 2.0.0, and the others did not follow: {error}"
    assert host.told == [UpgradeEnded(5, "2.0.0", expected if error else "")]


@pytest.mark.parametrize("program", ["--help", "1.0;reboot"])
def test_what_is_not_a_version_reaches_no_command(tmp_path: Path, program: str) -> None:
    host = Host(tmp_path)

    async def story() -> None:
        host.process().order(Upgrade(5, program))
        await until_async(lambda: bool(host.told), "a failure")

    loops.run(story())
    assert "is not a version" in host.told[0].text
    assert host.calls == []


def test_a_node_without_a_command_takes_no_order(tmp_path: Path) -> None:
    host = Host(tmp_path)
    process = host.process(can_upgrade=False)
    assert not process.can_upgrade
    loops.run(ordered(host, process, lambda: bool(host.told)))
    assert "no upgrade command" in host.told[0].text


def test_a_disk_that_takes_nothing_begins_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = Host(tmp_path)
    process = host.process()

    def full(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    async def story() -> None:
        with monkeypatch.context() as patched:
            patched.setattr("headgate.node.agent.upgrading.write_private", full)
            process.order(Upgrade(5, "2.0.0"))
            task = process._task
            assert task is not None
            await task
        assert host.calls == []
        await ordered(host, process, lambda: host.runs == "2.0.0")

    loops.run(story())


def test_an_order_for_what_runs_ends_at_once(tmp_path: Path) -> None:
    host = Host(tmp_path)

    async def story() -> None:
        host.process().order(Upgrade(5, "1.0.0"))
        await until_async(lambda: bool(host.told), "an end")

    loops.run(story())
    assert (host.calls, host.told) == ([], [UpgradeEnded(5, "1.0.0", "")])
