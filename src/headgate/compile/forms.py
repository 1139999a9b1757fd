"""The forms in which a quarantined object is served, and how they are told. Commands that ask a
running node use this module: it imports no config model."""

from typing import Final, Literal

Form = Literal["last good", "closed", "absent"]
"""The form in which a quarantined object is served: its last good form, 503 (or the end of its
connections, the loss of its datagrams), nothing.
"""

_ENDS: Final = {
    "tcp_route": "its connections are closed at once",
    "udp_route": "its datagrams are dropped",
}


def served_as(kind: str, form: str) -> str:
    """Returns what is served in place of an object of a kind, in words."""
    if form == "closed":
        return _ENDS.get(kind, "requests for it get 503")
    return "its last good form is served" if form == "last good" else "it is not served"
