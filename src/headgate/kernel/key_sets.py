"""Names key sets (RFC 7517) that are fetched from a URL. Pure."""

from collections.abc import Iterable
from hashlib import sha256
from typing import Final, NamedTuple
from urllib.parse import urlsplit

MOST_BYTES: Final = 256 * 1024
"""Of a key set, as the data plane takes it (`hg-access`)."""

_ID: Final = 32
_SHORT: Final = 8


class KeySetUrl(NamedTuple):
    """The URL of a key set, and the rules for fetching it.

    `refresh_ms`: how long it is used before it is fetched again. `authority`: certificates (PEM)
    that the server's must lead to; empty = those that the host trusts. `max_stale_ms`: how long the
    last good set counts while there is no newer one; 0 = without end.
    """

    url: str
    refresh_ms: int
    authority: str = ""
    max_stale_ms: int = 0

    @property
    def id(self) -> str:
        """Its name on disk: equal for equal URLs and authorities, hexadecimal."""
        return sha256(f"{self.url}\0{self.authority}".encode()).hexdigest()[:_ID]

    @property
    def label(self) -> str:
        """Its name for people and metrics: the URL; of its query, which may be long, a digest.

        >>> KeySetUrl("https://login.example/keys", 1000).label
        'https://login.example/keys'
        >>> KeySetUrl("https://login.example/keys?p=one", 1000).label
        'https://login.example/keys?b67eb1a6'
        """
        plain, mark, query = self.url.partition("?")
        return plain + mark + (sha256(query.encode()).hexdigest()[:_SHORT] if mark else "")


def strictest(wanted: Iterable[KeySetUrl]) -> list[KeySetUrl]:
    """Returns each set once, with the shortest times of those that want it.

    >>> strictest([KeySetUrl("https://a/", 5), KeySetUrl("https://a/", 3, "", 9)])
    [KeySetUrl(url='https://a/', refresh_ms=3, authority='', max_stale_ms=9)]
    """
    found: dict[str, KeySetUrl] = {}
    for one in wanted:
        other = found.get(one.id, one)
        ends = [ms for ms in (one.max_stale_ms, other.max_stale_ms) if ms]
        refresh_ms = min(one.refresh_ms, other.refresh_ms)
        found[one.id] = one._replace(refresh_ms=refresh_ms, max_stale_ms=min(ends, default=0))
    return list(found.values())


def url_problem(url: str) -> str:
    """Returns what is wrong with the URL of a key set; empty if nothing is.

    >>> url_problem("https://login.example/jwks.json"), url_problem("http://login.example/")
    ('', 'is not https')
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "is not a URL"
    found = (
        (parts.scheme.lower() != "https", "is not https"),
        (not url.isascii() or not url.isprintable() or " " in url, "has spaces or other letters"),
        (not parts.hostname or port == 0, "names no host"),
        (parts.username is not None or parts.password is not None, "has a name or a password"),
        (bool(parts.fragment), "has a fragment"),
    )
    return next((what for is_so, what in found if is_so), "")
