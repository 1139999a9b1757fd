"""Collects the evidence on a running nginx: marks it at a signal, looks at it afterwards."""

from headgate.engines.nginx.apply import probes, statussocket
from headgate.engines.nginx.apply.errorlog import ErrorLog, LogMark
from headgate.engines.nginx.apply.evidence import Expectation, Observation
from headgate.engines.nginx.common.types import Instance, Process

_MOST_QUESTIONS = 16


class Looker:
    """Looks at one instance. A mark is set before each signal; looks compare with the last mark."""

    def __init__(self, instance: Instance, error_log: str, status_socket: str) -> None:
        self._instance = instance
        self._error_log = error_log
        self._status_socket = status_socket
        self._log: ErrorLog | None = None
        self._before: frozenset[Process] = frozenset()
        self._master: Process | None = None

    def mark(self, log: LogMark | None = None, *, all_are_new: bool = False) -> LogMark:
        """Remembers the workers and the log's end; returns the latter for the journal.

        After a crash: `log` is the journal's mark, and `all_are_new` is set, since nobody knows the
        workers from before.
        """
        self.close()
        self._log = ErrorLog(self._error_log, log)
        self._master = self._instance.master()
        self._before = frozenset() if all_are_new else frozenset(map(_key, self._workers()))
        return self._log.mark

    def close(self) -> None:
        """Closes the log."""
        if self._log is not None:
            self._log.close()
            self._log = None

    def look(self, expected: Expectation, *, deep: bool = False) -> Observation:
        """Returns what can be seen now. `deep` takes as long as listeners, names and probes do."""
        if self._log is None:
            raise ValueError("no mark was set")
        master = self._instance.master()
        workers = self._workers()
        serving = frozenset(one for one in workers if not one.shutting_down)
        new = frozenset(one for one in serving if _key(one) not in self._before)
        questions = min(2 * expected.workers + 2, _MOST_QUESTIONS) if serving else 0
        return Observation(
            has_master=master is not None,
            new=new,
            old=serving - new,
            draining=frozenset(one for one in workers if one.shutting_down),
            before=frozenset(one.pid for one in self._before),
            answers=self._answers(questions, expected.generation),
            log=self._log.read(None if self._master is None else self._master.pid),
            faults=probes.knock(expected) if deep else None,
        )

    def generations(self, questions: int = 4) -> tuple[int | None, ...]:
        """Returns which generations answer on fresh connections."""
        return self._answers(questions, None)

    def _workers(self) -> tuple[Process, ...]:
        return self._instance.workers()

    def _answers(self, questions: int, wanted: int | None) -> tuple[int | None, ...]:
        """Asks until one answer is wrong: more would not change the verdict."""
        found: list[int | None] = []
        for _ in range(questions):
            answer = statussocket.ask(self._status_socket)
            found.append(None if answer is None else answer.generation)
            if wanted is not None and found[-1] != wanted:
                break
        return tuple(found)


def _key(process: Process) -> Process:
    """Returns a process without its state: pid and start time identify it."""
    return Process(process.pid, process.started)
