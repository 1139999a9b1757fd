"""Scenario files: upstreams, config, clients and what they expect, all in one TOML file.

Text in a scenario stands for bytes, one code point (0 to 255) a byte. Every upstream listens on a
free port of its own; `@name@` in the config is its address and `@web@` that of the node. Peers
play their steps in order, each in a thread of its own; the first step that is not met fails the
scenario.
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
    """Writes so many bytes of `x` until the other side takes no more; that must be before
    `stalls_below` bytes are gone. Fires the event, then writes the rest."""

    total: int
    stalls_below: int
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
    """One file. `listener`, `route` and `upstream` are lines added to those of the default config,
    which forwards everything to the upstream `app`; `config` replaces it."""

    about: str
    clients: tuple[tuple[AnyStep, ...], ...]
    upstreams: dict[str, Upstream]
    config: str = ""
    listener: str = ""
    route: str = ""
    upstream: str = ""

    def config_text(self, addresses: dict[str, str]) -> str:
        """The node's config, given each name's address."""
        text = self.config or _DEFAULT.format(
            listener=self.listener, route=self.route, upstream=self.upstream
        )
        for name, address in addresses.items():
            text = text.replace(f"@{name}@", address)
        return _NODE + text


_NODE = """
[node]
admin = "off"
drain = { delay = "50ms", idle_grace = "100ms", deadline = "5s" }
"""

_DEFAULT = """
[listeners.web]
address = "@web@"
protocol = "http"
default = true
{listener}

[routes.all]
hosts = ["*"]
upstream = "app"
{route}

[upstreams.app]
endpoints = ["@app@"]
{upstream}
"""


def load(path: Path) -> Scenario:
    """Reads a scenario file. Raises msgspec.ValidationError naming what does not fit."""
    return msgspec.toml.decode(path.read_bytes(), type=Scenario)
