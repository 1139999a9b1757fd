"""Scenario files: upstreams, config, clients and what they expect, all in one TOML file.

Text in a scenario stands for bytes, one code point (0 to 255) a byte. Every upstream listens on a
free port of its own; `@name@` in `endpoints` is its address. `@much@` in a text is so many bytes as
are more than everybody on the way holds together; `"@much@"` is that number. Peers play their steps
in order, each in a thread of its own; the first step that is not met fails the scenario. One node
serves many scenarios, each on a listener of its own.
"""

from pathlib import Path

import msgspec


class Step(msgspec.Struct, tag_field="do", forbid_unknown_fields=True):
    """What a peer does next; `do` says which."""


class Send(Step, tag="send"):
    """Writes the text, so many times over."""

    text: str
    times: int = 1


class Head(Step, tag="head"):
    """Reads a message's head: how it starts, and lines it has and names it lacks (lower case).

    Interim answers before it are skipped, unless it is one itself.
    """

    start: str
    has: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()


class Body(Step, tag="body"):
    """Reads the body of the last head, which must be this text so many times over, whole."""

    text: str = ""
    times: int = 1
    trailers: tuple[str, ...] | None = None


class Cut(Step, tag="cut"):
    """Reads the body of the last head, which must end short of what its head announced."""


class Raw(Step, tag="raw"):
    """Reads exactly this text."""

    text: str


class End(Step, tag="end"):
    """The other side ends the connection, and not a byte comes before that."""


class HalfClose(Step, tag="half-close"):
    """Ends our direction only."""


class Close(Step, tag="close"):
    """Closes the connection."""


class Reset(Step, tag="reset"):
    """Resets the connection."""


class Pour(Step, tag="pour"):
    """Writes so many bytes of `x`, `"@much@"` of them, until the other side takes no more; that
    must be before `STALLS_BELOW` bytes are gone. Fires the event, then writes the rest."""

    total: int
    event: str


class SendUntilGone(Step, tag="send-until-gone"):
    """Writes until the other side is gone."""


class Fire(Step, tag="fire"):
    """Lets those go on that wait for the event."""

    event: str


class Wait(Step, tag="wait"):
    """Goes on once the event was fired."""

    event: str


class Reconnect(Step, tag="reconnect"):
    """Clients only: leaves this connection and opens another."""


AnyStep = (
    Send
    | Head
    | Body
    | Cut
    | Raw
    | End
    | HalfClose
    | Close
    | Reset
    | Pour
    | SendUntilGone
    | Fire
    | Wait
    | Reconnect
)


class Upstream(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A server: the steps of its first connection, its second, and so on. One more connection
    than that fails the scenario; one that never comes does too, unless `spare` says how many of
    the last may stay unused."""

    connections: tuple[tuple[AnyStep, ...], ...] = ()
    spare: int = 0
    listens: bool = True
    unix: bool = False


class Scenario(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One file. `listener`, `route` and `upstream` are lines added to those of its part of the
    config, which forwards everything to `endpoints`. `nginx` says why nginx cannot meet it."""

    about: str
    clients: tuple[tuple[AnyStep, ...], ...]
    upstreams: dict[str, Upstream]
    endpoints: str = '["@app@"]'
    listener: str = ""
    route: str = ""
    upstream: str = ""
    nginx: str = ""

    def config_part(self, name: str, web: str, addresses: dict[str, str]) -> str:
        """Its part of a node's config: a listener, a route and an upstream called `name`."""
        text = _PART.format(
            name=name,
            web=web,
            endpoints=self.endpoints,
            listener=self.listener,
            route=self.route,
            upstream=self.upstream,
        )
        for upstream, address in addresses.items():
            text = text.replace(f"@{upstream}@", address)
        return text


def _kernel_holds() -> int:
    """The most bytes that the kernel alone holds between two peers and a proxy: at each of the two
    hops what a sender and what a receiver may have (man 7 tcp: the third number)."""
    limits = (Path("/proc/sys/net/ipv4") / name for name in ("tcp_wmem", "tcp_rmem"))
    return 2 * sum(int(limit.read_text().split()[2]) for limit in limits)


#: A writer whose reader does not read stalls before so many bytes: 10 MB are the proxy's own.
STALLS_BELOW = _kernel_holds() + 10_000_000
#: What takes a reader, for certain.
MUCH = STALLS_BELOW + 30_000_000

#: What every scenario's node has.
NODE = """
[node]
admin = "off"
drain = { delay = "50ms", idle_grace = "100ms", deadline = "5s" }
"""

_PART = """
[listeners.{name}]
address = "{web}"
protocol = "http"
{listener}

[routes.{name}]
hosts = ["*"]
listeners = ["{name}"]
upstream = "{name}"
{route}

[upstreams.{name}]
endpoints = {endpoints}
{upstream}
"""


def load(path: Path) -> Scenario:
    """Reads a scenario file. Raises msgspec.ValidationError naming what does not fit."""
    text = path.read_text().replace('"@much@"', str(MUCH)).replace("@much@", str(MUCH))
    return msgspec.toml.decode(text, type=Scenario)
