"""Carries out the machine's commands and tells it what happens: one thread, one selector."""

from __future__ import annotations

import os
import selectors
import signal
import socket
import time
from collections import deque

from headgate.supervisor import children, logs, signals, statedir
from headgate.supervisor import commands as cmd
from headgate.supervisor import events as ev
from headgate.supervisor.channel import LineChannel, PacketChannel
from headgate.supervisor.door import AdminDoor
from headgate.supervisor.early import Early
from headgate.supervisor.listeners import Listeners
from headgate.supervisor.machine import Machine
from headgate.supervisor.notify import Notifier
from headgate.supervisor.reception import Reception, remove

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_SPAWN_FAILED = 127


class Driver:
    """Owns every descriptor and child of the supervisor."""

    def __init__(
        self,
        machine: Machine,
        listeners: Listeners,
        data_plane: Callable[[], list[str]],
        control: list[str],
        early: Early | None = None,
    ) -> None:
        """`data_plane` gives the command of a new data plane, `control` is that of the other,
        the first of which is `early`.

        It calls the first each time, so that an upgrade finds what is installed by then.
        """
        self._machine = machine
        self._listeners = listeners
        self._data_plane_command = data_plane
        self._control_command = control
        self._early = early
        self._state_dir = machine.state.settings.state_dir
        self._notifier = Notifier(os.environ)
        self._selector = selectors.DefaultSelector()
        self._events: deque[ev.Event] = deque()
        self._planes: dict[int, PacketChannel] = {}
        self._plane_pids: dict[int, int] = {}
        self._killed: set[int] = set()
        self._control_pid: int | None = None
        self._exit_code: int | None = None
        self._admin: AdminDoor
        self._reception: Reception

    def run(self) -> int:
        """Runs until everything is down; returns the exit code.
        Raises OSError if it cannot begin.
        """
        wakeup = signals.watch()
        self._selector.register(wakeup, selectors.EVENT_READ)
        self._remove_left()
        path = os.path.join(self._state_dir, "supervisor.sock")
        self._reception = Reception(path, self._selector, self._client_said, self._client_gone)
        self._admin = AdminDoor(self._state_dir)
        self._happened(ev.Begin())
        try:
            while self._exit_code is None:
                deadline = self._machine.deadline()
                wait = None if deadline is None else max(0.0, deadline - time.monotonic())
                for key, mask in self._selector.select(wait):
                    if key.fileobj is wakeup:
                        self._read_signals(wakeup)
                    elif key.fileobj is self._reception.door:
                        self._reception.accept()
                    elif isinstance(key.data, LineChannel):
                        self._reception.serve(key.data, mask)
                    else:
                        self._serve(key.data, mask)
                if deadline is not None and deadline <= time.monotonic():
                    self._happened(ev.Tick())
        finally:
            self._admin.close()
            self._reception.close()
        return self._exit_code

    def _happened(self, event: ev.Event) -> None:
        """Lets the machine decide, then carries out; commands may cause further events."""
        self._events.append(event)
        if len(self._events) > 1:
            return
        while self._events:
            for command in self._machine.handle(self._events[0], time.monotonic()):
                self._carry_out(command)
            self._events.popleft()

    def _carry_out(self, command: cmd.Command) -> None:
        if isinstance(command, cmd.Send):
            self._send(command.generation, command.message, [])
        elif isinstance(command, cmd.SendSockets):
            fds = self._listeners.descriptors(command.address)
            message: ev.Message = {"op": "sockets", "address": command.address, "count": len(fds)}
            self._send(command.generation, message, fds)
        elif isinstance(command, cmd.OpenSockets):
            errors = self._listeners.open(command.addresses, command.backlog)
            self._happened(ev.SocketsOpened(command.addresses, errors))
        elif isinstance(command, cmd.WidenSockets):
            for error in self._listeners.widen(command.count):
                logs.write("error", "socket_not_opened", {"error": repr(error)})
        elif isinstance(command, cmd.RefuseNew | cmd.CloseSockets):
            is_first = isinstance(command, cmd.RefuseNew)
            step = self._listeners.refuse_new if is_first else self._listeners.close
            step(command.address)
        elif isinstance(command, cmd.Remember):
            statedir.remember(self._state_dir, command.listening)
        elif isinstance(command, cmd.Reply):
            self._reception.reply(command.client, command.message)
        elif isinstance(command, cmd.Notify):
            self._notifier.send(command.state)
        elif isinstance(command, cmd.Log):
            logs.write(command.level, command.event, command.fields)
        elif isinstance(command, cmd.Leave):
            self._exit_code = command.code
        else:
            self._processes(command)

    def _processes(self, command: cmd.Command) -> None:
        if isinstance(command, cmd.SpawnDataPlane):
            self._spawn_data_plane(command.generation)
        elif isinstance(command, cmd.SpawnControl):
            self._spawn_control()
        elif isinstance(command, cmd.HandOver):
            self._hand_over(command)
        elif isinstance(command, cmd.SignalDataPlane):
            _kill(self._plane_pids.get(command.generation), command.signal)
        elif isinstance(command, cmd.AnswerAway):
            self._admin.answer_away()
        elif isinstance(command, cmd.EndHung):
            self._end_hung(command.generation)
        elif isinstance(command, cmd.SignalControl):
            _kill(self._control_pid, command.signal)

    # Children.

    def _spawn_data_plane(self, generation: int) -> None:
        try:
            pid, connection = children.spawn_with_channel(self._data_plane_command())
        except (OSError, children.ExtensionMissingError) as error:
            logs.write("error", "dataplane_not_started", {"error": str(error)})
            self._happened(ev.DataPlaneExited(generation, _SPAWN_FAILED))
            return
        self._plane_pids[generation] = pid
        channel = self._planes[generation] = PacketChannel(connection)
        self._selector.register(connection, selectors.EVENT_READ, (generation, channel))

    def _end_hung(self, generation: int) -> None:
        pid = self._plane_pids.get(generation)
        # A process under a debugger stands still on purpose; kill it if it still hangs afterwards.
        if pid is not None and generation not in self._killed and not children.is_traced(pid):
            self._killed.add(generation)
            _kill(pid, signal.SIGKILL)
            self._happened(ev.DataPlaneHung(generation))

    def _spawn_control(self) -> None:
        try:
            admin = self._admin.descriptor()
            early, self._early = self._early, None
            pid = None if early is None else early.start(admin)
            self._control_pid = pid or children.spawn_control(self._control_command, admin)
        except OSError as error:
            logs.write("error", "control_not_started", {"error": str(error)})
            self._happened(ev.ControlExited(_SPAWN_FAILED))

    def _reap(self) -> None:
        for generation, pid in list(self._plane_pids.items()):
            status = _status_of(pid)
            if status is None:
                continue
            del self._plane_pids[generation]
            self._killed.discard(generation)
            channel = self._planes.get(generation)
            if channel is not None:  # what it said before it ended counts
                self._read_plane(generation, channel)
            self._drop_plane(generation)
            remove(self._machine.state.settings.grpc_socket(generation))
            self._happened(ev.DataPlaneExited(generation, status))
        if self._control_pid is not None:
            status = _status_of(self._control_pid)
            if status is not None:
                self._control_pid = None
                self._happened(ev.ControlExited(status))

    # Data planes.

    def _send(self, generation: int, message: ev.Message, descriptors: list[int]) -> None:
        channel = self._planes.get(generation)
        if channel is None:
            return
        try:
            channel.send(message, descriptors)
            self._want_writes(generation, channel)
        except OSError:
            self._drop_plane(generation)  # it is ending or has ended: SIGCHLD says the rest

    def _hand_over(self, command: cmd.HandOver) -> None:
        """Connects two data planes and tells both; without a connection the old one keeps flows."""
        try:
            ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        except OSError as error:
            logs.write("error", "flows_not_handed_over", {"error": str(error)})
            self._send(command.old, {"op": "handoff"}, [])
            self._send(command.new, {"op": "take_flows"}, [])
            return
        told = (command.old, "handoff"), (command.new, "take_flows")
        for (generation, op), end in zip(told, ends, strict=True):
            channel = self._planes.get(generation)
            if channel is None:
                end.close()
                continue
            try:
                channel.give({"op": op}, end)
                self._want_writes(generation, channel)
            except OSError:
                self._drop_plane(generation)  # as in `_send`

    def _read_plane(self, generation: int, channel: PacketChannel) -> None:
        messages = channel.receive()
        if messages is None:
            self._drop_plane(generation)
            return
        for message in messages:
            self._happened(ev.DataPlaneSaid(generation, message))

    def _drop_plane(self, generation: int) -> None:
        channel = self._planes.pop(generation, None)
        if channel is not None:
            self._selector.unregister(channel.connection)
            channel.close()

    # Clients of the Unix socket.

    def _client_said(self, client: int, message: ev.Message) -> None:
        self._happened(ev.ClientSaid(client, message))

    def _client_gone(self, client: int) -> None:
        self._happened(ev.ClientGone(client))

    # The selector.

    def _serve(self, data: tuple[int, PacketChannel], mask: int) -> None:
        generation, channel = data
        if self._planes.get(generation) is not channel:
            return  # dropped by an earlier event of this round
        if mask & selectors.EVENT_WRITE:
            try:
                channel.flush()
                self._want_writes(generation, channel)
            except OSError:
                self._drop_plane(generation)
                return
        if mask & selectors.EVENT_READ:
            self._read_plane(generation, channel)

    def _want_writes(self, generation: int, channel: PacketChannel) -> None:
        events = selectors.EVENT_READ
        if channel.wants_to_write:
            events |= selectors.EVENT_WRITE
        self._selector.modify(channel.connection, events, (generation, channel))

    # Signals.

    def _read_signals(self, wakeup: socket.socket) -> None:
        names = signals.came(wakeup)
        for name in names:
            if name in signals.ORDERS:
                self._happened(ev.SignalCame(name))
        if signals.CHILD in names:
            self._reap()

    def _remove_left(self) -> None:
        """Removes the sockets of data planes that a killed node left."""
        for name in os.listdir(self._state_dir):
            if name.startswith("dp-") and name.endswith(".sock"):
                remove(os.path.join(self._state_dir, name))


def _kill(pid: int | None, number: int) -> None:
    if pid is not None:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass  # SIGCHLD is on its way


def _status_of(pid: int) -> int | None:
    """Returns the exit code, or minus the signal; None while the child lives."""
    try:
        done, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return _SPAWN_FAILED
    return os.waitstatus_to_exitcode(status) if done else None
