"""`NginxInstance`: a real nginx, seen through /proc and its own binary."""

import hashlib
import os
import re
import shutil
import time
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Final

from headgate.engines.nginx.common.stale import has_listener, remove_stale_sockets
from headgate.engines.nginx.common.types import Process, RightMissingError, SignalName, Tested
from headgate.engines.nginx.instance import access, find, pidfd, running, sockets, tested
from headgate.engines.nginx.instance.loading import AllowList
from headgate.engines.nginx.instance.needs import Needs, needs_of
from headgate.engines.nginx.instance.orphans import dismiss, orphans
from headgate.engines.nginx.instance.place import Place
from headgate.engines.nginx.instance.procfs import Procfs, Rights, Seen
from headgate.engines.nginx.instance.sandbox import Outcome, Ran, Sandbox
from headgate.engines.nginx.instance.twin import Twin, twin_of
from headgate.engines.nginx.instance.users import rights_of

STOP_S: Final = 30.0
"""The time that workers have to finish their requests when an instance stops."""

_ROOM_S: Final = 5.0
_LOOK_S: Final = 0.01
_DUMP_BYTES: Final = 64 * 1024 * 1024
_CONF_PATH: Final = re.compile(r"--conf-path=(\S+)")
_DELETED: Final = " (deleted)"


@dataclass(frozen=True, slots=True)
class NginxInstance:
    """The instance at `place`; implements `Instance`. Holds no state: each call looks anew.

    Every method blocks and may raise SeveralMastersError (LookupError) where it looks for
    processes, and RightMissingError where noted.
    """

    place: Place
    procfs: Procfs = field(default_factory=Procfs)

    def master(self) -> Process | None:
        """Returns the master; of two in a binary upgrade the new one. None while there is none.

        Raises RightMissingError when it finds none and /proc hides other users' processes.
        """
        seen = self._master()
        if seen is None and self.procfs.hides_others() and os.geteuid() != 0:
            raise RightMissingError(
                f"{self.procfs.path} hides other users' processes from uid {os.geteuid()} "
                "(hidepid): it takes uid 0 or the group of its gid= option"
            )
        return None if seen is None else seen.process

    def workers(self) -> tuple[Process, ...]:
        """Returns the workers of the master, of both in a binary upgrade, oldest first."""
        seen = self._master()
        if seen is None:
            return ()
        other = find.other_master(seen, self.place, self.procfs)
        parents = [seen.pid] + ([other.pid] if other else [])
        found = [w for pid in parents for w in self.procfs.children(pid) if w.is_worker]
        return tuple(w.process for w in sorted(found, key=lambda w: (w.started, w.pid)))

    def workers_of(self, master: Process) -> tuple[Process, ...]:
        """Returns the workers of one master."""
        children = self.procfs.children(master.pid)
        return tuple(child.process for child in children if child.is_worker)

    def old_master(self) -> Process | None:
        """Returns the second master, while a binary upgrade is under way."""
        seen = self._master()
        other = find.other_master(seen, self.place, self.procfs) if seen else None
        return None if other is None else other.process

    def is_upgrading(self) -> bool:
        """Reports whether a second master runs (`.oldbin`): applies must wait."""
        return self.old_master() is not None

    def test(self, conf: str, *, from_disk: bool = False) -> Tested:
        """Runs `nginx -t` by the instance's own binary on a config, at most 30 s.

        `from_disk`: with nothing but the disk, as at a boot: names resolve by /etc/hosts alone.

        Confined (`sandbox.py`); on a twin if we are another user than the master
        (`Place.redirected`). A sidecar's binary runs in its own root: raises RightMissingError
        where that is closed to us, ProcessLookupError while none runs.
        """
        if not self._needs_twin():
            return self._tested(conf, None, from_disk)
        # A sidecar's binary sees the folders that it shares with us, and not our /tmp.
        shared = str(Path(self.place.redirected[0]).parent) if self.place.is_sidecar else None
        with twin_of(conf, self.place.redirected, shared) as twin:
            return self._tested(twin.conf, twin, from_disk)

    def test_running(self) -> Tested:
        """Runs `nginx -t` on the running config, by the binary on disk; raises as `test`."""
        return self.test(self.place.conf)

    def dump(self, conf: str | None = None) -> bytes:
        """Returns what `nginx -T` prints for `conf` (None:
        the instance's own): every file it reads.

        Raises ValueError with nginx's words when the config is not valid, else as `test`. It has
        everything but the contents of keys: treat it as secret.
        """
        path = conf or self.place.conf
        arguments = ["-T", "-q", *self.place.arguments(path)]
        needs = self._needs(path, self.place.redirected)
        commands = [[self.binary(), *arguments]]
        outcome = self.sandbox().run(commands, needs=needs, output_bytes=_DUMP_BYTES)
        ran = outcome.results[0]
        if ran.code != 0:
            raise ValueError("; ".join(tested.understood(ran).problems))
        return ran.printed.encode("latin-1")

    def isolation(self) -> Outcome:
        """Runs `nginx -v` in the sandbox and returns how a test would be confined."""
        return self.sandbox().run([[self.binary(), "-v"]])

    def signal(self, name: SignalName) -> None:
        """Signals the master; raises RightMissingError, or ProcessLookupError if it is gone."""
        process = self.master()
        if process is None:
            raise ProcessLookupError(f"no nginx master runs with {self.place.conf}")
        pidfd.send(process, name, self.procfs)

    def signal_to(self, process: Process, name: SignalName) -> None:
        """Signals one of its processes, by identity; raises as `signal`."""
        pidfd.send(process, name, self.procfs)

    def is_alive(self, process: Process) -> bool:
        """Reports whether this very process runs, not another one of its pid."""
        return self.procfs.is_same(process)

    def may_signal(self) -> bool:
        """Reports whether we may signal the master; sends nothing. False while there is none."""
        seen = self._master()
        return seen is not None and pidfd.is_permitted(seen.process, self.procfs)

    def start(self) -> None:
        """Starts nginx, daemonised, or its unit; returns once it reports that it is up.

        Raises RightMissingError for a sidecar or without the right, NotStartedError with nginx's
        words when it refuses.
        """
        if self.place.is_sidecar:
            raise RightMissingError(
                "nginx does not run, and the node may not start it; start it in its container, or "
                "with the program that starts it here"
            )
        if self.place.unit is not None:
            systemctl = shutil.which("systemctl") or "/usr/bin/systemctl"
            running.started([systemctl, "start", "--", self.place.unit], self.place.unit)
            return
        self._make_room()
        command = [self.place.binary, *self.place.arguments(self.place.conf)]
        running.started(running.narrowed(command), self.place.binary)

    def _make_room(self) -> None:
        """Removes what a killed nginx left, which would keep the next one from its sockets."""
        folders = [Path(one) for one in self.place.redirected]
        if self.place.error_log is not None:
            dismiss(orphans(self.place.error_log, self.procfs), self.procfs)
        remove_stale_sockets(folders)
        # A worker's title says that it shuts down before it closes its listeners.
        deadline = time.monotonic() + _ROOM_S
        while has_listener(folders) and time.monotonic() < deadline:
            time.sleep(_LOOK_S)
            remove_stale_sockets(folders)

    def stop(self, deadline_s: float = STOP_S) -> bool:
        """Ends nginx by QUIT, after `deadline_s` by TERM; returns whether QUIT was enough.

        Raises RightMissingError, or TimeoutError when it does not end. True when none runs.
        """
        process = self.master()
        return process is None or running.stopped(process, self.procfs, deadline_s)

    def holder(self, address: str) -> str | None:
        """Returns who, other than this nginx, holds a listening address,
        as `name (pid 1)`; from /proc.

        Raises ValueError for text that is not an address. Without root it reports only sockets of
        other users than the master's, by their uid.
        """
        seen = self._master()
        own = self._own_pids(seen) if seen else frozenset[int]()
        return sockets.holder(self.procfs, address, seen.pid if seen else None, own.__contains__)

    def kept_from_workers(self, path: str) -> str | None:
        """Returns what keeps the workers' user from reading this file, by owners and mode bits: the
        path of a folder on the way, or of the file; None if nothing does.

        The user is that of a running worker, else `Place.user`, else the master's or ours.
        """
        seen = self._master()
        root = self.root(seen.pid) if seen else Path("/")
        who = self._workers_rights(seen)
        return path if who is None else access.kept_by(root, path, who)

    def may_load(self, value: str) -> bool:
        """Reports whether the argument of a `load_module` is a file found beside the binary.

        Call it before a test, which runs the code in such a file. Raises as `test`.
        """
        return AllowList.of(self.root(), self.build(), self.place.prefix).permits(value)

    def root(self, pid: int | None = None) -> Path:
        """Returns the root of the instance's paths as a path of ours; `/` when it is ours."""
        found = self._root_pid(pid if pid is not None else self._master_pid())
        return Path("/") if found is None else self.procfs.root(found)

    def binary(self) -> str:
        """Returns its binary's absolute path in its own root:
        what the master runs, else the place's.
        """
        pid = self._master_pid()
        if pid is not None:
            try:
                return str(self.procfs.executable(pid).readlink()).removesuffix(_DELETED)
            except OSError:
                pass  # another user's: not readable for us
        return self.place.binary

    def binary_digest(self) -> str:
        """Returns the sha256 (hex) of the binary on disk; raises OSError when it is unreadable."""
        return _digest(self.root() / self.binary().lstrip("/"))

    def running_digest(self) -> str | None:
        """Returns the sha256 (hex) of what the master runs,
        even if replaced on disk; None if hidden.
        """
        pid = self._master_pid()
        if pid is None:
            return None
        try:
            return _digest(self.procfs.executable(pid))
        except OSError:
            return None

    def build(self) -> str:
        """Returns what `nginx -V` prints; raises as `test`."""
        return self.sandbox().run([[self.binary(), "-V"]]).results[0].said

    def _master(self) -> Seen | None:
        return find.master(self.place, self.procfs, self._default_conf)

    def _master_pid(self) -> int | None:
        seen = self._master()
        return None if seen is None else seen.pid

    def _default_conf(self, seen: Seen) -> str | None:
        """Returns the config built into the master's binary; None when we may not run it."""
        root_pid = self._root_pid(seen.pid)
        try:
            binary = str(self.procfs.executable(seen.pid).readlink()).removesuffix(_DELETED)
        except OSError:
            binary = self.place.binary
        return _built_in_conf(Sandbox(root_pid, self.procfs.path), binary, seen.started)

    def _root_pid(self, pid: int | None) -> int | None:
        """Returns the process whose root leads to the instance; None when that is ours."""
        if pid is None:
            return None
        unseen = pid if self.place.is_sidecar else None
        try:
            theirs = self.procfs.root(pid).stat()
            ours = self.procfs.root(os.getpid()).stat()
            mounts = [
                (self.procfs.path / str(one) / "ns/mnt").stat().st_ino for one in (pid, os.getpid())
            ]
        except OSError:
            return unseen
        is_same = (theirs.st_dev, theirs.st_ino) == (ours.st_dev, ours.st_ino)
        return None if is_same and mounts[0] == mounts[1] else pid

    def sandbox(self) -> Sandbox:
        """Returns where its binary runs; raises ProcessLookupError
        for a sidecar without a master.
        """
        pid = self._master_pid()
        if pid is None and self.place.is_sidecar:
            raise ProcessLookupError("no nginx master runs, so its binary cannot be reached")
        return Sandbox(self._root_pid(pid), self.procfs.path)

    def _needs(self, conf: str, own: tuple[str, ...]) -> Needs:
        """Returns what a test of this config needs; `own` as `Place.redirected`."""
        build = "" if own else self.build()
        needs = needs_of(conf, self.place.prefix, build, own, self.root())
        named = (self.place.error_log,) if self.place.error_log and not own else ()
        return Needs((*needs.writes, *named), needs.names)

    def _tested(self, conf: str, twin: Twin | None, from_disk: bool) -> Tested:
        arguments = ["-t", *self.place.arguments(conf)]
        own = self.place.redirected
        if twin is not None:
            arguments = [twin.moved(part) for part in arguments]
            own = tuple(twin.moved(f"{one}/").rstrip("/") for one in own)
        needs = self._needs(conf, own)
        if from_disk:
            needs = Needs(needs.writes)
        outcome = self.sandbox().run([[self.binary(), *arguments]], needs=needs)
        ran = outcome.results[0]
        if twin is not None:
            ran = Ran(ran.code, twin.original(ran.said), ran.printed, ran.timed_out)
        is_root = os.geteuid() == 0
        found = tested.understood(ran, may_bind=is_root)
        if not outcome.why or not is_root:
            return found
        note = f"tested with less isolation: {outcome.why}"
        return Tested(found.ok, found.problems, (*found.warnings, note))

    def _needs_twin(self) -> bool:
        """Reports whether a master of another user owns what our test would have to write."""
        pid = self._master_pid()
        rights = self.procfs.rights(pid) if pid is not None else None
        uid = os.geteuid()
        return bool(self.place.redirected) and uid != 0 and rights is not None and rights.uid != uid

    def _own_pids(self, seen: Seen) -> frozenset[int]:
        other = find.other_master(seen, self.place, self.procfs)
        masters = [seen.pid] + ([other.pid] if other else [])
        children = [child.pid for pid in masters for child in self.procfs.children(pid)]
        return frozenset([*masters, *children])

    def _workers_rights(self, seen: Seen | None) -> Rights | None:
        if seen is not None:
            workers = (one.pid for one in self.procfs.children(seen.pid) if one.is_worker)
            found = [rights for pid in workers if (rights := self.procfs.rights(pid)) is not None]
            if found:
                # A new fork still has its master's.
                return max(found, key=lambda rights: rights.uid != 0)
        if self.place.user is not None:
            return rights_of(self.place.user, self.root(seen.pid if seen else None))
        return self.procfs.rights(seen.pid if seen else os.getpid())


@lru_cache(maxsize=32)
def _built_in_conf(sandbox: Sandbox, binary: str, started: int) -> str | None:
    """Returns the `--conf-path` of a binary; `started` tells a reused pid apart."""
    try:
        said = sandbox.run([[binary, "-V"]]).results[0].said
    except (OSError, RightMissingError):
        return None
    found = _CONF_PATH.search(said)
    return found[1] if found else None


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
