"""A world for the machine without a clock, a disk or an nginx: it answers as it is told to."""

from collections.abc import Callable
from dataclasses import dataclass, field

from headgate.engines.nginx.apply import steps as do
from headgate.engines.nginx.apply.causes import Finding
from headgate.engines.nginx.apply.evidence import Expectation, LogLine, LogSeen, Observation
from headgate.engines.nginx.apply.machine import Machine, Request
from headgate.engines.nginx.apply.results import Applied, Rejected, Result
from headgate.engines.nginx.apply.verdict import Failed
from headgate.engines.nginx.common.types import Process
from headgate.engines.nginx.releases.names import ReleaseName

BASE = ReleaseName(6, "6" * 12)
OLDER = ReleaseName(5, "5" * 12)
NEW = ReleaseName(7, "7" * 12)
WORKERS = 2
Faked = Callable[["Nginx"], None]


@dataclass
class Nginx:
    """A pretended nginx: what it runs, and what a signal makes of it."""

    current: ReleaseName | None = BASE
    running: ReleaseName | None = BASE
    births: int = 0
    workers: frozenset[Process] = frozenset()
    before: frozenset[Process] = frozenset()
    has_master: bool = True
    lines: tuple[LogLine, ...] = ()
    is_log_known: bool = True
    faults: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.fork()

    def fork(self) -> None:
        """New workers take the place of the old."""
        self.births += 1
        self.workers = frozenset(
            Process(100 * self.births + index, self.births) for index in range(WORKERS)
        )

    def reload(self) -> None:
        """HUP, and everything is well."""
        self.running = self.current
        self.fork()

    def refuse(self, text: str = "[emerg] 1#1: no") -> None:
        """HUP, and nginx keeps what it has."""
        self.lines = (LogLine("emerg", text),)

    def die(self) -> None:
        """HUP, and every new worker dies at its start."""
        self.workers = frozenset()
        self.running = None
        self.lines = (LogLine("fatal_exit", "[alert] 1#1: worker process 9 exited", 9),)

    def half(self) -> None:
        """HUP, and one worker comes up."""
        self.reload()
        self.workers = frozenset(list(self.workers)[:1])

    def faulty(self) -> None:
        """HUP, and a probe fails from then on."""
        self.reload()
        self.faults = ("probe failed",)


@dataclass
class Playing:
    """Plays a machine to its end.

    `on_signal`: what the n-th signal does, the last for all further; `trouble`: actions that
    cannot be carried out, by a key (`key_of`); `errors`: findings by step; `at`: a change of the
    world before the n-th look of a phase.
    """

    nginx: Nginx = field(default_factory=Nginx)
    on_signal: tuple[Faked, ...] = (Nginx.reload,)
    trouble: tuple[str, ...] = ()
    errors: dict[str, tuple[Finding, ...]] = field(default_factory=dict)
    at: dict[tuple[str, int], Faked] = field(default_factory=dict)
    fallbacks: tuple[ReleaseName, ...] = (BASE, BASE, OLDER)
    soak_s: float = 1.0
    took_s: float = 0.1
    now: float = 1_000.0
    announced: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    links: dict[str, ReleaseName | None] = field(default_factory=dict)
    signals: int = 0
    looks: dict[str, int] = field(default_factory=dict)
    deep_looks: int = 0
    expected: Expectation | None = None

    def machine(self) -> Machine:
        """A machine for generation 7."""
        return Machine(
            Request(generation=7, fallbacks=self.fallbacks, explain=explain, soak_s=self.soak_s)
        )

    def play(
        self, begin: Callable[[Machine], list[do.Action]] = lambda machine: machine.begin()
    ) -> Result:
        """The result; fails when there is none after a long time."""
        self.running = self.machine()
        actions = begin(self.running)
        for _ in range(5_000):
            event: do.Event | None = None
            for action in actions:
                if isinstance(action, do.Finish):
                    return action.result
                event = self.carry_out(action)
                if isinstance(event, do.Trouble):
                    break
            assert event is not None, f"{actions} answer with nothing"
            self.now += 0.01
            actions = self.running.handle(event, self.now)
        raise AssertionError(f"no end in sight: {self.announced[-5:]}")

    def carry_out(self, action: do.Action) -> do.Event | None:  # noqa: PLR0911 - one per action
        """What an action answers."""
        key = key_of(action)
        if key in self.trouble and not (isinstance(action, do.Announce) and not action.must):
            code = "journal" if isinstance(action, do.Announce) else "system"
            return do.Trouble(Finding(code, f"{key} failed"))
        if isinstance(action, do.Announce):
            self.announced.append(action.step)
            return None
        self.done.append(key)
        match action:
            case do.Fetch():
                return do.Fetched()
            case do.Stage():
                return do.Staged(NEW)
            case do.Check():
                return do.Checked(self.errors.get(action.step, ()), self.took_s)
            case do.Link():
                self.nginx.current = action.release
                self.links["current"] = action.release
            case do.Commit():
                self.links |= {"previous": action.previous, "known_good": action.release}
            case do.Signal():
                return self.signal(action)
            case do.Look():
                return do.Seen(self.look(action))
            case do.Pause():
                self.now += action.seconds
                return do.Woken()
        return do.Done()

    def signal(self, action: do.Signal) -> do.Signalled:
        """Marks, and lets the nginx of this play do what it does."""
        self.nginx.before = frozenset() if action.how == "resume" else self.nginx.workers
        self.nginx.lines = ()
        self.expected = Expectation(
            action.target.generation, WORKERS, needs_new_workers=action.how != "look"
        )
        if action.how == "reload":
            self.on_signal[min(self.signals, len(self.on_signal) - 1)](self.nginx)
            self.signals += 1
        return do.Signalled(self.expected)

    def look(self, action: do.Look) -> Observation:
        """What is to be seen of the pretended nginx."""
        phase = self.running.phase
        self.looks[phase] = self.looks.get(phase, 0) + 1
        self.deep_looks += action.deep
        change = self.at.get((phase, self.looks[phase]))
        if change is not None:
            change(self.nginx)
        nginx = self.nginx
        answer = nginx.running.generation if nginx.running is not None else None
        return Observation(
            has_master=nginx.has_master,
            new=nginx.workers - nginx.before,
            old=nginx.workers & nginx.before,
            before=frozenset(one.pid for one in nginx.before),
            answers=(answer,) * 4,
            log=LogSeen(nginx.lines, nginx.is_log_known, "" if nginx.is_log_known else "absent"),
            faults=nginx.faults if action.deep else None,
        )


def explain(failed: Failed) -> tuple[Finding, ...]:
    """The failure's own words."""
    return (Finding("explained", failed.text),)


def key_of(action: do.Action) -> str:
    """What an action is called in `trouble` and `done`: `link 6`, `signal reload`, `test`."""
    match action:
        case do.Announce():
            return f"announce {action.step}"
        case do.Check():
            return action.step
        case do.Link():
            return f"link {action.release.generation if action.release else None}"
        case do.Restore():
            return f"restore {action.release.generation}"
        case do.Signal():
            return f"signal {action.how} {action.target.generation}"
    return type(action).__name__.lower()


def applied(result: Result) -> Applied:
    """The result, which has to be an applied one."""
    assert isinstance(result, Applied), result
    return result


def rejected(result: Result) -> Rejected:
    """The result, which has to be a refusal."""
    assert isinstance(result, Rejected), result
    return result
