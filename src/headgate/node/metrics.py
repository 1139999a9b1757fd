"""Makes the metrics page: the data plane's families, then the control process's own."""

import platform
import resource
import time
from collections import Counter
from collections.abc import Iterator

from headgate.kernel.openmetrics import END, family
from headgate.node.about import version
from headgate.node.agent.families import master_families
from headgate.node.expiry import DAY_S, expiries, next_updates
from headgate.node.key_sets.about import families as key_set_families
from headgate.node.link import About
from headgate.node.remote.families import families, restarts
from headgate.node.report import about_supervisor
from headgate.node.results import Outcome
from headgate.node.state import Node


async def page(node: Node) -> bytes:
    """Returns OpenMetrics text. While nothing serves, its families are missing
    and `headgate_up` is 0.
    """
    traffic = await node.serving.metrics()
    supervisor = await about_supervisor(node)
    return (traffic or b"") + own(node, supervisor, up=traffic is not None).encode() + END


def own(node: Node, supervisor: About | None, *, up: bool) -> str:
    """Returns the control process's families."""
    pipeline = node.pipeline
    used = resource.getrusage(resource.RUSAGE_SELF)
    reloads = [({"result": str(one)}, pipeline.counts[one]) for one in Outcome]
    build = {"version": version(), "python": platform.python_version()}
    parts = [
        family("headgate_build", "info", "Version of the control process.", [(build, 1)]),
        family("headgate_up", "gauge", "1 while the engine answers.", [({}, int(up))]),
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
    parts += [*_certificates(node), _quarantined(node)]
    parts += key_set_families(node.key_sets.told(), time.time())
    if node.master is not None:
        parts += master_families(node.master.status())
    if supervisor is not None:
        parts.append(_hung(supervisor))
        ours = "control" if node.remote is None else "gate"
        parts += restarts(supervisor, {"dataplane": "dataplane", "control": ours})
    if node.remote is not None:
        parts += families(node.remote.about())
    return "".join(parts)


def _certificates(node: Node) -> list[str]:
    """Returns when each certificate and revocation list ends, and in how many days."""
    served = node.pipeline.served
    return [
        *_ends(
            "headgate_certificate_not_after_timestamp_seconds",
            "When a chain ends with its first certificate, or a bundle of roots with its last, by "
            "`certificate`.",
            "headgate_certificate_expiry_days",
            [({"certificate": name}, until) for name, until in expiries(served)],
        ),
        *_ends(
            "headgate_revocation_list_next_update_timestamp_seconds",
            "When the first revocation list of a file must be replaced, by `crl_file`; then "
            "clients of its authority are refused.",
            "headgate_revocation_list_expiry_days",
            [({"crl_file": name}, until) for name, until in next_updates(served)],
        ),
    ]


def _ends(
    time_name: str, about: str, days_name: str, ends: list[tuple[dict[str, str], float]]
) -> Iterator[str]:
    now = time.time()
    days = [(label, round((until - now) / DAY_S, 3)) for label, until in ends]
    yield family(time_name, "gauge", about, ends, unit="seconds")
    yield family(days_name, "gauge", "Days until then; negative afterwards.", days, unit="days")


def _quarantined(node: Node) -> str:
    served = node.pipeline.in_service()
    found = served.quarantined.values() if served is not None else ()
    forms = Counter((one.key.kind, one.form) for one in found)
    samples = [({"kind": k, "form": form}, count) for (k, form), count in sorted(forms.items())]
    about = "Objects that are not served as written, by `kind` and by the `form` that is served."
    return family("headgate_config_quarantined", "gauge", about, samples)


def _hung(supervisor: About) -> str:
    why = "Data planes killed because they did not answer three probes in a row."
    return family("headgate_dataplane_hung", "counter", why, [({}, supervisor.hung)])
