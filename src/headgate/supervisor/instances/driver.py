"""Carries out the machine's commands and tells it what happens: one thread, one selector."""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import time

from headgate.supervisor import children, logs, signals
from headgate.supervisor.instances import machine as m
from headgate.supervisor.notify import Notifier
from headgate.supervisor.reception import Reception
from headgate.supervisor.statedir import INSTANCES_DOOR

TYPE_CHECKING = False
if TYPE_CHECKING:
    from headgate.supervisor.events import Message

_MAX_ANSWER = 1 << 20
_SPAWN_FAILED = 127


class Driver:
    """Owns every descriptor and child of the agent's main process."""

    def __init__(self, machine: m.Machine, state_dir: str, reader: list[str]) -> None:
        """`reader`: the command that writes the instances of the config, as JSON."""
        self._machine = machine
        self._path = os.path.join(state_dir, INSTANCES_DOOR)
        self._reader = reader
        self._notifier = Notifier(os.environ)
        self._selector = selectors.DefaultSelector()
        # Who holds the writing end lives: an instance reads its end of it.
        self._leash, self._leash_held = os.pipe()
        self._pids: dict[int, str] = {}
        self._reading: tuple[int, int, bytes] | None = None
        """The process that reads the config, the pipe from it, and what it has written."""
        self._readers: set[int] = set()
        """Processes that read the config, or did, until they are reaped."""
        self._exit_code: int | None = None
        self._reception: Reception

    def run(self) -> int:
        """Runs until every instance is down; returns the exit code.
        Raises OSError if it cannot begin.
        """
        wakeup = signals.watch()
        self._selector.register(wakeup, selectors.EVENT_READ)
        self._reception = Reception(self._path, self._selector, self._said, self._machine.gone)
        try:
            self._do(self._machine.begin(time.monotonic()))
            while self._exit_code is None:
                self._turn(wakeup)
        finally:
            self._reception.close()
        return self._exit_code

    def _turn(self, wakeup: socket.socket) -> None:
        deadline = self._machine.deadline()
        wait = None if deadline is None else max(0.0, deadline - time.monotonic())
        for key, mask in self._selector.select(wait):
            if key.fileobj is wakeup:
                self._read_signals(wakeup)
            elif key.fileobj is self._reception.door:
                self._reception.accept()
            elif key.data == "reader":
                self._read_answer()
            else:
                self._reception.serve(key.data, mask)
        if deadline is not None and deadline <= time.monotonic():
            self._do(self._machine.tick(time.monotonic()))

    def _do(self, commands: list[m.Command]) -> None:
        for command in commands:
            if isinstance(command, m.Spawn):
                self._spawn(command)
            elif isinstance(command, m.Signal):
                self._signal(command)
            elif isinstance(command, m.Read):
                self._read_config()
            elif isinstance(command, m.EndReading):
                self._end_reading()
            elif isinstance(command, m.Reply):
                self._reception.reply(command.client, command.message)
            elif isinstance(command, m.Notify):
                self._notifier.send(command.text)
            elif isinstance(command, m.Log):
                logs.write(command.level, command.event, command.fields)
            else:
                self._exit_code = command.code

    # Children.

    def _spawn(self, command: m.Spawn) -> None:
        try:
            pid = children.spawn_instance(command.command, self._leash)
        except OSError as error:
            fields: Message = {"instance": command.name, "error": str(error)}
            logs.write("error", "instance_not_started", fields)
            self._do(self._machine.exited(command.name, _SPAWN_FAILED, time.monotonic()))
            return
        self._pids[pid] = command.name
        self._machine.spawned(command.name, pid)

    def _signal(self, command: m.Signal) -> None:
        for pid, name in self._pids.items():
            if name == command.name:
                os.kill(pid, command.number)  # not reaped yet, so the number is its own

    def _reap(self) -> None:
        for pid, name in list(self._pids.items()):
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                del self._pids[pid]
                code = os.waitstatus_to_exitcode(status)
                self._do(self._machine.exited(name, code, time.monotonic()))
        for pid in list(self._readers):
            if os.waitpid(pid, os.WNOHANG)[0]:
                self._readers.discard(pid)

    # What the config says.

    def _read_config(self) -> None:
        ours, theirs = os.pipe()
        try:
            pid = children.spawn_reader(self._reader, theirs)
        except OSError as error:
            os.close(ours)
            why = f"the config cannot be read: {error}"
            self._do(self._machine.planned(None, why, time.monotonic()))
            return
        finally:
            os.close(theirs)
        self._readers.add(pid)
        self._reading = (pid, ours, b"")
        self._selector.register(ours, selectors.EVENT_READ, "reader")

    def _read_answer(self) -> None:
        if self._reading is None:
            return
        pid, ours, before = self._reading
        read = os.read(ours, 65_536)
        if read and len(before) < _MAX_ANSWER:
            self._reading = (pid, ours, before + read)
            return
        self._forget_reader()
        if read:
            self._kill_reader(pid)
        self._do(self._machine.planned(*decoded(before), time.monotonic()))

    def _end_reading(self) -> None:
        """Gives up a process that may hang in a file system, where no signal ends it."""
        if self._reading is not None:
            self._kill_reader(self._reading[0])
            self._forget_reader()
            why = f"the config was not read within {m.PLAN_S:.0f} s"
            self._do(self._machine.planned(None, why, time.monotonic()))

    def _forget_reader(self) -> None:
        if self._reading is not None:
            self._selector.unregister(self._reading[1])
            os.close(self._reading[1])
            self._reading = None

    def _kill_reader(self, pid: int) -> None:
        if pid in self._readers:  # not reaped yet, so the number is its own
            os.kill(pid, signal.SIGKILL)

    # Clients of the Unix socket, and signals.

    def _said(self, client: int, message: Message) -> None:
        self._do(self._machine.said(client, message, time.monotonic()))

    def _read_signals(self, wakeup: socket.socket) -> None:
        names = signals.came(wakeup)
        for name in names:
            if name in signals.ORDERS:
                self._do(self._machine.signalled(name, time.monotonic()))
        if signals.CHILD in names:
            self._reap()


def decoded(answer: bytes) -> tuple[dict[str, m.Recipe] | None, str]:
    """Returns the instances that the reader of the config wrote, or why there are none."""
    try:
        told = json.loads(answer)
        if "error" in told:
            return None, str(told["error"])
        return recipes(told["instances"]), ""
    except (ValueError, KeyError, TypeError):
        return None, "the config could not be read; see the log"


def recipes(told: dict[str, dict[str, object]]) -> dict[str, m.Recipe]:
    """Returns the instances of a JSON object; raises KeyError, TypeError or ValueError."""
    return {
        name: m.Recipe(list(one["command"]), float(one["grace_s"]))  # type: ignore[call-overload,arg-type]
        for name, one in told.items()
    }
