"""Writes the engine of a node as lines of `headgate status`: the same ones for both engines, then
what only one of them has.
"""

import time

from headgate.cli.link_lines import moment
from headgate.engines.status import (
    CertificateStatus,
    EngineStatus,
    LastApply,
    NativeStatus,
    NginxStatus,
)


def engine_lines(one: EngineStatus) -> list[str]:
    """Returns how the engine is; generations, hold and boot safety only where nginx is driven."""
    is_watched = one.nginx is not None and one.nginx.mode == "observe"
    lines = [f"engine      {engine_line(one)}"]
    if one.since:
        lines.append(f"serves      {one.digest[:12]} since {moment(one.since)}")
    if not is_watched:
        lines.append(f"last apply  {_last(one.last_apply)}")
    if one.nginx is not None:
        lines += [f"drift       {one.drift or 'not looked at yet'}", *_nginx(one.nginx)]
    if one.native is not None:
        lines.append(f"data plane  {_native(one.native)}")
    return lines


def engine_line(one: EngineStatus) -> str:
    """Returns what it is, its state, its process and its workers.

    >>> engine_line(EngineStatus(kind="native", state="down", why="there is no data plane"))
    'native, down: there is no data plane'
    >>> engine_line(EngineStatus(kind="nginx", state="serving", version="nginx/1.22.1", pid=7))
    'nginx/1.22.1, serving, pid 7, 0 workers'
    """
    # An nginx names itself in its version.
    name = one.version if one.version.startswith(one.kind) else f"{one.kind} {one.version}".strip()
    state = one.state.upper() if one.state == "degraded" else one.state
    parts = [name, f"{state}: {one.why}" if one.why else state]
    parts += [f"pid {one.pid}", f"{one.workers} workers"] if one.pid else []
    return ", ".join(parts)


def _last(last: LastApply | None) -> str:
    if last is None:
        return "none since the control process began"
    what = f"{last.phase} {last.digest[:12]} at {moment(last.at)}"
    if last.phase != "serving":
        return f"FAILED, {what}: {last.text}"
    took = f"applied after {last.applied_s:.2f} s, serving after {last.serving_s:.2f} s"
    return f"{what}, {took}{'; ' if last.text else ''}{last.text}"


def _native(one: NativeStatus) -> str:
    connections = sum(worker.connections for worker in one.workers)
    requests = sum(worker.requests for worker in one.workers)
    overload = f", {one.overload} ({one.overload_cause})" if one.overload else ""
    traces = f", traces {one.traces}" if one.traces else ""
    log = f", access log export {one.access_log}" if one.access_log else ""
    log += f", access log fails: {one.access_log_failure}" if one.access_log_failure else ""
    store = one.limit_store
    away = ""
    if store is not None and not store.ready:
        away = f", limit store away since {moment(store.away_since_s)}: {store.why}"
    return (
        f"generation {one.generation}, {connections} connections, {requests} requests"
        f"{overload}{traces}{log}{away}"
    )


def _nginx(one: NginxStatus) -> list[str]:
    lines = [f"nginx       mode {one.mode}, {_started(one)}, {one.draining} workers draining"]
    lines += [f"conf        {one.conf}"] if one.mode != "full" else []
    if one.mode != "observe":
        lines.append(
            f"generation  desired {_or_none(one.desired)}, on disk {_or_none(one.on_disk)},"
            f" running {_or_none(one.running)}"
        )
    lines += [f"hold        {one.hold}"] if one.hold else []
    if one.boot_safe is not None:
        lines.append(f"boot safe   {_boot_safe(one)}")
    lines += [f"warning     {one.warning}"] if one.warning else []
    if one.waits_s:
        lines.append(f"next apply  in {one.waits_s:.1f} s: a change waits for its turn")
    if one.endpoint_updates or one.endpoint_error:
        lines.append(f"endpoints   {_endpoints(one)}")
    lines += [_certificate(each) for each in one.certificates]
    return lines


def _started(one: NginxStatus) -> str:
    by = {"own": "started by the node", "systemd": "started by systemd"}
    again = f", restarted by others {one.restarts} times" if one.restarts else ""
    return f"{by.get(one.start, 'started by others')}{again}"


def _boot_safe(one: NginxStatus) -> str:
    if one.boot_safe:
        return "yes"
    where = "its unit (deploy/systemd)" if one.start == "systemd" else "what starts nginx"
    return f"NO: put `headgate nginx guard` into {where}, before nginx"


def _endpoints(one: NginxStatus) -> str:
    error = f"; the last one took a reload: {one.endpoint_error}" if one.endpoint_error else ""
    return f"{one.endpoint_updates} changes without a reload{error}"


def _certificate(one: CertificateStatus) -> str:
    end = time.strftime("%Y-%m-%d", time.gmtime(one.not_after)) if one.not_after else "not known"
    problems = "".join(f"\n            {problem}" for problem in one.problems)
    return f"certificate {one.path}  ends {end}  {' '.join(one.names[:4])}{problems}"


def _or_none(value: int | None) -> str:
    return "none" if value is None else str(value)
