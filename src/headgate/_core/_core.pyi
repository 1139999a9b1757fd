"""Types of the compiled extension, one part per face in `engine/crates/hg-py/src`."""

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol, TypeAlias, final

# dataplane.rs

def run_data_plane(fd: int) -> int:
    """Be a data-plane process until told to leave; gives the exit status.

    `fd` is a connected SOCK_SEQPACKET socket to the supervisor, and is consumed. Signals are
    ignored from here on: the supervisor owns them. Raises `OSError` when `fd` is not open.
    """

# text.rs

Value: TypeAlias = bool | int | float | str | list[Value] | dict[str, Value] | None
"""What a config text is made of."""

class TextError(ValueError):
    """A mistake in a text; `str()` is `name:line:column: message`."""

    name: str
    line: int
    """From 1."""
    column: int
    """In characters, from 1."""
    message: str

def parse_text(name: str, text: bytes, format: str, before: Document | None = None) -> Document:
    """Read a text in a format (`toml`, `yaml`, `json`); `name` is what errors call it.

    With `before`, the document of an earlier form of the same text, an edit of some
    `[section.name]` tables of a TOML text costs those tables and not the whole text. The result is
    the same as without.

    Raises `TextError` for a mistake in the text, `ValueError` for an unknown format.
    """

@final
class Document:
    """A text that was read. Immutable; its methods may be called from any thread."""

    @property
    def name(self) -> str: ...
    @property
    def format(self) -> Literal["toml", "yaml", "json"]: ...
    def entries(self) -> list[tuple[str, str, bytes]]:
        """The objects in the order of the text: (section, name, 16 bytes of hash of the value).

        The name is empty where a section is no map, or an empty one. Equal values have equal
        hashes on every machine.
        """

    def changes(self, old: Document) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        """The objects that are not the same in `old`: those here, and those only `old` has.

        Cheaper than comparing `entries()`; cheapest if one was read with the other as `before`.
        """

    def value(self) -> dict[str, Value]:
        """The whole tree, a new one each time."""

    def defines(self, section: str, name: str) -> bool:
        """Whether `entry` would give something."""

    def entry(self, section: str, name: str) -> Value:
        """One object; the name is empty as in `entries`. Raises `KeyError` if it is not there."""

    def locate(
        self, path: Sequence[str | int], which: Literal["key", "value"]
    ) -> tuple[int, int] | None:
        """Line and column (from 1) where the key or the value at a path begins, if it is there.

        The first question reads the text again; the others only look up.
        """

# alike.rs

@final
class Openings:
    """Places in objects of a section whose texts may differ in objects that are alike."""

    def __new__(cls, places: Sequence[tuple[str, Literal["host", "path", "word"]]]) -> Openings:
        """Of (path, what a text there is made of); raises `ValueError` for another word.

        A path is keys joined by dots; `*` is every key and every item of a list, `!` the only item
        of a list. A `host` is labels of lower-case letters, digits, `_` and inner `-`; a `path` is
        segments of letters, digits, `_` and `-`; a `word` is 1 to 200 of those and dots.
        """

@final
class Alike:
    """Objects that differ in nothing but the texts at openings. Immutable."""

    @property
    def members(self) -> list[int]:
        """Their places in the names that were asked about, in order."""

    @property
    def markers(self) -> list[str]:
        """What stands in `pattern` for what differs."""

    def pattern(self) -> Value:
        """The object that all members are, but for the markers in it."""

    def texts(self, marker: int) -> list[str]:
        """What each member has in place of the marker of that index."""

    def stamped(self, kind: str, canonical: bytes) -> tuple[list[bytes], list[bytes]] | None:
        """Each member's canonical bytes and their digests, by those of the pattern.

        None if these do not have each marker as one whole text. Raises `ValueError` for no kind.
        """

def alike(
    document: Document, section: str, names: Sequence[str], openings: Openings, least: int
) -> list[Alike]:
    """The objects among `names` that are alike, `least` of them or more; one look at each.

    A name that is no `word`, or that the section does not have, is like no other.
    """

# client.rs

def is_client_claim(name: str) -> bool:
    """Whether a header of that name, in any case, tells who the client is."""

class HeadRules(Protocol):
    """A listener's rules for request heads: any object with these attributes."""

    @property
    def trusted(self) -> Sequence[str]:
        """Networks of peers that are believed."""

    @property
    def header(self) -> str:
        """The one that names the client; empty for `x-forwarded-for`."""

    @property
    def underscores(self) -> bool: ...
    @property
    def head_bytes(self) -> int: ...
    @property
    def header_count(self) -> int: ...

HeadParts: TypeAlias = tuple[str, str, str | None, str, int | None, list[bool]]
"""The client's address, path and query as sent, host, port, and which lines were taken."""

def request_head(
    peer: str, method: str, target: str, lines: Sequence[tuple[str, str]], rules: HeadRules
) -> HeadParts | tuple[int, str]:
    """What a listener makes of the head of a request, by the parser of the data plane.

    `lines` are the header lines as sent, Host among them. Gives (status, why) when the request is
    refused before it is routed. Raises `ValueError` for a peer that is no address.
    """

# plan.rs

def buckets(keys: Sequence[tuple[str, str]]) -> bytes:
    """The bucket of the digest tree that each (kind, name) falls into, a byte for each."""

def change_messages(
    kind: str, names: Sequence[str], canonical: Sequence[bytes], most: int
) -> list[bytes]:
    """Serialised `ApplyMessage`s that put objects of one kind: names and canonical bytes.

    Each is as long as possible below `most` bytes, or has one object.
    """

# route.rs

Problem: TypeAlias = tuple[str, str, str, str]
"""(kind, name, path of keys in the object, message)."""

class PlanError(ValueError):
    """Objects that no plan may hold; `str()` has one line each."""

    problems: list[Problem]

class RouterRequest(Protocol):
    """What a `Router` is asked about: any object with these attributes."""

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
        """Of a plan's routes, hosts and middlewares as (kind, name, canonical bytes).

        Raises `PlanError` with everything that is wrong with them.
        """

    def find(self, request: RouterRequest) -> tuple[str, int, int] | None:
        """The route that takes a request; None = 404.

        (name, place of the match, bytes of the path a prefix took). Raises `ValueError` for a path
        that gets 400 and for a client that is no address.
        """

    def explain(self, request: RouterRequest) -> bytes:
        """Why a request goes where it goes, as JSON (`headgate.compile.explanation`).

        Raises as `find` does.
        """

    def shadowed(self) -> list[tuple[str, list[int], bool, list[str]]]:
        """Routes of which some match can never win.

        (route, places of these matches, whether they are all it has, who takes their requests).
        """

def normalise_path(path: str) -> str:
    """The path that is routed and forwarded. Raises `ValueError` where a request gets 400."""

def plan_check(kind: str, canonical: bytes) -> str | None:
    """What is wrong with an object's canonical bytes, if they cannot be read."""

# tls.rs

def check_tls(
    objects: Sequence[tuple[str, str, bytes]], blobs: Mapping[str, bytes]
) -> tuple[list[Problem], list[Problem]]:
    """What a data plane would refuse of a plan's TLS, and what it would warn of.

    `objects` are (kind, name, canonical bytes), `blobs` are by sha256 in hex. Warnings are
    certificates outside their time; there are none beside errors.
    """

@final
class TlsListeners:
    """The TLS of a plan's listeners: what a client gets before its request is looked at."""

    def __new__(
        cls, objects: Sequence[tuple[str, str, bytes]], blobs: Mapping[str, bytes]
    ) -> TlsListeners:
        """Of what `check_tls` takes; raises `PlanError` for what it calls errors."""

    def answer(
        self, listener: str, sni: str | None, host: str
    ) -> Literal["alert", "misdirected", "served"]:
        """What becomes of a client that asks for the name `sni` and then for `host`.

        `alert` ends the handshake, `misdirected` is 421. Hosts in lower case, without port.
        """
