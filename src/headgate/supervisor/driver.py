"""Carries out the machine's commands and tells it what happens: one thread, one selector."""

from __future__ import annotations

import os
import selectors
import signal
import socket
import time
from collections import deque

from headgate.supervisor import children, logs, statedir
from headgate.supervisor import commands as cmd
from headgate.supervisor import events as ev
from headgate.supervisor.channel import LineChannel, PacketChannel
from headgate.supervisor.door import AdminDoor
from headgate.supervisor.listeners import Listeners
from headgate.supervisor.machine import Machine
from headgate.supervisor.notify import Notifier

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_SIGNALS = ("TERM", "INT", "HUP", "USR1", "USR2")
_MAX_CLIENTS = 16
_PAUSE_S = 0.05
_SPAWN_FAILED = 127


class Driver:
    """Owns every descriptor and child of the supervisor."""

    def __init__(
        self,
        machine: Machine,
        listeners: Listeners,
        data_plane: Callable[[], list[str]],
        control: list[str],
    ) -> None:
        """`data_plane` gives the command of a new data plane, `control` is that of the other.

        It calls the first each time, so that an upgrade finds what is installed by then.
        """
        self._machine = machine
        self._listeners = listeners
        self._data_plane_command = data_plane
        self._control_command = control
        self._state_dir = machine.state.settings.state_dir
        self._notifier = Notifier(os.environ)
        self._selector = selectors.DefaultSelector()
        self._events: deque[ev.Event] = deque()
        self._planes: dict[int, PacketChannel] = {}
        self._plane_pids: dict[int, int] = {}
        self._killed: set[int] = set()
        self._control_pid: int | None = None
        self._clients: dict[int, LineChannel] = {}
        self._exit_code: int | None = None
        self._admin: AdminDoor

    def run(self) -> int:
        """Runs until everything is down; returns the exit code.
        Raises OSError if it cannot begin.
        """
        wakeup = self._watch_signals()
        door = self._open_door()
        self._admin = AdminDoor(self._state_dir)
        self._happened(ev.Begin())
        try:
            while self._exit_code is None:
                deadline = self._machine.deadline()
                wait = None if deadline is None else max(0.0, deadline - time.monotonic())
                for key, mask in self._selector.select(wait):
                    if key.fileobj is wakeup:
                        self._read_signals(wakeup)
                    elif key.fileobj is door:
                        self._accept(door)
                    else:
                        self._serve(key.data, mask)
                if deadline is not None and deadline <= time.monotonic():
                    self._happened(ev.Tick())
        finally:
            self._admin.close()
            door.close()
            self._remove("supervisor.sock")
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
            self._reply(command.client, command.message)
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
        self._selector.register(connection, selectors.EVENT_READ, ("plane", generation, channel))

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
            self._control_pid = children.spawn_control(self._control_command, admin)
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
            path = self._machine.state.settings.grpc_socket(generation)
            self._remove(os.path.basename(path))
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
            self._want_writes(channel, ("plane", generation, channel))
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
                self._want_writes(channel, ("plane", generation, channel))
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

    def _open_door(self) -> socket.socket:
        self._remove("supervisor.sock")
        for name in os.listdir(self._state_dir):
            if name.startswith("dp-") and name.endswith(".sock"):
                self._remove(name)  # left by a node that was killed
        path = os.path.join(self._state_dir, "supervisor.sock")
        door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        before = os.umask(0o177)
        try:
            door.bind(path)
        finally:
            os.umask(before)
        door.listen(_MAX_CLIENTS)
        door.setblocking(False)
        self._selector.register(door, selectors.EVENT_READ)
        return door

    def _accept(self, door: socket.socket) -> None:
        try:
            connection, _ = door.accept()
        except OSError:
            time.sleep(_PAUSE_S)  # out of descriptors: the client still waits, and we must not spin
            return
        if len(self._clients) >= _MAX_CLIENTS:
            connection.close()
            return
        client = connection.fileno()
        channel = self._clients[client] = LineChannel(connection)
        self._selector.register(connection, selectors.EVENT_READ, ("client", client, channel))

    def _reply(self, client: int, message: ev.Message) -> None:
        channel = self._clients.get(client)
        if channel is None:
            return
        try:
            channel.send(message)
            self._want_writes(channel, ("client", client, channel))
        except OSError:
            self._drop_client(client)

    def _read_client(self, client: int, channel: LineChannel) -> None:
        messages = channel.receive()
        if messages is None:
            self._drop_client(client)
            return
        for message in messages:
            self._happened(ev.ClientSaid(client, message))

    def _drop_client(self, client: int) -> None:
        channel = self._clients.pop(client, None)
        if channel is not None:
            self._selector.unregister(channel.connection)
            channel.close()
            self._happened(ev.ClientGone(client))

    # The selector.

    def _serve(self, data: tuple[str, int, PacketChannel | LineChannel], mask: int) -> None:
        kind, number, channel = data
        owner: dict[int, PacketChannel] | dict[int, LineChannel]
        owner = self._planes if kind == "plane" else self._clients
        if owner.get(number) is not channel:
            return  # dropped by an earlier event of this round
        if mask & selectors.EVENT_WRITE:
            try:
                channel.flush()
                self._want_writes(channel, data)
            except OSError:
                self._drop_plane(number) if kind == "plane" else self._drop_client(number)
                return
        if mask & selectors.EVENT_READ:
            if isinstance(channel, PacketChannel):
                self._read_plane(number, channel)
            else:
                self._read_client(number, channel)

    def _want_writes(
        self,
        channel: PacketChannel | LineChannel,
        data: tuple[str, int, PacketChannel | LineChannel],
    ) -> None:
        events = selectors.EVENT_READ
        if channel.wants_to_write:
            events |= selectors.EVENT_WRITE
        self._selector.modify(channel.connection, events, data)

    # Signals.

    def _watch_signals(self) -> socket.socket:
        read_end, write_end = socket.socketpair()
        read_end.setblocking(False)
        write_end.setblocking(False)
        signal.set_wakeup_fd(write_end.detach(), warn_on_full_buffer=False)
        for name in (*_SIGNALS, "CHLD"):
            signal.signal(getattr(signal, f"SIG{name}"), _nothing)
        self._selector.register(read_end, selectors.EVENT_READ)
        return read_end

    def _read_signals(self, wakeup: socket.socket) -> None:
        names = [signal.Signals(number).name[3:] for number in wakeup.recv(256)]
        for name in names:
            if name in _SIGNALS:
                self._happened(ev.SignalCame(name))
        if "CHLD" in names:
            self._reap()

    def _remove(self, name: str) -> None:
        try:
            os.unlink(os.path.join(self._state_dir, name))
        except OSError:
            pass  # not there


def _nothing(_number: int, _frame: object) -> None:
    """Does nothing: Python writes to the wakeup descriptor only if a handler exists."""


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
