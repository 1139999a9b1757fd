"""Holds what the machine knows. Only the functions of planes, jobs, control
and leaving change it.
"""

from __future__ import annotations

import signal
from collections import deque

from headgate.supervisor.backoff import Backoff
from headgate.supervisor.commands import Log
from headgate.supervisor.cpus import MAX_WORKERS
from headgate.supervisor.record import record
from headgate.supervisor.tickets import PERIOD_S, TicketSecrets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal, TypeAlias

    from headgate.supervisor.commands import Command
    from headgate.supervisor.events import Message

    Phase: TypeAlias = Literal["running", "draining", "quitting"]
    PlaneState: TypeAlias = Literal["starting", "ready", "leaving"]
    Timer: TypeAlias = Literal[
        "dataplane",
        "control",
        "replaced",
        "fallback",
        "job",
        "sockets",
        "tickets",
        "watchdog",
        "kill",
        "probe",
        "away",
    ]

FALLBACK_S = 3.0  # without a first config by then, serve the last good plan
JOB_S = 30.0  # a job fails when its data plane takes longer than this
# An upgrade starts a program anew, which takes long where CPUs are scarce; the old data plane
# serves meanwhile. Whoever asks for an upgrade waits 90 s.
UPGRADE_S = 75.0
CONTROL_GRACE_S = 3.0  # from SIGTERM to SIGKILL for the control process
QUIT_GRACE_S = 2.0  # the same for everything, on a second signal
SOCKETS_S = 5.0  # a data plane without room for sockets gets them again after this time
AWAY_S = 10.0  # requests to the admin API wait this long for a control process
DEAD_ON_ARRIVAL = 3  # children that die before the first ever worked: it cannot work
EXIT_CONFIG = 78  # sysexits.h EX_CONFIG: the config is refused, with a message
EXIT_CANNOT = 69  # EX_UNAVAILABLE: the control process cannot start and said why


@record
class Settings:
    """The settings that do not change while the supervisor runs. Times are seconds.

    `cpus` are those that we may use; `default_workers` is how many workers fit them and the CPU
    quota; `last_good` the addresses (with backlogs) that were open when the node ran last. Without
    `has_data_plane` another program serves the traffic (nginx) and the control process drives it.
    `control_grace_s` is what the control process has from SIGTERM to SIGKILL. `run` is unlike that
    of every supervisor before: a data plane that one of them left behind removes its own socket.
    Without a first config after `fallback_s` the last good plan is served.
    """

    state_dir: str
    cpus: list[int]
    default_workers: int
    watchdog_s: float | None = None
    last_good: dict[str, int] | None = None
    has_data_plane: bool = True
    control_grace_s: float = CONTROL_GRACE_S
    run: str = ""
    fallback_s: float = FALLBACK_S

    def grpc_socket(self, generation: int) -> str:
        """Returns the path of a data plane's gRPC socket."""
        run = f"{self.run}-" if self.run else ""
        return f"{self.state_dir}/dp-{run}{generation}.sock"


class Plane:
    """One data-plane process with so many workers, started at `born`; `missed` counts probes
    without an answer.

    `lost_plan`: it could not use the last good plan when it came up.
    """

    def __init__(self, generation: int, workers: int, born: float = 0.0) -> None:
        self.generation = generation
        self.workers = workers
        self.state: PlaneState = "starting"
        self.pid = 0
        self.born = born
        self.answers_probes = False
        self.moves_flows = False
        self.lost_plan = False
        self.is_asked = False
        self.missed = 0


class Job:
    """One change to the sockets or the data plane; jobs run one after the other.

    `new` holds the addresses a `listen` opens, `waiting` those the data plane has not confirmed
    yet. `client` is None for a job that the supervisor gave itself.
    """

    def __init__(self, op: str, client: int | None, request: object = None) -> None:
        self.op = op
        self.own = client is None
        self.askers: list[tuple[int, object]] = [] if client is None else [(client, request)]
        self.addresses: tuple[str, ...] = ()
        self.backlog = 0
        self.replaces_control = True
        self.new: tuple[str, ...] = ()
        self.waiting: set[str] = set()


class State:
    """Everything that the machine remembers between two events."""

    def __init__(self, settings: Settings, ticket_seed: bytes, workers: int | None) -> None:
        self.settings = settings
        self.tickets = TicketSecrets(ticket_seed)
        self.now = 0.0
        self.out: list[Command] = []
        self.phase: Phase = "running"
        self.workers = min(workers or settings.default_workers, MAX_WORKERS)
        self.exit_code = 0
        self.timers: dict[Timer, float] = {}
        # Data planes. `current` serves or is about to; `successor` takes over in an upgrade.
        self.planes: dict[int, Plane] = {}
        self.generation = 0
        self.current: int | None = None
        self.successor: int | None = None
        self.plane_was_ready = False
        self.plane_backoff = Backoff(0.1, 5.0, 10.0)
        # Control.
        self.control_alive = False
        self.control_is_connected = False
        self.control_replaced = False
        self.config_was_applied = False
        self.control_backoff = Backoff(0.25, 10.0, 30.0)
        self.subscribers: set[int] = set()
        # Sockets and the jobs on them.
        self.listening: dict[str, int] = {}
        self.refused: dict[str, int] = {}  # the generation that had no room for its sockets
        self.jobs: deque[Job] = deque()
        self.job: Job | None = None
        self.restarts = {"dataplane": 0, "control": 0}
        self.hung = 0
        self.probe_due = 0.0

    def emit(self, *commands: Command) -> None:
        """Adds commands for the driver."""
        self.out.extend(commands)

    def log(self, level: str, event: str, fields: Message) -> None:
        """Adds a log line."""
        self.emit(Log(level, event, fields))

    def timer(self, name: Timer, after_s: float | None) -> None:
        """Sets a timer to go off after so many seconds; None stops it."""
        if after_s is None:
            self.timers.pop(name, None)
        else:
            self.timers[name] = self.now + after_s

    def newest(self) -> Plane | None:
        """Returns the data plane that started last: the successor in an upgrade, else the current
        one."""
        return self.planes.get(self.successor or self.current or 0)

    def serving(self) -> Plane | None:
        """Returns the current data plane, if it is ready for sockets."""
        plane = None if self.current is None else self.planes.get(self.current)
        return plane if plane is not None and plane.state == "ready" else None

    def start_timers(self) -> None:
        """Sets the timers that run from the start."""
        self.timer("fallback", self.settings.fallback_s)
        self.timer("tickets", PERIOD_S)
        self.timer("watchdog", self.settings.watchdog_s)


def reason(status: int) -> str:
    """Returns what ended a process: `exit code 1`, `SIGKILL`.

    >>> reason(-9), reason(1)
    ('SIGKILL', 'exit code 1')
    """
    if status >= 0:
        return f"exit code {status}"
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"
