"""Decides which instances of an agent run. Pure: `handle(event, now) -> commands`.

| state   | event                      | next    | commands                              |
|---------|----------------------------|---------|---------------------------------------|
| (none)  | begin, a reload names it   | running | spawn                                 |
| running | exits with 0               | ended   | somebody drained it                   |
| running | exits with 78              | refused | its config or its token is no good    |
| running | exits otherwise            | waiting | spawn after a back-off                |
| running | a reload leaves it out     | leaving | SIGTERM; SIGKILL after its grace      |
| ended,  | a reload names it          | running | spawn                                 |
| refused |                            |         |                                       |
| leaving | exits                      | (gone)  | spawn, if a reload named it meanwhile |
| others  | a reload leaves it out     | (gone)  |                                       |

No instance waits for another one. SIGTERM reaches all at once, and what has not left after the
longest grace is killed. Where nothing runs, and nothing will, the agent leaves.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass, field

from headgate.supervisor.backoff import Backoff
from headgate.supervisor.state import QUIT_GRACE_S, reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    from headgate.supervisor.events import Message

    MemberState = Literal["running", "waiting", "ended", "refused", "leaving"]

EXIT_CONFIG = 78
PLAN_S = 120.0
"""So long the config may take to be read."""
_SPARE_S = 2.0
"""Beyond the grace of an instance, whose supervisor keeps it first."""
_BASE_S, _MAX_S, _CALM_S = 0.5, 30.0, 60.0


@dataclass(frozen=True)
class Recipe:
    """The way to start an instance, by its supervisor's command; it ends within `grace_s`."""

    command: list[str]
    grace_s: float


@dataclass
class Member:
    """An instance."""

    recipe: Recipe
    state: MemberState = "waiting"
    backoff: Backoff = field(default_factory=lambda: Backoff(_BASE_S, _MAX_S, _CALM_S))
    at: float | None = None
    """The time when its next step is due: a start, or the end of its grace."""
    restarts: int = 0
    why: str = ""
    """The end of its last process, in words, unless it was told to end."""
    is_wanted: bool = True
    pid: int = 0


@dataclass(frozen=True)
class Spawn:
    """Start the supervisor of an instance; `Spawned` or `Exited` follows."""

    name: str
    command: list[str]


@dataclass(frozen=True)
class Signal:
    """Send a signal to the supervisor of an instance."""

    name: str
    number: int


@dataclass(frozen=True)
class Read:
    """Read the config again; `planned` follows."""


@dataclass(frozen=True)
class EndReading:
    """Kill what reads the config."""


@dataclass(frozen=True)
class Reply:
    """Answer a client."""

    client: int
    message: Message


@dataclass(frozen=True)
class Notify:
    """Tell systemd."""

    text: str


@dataclass(frozen=True)
class Log:
    """Write a line."""

    level: str
    event: str
    fields: Message


@dataclass(frozen=True)
class Leave:
    """End with this exit code."""

    code: int


Command = Spawn | Signal | Read | EndReading | Reply | Notify | Log | Leave


class Machine:
    """The instances of an agent."""

    def __init__(self, recipes: dict[str, Recipe], watchdog_s: float | None = None) -> None:
        self.members = {name: Member(recipe) for name, recipe in recipes.items()}
        self._phase: Literal["running", "draining", "quitting"] = "running"
        self._askers: list[tuple[int, object]] = []
        self._signalled = False
        self._reading_until: float | None = None
        self._read_again = False
        self._kill_at: float | None = None
        self._killed = False
        self._left = False
        self._watchdog_s = watchdog_s
        self._watchdog_at: float | None = None
        self._out: list[Command] = []

    # What happens.

    def begin(self, now: float) -> list[Command]:
        """Starts every instance."""
        self._beat(now)
        for name in self.members:
            self._spawn(name, now)
        self._out.append(Notify(f"READY=1\nSTATUS=drives {len(self.members)} instances"))
        return self._done()

    def spawned(self, name: str, pid: int) -> None:
        """Notes the process of an instance."""
        self.members[name].pid = pid

    def exited(self, name: str, status: int, now: float) -> list[Command]:
        """Handles the end of an instance's supervisor; `status` as of waitstatus_to_exitcode."""
        one = self.members[name]
        one.pid, one.at = 0, None
        if self._phase != "running":
            one.state = "ended"
        elif one.state == "leaving":
            if one.is_wanted:
                self._spawn(name, now)
            else:
                del self.members[name]
                self._log("info", "instance_removed", name)
        elif status == 0:
            one.state, one.why = "ended", "it was drained"
            self._log("info", "instance_ended", name)
        elif status == EXIT_CONFIG:
            one.state, one.why = "refused", "its config or its join token was refused; see the log"
            self._log("error", "instance_refused", name, next="it starts again with a reload")
        else:
            one.state, one.why = "waiting", reason(status)
            one.restarts += 1
            delay = one.backoff.died(now)
            self._log("error", "instance_exited", name, status=one.why, again_in_s=delay)
            one.at = now + delay
            if delay == 0.0:
                self._spawn(name, now)
        return self._done()

    def signalled(self, name: str, now: float) -> list[Command]:
        """Handles a signal to the agent: the name without SIG."""
        if name in {"TERM", "INT"}:
            self._drain(now)
        elif self._phase == "running" and name == "HUP":
            self._signalled = True
            self._read(now)
        elif self._phase == "running":
            self._send_all(getattr(signal, f"SIG{name}"))
        return self._done()

    def said(self, client: int, message: Message, now: float) -> list[Command]:
        """Handles a request; the answer has its `id`."""
        op, request = message.get("op"), message.get("id")
        answer: Message = {"id": request, "ok": True}
        if op == "instances":
            answer["instances"] = {name: _about(one) for name, one in self.members.items()}
        elif op == "drain":
            if self._phase == "running":
                self._drain(now)
        elif op == "reload" and self._phase == "running":
            self._askers.append((client, request))
            self._read(now)
            return self._done()
        elif op == "reload":
            answer |= {"ok": False, "error": "the agent is leaving"}
        else:
            answer |= {"ok": False, "error": f"unknown op {op!r}"}
        self._out.append(Reply(client, answer))
        return self._done()

    def gone(self, client: int) -> None:
        """Notes that a client has hung up."""
        self._askers = [asker for asker in self._askers if asker[0] != client]

    def planned(self, recipes: dict[str, Recipe] | None, error: str, now: float) -> list[Command]:
        """Handles what the config says: its instances, or None and why it is refused."""
        self._reading_until = None
        if self._read_again and self._phase == "running":
            self._read_again = False
            self._read(now)
            return self._done()
        was_signalled, self._signalled = self._signalled, False
        answer: Message = {"ok": recipes is not None, "error": error}
        if self._phase != "running":
            answer = {"ok": False, "error": "the agent is leaving"}
        elif recipes is None:
            self._out.append(Log("error", "reload_refused", {"error": error}))
        else:
            answer |= self._follow(recipes, now, is_signal=was_signalled)
        if was_signalled:
            self._out.append(Notify("READY=1"))
        for client, request in self._askers:
            self._out.append(Reply(client, {"id": request, **answer}))
        self._askers = []
        return self._done()

    def tick(self, now: float) -> list[Command]:
        """Handles what is due."""
        if self._watchdog_at is not None and self._watchdog_at <= now:
            self._out.append(Notify("WATCHDOG=1"))
            self._beat(now)
        if self._reading_until is not None and self._reading_until <= now:
            self._reading_until = None
            self._out.append(EndReading())
        if self._kill_at is not None and self._kill_at <= now:
            self._kill_at, self._killed = None, True
            self._send_all(signal.SIGKILL)
        for name, one in self.members.items():
            if one.at is None or one.at > now:
                continue
            one.at = None
            if one.state == "leaving":
                self._log("error", "instance_killed", name)
                self._out.append(Signal(name, signal.SIGKILL))
            elif one.state == "waiting" and self._phase == "running":
                self._spawn(name, now)
        return self._done()

    def deadline(self) -> float | None:
        """Returns when `tick` is due next."""
        due = [self._watchdog_at, self._reading_until, self._kill_at]
        due += [one.at for one in self.members.values()]
        return min((at for at in due if at is not None), default=None)

    # What follows from it.

    def _spawn(self, name: str, now: float) -> None:
        one = self.members[name]
        one.state, one.at = "running", None
        one.backoff.started(now)
        self._out.append(Spawn(name, one.recipe.command))

    def _read(self, now: float) -> None:
        """Reads the config; what asks during a run shares the next one."""
        if self._reading_until is not None:
            self._read_again = True
            return
        self._reading_until = now + PLAN_S
        if self._signalled:
            self._out.append(Notify(f"RELOADING=1\nMONOTONIC_USEC={int(now * 1_000_000)}"))
        self._out.append(Read())

    def _follow(self, recipes: dict[str, Recipe], now: float, *, is_signal: bool) -> Message:
        """Makes the instances those of the config; returns which came and went."""
        started, stopped = [], []
        for name, one in list(self.members.items()):
            if name in recipes:
                one.recipe = recipes[name]
                one.is_wanted = True
                if one.state in {"ended", "refused"}:
                    one.backoff.worked()
                    self._spawn(name, now)
                    started.append(name)
                elif one.state == "running" and is_signal:
                    self._out.append(Signal(name, signal.SIGHUP))
                continue
            if one.is_wanted:
                stopped.append(name)
            one.is_wanted = False
            if one.state == "running":
                one.state, one.at = "leaving", now + one.recipe.grace_s + _SPARE_S
                self._out.append(Signal(name, signal.SIGTERM))
            elif one.state != "leaving":
                del self.members[name]
        for name, recipe in recipes.items():
            if name not in self.members:
                self.members[name] = Member(recipe)
                self._spawn(name, now)
                started.append(name)
        if started or stopped:
            fields: Message = {"started": started, "stopped": stopped}
            self._out.append(Log("info", "instances_changed", fields))
        return {"started": started, "stopped": stopped}

    def _drain(self, now: float) -> None:
        """Ends every instance; the second time without waiting."""
        if self._phase == "running":
            self._phase = "draining"
            self._out += [Log("info", "draining", {}), Notify("STOPPING=1")]
            grace = max((one.recipe.grace_s for one in self.members.values()), default=0.0)
            for one in self.members.values():
                one.at = None
                if one.state == "waiting":
                    one.state = "ended"
        else:
            self._phase = "quitting"
            grace = QUIT_GRACE_S
        if self._reading_until is not None:
            self._reading_until = None
            self._out.append(EndReading())
        at = now + grace + _SPARE_S
        self._kill_at = at if self._kill_at is None else min(self._kill_at, at)
        self._send_all(signal.SIGTERM)

    def _send_all(self, number: int) -> None:
        running = (name for name, one in self.members.items() if _has_process(one))
        self._out += [Signal(name, number) for name in running]

    def _log(self, level: str, event: str, instance: str, **fields: object) -> None:
        self._out.append(Log(level, event, {"instance": instance, **fields}))

    def _beat(self, now: float) -> None:
        if self._watchdog_s is not None:
            self._watchdog_at = now + self._watchdog_s

    def _done(self) -> list[Command]:
        """Returns the commands; the last one if nothing is left to do."""
        lives = any(_has_process(one) or one.state == "waiting" for one in self.members.values())
        if not lives and self._reading_until is None and not self._left:
            self._left = True
            self._out.append(Leave(self._exit_code()))
        out, self._out = self._out, []
        return out

    def _exit_code(self) -> int:
        if self._phase != "running":
            return 1 if self._killed else 0
        refused = any(one.state == "refused" for one in self.members.values())
        return EXIT_CONFIG if refused else 0


def _has_process(one: Member) -> bool:
    return one.state in {"running", "leaving"}


def _about(one: Member) -> Message:
    return {"state": one.state, "pid": one.pid, "restarts": one.restarts, "why": one.why}
