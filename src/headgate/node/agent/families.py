"""Makes an agent's metric families about its master. Pure."""

from headgate.kernel.openmetrics import family
from headgate.node.agent.about import MasterStatus


def master_families(status: MasterStatus) -> list[str]:
    """Returns the families; revisions that the agent does not have are missing."""
    revisions = {
        "acknowledged": status.acknowledged,
        "applied": status.applied,
        "serving": status.serving,
        "refused": status.refused,
    }
    samples = [
        ({"state": state}, one.revision) for state, one in revisions.items() if one is not None
    ]
    return [
        family(
            "headgate_master_connected",
            "gauge",
            "1 while an agent has a session with its master.",
            [({}, int(status.is_connected))],
        ),
        family(
            "headgate_master_last_contact_timestamp_seconds",
            "gauge",
            "When an agent last heard of its master; 0 = never.",
            [({}, round(status.last_contact_at, 3))],
            unit="seconds",
        ),
        family(
            "headgate_master_dials",
            "counter",
            "Times an agent tried to connect to its master.",
            [({}, status.dials)],
        ),
        family(
            "headgate_config_revision",
            "gauge",
            "The master's revision that an agent acknowledged, applied, serves or refused, by "
            "`state`.",
            samples,
        ),
        family(
            "headgate_agent_certificate_not_after_timestamp_seconds",
            "gauge",
            "When an agent's own certificate ends; 0 before it enrolled.",
            [({}, status.certificate_not_after)],
            unit="seconds",
        ),
    ]
