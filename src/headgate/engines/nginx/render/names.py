"""Makes names for rendered text: readable, unique, from the object's own name."""

import re
from hashlib import sha256
from typing import Final

_PLAIN: Final = re.compile(r"[a-z0-9_][a-z0-9_.-]{0,79}")
_HASHED: Final = re.compile(r".*-[0-9a-f]{8}")

ERROR_PLACE: Final = "@hg_error"
"""The location of answers to faults."""

NO_ROUTE: Final = "route:"
"""The location of requests that no route takes;
it cannot be a route's own, since names are not empty.
"""

UNDECIDED: Final = "undecided"
"""The location of requests on which nginx gave up an expression of a route."""

SERVICE: Final = "auth:"
"""The prefix of the locations that ask services or send copies;
a request's path begins with a slash.
"""


def slug(name: str) -> str:
    """Returns a name that nginx reads without quotes; cuts other names and adds a hash.

    nginx compares names of upstreams without case, so capital letters count as other characters.
    """
    if _PLAIN.fullmatch(name) and not _HASHED.fullmatch(name):
        return name
    digest = sha256(name.encode()).hexdigest()[:8]
    text = re.sub(r"[^a-z0-9_.]+", "-", name.lower()).strip("-.")[:40] or "x"
    return f"{text}-{digest}"


def upstream(name: str) -> str:
    """Returns the `upstream` block of an upstream."""
    return f"hg_up_{slug(name)}"


def asked(place: str) -> str:
    """Returns the location that answers who does not pass the one at a place."""
    return f"@hg_asked_{place.replace(':', '_')}"


def too_large(place: str) -> str:
    """Returns the location that answers too large bodies for the one at a place."""
    return f"@hg_large_{place.replace(':', '_')}"


def page(place: str) -> str:
    """Returns the location that answers errors of the one at a place with pages."""
    return f"@hg_page_{place.replace(':', '_')}"


def sent(place: str) -> str:
    """Returns the location that forwards for the one at a place, where that has pages or keeps
    bodies.
    """
    return f"@hg_sent_{place.replace(':', '_')}"


KEPT: Final = "_kept"
"""The suffix of the name of a location that forwards and keeps bodies to send them again."""


def service(place: str) -> str:
    """Returns the location that asks a service for the one at a place."""
    return SERVICE + place


def mirror(place: str, number: int) -> str:
    """Returns the location that sends copies of the requests of the one at a place to the mirror
    of that number, from 1.
    """
    return f"{SERVICE}mirror{_but_first(number)}:{place}"


def mirrored(place: str, number: int) -> str:
    """Returns the location in which such a copy ends that cannot be sent."""
    return f"@hg_mirrored{_but_first(number)}_{place.replace(':', '_')}"


def _but_first(number: int) -> str:
    return str(number) if number > 1 else ""


def zone(kind: str, *what: object) -> str:
    """Returns a shared zone; its name changes with whatever must not change under one name."""
    digest = sha256(repr((kind, what)).encode()).hexdigest()[:10]
    return f"hg_{kind}_{digest}"


def host_file(host: str | None) -> str:
    """Returns the file of a host's servers;
    None is the file for requests without a host of ours.
    """
    if host is None:
        return "http/_none.conf"
    if host == "*":
        return "http/_any.conf"
    text = f"_{host[1:]}" if host.startswith("*.") else host
    plain = re.fullmatch(r"_?[a-z0-9.-]{1,200}", text) and host.startswith(("*.", text[:1]))
    return f"http/{text}.conf" if plain else f"http/{slug(host)}.conf"
