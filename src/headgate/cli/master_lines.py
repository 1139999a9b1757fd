"""Words of `headgate status` about an agent's master."""

import time

from headgate.node.agent.about import MasterStatus, RevisionStatus


def master_lines(status: MasterStatus) -> list[str]:
    """Returns how an agent stands with its master, in some lines."""
    state = "connected" if status.is_connected else f"not connected ({status.state})"
    name = f", agent {status.agent}" if status.agent else ""
    lines = [f"master      {status.url}: {state}{name}"]
    if status.last_contact_at:
        lines.append(f"            last contact {_ago(status.last_contact_at)}")
    if status.last_error and not status.is_connected:
        lines.append(f"            last error: {status.last_error}")
    serving, newest = status.serving, status.acknowledged
    held = f", on disk {', '.join(map(str, status.held))}" if status.held else ""
    lines.append(f"revision    {_named(serving)} serves{held}")
    if newest is not None and newest != serving:
        refused = " and refused" if newest == status.refused else ""
        lines.append(f"            {_named(newest)} was received{refused}")
    if status.upgrade_error:
        lines.append(f"warning     {status.upgrade_error}")
    lines += [f"warning     bundle {name}: {why}" for name, why in status.skipped.items()]
    return lines


def _named(revision: RevisionStatus | None) -> str:
    return f"{revision.revision} ({revision.hash[:12]})" if revision is not None else "none"


def _ago(at: float) -> str:
    return f"{max(0.0, time.time() - at):.0f} s ago"
