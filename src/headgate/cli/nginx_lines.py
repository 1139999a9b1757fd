"""Writes the nginx of a node as lines of `headgate status`."""

import time

from headgate.engines.nginx.common.status import CertificateStatus, LastApply, NginxStatus


def nginx_lines(one: NginxStatus) -> list[str]:
    """Returns how it is; generations, hold and boot safety only where something is applied."""
    lines = [f"nginx       {one.version or 'version not known'}, mode {one.mode}, {_started(one)}"]
    lines += [f"conf        {one.conf}"] if one.mode != "full" else []
    lines.append(
        f"workers     {one.workers}, {one.draining} draining" if one.pid else "workers     0"
    )
    if one.mode != "observe":
        lines.append(
            f"generation  desired {_or_none(one.desired)}, on disk {_or_none(one.on_disk)},"
            f" running {_or_none(one.running)}" + (", DEGRADED" if one.degraded else "")
        )
    lines.append(f"drift       {one.state}")
    lines += [f"hold        {one.hold}"] if one.hold else []
    if one.boot_safe is not None:
        lines.append(f"boot safe   {_boot_safe(one)}")
    lines += [f"warning     {one.warning}"] if one.warning else []
    if one.mode != "observe":
        lines.append(f"last apply  {_last(one.last_apply)}")
    if one.waits_s:
        lines.append(f"next apply  in {one.waits_s:.1f} s: a change waits for its turn")
    if one.endpoint_updates or one.endpoint_error:
        lines.append(f"endpoints   {_endpoints(one)}")
    lines += [_certificate(each) for each in one.certificates]
    return lines


def _started(one: NginxStatus) -> str:
    by = {"own": "started by the node", "systemd": "started by systemd"}
    who = by.get(one.start, "started by others")
    again = f", restarted by others {one.restarts} times" if one.restarts else ""
    return f"{who}, {f'pid {one.pid}' if one.pid else 'NOT RUNNING'}{again}"


def _boot_safe(one: NginxStatus) -> str:
    if one.boot_safe:
        return "yes"
    where = "its unit (deploy/systemd)" if one.start == "systemd" else "what starts nginx"
    return f"NO: put `headgate nginx guard` into {where}, before nginx"


def _endpoints(one: NginxStatus) -> str:
    error = f"; the last one took a reload: {one.endpoint_error}" if one.endpoint_error else ""
    return f"{one.endpoint_updates} changes without a reload{error}"


def _last(last: LastApply | None) -> str:
    if last is None:
        return "none since the control process began"
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(last.at))
    if not last.ok:
        return f"FAILED at {at}: {last.text}"
    took = f"reloaded after {last.reload_s:.2f} s, verified after {last.verified_s:.2f} s"
    note = f"; {last.text}" if last.text else ""
    return f"generation {last.generation} at {at}, {took}{note}"


def _certificate(one: CertificateStatus) -> str:
    end = time.strftime("%Y-%m-%d", time.gmtime(one.not_after)) if one.not_after else "not known"
    problems = "".join(f"\n            {problem}" for problem in one.problems)
    return f"certificate {one.path}  ends {end}  {' '.join(one.names[:4])}{problems}"


def _or_none(value: int | None) -> str:
    return "none" if value is None else str(value)
