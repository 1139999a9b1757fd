"""A control process between a fake supervisor and a fake data plane."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import loops
from fake_service import FakeService
from scripted_source import ScriptedSource
from waiting import until_async

from headgate.compile.settings import NodeSettings
from headgate.kernel.diagnostics import Diagnostic
from headgate.node.link import SupervisorLink
from headgate.node.options import Options
from headgate.node.ports import Candidate, Rejected
from headgate.node.process import ControlProcess
from headgate.node.results import Outcome
from headgate.node.serving.choice import make_serving
from headgate.node.state import Node
from headgate.plan.plan import Plan

SETTINGS = NodeSettings(admin=(), metrics=(), state_dir=None, workers=None, log_level="info")
GOOD = Candidate(
    plan=Plan(),
    node=SETTINGS,
    blobs={},
    warnings=(),
    locate=lambda kind, name, path: Diagnostic(file="a.toml", message=""),
)
BAD = Rejected((Diagnostic(file="a.toml", line=1, column=2, path="x", message="no"),))


class FakeSupervisor:
    """Says yes to everything, and tells what a test wants told."""

    def __init__(self, folder: Path) -> None:
        self.asked: list[str] = []
        self._folder = folder
        self._writers: list[asyncio.StreamWriter] = []

    def plane(self, generation: int) -> dict[str, object]:
        socket = str(self._folder / f"dp-{generation}.sock")
        return {"generation": generation, "pid": generation, "grpc_socket": socket}

    def tell(self, event: str, generation: int) -> None:
        line = json.dumps({"event": event, **self.plane(generation)}).encode() + b"\n"
        for writer in self._writers:
            writer.write(line)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        about = {
            "dataplane": self.plane(1),
            "listening": ["127.0.0.1:1"],
            "workers": 2,
            "restarts": {"dataplane": 0, "control": 0},
            "phase": "running",
            "config_was_applied": False,
        }
        while line := await reader.readline():
            request = json.loads(line)
            self.asked.append(request["op"])
            writer.write(json.dumps({"id": request["id"], "ok": True, **about}).encode() + b"\n")
        writer.close()


class Stage:
    """A control process that runs; data plane 1 serves."""

    def __init__(self, folder: Path, source: ScriptedSource, link: SupervisorLink) -> None:
        options = Options(state_dir=str(folder), admin=[])
        self.source = source
        self.node = Node(options, source, link, make_serving(options, link))


@contextlib.asynccontextmanager
async def played(
    folder: Path, source: ScriptedSource, supervisor: FakeSupervisor
) -> AsyncIterator[Stage]:
    door = await asyncio.start_unix_server(supervisor.serve, str(folder / "supervisor.sock"))
    service = FakeService(1)
    await service.start(folder / "dp-1.sock")
    stage = Stage(folder, source, await SupervisorLink.connect(str(folder / "supervisor.sock")))
    running = asyncio.create_task(ControlProcess(stage.node).run())
    try:
        async with asyncio.timeout(20):
            yield stage
    finally:
        stage.node.leave(0)
        await running
        await service.stop()
        door.close()


def test_the_supervisor_hears_of_the_first_config_that_is_served_also_after_one_that_was_not(
    tmp_path: Path,
) -> None:
    """The listeners of the last good plan are open, the config of now is refused, then mended."""
    supervisor = FakeSupervisor(tmp_path)

    async def play() -> None:
        async with played(tmp_path, ScriptedSource(BAD), supervisor) as stage:
            node = stage.node
            await until_async(lambda: node.pipeline.counts[Outcome.REFUSED] == 1)
            assert "control_ready" not in supervisor.asked
            stage.source.found = GOOD
            for _ in range(2):
                assert (await node.pipeline.reload("file changed")).is_ok
            await until_async(lambda: "control_ready" in supervisor.asked)
        assert supervisor.asked.count("control_ready") == 1

    loops.run(play())


def test_a_node_is_not_ready_from_the_end_of_its_data_plane_to_the_next_one(
    tmp_path: Path,
) -> None:
    supervisor = FakeSupervisor(tmp_path)

    async def play() -> None:
        async with played(tmp_path, ScriptedSource(GOOD), supervisor) as stage:
            node = stage.node
            await until_async(lambda: node.readiness() == (True, "ready"))
            supervisor.tell("dataplane_lost", 1)
            await until_async(lambda: node.readiness() == (False, "there is no data plane"))
            supervisor.tell("dataplane", 2)
            await until_async(lambda: node.readiness()[0])
            # The one before, which an upgrade replaced, ends in peace.
            supervisor.tell("dataplane_lost", 1)
            supervisor.tell("draining", 2)
            await until_async(lambda: node.is_draining)
            assert node.serving.unready() == ""

    loops.run(play())


NO = Diagnostic(file="a.toml", line=1, column=2, path="routes.a.upstream", message="no such thing")


def test_the_events_of_a_run_with_very_many_diagnostics_stay_small(tmp_path: Path) -> None:
    supervisor, bad = FakeSupervisor(tmp_path), Rejected((NO,) * 10_000)

    async def play() -> None:
        async with played(tmp_path, ScriptedSource(bad), supervisor) as stage:
            node = stage.node
            await until_async(lambda: node.pipeline.counts[Outcome.REFUSED] == 1)
            lines = [line.json for line in node.events.kept()]
            assert max(map(len, lines)) < 64 << 10
            (refused,) = (line for line in lines if b"config.refused" in line)
            told = json.loads(refused)["fields"]["diagnostics"]
            assert told == [str(NO)] * 50 + ["and 9950 more; `headgate status` has them all"]

    loops.run(play())


def test_very_many_warnings_do_not_push_other_events_out(tmp_path: Path) -> None:
    supervisor = FakeSupervisor(tmp_path)

    async def play() -> None:
        async with played(tmp_path, ScriptedSource(GOOD), supervisor) as stage:
            node = stage.node
            await until_async(lambda: node.pipeline.last is not None)
            before = [json.loads(line.json)["seq"] for line in node.events.kept()]
            assert before
            node.linter.on_found((NO,) * 1_000)
            events = [json.loads(line.json) for line in node.events.kept()]
            assert before == [one["seq"] for one in events][: len(before)]
            warned = [one["message"] for one in events if one["kind"] == "config.warning"]
            assert warned == [str(NO)] * 50 + ["and 950 more; `headgate status` has them all"]
            node.linter.on_found((NO,) * 50)
            last = json.loads(node.events.kept()[-1].json)
            assert last["message"] == str(NO), "50 are told without a rest"

    loops.run(play())
