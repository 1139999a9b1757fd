"""A supervisor's machine with a clock of our own and no process or socket."""

from headgate.supervisor import commands as cmd
from headgate.supervisor import events as ev
from headgate.supervisor.machine import Machine
from headgate.supervisor.state import FALLBACK_S, Settings

WEB = "127.0.0.1:8000"
CONTROL = 7


class Node:
    """A machine with a clock, and what it asked for since the last look."""

    def __init__(
        self,
        watchdog_s: float | None = None,
        last_good: dict[str, int] | None = None,
        fallback_s: float = FALLBACK_S,
    ) -> None:
        settings = Settings(
            "/state", [0, 1], 2, watchdog_s=watchdog_s, last_good=last_good, fallback_s=fallback_s
        )
        self.machine = Machine(settings, bytes(32))
        self.now = 100.0
        self.busy: dict[str, str] = {}

    def handle(self, event: ev.Event) -> list[cmd.Command]:
        commands = self.machine.handle(event, self.now)
        for command in list(commands):
            if isinstance(command, cmd.OpenSockets):
                errors = tuple(
                    ev.OpenError(a, "address already in use", self.busy[a])
                    for a in command.addresses
                    if a in self.busy
                )
                commands += self.machine.handle(
                    ev.SocketsOpened(command.addresses, errors), self.now
                )
        return commands

    def ask(self, op: str, **fields: object) -> list[cmd.Command]:
        return self.handle(ev.ClientSaid(CONTROL, {"id": 1, "op": op, **fields}))

    def plane_says(self, generation: int, op: str, **fields: object) -> list[cmd.Command]:
        return self.handle(ev.DataPlaneSaid(generation, {"op": op, **fields}))

    def after(self, seconds: float) -> list[cmd.Command]:
        self.now += seconds
        deadline = self.machine.deadline()
        assert deadline is not None
        assert deadline <= self.now
        return self.handle(ev.Tick())

    def serve(self) -> None:
        """Brings the node to where generation 1 serves WEB."""
        self.handle(ev.Begin())
        self.plane_says(1, "ready", pid=11, plan_digest="")
        self.ask("hello")
        self.ask("listen", addresses=[WEB], backlog=64)
        self.plane_says(1, "sockets_ok", address=WEB)
        self.ask("control_ready")


def replies(commands: list[cmd.Command]) -> list[ev.Message]:
    return [c.message for c in commands if isinstance(c, cmd.Reply)]


def sent(commands: list[cmd.Command], generation: int) -> list[object]:
    return [
        c.message["op"] for c in commands if isinstance(c, cmd.Send) and c.generation == generation
    ]


def spawned(commands: list[cmd.Command]) -> list[int]:
    return [c.generation for c in commands if isinstance(c, cmd.SpawnDataPlane)]


def without_logs(commands: list[cmd.Command]) -> list[cmd.Command]:
    return [c for c in commands if not isinstance(c, cmd.Log)]
