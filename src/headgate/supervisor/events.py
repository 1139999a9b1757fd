"""Defines what can happen to the supervisor. The driver observes it; the machine decides."""

from __future__ import annotations

from headgate.supervisor.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

Message: TypeAlias = dict[str, object]


@record
class Begin:
    """The process has its lock and its sockets directory; nothing runs yet."""


@record
class DataPlaneSaid:
    """A packet from a data plane."""

    generation: int
    message: Message


@record
class DataPlaneExited:
    """A data plane is gone. `status`: exit code, or minus the signal that killed it."""

    generation: int
    status: int


@record
class DataPlaneHung:
    """A data plane was killed as `EndHung` asked for; its exit follows."""

    generation: int


@record
class ControlExited:
    """The control process is gone. `status` as in `DataPlaneExited`."""

    status: int


@record
class ClientSaid:
    """A request on the supervisor's Unix socket; `client` is the connection."""

    client: int
    message: Message


@record
class ClientGone:
    """A connection on the supervisor's Unix socket has ended."""

    client: int


@record
class SignalCame:
    """A signal: `TERM`, `INT`, `HUP`, `USR1` or `USR2`."""

    name: str


@record
class OpenError:
    """The reason why an address was not opened, and its holder if that is the reason and known."""

    address: str
    error: str
    holder: str = ""


@record
class SocketsOpened:
    """The answer to `OpenSockets`: without errors every address is open, with an error none is."""

    addresses: tuple[str, ...]
    errors: tuple[OpenError, ...]


@record
class Tick:
    """A deadline of the machine may have passed."""


Event: TypeAlias = (
    Begin
    | DataPlaneSaid
    | DataPlaneExited
    | DataPlaneHung
    | ControlExited
    | ClientSaid
    | ClientGone
    | SignalCame
    | SocketsOpened
    | Tick
)
