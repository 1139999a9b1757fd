"""Makes the supervisor's decisions: `handle(event, now) -> commands`. Pure:
no clock, process, socket.

Data planes (`Plane.state`):

| state    | event              | next     | commands                                         |
|----------|--------------------|----------|--------------------------------------------------|
| (none)   | begin, upgrade     | starting | spawn, send `start`                              |
| starting | says `ready`       | ready    | send the sockets of every open address           |
| starting | exits              | (gone)   | another after a backoff; successor: upgrade fails|
| starting | exits, 3rd of 3    | (gone)   | quit with 1: none was ever ready                 |
| ready    | exits              | (gone)   | another at once; counted                         |
| ready,   | missed 3 probes in | (same)   | SIGKILL, unless a debugger holds it; counted     |
| leaving  | a row              |          |                                                  |
| starting | 120 s pass         | starting | the same                                         |
| ready    | successor took all | leaving  | send `handoff`, and `take_flows` to the successor|
| ready    | drain              | ready    | send `drain`                                     |
| ready    | says no room for   | ready    | the sockets again after 5 s, unless it is the    |
|          | sockets            |          | successor, or a job fails by it                  |
| leaving  | exits              | (gone)   |                                                  |

Phases (`State.phase`):

| phase    | event                       | next     | commands                                    |
|----------|-----------------------------|----------|---------------------------------------------|
| running  | TERM, INT, request `drain`  | draining | tell systemd and control, drain data planes |
| running  | control exits 78 or 69      | quitting | `quit` to all; exit code 78 or 1            |
|          | before a config was applied |          |                                             |
| draining | TERM, INT                   | quitting | `quit` to data planes, SIGTERM to control   |
| draining | last data plane exits       | draining | SIGTERM to control, SIGKILL after 3 s       |
| quitting | 2 s pass                    | quitting | SIGKILL to what is left                     |
| both     | nothing is left             | (left)   | leave                                       |
"""

from __future__ import annotations

from headgate.supervisor import clients, control, jobs, leaving, planes, probing
from headgate.supervisor import events as ev
from headgate.supervisor.commands import Notify, Send
from headgate.supervisor.state import Job, State
from headgate.supervisor.tickets import PERIOD_S

TYPE_CHECKING = False
if TYPE_CHECKING:
    from headgate.supervisor.commands import Command
    from headgate.supervisor.state import Settings, Timer


class Machine:
    """Holds the state and dispatches events."""

    def __init__(self, settings: Settings, ticket_seed: bytes, workers: int | None = None) -> None:
        """`ticket_seed`: 32 random bytes, the first ticket secret. `workers`: None = by CPU."""
        self.state = State(settings, ticket_seed, workers)

    def handle(self, event: ev.Event, now: float) -> list[Command]:
        """Returns the commands for `event`; `now` is monotonic seconds and never decreases."""
        state = self.state
        state.now = now
        state.out = []
        if isinstance(event, ev.Begin):
            state.start_timers()
            probing.begin(state)
            if state.settings.has_data_plane:
                planes.spawn_current(state)
            control.spawn(state)
        elif isinstance(event, ev.DataPlaneSaid):
            planes.said(state, event.generation, event.message)
        elif isinstance(event, ev.DataPlaneExited):
            planes.exited(state, event.generation, event.status)
        elif isinstance(event, ev.DataPlaneHung):
            planes.hung(state, event.generation)
        elif isinstance(event, ev.ControlExited):
            control.exited(state, event.status)
        elif isinstance(event, ev.ClientSaid):
            clients.said(state, event.client, event.message)
        elif isinstance(event, ev.ClientGone):
            clients.gone(state, event.client)
        elif isinstance(event, ev.SignalCame):
            self._signal(event.name)
        elif isinstance(event, ev.SocketsOpened):
            jobs.opened(state, event.errors)
        else:
            self._tick()
        return state.out

    def deadline(self) -> float | None:
        """Returns when the next `Tick` is due, in monotonic seconds; None = no timer is set."""
        return min(self.state.timers.values(), default=None)

    def _signal(self, name: str) -> None:
        state = self.state
        if name in {"TERM", "INT"}:
            if state.phase == "running":
                leaving.drain(state)
            else:
                leaving.quit_now(state, 0)
        elif state.phase != "running":
            return
        elif name == "HUP":
            clients.broadcast(state, {"event": "reload"})
        elif name == "USR1":
            clients.broadcast(state, {"event": "reopen_logs"})
            for generation in state.planes:
                state.emit(Send(generation, {"op": "reopen_logs"}))
        elif name == "USR2" and state.settings.has_data_plane:
            jobs.add(state, Job("upgrade", None))
        elif name == "USR2":
            control.replace(state)

    def _tick(self) -> None:
        timers = self.state.timers
        for name in [name for name, at in timers.items() if at <= self.state.now]:
            timers.pop(name, None)
            self._timer(name)

    def _timer(self, name: Timer) -> None:
        state = self.state
        if name == "dataplane":
            planes.spawn_current(state)
        elif name == "control":
            control.spawn(state)
        elif name == "replaced":
            control.kill_replaced(state)
        elif name == "fallback":
            control.serve_last_good(state)
        elif name == "job":
            jobs.timed_out(state)
        elif name == "sockets":
            jobs.send_again(state)
        elif name == "kill":
            leaving.kill(state)
        elif name == "away":
            control.away(state)
        elif name == "probe":
            probing.probe(state)
        elif name == "tickets":
            planes.advance_tickets(state)
            state.timer("tickets", PERIOD_S)
        else:
            state.emit(Notify("WATCHDOG=1"))
            state.timer("watchdog", state.settings.watchdog_s)
