"""The metrics page: the data plane's families, then the control process's own."""

import contextlib
import platform
import resource

from headgate.engines.native.types import EngineUnavailableError
from headgate.node.about import version
from headgate.node.exposition import END, family
from headgate.node.link import About
from headgate.node.report import about_supervisor
from headgate.node.results import Outcome
from headgate.node.state import Node


async def page(node: Node) -> bytes:
    """OpenMetrics text. Without a data plane its families are missing and `headgate_up` is 0."""
    traffic = b""
    up = False
    with contextlib.suppress(EngineUnavailableError):
        traffic = await node.engine.client().metrics()
        up = True
    supervisor = await about_supervisor(node)
    return traffic + own(node, supervisor, up=up).encode() + END


def own(node: Node, supervisor: About | None, *, up: bool) -> str:
    """The control process's families."""
    pipeline = node.pipeline
    used = resource.getrusage(resource.RUSAGE_SELF)
    reloads = [({"result": str(one)}, pipeline.counts[one]) for one in Outcome]
    build = {"version": version(), "python": platform.python_version()}
    parts = [
        family("headgate_build", "info", "Version of the control process.", [(build, 1)]),
        family("headgate_up", "gauge", "1 while a data plane answers.", [({}, int(up))]),
        family("headgate_config_reloads", "counter", "Reloads by how they ended.", reloads),
        family(
            "headgate_config_last_success_timestamp_seconds",
            "gauge",
            "When a config was last found and served.",
            [({}, pipeline.last_success_at)],
            unit="seconds",
        ),
        family(
            "headgate_config_last_reload_successful",
            "gauge",
            "1 when the last config found is the one that is served.",
            [({}, int(pipeline.last is not None and pipeline.last.is_ok))],
        ),
        family(
            "headgate_control_cpu_seconds",
            "counter",
            "CPU time of the control process.",
            [({}, used.ru_utime + used.ru_stime)],
            unit="seconds",
        ),
        family(
            "headgate_control_start_time_seconds",
            "gauge",
            "When the control process started.",
            [({}, round(node.started_at, 3))],
            unit="seconds",
        ),
    ]
    if supervisor is not None:
        for name in ("dataplane", "control"):
            parts.append(
                family(
                    f"headgate_{name}_restarts",
                    "counter",
                    f"Times the {name} process died and was replaced.",
                    [({}, supervisor.restarts.get(name, 0))],
                )
            )
    return "".join(parts)
