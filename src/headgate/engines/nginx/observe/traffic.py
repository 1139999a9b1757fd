"""Counts requests of access logs by route, upstream, endpoint, status and latency, and TCP
connections by how they ended. Pure.

About 1 µs a request. Every table of labels is bounded: labels over the limit count under `(other)`,
so that neither clients nor a config can make the page grow without end.
"""

from collections import deque
from collections.abc import Iterable
from typing import Final

from msgspec.structs import replace

from headgate.engines.nginx.observe.histogram import BOUNDS_S, Histogram
from headgate.engines.nginx.observe.hits import UNTIMED, Hit

OTHER: Final = "(other)"

_METHODS: Final = frozenset(
    ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH")
)
_STATUSES: Final = frozenset(
    f"{status:03}"
    for part in (
        *(range(100, 104), range(200, 209), range(226, 227), range(300, 309), range(400, 419)),
        *(range(421, 427), (428, 429, 431, 444, 451, 494, 495, 496, 497, 499)),
        *(range(500, 509), (0, 510, 511)),
    )
    for status in part
)
"""Those that are registered (IANA), and nginx's own; others count by their class, or as 000."""
_CLASSES: Final = ("1xx", "2xx", "3xx", "4xx", "5xx", OTHER)
_STATUS_LENGTH: Final = 3
_KEPT: Final = 100_000
_GROUP: Final = "hg_"
"""The prefix of the names of our `upstream` blocks."""


class Served:
    """The requests under one name: a route's, a site's or an upstream's.

    `classes` counts by `class_name`; `latency` is of whole requests, or, for an upstream, of its
    answers; `whole`, which only an upstream has, of whole requests.
    """

    __slots__ = ("bytes_in", "bytes_out", "classes", "latency", "whole")

    def __init__(self, bounds_s: tuple[float, ...] = BOUNDS_S) -> None:
        self.classes = [0] * len(_CLASSES)
        self.latency = Histogram(bounds_s)
        self.whole: Histogram | None = None
        self.bytes_in = 0
        self.bytes_out = 0

    @property
    def requests(self) -> int:
        """The number of requests."""
        return sum(self.classes)

    def by_class(self) -> dict[str, int]:
        """Counts by `2xx` …; those that are not 0."""
        return {name: n for name, n in zip(_CLASSES, self.classes, strict=True) if n}


class Backend:
    """The tries at one endpoint; a try without the head of an answer has failed."""

    __slots__ = ("connect_failures", "failures", "requests")

    def __init__(self) -> None:
        self.requests = 0
        self.failures = 0
        self.connect_failures = 0


class Table(dict[str, Served]):
    """`Served` by name, at most `limit` of them and `(other)`."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.limit = limit
        self.bounds_s = BOUNDS_S
        self.folded = 0
        """The number of times that a name was `(other)`."""

    def __missing__(self, name: str) -> Served:
        if len(self) >= self.limit and name != OTHER:
            self.folded += 1
            return self[OTHER]
        made = self[name] = Served(self.bounds_s)
        return made

    def measure(self, bounds_s: tuple[float, ...]) -> None:
        """Counts latencies in these buckets from now on."""
        self.bounds_s = bounds_s
        for served in self.values():
            served.latency = served.latency.in_buckets(bounds_s)
            if served.whole is not None:
                served.whole = served.whole.in_buckets(bounds_s)


class Traffic:
    """The counts since it was made."""

    def __init__(self, *, names: int = 10_000, sites: int = 1_000, endpoints: int = 10_000) -> None:
        """`names`: the most routes, and the most upstreams; further ones are `(other)`.

        Clients choose the sites, so these have a limit of their own.
        """
        self.requests: dict[tuple[str, str, str], int] = {}
        """By (method, status, upstream)."""
        self.duration = Histogram()
        self.routes = Table(names)
        self.sites = Table(sites)
        self.upstreams = Table(names)
        self.retries: dict[str, int] = {}
        """Tries after the first, by upstream."""
        self.backends: dict[str, Backend] = {}
        """By `upstream/address`, or `address` where the upstream's name is unknown."""
        self.folded_requests = 0
        """Requests whose status or upstream is not that of their line."""
        self.folded_backends = 0
        """Tries at endpoints beyond the bound."""
        self.tcp_closed: dict[str, int] = {}
        """TCP connections by why they ended."""
        self.udp_closed: dict[str, int] = {}
        """Flows of UDP by why they ended."""
        self.bytes_in = 0
        self.bytes_out = 0
        self.watched: frozenset[str] = frozenset()
        """The upstreams whose requests are kept in `kept`, for who looks at single ones."""
        self.kept: deque[Hit] = deque(maxlen=_KEPT)
        self.unread = 0
        """Lines that held no request."""
        self._endpoints = endpoints

    def measure(self, bounds_s: tuple[float, ...]) -> None:
        """Counts latencies in these buckets from now on; what was counted moves into them.

        Not while `add` runs. Who reads meanwhile finds each histogram as it was or as it is.
        """
        if bounds_s == self.duration.bounds_s:
            return
        self.duration = self.duration.in_buckets(bounds_s)
        for table in (self.routes, self.sites, self.upstreams):
            table.measure(bounds_s)

    def add(self, hits: Iterable[Hit]) -> None:
        """Counts requests."""
        requests, duration = self.requests, self.duration
        for hit in hits:
            if hit.tcp or hit.udp:
                self._connection(hit)
                continue
            status = hit.status
            key = (hit.method, status, hit.upstream)
            if key in requests:
                requests[key] += 1
            else:
                self._new(key)
            if hit.total_s >= 0:
                duration.record(hit.total_s)
            self.bytes_in += hit.bytes_in
            self.bytes_out += hit.bytes_out
            index = _class(status)
            if hit.route:
                _serve(self.routes[hit.route], hit, index, hit.total_s)
            if hit.site:
                _serve(self.sites[hit.site], hit, index, hit.total_s)
            if hit.endpoint and hit.endpoint != "-":
                self._upstream(hit, index)

    def total(self) -> int:
        """Returns all requests."""
        return sum(self.requests.values())

    def _connection(self, hit: Hit) -> None:
        """Counts a TCP connection or a flow that ended; for an endpoint it is a request."""
        closed, why = (self.udp_closed, hit.udp) if hit.udp else (self.tcp_closed, hit.tcp)
        closed[why] = closed.get(why, 0) + 1
        self.bytes_in += hit.bytes_in
        self.bytes_out += hit.bytes_out
        judged = tcp_tries(hit)
        if not judged.endpoint:
            return
        if hit.upstream in self.watched and not hit.udp:
            self.kept.append(judged)
        columns = (judged.endpoint, judged.upstream_status, judged.first_byte_s, judged.connect_s)
        made = list(zip(*map(tries, columns), strict=True))
        self._retried(hit.upstream or made[-1][0], len(made) - 1)
        for one in made:
            self._backend(hit.upstream, *one)

    def _new(self, key: tuple[str, str, str]) -> None:
        """Counts a new combination, perhaps under another name."""
        method, status, upstream = key
        if method not in _METHODS:
            method = "OTHER"
        if status not in _STATUSES:
            status = _folded_status(status)
            self.folded_requests += 1
        if upstream not in self.upstreams and len(self.upstreams) >= self.upstreams.limit:
            self.folded_requests += upstream != OTHER and status in _STATUSES
            upstream = OTHER
        clean = (method, status, upstream)
        self.requests[clean] = self.requests.get(clean, 0) + 1

    def _upstream(self, hit: Hit, index: int) -> None:
        if hit.upstream in self.watched:
            self.kept.append(hit)
        if " " in hit.endpoint:
            self._tries(hit, index)
            return
        # The address still identifies an upstream without a name in the log.
        upstream = hit.upstream or hit.endpoint
        self._answered(upstream, hit, index, _number(hit.upstream_s))
        self._backend(
            hit.upstream, hit.endpoint, hit.upstream_status, hit.first_byte_s, hit.connect_s
        )

    def _tries(self, hit: Hit, index: int) -> None:
        """Counts a request that went to more than one endpoint."""
        endpoints = tries(hit.endpoint)
        statuses = _padded(tries(hit.upstream_status), len(endpoints))
        heads = _padded(tries(hit.first_byte_s), len(endpoints))
        connects = _padded(tries(hit.connect_s), len(endpoints))
        times = [_number(part) for part in tries(hit.upstream_s)]
        upstream = hit.upstream or endpoints[-1]
        taken = sum(time for time in times if time >= 0) if times else UNTIMED
        self._answered(upstream, hit, index, taken)
        # nginx writes the name of the `upstream` where it found no endpoint; that is no try.
        self._retried(upstream, sum(not one.startswith(_GROUP) for one in endpoints) - 1)
        for one in zip(endpoints, statuses, heads, connects, strict=True):
            self._backend(hit.upstream, *one)

    def _answered(self, upstream: str, hit: Hit, index: int, taken: float) -> None:
        """Counts a request of an upstream whose endpoints took `taken` seconds."""
        served = self.upstreams[upstream]
        _serve(served, hit, index, taken)
        if hit.total_s >= 0:
            if served.whole is None:
                served.whole = Histogram(self.upstreams.bounds_s)
            served.whole.record(hit.total_s)

    def _retried(self, upstream: str, times: int) -> None:
        if times <= 0:
            return
        if upstream not in self.retries and len(self.retries) >= self.upstreams.limit:
            upstream = OTHER
        self.retries[upstream] = self.retries.get(upstream, 0) + times

    def _backend(self, upstream: str, endpoint: str, status: str, head: str, connect: str) -> None:
        name = f"{upstream}/{endpoint}" if upstream else endpoint
        known = self.backends.get(name)
        if known is None:
            if len(self.backends) >= self._endpoints:
                name = OTHER
                self.folded_backends += 1
            known = self.backends.setdefault(name, Backend())
        known.requests += 1
        # Without a status the client left before the endpoint failed.
        if head == "-" and status not in ("-", "499"):
            known.failures += 1
            known.connect_failures += connect == "-"


def tries(text: str) -> list[str]:
    """Returns the parts of a list as nginx writes it.

    >>> tries("127.0.0.1:1, 127.0.0.1:2 : unix:/x")
    ['127.0.0.1:1', '127.0.0.1:2', 'unix:/x']
    """
    return text.replace(" : ", ", ").split(", ") if text else []


def tcp_tries(hit: Hit) -> Hit:
    """Returns a TCP connection or a flow as tries of a request: one that connected was answered.

    The last one has not failed if the client left meanwhile. nginx writes the name of the
    `upstream` where it found no endpoint; that is no try.
    """
    endpoints = tries(hit.endpoint)
    connects = _padded(tries(hit.connect_s), len(endpoints))
    made = [one for one in zip(endpoints, connects, strict=True) if not one[0].startswith(_GROUP)]
    statuses = ["502" if connect == "-" else "200" for _, connect in made]
    if made and made[-1][1] == "-" and hit.status != "502":
        statuses[-1] = "-"
    heads = [connect for _, connect in made]
    if hit.udp and made and hit.status == "502":
        # A flow has an endpoint at once, and learns later that nobody is there.
        statuses[-1], heads[-1] = "502", "-"
    return replace(
        hit,
        endpoint=", ".join(endpoint for endpoint, _ in made),
        connect_s=", ".join(connect for _, connect in made),
        first_byte_s=", ".join(heads),
        upstream_s=", ".join(heads),
        upstream_status=", ".join(statuses),
    )


def _folded_status(status: str) -> str:
    name = class_name(status)
    return name if name != OTHER else "000"


def class_name(status: str) -> str:
    """Returns `2xx` for `204`."""
    return _CLASSES[_class(status)]


def _class(status: str) -> int:
    first = ord(status[0]) - 49 if len(status) == _STATUS_LENGTH else -1
    return first if 0 <= first < len(_CLASSES) - 1 else len(_CLASSES) - 1


def _serve(served: Served, hit: Hit, index: int, seconds: float) -> None:
    served.classes[index] += 1
    if seconds >= 0:
        served.latency.record(seconds)
    served.bytes_in += hit.bytes_in
    served.bytes_out += hit.bytes_out


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return UNTIMED


def _padded(parts: list[str], length: int) -> list[str]:
    return (parts + ["-"] * length)[:length]
