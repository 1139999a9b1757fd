"""A control process between a fake supervisor and a fake data plane."""

import asyncio
import json
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


def test_the_supervisor_hears_of_the_first_config_that_is_served_also_after_one_that_was_not(
    tmp_path: Path,
) -> None:
    """The listeners of the last good plan are open, the config of now is refused, then mended."""
    asked: list[str] = []
    about = {
        "dataplane": {"generation": 1, "pid": 1, "grpc_socket": str(tmp_path / "dp.sock")},
        "listening": ["127.0.0.1:1"],
        "workers": 2,
        "restarts": {"dataplane": 0, "control": 0},
        "phase": "running",
        "config_was_applied": False,
    }

    async def supervisor(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            request = json.loads(line)
            asked.append(request["op"])
            writer.write(json.dumps({"id": request["id"], "ok": True, **about}).encode() + b"\n")
        writer.close()

    async def play() -> None:
        door = await asyncio.start_unix_server(supervisor, str(tmp_path / "supervisor.sock"))
        service = FakeService(1)
        await service.start(tmp_path / "dp.sock")
        link = await SupervisorLink.connect(str(tmp_path / "supervisor.sock"))
        options = Options(state_dir=str(tmp_path), admin=[])
        source = ScriptedSource(BAD)
        node = Node(options, source, link, make_serving(options, link))
        running = asyncio.create_task(ControlProcess(node).run())
        try:
            async with asyncio.timeout(20):
                await until_async(lambda: node.pipeline.counts[Outcome.REFUSED] == 1)
                assert "control_ready" not in asked
                source.found = GOOD
                for _ in range(2):
                    assert (await node.pipeline.reload("file changed")).is_ok
                await until_async(lambda: "control_ready" in asked)
        finally:
            node.leave(0)
            await running
            await service.stop()
            door.close()
        assert asked.count("control_ready") == 1

    loops.run(play())
