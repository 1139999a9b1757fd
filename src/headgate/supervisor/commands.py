"""Defines the machine's commands. The driver carries them out and reports back by events."""

from __future__ import annotations

from headgate.supervisor.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    from headgate.supervisor.events import Message


@record
class SpawnDataPlane:
    """Start a data-plane process. A failure to start comes back as `DataPlaneExited`."""

    generation: int


@record
class SpawnControl:
    """Start the control process. A failure to start comes back as `ControlExited`."""


@record
class Send:
    """Send a packet to a data plane; dropped if it is gone."""

    generation: int
    message: Message


@record
class SendSockets:
    """Send duplicates of an address's sockets to a data plane."""

    generation: int
    address: str


@record
class HandOver:
    """Have a data plane hand over to another one, and connect them for what it has to give."""

    old: int
    new: int


@record
class OpenSockets:
    """Open listening sockets for every address, or for none; answered by `SocketsOpened`."""

    addresses: tuple[str, ...]
    backlog: int


@record
class WidenSockets:
    """Open at least so many sockets for each address, now and later."""

    count: int


@record
class RefuseNew:
    """Let no new connection reach an address; waiting ones stay."""

    address: str


@record
class CloseSockets:
    """Close our copies of an address's sockets."""

    address: str


@record
class Remember:
    """Keep the open addresses (with backlogs) on disk, for a start without a control process."""

    listening: dict[str, int]


@record
class Reply:
    """Answer one connection of the Unix socket."""

    client: int
    message: Message


@record
class SignalDataPlane:
    """Send a signal (by number) to a data plane."""

    generation: int
    signal: int


@record
class EndHung:
    """Kill a data plane that hangs, unless a debugger holds it; then `DataPlaneHung` comes back."""

    generation: int


@record
class SignalControl:
    """Send a signal (by number) to the control process."""

    signal: int


@record
class AnswerAway:
    """Tell all who wait for the admin API that the control process does not come up."""


@record
class Notify:
    """Tell systemd, as in sd_notify(3): `READY=1`, `STATUS=…`."""

    state: str


@record
class Log:
    """One line on standard error. `level`: `info`, `warning` or `error`."""

    level: str
    event: str
    fields: Message


@record
class Leave:
    """Everything is down: exit with this code."""

    code: int


Command: TypeAlias = (
    SpawnDataPlane
    | SpawnControl
    | Send
    | SendSockets
    | HandOver
    | OpenSockets
    | WidenSockets
    | RefuseNew
    | CloseSockets
    | Remember
    | Reply
    | SignalDataPlane
    | EndHung
    | SignalControl
    | AnswerAway
    | Notify
    | Log
    | Leave
)
