"""Types of the compiled extension, one part per face in `engine/crates/hg-py/src`."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Generic, Literal, Protocol, TypeAlias, TypeVar, final

# dataplane.rs

def run_data_plane(fd: int) -> int:
    """Runs a data-plane process until it is told to leave; returns the exit status.

    `fd` is a connected SOCK_SEQPACKET socket to the supervisor; the call consumes it. The process
    ignores signals from here on: the supervisor owns them. Raises `OSError` when `fd` is not open.
    """

# health.rs

class CheckPolicy(Protocol):
    """The way that an endpoint is checked; the check of a plan is one."""

    @property
    def interval_ms(self) -> int: ...
    @property
    def fast_interval_ms(self) -> int: ...
    @property
    def max_interval_ms(self) -> int: ...
    @property
    def healthy(self) -> int: ...
    @property
    def unhealthy(self) -> int: ...

class OutlierSharesPolicy(Protocol):
    """The shares of failed requests that eject an endpoint; the policy of a plan is one."""

    @property
    def failure_percent(self) -> int: ...
    @property
    def failure_requests(self) -> int: ...
    @property
    def success_rate_deviation(self) -> int: ...
    @property
    def success_rate_endpoints(self) -> int: ...
    @property
    def success_rate_requests(self) -> int: ...
    @property
    def window_s(self) -> int: ...

class OutlierPolicy(Protocol):
    """The failures that eject an endpoint; the policy of a plan is one."""

    @property
    def consecutive_5xx(self) -> int: ...
    @property
    def consecutive_gateway(self) -> int: ...
    @property
    def consecutive_local(self) -> int: ...
    @property
    def shares(self) -> OutlierSharesPolicy: ...
    @property
    def ejection_ms(self) -> int: ...
    @property
    def max_ejection_ms(self) -> int: ...
    @property
    def max_ejected(self) -> int: ...
    @property
    def enforce_percent(self) -> int: ...

class BreakerPolicy(Protocol):
    """The conditions that open and close a breaker; the policy of a plan is one."""

    @property
    def failures(self) -> int: ...
    @property
    def open_ms(self) -> int: ...
    @property
    def successes(self) -> int: ...
    @property
    def probes(self) -> int: ...
    @property
    def error_percent(self) -> int: ...
    @property
    def slow_percent(self) -> int: ...
    @property
    def slow_ms(self) -> int: ...
    @property
    def requests(self) -> int: ...
    @property
    def window_s(self) -> int: ...

@final
class ExpectedAnswer:
    """The answer that a check that sends bytes must get."""

    def __new__(cls, check: bytes) -> ExpectedAnswer:
        """Reads the canonical bytes of a plan's `bytes` check; raises ValueError for others."""

    def judge(self, answer: bytes, is_whole: bool) -> str | None:
        """Judges an answer as far as it has come: None = it may still pass, empty = it passes,
        else what it is instead. `is_whole`: nothing follows.
        """

@final
class EndpointHealth:
    """The knowledge about one endpoint; times are milliseconds of one monotonic clock, `random`
    is 64 bits of chance.
    """

    passed: int
    """Checks that passed."""
    failed: int
    """Checks that failed."""
    found: str
    """The finding of the last check that failed; empty after one that passed."""

    def __new__(cls, checked: bool, now_ms: int) -> EndpointHealth:
        """Makes the health of an endpoint that was just added."""

    def watch(self, check: CheckPolicy | None, now_ms: int, random: int) -> None:
        """Takes over how it is checked, None = not at all.

        Checks that stay as they are keep their clock, others what was concluded.
        """

    @property
    def next_ms(self) -> int | None:
        """The time of the next check; None without checks."""

    def result(
        self, failure: tuple[str, str] | None, began_ms: int, now_ms: int, random: int
    ) -> bool:
        """Takes in the result of a check, returns whether the state changed.

        `failure`: the word of the reason and what the check found, None if it passed. Raises
        `ValueError` for a word that is no reason.
        """

    def turn(self, policy: OutlierPolicy | None, now_ms: int, random: int) -> bool:
        """Looks whether its ejection is over, about once a second; None: nothing ejects it.

        Returns whether the state changed.
        """

    @property
    def is_in(self) -> bool:
        """Reports that it is neither ejected nor waiting for the request that probes it."""

    def probed(self, ended: str, now_ms: int) -> bool | None:
        """Takes in how the request ended that probes it; returns whether it is back.

        None if that told nothing, or nothing probes it. Raises `ValueError` for a word that is no
        outcome, as `ended` does.
        """

    def ended(self, ended: str, policy: OutlierPolicy, now_ms: int) -> str | None:
        """Takes in how a request at it ended; returns the word of the reason to eject it, if that
        came often enough in a row.
        """

    def judged(self, ended: str, head_ms: int, policy: BreakerPolicy, now_ms: int) -> bool:
        """Takes in, for its breaker, how a request ended and how long it took to its head; returns
        whether the breaker turned. Raises as `ended` does.
        """

    def turn_breaker(self, policy: BreakerPolicy | None, now_ms: int) -> bool:
        """Looks at what time and shares of requests change of its breaker, about once a second.

        None: it has none any more. Returns whether the breaker turned.
        """

    @property
    def circuit(self) -> Literal["closed", "open", "half-open"]:
        """The state of its breaker."""

    def order(self, order: str, now_ms: int) -> bool:
        """Puts an order in force: `ready`, `drain`, `maintenance`; returns whether it is news.

        Raises `ValueError` for another word.
        """

    @property
    def is_down(self) -> bool:
        """Reports whether its checks fail."""

    @property
    def reason(self) -> tuple[str, str]:
        """The reason of its last change of state: the word, and the clause about it."""

    @property
    def changed_ms(self) -> int:
        """The time of its last change of state."""

Member: TypeAlias = tuple[EndpointHealth, bool, bool]
"""An endpoint of an upstream: its health, whether it is a backup, whether it has a weight."""

@final
class UpstreamHealth:
    """The decisions about the endpoints of one upstream that their own states do not make."""

    def __new__(cls) -> UpstreamHealth: ...
    @property
    def is_in_panic(self) -> bool:
        """Reports whether so few endpoints are usable that all of them get requests."""

    @staticmethod
    def judged(endpoints: Sequence[Member]) -> tuple[int, int]:
        """Returns how many endpoints are usable, and how many were judged."""

    def turn(self, endpoints: Sequence[Member], below_percent: int, now_ms: int) -> bool | None:
        """Looks whether panic begins or ends; returns the new value if so.

        To be called at every change, and while panic is on.
        """

    def eject(
        self,
        endpoints: Sequence[Member],
        cause: tuple[int, str],
        policy: OutlierPolicy,
        when: tuple[int, int],
    ) -> bool:
        """Ejects an endpoint, unless it is the last usable one, too many are ejected already, or
        the policy does not enforce this verdict; returns whether its state changed.

        `cause`: its place, and the word of the reason. `when`: monotonic milliseconds, and 64
        random bits by which the verdicts are drawn. Raises `ValueError`, `IndexError`.
        """

    def sweep(
        self, endpoints: Sequence[Member], policy: OutlierPolicy, now_ms: int
    ) -> list[tuple[int, str]]:
        """Looks which endpoints fail too much in themselves, or far more than the others, about
        once a second; returns the place of each and the word of the reason.
        """

    def told(
        self, endpoints: Sequence[Member], below_percent: int, now_ms: int
    ) -> list[tuple[str, bool, str]]:
        """Returns for each endpoint a word for its state, whether it takes requests, and why."""

# library.rs

@final
class Balancer:
    """Picks endpoints of one upstream; its methods may be called from any thread."""

    def __new__(cls, upstream: bytes, seed: int) -> Balancer:
        """Takes an upstream's canonical bytes, and 64 bits of chance.
        Raises `ValueError` for what is no upstream.
        """

    def pick(self, key: str | None, now_us: int, tried: Sequence[int]) -> int | None:
        """Returns the place of the endpoint that takes the next request, and counts it as active;
        None if none may.

        `key` is hashed where the policy hashes; `tried` are places that it must not be; `now_us` is
        a monotonic clock in microseconds.
        """

    def finished(self, place: int, now_us: int, took_us: int, good: bool | None) -> None:
        """Notes that a request ended: with an answer, a failure, or (None) because nobody waited
        any longer. Raises `IndexError` for a place that is none.
        """

    def set_usable(self, place: int, usable: bool) -> None:
        """Lets an endpoint take requests, or not. Raises `IndexError` as `finished` does."""

    def active(self) -> list[int]:
        """Returns how many requests each endpoint has now."""

    @property
    def needs_key(self) -> bool:
        """Reports whether the policy hashes a key."""

class LibraryBreakerPolicy(Protocol):
    """The conditions that open and close a breaker: any object with these attributes."""

    @property
    def failures(self) -> int: ...
    @property
    def open_ms(self) -> int: ...
    @property
    def successes(self) -> int: ...
    @property
    def probes(self) -> int: ...
    @property
    def error_percent(self) -> int: ...
    @property
    def requests(self) -> int: ...
    @property
    def window_s(self) -> int: ...

@final
class BreakerPermit:
    """The right to do one thing that a breaker guards."""

@final
class Breaker:
    """A circuit breaker; its methods may be called from any thread, with one monotonic clock."""

    def __new__(cls, policy: LibraryBreakerPolicy) -> Breaker: ...
    def acquire(self, now_ms: int) -> BreakerPermit | None:
        """Returns the right to one more try; None while the breaker is open."""

    def report(self, permit: BreakerPermit, good: bool | None, now_ms: int) -> None:
        """Takes in how a try ended; None says nothing, and gives its place back."""

    @property
    def state(self) -> Literal["closed", "open", "half-open"]: ...
    @property
    def open_until_ms(self) -> int | None:
        """The time at which an open breaker lets a try through again."""

class RateTable:
    """Counts requests by key: the base of `headgate.RateLimiter`.

    Reads the limits from its attributes at the first call; its methods may be called from any
    thread.
    """

    def check(self, key: str, cost: int = 1) -> bool:
        """Counts a request of a key if it is within the limit, and reports whether it was.

        Raises `ValueError` for a clock below 0.
        """

    def _decide(self, key: str, cost: int) -> tuple[bool, int, int, int]:
        """Does the same; returns whether it was, how many more would be now, and after how many
        microseconds this one would have been, and the whole burst is there again.
        """

    @property
    def evictions(self) -> int:
        """The number of keys that lost their debt because the table was full: more than a few say
        that `keys` is too small.
        """

@final
class RetryBudget:
    """The retries that are left; its methods may be called from any thread."""

    def __new__(cls, ratio_permille: int, floor_permille: int) -> RetryBudget:
        """Takes the retries for 1,000 requests, and those in 1,000 s whatever the requests."""

    def deposit(self, now_ms: int) -> None:
        """Counts a request; a retry of it is none."""

    def withdraw(self, now_ms: int) -> bool:
        """Takes a retry out; returns False, and takes nothing, if there is none left."""

    def balance(self, now_ms: int) -> int:
        """Returns how many retries are left now."""

RouteT = TypeVar("RouteT")

class RouteFinder(Generic[RouteT]):
    """Finds routes: the base of `headgate.Router`.

    Reads the routes from its attributes at the first call; its methods may be called from any
    thread.
    """

    def match(
        self,
        host: str,
        target: str,
        method: str = "GET",
        headers: Iterable[tuple[str, str]] = (),
        client: str = "127.0.0.1",
    ) -> RouteT | None:
        """Returns the route that takes a request; None if none does.

        `host` is the Host without port, `target` path and query as sent, `headers` (name, value)
        of each line. Raises `ValueError` for a path that a node answers with 400, and for a client
        that is no address.
        """

    def name(
        self,
        host: str,
        target: str,
        method: str = "GET",
        headers: Iterable[tuple[str, str]] = (),
        client: str = "127.0.0.1",
    ) -> str | None:
        """Returns the name of the route that `match` returns."""

def backoff_ms(
    retry: int, curve: tuple[int, int, int], random: int | None, retry_after_ms: int | None
) -> int:
    """Returns the wait in milliseconds before a retry, the first one having number 0.

    `curve`: first wait in milliseconds, growth in percent, longest wait. `random`: 64 bits of
    chance; None for the longest wait. `retry_after_ms`: what the other side asked for.
    """

# text.rs

Value: TypeAlias = bool | int | float | str | list[Value] | dict[str, Value] | None
"""The parts of a config text."""

class TextError(ValueError):
    """A mistake in a text; `str()` is `name:line:column: message`."""

    name: str
    line: int
    """From 1."""
    column: int
    """In characters, from 1."""
    message: str

def parse_text(name: str, text: bytes, format: str, before: Document | None = None) -> Document:
    """Reads a text in a format (`toml`, `yaml`, `json`); `name` is its name in errors.

    With `before`, the document of an earlier form of the same text, an edit of some
    `[section.name]` tables of a TOML text costs those tables and not the whole text. The result is
    the same as without.

    Raises `TextError` for a mistake in the text, `ValueError` for an unknown format.
    """

@final
class Document:
    """A parsed text. Immutable; its methods may be called from any thread."""

    @property
    def name(self) -> str: ...
    @property
    def format(self) -> Literal["toml", "yaml", "json"]: ...
    def entries(self) -> list[tuple[str, str, bytes]]:
        """Returns the objects in the text's order:
        (section, name, 16 bytes of hash of the value).

        The name is empty where a section is not a map, or is empty. Equal values have equal hashes
        on every machine.
        """

    def changes(self, old: Document) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        """Returns the objects that differ from `old`: those here, and those that only `old` has.

        Cheaper than a comparison of `entries()`; cheapest if one was read with the other as
        `before`.
        """

    def value(self) -> dict[str, Value]:
        """Returns the whole tree, a new one each time."""

    def defines(self, section: str, name: str) -> bool:
        """Reports whether `entry` would return something."""

    def entry(self, section: str, name: str) -> Value:
        """Returns one object; the name is empty as in `entries`.
        Raises `KeyError` if it is missing.
        """

    def locate(
        self, path: Sequence[str | int], which: Literal["key", "value"]
    ) -> tuple[int, int] | None:
        """Returns line and column (from 1) where the key
        or the value at a path begins, if it exists.

        The first call reads the text again; later ones only look up.
        """

# alike.rs

@final
class Openings:
    """Places in objects of a section whose texts and numbers may differ in objects
    that are alike.
    """

    def __new__(cls, paths: Sequence[str]) -> Openings:
        """Takes paths, which their indices name.

        A path is keys joined by dots; `*` is every key and every item of a list, `!` the only item
        of a list.
        """

def alike(
    document: Document, section: str, names: Sequence[str], openings: Openings, least: int
) -> list[tuple[list[int], list[tuple[int, list[str | int], list[str | int]]]]]:
    """Returns the groups of at least `least` objects among `names`
    that are alike; one look at each.

    Of each group: the places of its members in `names`, in order, and where these differ (the index
    of an opening, the place from the object down, the value of each). A name that the section does
    not have is like no other.
    """

# lines.rs

@final
class LinePattern:
    """An expression that a whole line fits or does not, in time linear in the line."""

    names: list[str]
    """The names of the groups that have one, in their order."""

    def __new__(cls, expression: str) -> LinePattern:
        """Compiles an expression in which `.` is any character. Raises `ValueError` for one that is
        not valid or too large.
        """

    def fields(self, line: str) -> list[str] | None:
        """Returns the texts of these groups, empty for one that took no part; None for a line that
        does not fit.
        """

# client.rs

def is_client_claim(name: str) -> bool:
    """Reports whether a header of that name, in any case, tells who the client is."""

def key_set_problem(text: str) -> tuple[str, str] | None:
    """Returns what is wrong with a JWK set: the path in it, and a sentence that shows no key.

    The sentence says what is wrong and what is allowed, with a semicolon between them.
    """

def password_hash_problem(text: str) -> str | None:
    """Returns what is wrong with the hash of a password in such a sentence, without the hash."""

class HeadRules(Protocol):
    """A listener's rules for request heads: any object with these attributes."""

    @property
    def trusted(self) -> Sequence[str]:
        """Networks of trusted peers."""

    @property
    def header(self) -> str:
        """The header that names the client; empty for `x-forwarded-for`."""

    @property
    def underscores(self) -> bool: ...
    @property
    def head_bytes(self) -> int: ...
    @property
    def header_count(self) -> int: ...

HeadParts: TypeAlias = tuple[str, str, str | None, str, int | None, list[bool]]
"""The client's address, path and query as sent, host, port, and which lines were kept."""

def request_head(
    peer: str, method: str, target: str, lines: Sequence[tuple[str, str]], rules: HeadRules
) -> HeadParts | tuple[int, str]:
    """Returns what a listener makes of the head of a request, by the data plane's parser.

    `lines` are the header lines as sent, Host among them. Returns (status, why) for a request
    refused before routing. Raises `ValueError` for a peer that is not an address.
    """

# tcp.rs

def tcp_route(
    routes: Sequence[tuple[str, Sequence[str], Sequence[str], Sequence[str], bool]],
    client: str,
    sni: str | None = None,
    alpn: Sequence[str] = (),
    ends_tls: bool | None = None,
) -> str | None:
    """Returns the name of the TCP route of a listener that takes a connection, if one does.

    `routes` are names with networks, server names and protocols (none = no such condition), and
    whether TLS ends for the route; `ends_tls` asks among those of one kind. `sni` is in lower
    case. Raises `ValueError` for a client that is not an address, and for text that is no
    condition.
    """

# plan.rs

def buckets(keys: Sequence[tuple[str, str]]) -> bytes:
    """Returns the bucket of the digest tree for each (kind, name), a byte each."""

def change_messages(
    kind: str, names: Sequence[str], canonical: Sequence[bytes], most: int
) -> list[bytes]:
    """Returns serialised `ApplyMessage`s that put objects of one kind:
    names and canonical bytes.

    Each is as long as possible below `most` bytes, or has one object.
    """

# route.rs

Problem: TypeAlias = tuple[str, str, str, str]
"""(kind, name, path of keys in the object, message)."""

class PlanError(ValueError):
    """A plan may not hold these objects; `str()` has one line each."""

    problems: list[Problem]

class RouterRequest(Protocol):
    """A request to a `Router`: any object with these attributes."""

    @property
    def listener(self) -> str: ...
    @property
    def scheme(self) -> str: ...
    @property
    def host(self) -> str:
        """Lower case, without port and trailing dot; IPv6 in brackets."""

    @property
    def port(self) -> int | None: ...
    @property
    def path(self) -> str:
        """As sent."""

    @property
    def query(self) -> str | None: ...
    @property
    def method(self) -> str: ...
    @property
    def headers(self) -> Sequence[tuple[str, str]]: ...
    @property
    def client(self) -> str: ...

@final
class Router:
    """The routes of a plan, as the data plane would match them. Immutable."""

    def __new__(cls, objects: Sequence[tuple[str, str, bytes]]) -> Router:
        """Takes a plan's routes, hosts and middlewares as (kind, name, canonical bytes).

        Raises `PlanError` with every error in them.
        """

    def find(self, request: RouterRequest) -> tuple[str, int, int] | None:
        """Returns the route that takes a request; None = 404.

        (name, place of the match, bytes of the path a prefix took). Raises `ValueError` for a path
        that gets 400 and for a client that is not an address.
        """

    @property
    def names(self) -> list[str]:
        """The routes, in the order of their places."""

    def explain(self, request: RouterRequest) -> bytes:
        """Returns why a request goes where it goes, as JSON (`headgate.compile.explanation`).

        Raises as `find` does.
        """

    def shadowed(self) -> list[tuple[str, list[int], bool, list[str]]]:
        """Returns routes of which some match can never win.

        (route, places of these matches, whether it has no others, who takes their requests).
        """

def normalise_path(path: str) -> str:
    """Returns the path to route and forward. Raises `ValueError` where a request gets 400."""

def plan_check(kind: str, canonical: bytes) -> str | None:
    """Returns what is wrong with an object's canonical bytes; None if they are valid."""

# tls.rs

def check_tls(
    objects: Sequence[tuple[str, str, bytes]], blobs: Mapping[str, bytes]
) -> tuple[list[Problem], list[Problem]]:
    """Returns what a data plane would refuse of a plan's TLS, and what it would warn of.

    `objects` are (kind, name, canonical bytes), `blobs` are by sha256 in hex. Warnings are
    certificates outside their time; there are none beside errors.
    """

@final
class TlsListeners:
    """The TLS of a plan's listeners: what a client gets before routing."""

    def __new__(
        cls, objects: Sequence[tuple[str, str, bytes]], blobs: Mapping[str, bytes]
    ) -> TlsListeners:
        """Takes the arguments of `check_tls`; raises `PlanError` for its errors."""

    def answer(
        self, listener: str, sni: str | None, host: str
    ) -> Literal["alert", "misdirected", "served"]:
        """Returns the fate of a client that asks for the name `sni` and then for `host`.

        `alert` ends the handshake, `misdirected` is 421. Hosts in lower case, without port.
        """

    def handshake(
        self, listener: str, sni: str | None, alpn: Sequence[str]
    ) -> tuple[Literal["agreed", "name", "protocol"], str | None]:
        """Returns what becomes of a client's handshake, and the protocol that is agreed on.

        It fails for want of a certificate for the `name`, or of a common `protocol` (ALPN).
        """
