"""Fills the documents of the admin API from what a node knows now."""

import contextlib
import os
import time

import msgspec

from headgate.engines.status import EngineStatus
from headgate.engines.types import UpstreamStatus
from headgate.kernel.ids import ObjectName
from headgate.node.about import (
    ConfigDocument,
    ConfigStatus,
    Health,
    NodeStatus,
    PlanObjectDocument,
    ProcessStatus,
    QuarantinedObject,
    version,
)
from headgate.node.key_sets.about import KeySetStatus
from headgate.node.link import About, LinkError
from headgate.node.rights import ProcessRights, rights, warnings
from headgate.node.state import Node
from headgate.plan.kinds import ObjectKey
from headgate.plan.objects import Upstream
from headgate.plan.redact import redacted


async def about_supervisor(node: Node) -> About | None:
    """Returns what the supervisor says; None when it is gone."""
    with contextlib.suppress(LinkError):
        return await node.link.status()
    return None


async def status(node: Node) -> NodeStatus:
    """Returns how the node is; parts that do not answer are None."""
    # Before the other questions: whatever readiness needs is there by then.
    is_ready, reason = node.readiness()
    pipeline = node.pipeline
    supervisor = await about_supervisor(node)
    engine = await _engine(node)
    processes = _processes(supervisor, node, engine)
    return NodeStatus(
        ready=is_ready,
        reason=reason,
        control=ProcessStatus(version(), os.getpid(), round(time.time() - node.started_at, 3)),
        config=ConfigStatus(
            sources=node.source.names(),
            digest=node.serving.digest,
            objects=len(served.plan.objects) if (served := pipeline.in_service()) else 0,
            warnings=node.linter.found,
            last_success_at=pipeline.last_success_at,
            last_reload=pipeline.last,
            quarantined=_quarantined(node),
        ),
        supervisor=supervisor,
        engine=engine,
        processes=processes,
        warnings=_warnings(node, processes),
        link=None if node.remote is None else node.remote.about(),
        master=node.master.status() if node.master is not None else None,
        key_sets=_key_sets(node),
    )


def _quarantined(node: Node) -> list[QuarantinedObject]:
    served = node.pipeline.in_service()
    found = served.quarantined.values() if served is not None else ()
    return [QuarantinedObject(q.key.kind, q.key.name, q.form, q.why) for q in found]


def _key_sets(node: Node) -> list[KeySetStatus]:
    return [one.status for one in node.key_sets.told()]


def _warnings(node: Node, processes: list[ProcessRights]) -> list[str]:
    if node.options.engine == "native":
        return warnings(processes, root_is_meant=node.options.user == "root")
    from headgate.node import nginx_rights  # with modules that a native node does not load

    return nginx_rights.warnings(processes)


def _processes(supervisor: About | None, node: Node, engine: EngineStatus) -> list[ProcessRights]:
    if node.remote is not None:
        pids = {"control": os.getpid()}
        supervisor = None
    else:
        pids = {"supervisor": os.getppid(), "control": os.getpid()}
    if supervisor is not None and supervisor.dataplane is not None:
        pids["dataplane"] = supervisor.dataplane.pid
    nginx = engine.nginx
    is_started_here = nginx is not None and (nginx.start, nginx.mode) == ("own", "full")
    if is_started_here and engine.pid is not None:
        pids["nginx"] = engine.pid
    found = (rights(process, pid) for process, pid in pids.items())
    return [one for one in found if one is not None]


async def health(node: Node) -> Health:
    """Returns every endpoint's state, that of key sets, and of the store of limits."""
    upstreams, sets = await node.serving.upstreams(), _key_sets(node)
    if upstreams is None:
        return Health("down", [], sets)
    endpoints = [one for upstream in upstreams for one in upstream.endpoints]
    is_whole = all(one.state == "up" for one in endpoints)
    is_whole = is_whole and all(one.state == "fresh" for one in sets)
    native = (await node.serving.status()).native
    store = native.limit_store if native is not None else None
    is_whole = is_whole and (store is None or store.ready)
    state = "ok" if is_whole else "degraded"
    return Health(state, _with_protocols(node, upstreams), sets, store)


async def _engine(node: Node) -> EngineStatus:
    told = await node.serving.status()
    return msgspec.structs.replace(told, upstreams=_with_protocols(node, told.upstreams))


def _with_protocols(node: Node, upstreams: list[UpstreamStatus]) -> list[UpstreamStatus]:
    """Adds what the endpoints speak, as the config that is served says."""
    served = node.pipeline.in_service()
    if served is None:
        return upstreams
    found = []
    for one in upstreams:
        entry = served.plan.objects.get(ObjectKey("upstream", ObjectName(one.name)))
        value = entry.value if entry is not None else None
        protocol = value.protocol if isinstance(value, Upstream) else ""
        found.append(msgspec.structs.replace(one, protocol=protocol))
    return found


def config(node: Node) -> ConfigDocument | None:
    """Returns the plan that is served, without secrets; None where this process has not read it."""
    served = node.pipeline.in_service()
    if served is None:
        return None
    objects = served.plan.objects
    return ConfigDocument(
        digest=served.plan.digest.hex(),
        objects=[
            PlanObjectDocument(
                kind=key.kind,
                name=key.name,
                digest=objects[key].digest.hex(),
                value=msgspec.Raw(redacted(objects[key].canonical, served.secrets)),
            )
            for key in sorted(objects)
        ],
    )
