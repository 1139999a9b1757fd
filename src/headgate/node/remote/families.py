"""The metric families of a control link over TCP."""

from collections.abc import Mapping

from headgate.kernel.openmetrics import family
from headgate.node.link import About
from headgate.node.remote.peer import LinkStatus


def families(link: LinkStatus, refused: Mapping[str, int] | None = None) -> list[str]:
    """Returns the families of either end; `refused` counts by reason, where somebody is."""
    ends = []
    if link.certificate.not_after:  # an end that has not enrolled yet has none
        ends.append(({"end": "own"}, link.certificate.not_after))
    if link.peer is not None:
        ends.append(({"end": "peer"}, link.peer.certificate.not_after))
    parts = [
        family(
            "headgate_link_connected",
            "gauge",
            "1 while the control link to the other plane is up.",
            [({}, int(link.connected))],
        ),
        family(
            "headgate_link_since_timestamp_seconds",
            "gauge",
            "When the control link came up or went down.",
            [({}, round(link.since, 3))],
            unit="seconds",
        ),
        family(
            "headgate_link_last_contact_timestamp_seconds",
            "gauge",
            "When the other plane said something last; 0 = never.",
            [({}, round(link.last_contact, 3))],
            unit="seconds",
        ),
        family(
            "headgate_link_certificate_not_after_timestamp_seconds",
            "gauge",
            "When the certificates of the control link end, by `end`: own or peer.",
            ends,
            unit="seconds",
        ),
    ]
    if refused is not None:
        about = "Connections to the control link's port that were not let in, by `reason`."
        counts = [({"reason": reason}, count) for reason, count in sorted(refused.items())]
        parts.append(family("headgate_link_refused", "counter", about, counts))
    return parts


def restarts(about: About, names: Mapping[str, str]) -> list[str]:
    """Returns how often processes died; `names`: what the supervisor calls them → what they are."""
    return [
        family(
            f"headgate_{name}_restarts",
            "counter",
            f"Times the {name} process died and was replaced.",
            [({}, about.restarts.get(key, 0))],
        )
        for key, name in names.items()
    ]
