"""Runs the tasks of the control process, for the supervisor, the files and the data plane."""

import asyncio
import signal
import sys
from collections.abc import Coroutine, Sequence
from typing import Final

import structlog

from headgate.kernel.diagnostics import Diagnostic, Severity, render_text
from headgate.node import logs
from headgate.node.admin.app import admin_app, metrics_app
from headgate.node.key_sets.about import KeySetStatus
from headgate.node.link import About, LinkError
from headgate.node.ports import MasterRefusesError, MasterSide
from headgate.node.remote.link import RemoteLink
from headgate.node.report import about_supervisor
from headgate.node.results import Outcome, ReloadResult
from headgate.node.state import Node
from headgate.node.systemd import Systemd

EXIT_CONFIG = 78
_GRACE_S = 2.0
_MOST_TOLD: Final = 50
"""The most diagnostics that events tell of one run."""

_log = structlog.get_logger()


class ControlProcess:
    """Runs a node's tasks from its start to its end; once."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._tasks: set[asyncio.Task[None]] = set()
        self._said_ready = False
        self._was_linked = False
        self._systemd: Systemd | None = None
        """Notifies systemd where no supervisor of this host does."""

    async def run(self) -> int:
        """Runs until told to leave; returns the exit code."""
        node = self._node
        about = await node.link.hello()
        node.serving.begin(about)
        node.was_serving = about.config_was_applied or bool(about.listening)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, node.leave, 0)
        if node.remote is not None:
            self._watch_link(node.remote)
        # While the link is down nothing is served from here; what was open before says so.
        restore = node.was_serving or node.remote is not None
        node.servers.start(admin_app(node), metrics_app(node), restore=restore)
        node.pipeline.on_result = self._report
        node.pipeline.on_loaded = lambda found: node.key_sets.first(
            found.key_sets, found.key_set_contents
        )
        node.key_sets.on_new = lambda: node.pipeline.reload("key set")
        node.key_sets.on_failed = self._lacks_keys
        node.linter.on_found = self._warn
        node.serving.on_event = self._happened
        node.serving.on_wanted = lambda: node.pipeline.reload("another try")
        self._spawn(node.pipeline.run())
        self._spawn(node.linter.run())
        self._spawn(self._follow_supervisor())
        self._spawn(self._begin())
        code = await node.end
        await self._close()
        return code

    async def _begin(self) -> None:
        """Begins with the first run, which decides whether to continue."""
        node = self._node
        if node.remote is not None and not await self._linked_up(node.remote):
            return
        follows = await self._warned()
        result = await node.pipeline.reload("start")
        waits = node.remote is not None and result.outcome is Outcome.FAILED
        waits = waits or node.master is not None
        if not result.is_ok and not node.was_serving and not waits:
            sys.stderr.write(render_text(result.diagnostics))
            node.leave(EXIT_CONFIG if result.outcome is Outcome.REFUSED else 1)
            return
        for task in node.serving.tasks():
            self._spawn(task)
        if node.options.watch:
            self._spawn(self._follow_changes())
        if node.master is not None and not follows:
            self._spawn(self._follow_master(node.master))

    async def _linked_up(self, link: RemoteLink) -> bool:
        """Waits for the link; says whether it is up. Where the link's certificates are of the
        fleet, the node enrols before that: it has none until then, and renews it meanwhile."""
        node = self._node
        if node.master is None or not link.is_of_fleet:
            await link.linked()
            return True
        keeping = asyncio.ensure_future(node.master.keep_identity())
        linking = asyncio.ensure_future(link.linked())
        try:
            await asyncio.wait({keeping, linking}, return_when=asyncio.FIRST_COMPLETED)
            if linking.done():
                return True
            keeping.result()
        except MasterRefusesError as error:
            sys.stderr.write(f"headgate: {error}\n")
            node.leave(EXIT_CONFIG)
        finally:
            for task in (keeping, linking):
                task.cancel()
            await asyncio.gather(keeping, linking, return_exceptions=True)
        return False

    async def _warned(self) -> bool:
        """Says whether the master is followed already: a process that fails at each start tells it
        so before it does what may end it again."""
        master = self._node.master
        if master is None or not master.fails_to_start:
            return False
        self._spawn(self._follow_master(master))
        await master.said_failing()
        return True

    # Input from outside.

    async def _follow_supervisor(self) -> None:
        node = self._node
        async for event, plane in node.link.events():
            if event == "dataplane" and plane is not None:
                node.serving.announced(plane)
                message = f"data plane {plane.generation} serves"
                node.events.add("info", "dataplane.ready", message, pid=plane.pid)
                node.pipeline.resync()
            elif event == "dataplane_lost" and plane is not None:
                node.serving.ended(plane)
                message = f"data plane {plane.generation} ended; until another one is ready nothing"
                node.events.add("error", "dataplane.lost", f"{message} serves", pid=plane.pid)
            elif event == "dataplane_hung":
                why = "a data plane did not answer three probes in a row and was killed"
                node.events.add("error", "dataplane.hung", why)
            elif event == "reload":
                self._spawn(self._reload_for_systemd())
            elif event == "draining":
                node.is_draining = True
                node.events.add("info", "node.draining", "the node is leaving")
        node.leave(0)  # without the supervisor we end, too

    def _watch_link(self, link: RemoteLink) -> None:
        """Takes over what is known there whenever the link comes up; the config follows."""
        systemd = self._systemd = Systemd(link.about().address)
        systemd.waits()
        self._spawn(systemd.beat())
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, lambda: self._spawn(self._reload_alone(systemd)))
        link.on_linked = self._linked
        link.on_lost = self._lost

    def _linked(self, about: About) -> None:
        node = self._node
        is_first = not self._was_linked
        self._was_linked, self._said_ready = True, False
        node.is_draining = about.phase != "running"
        node.was_serving = bool(about.listening) or (node.was_serving and not is_first)
        node.serving.begin(about)
        node.events.add("info", "link.up", "the control link is up")
        if not is_first:
            # Not only what was served: what changed meanwhile could not be, either.
            node.pipeline.reload("link")

    async def _reload_alone(self, systemd: Systemd) -> None:
        systemd.reloading()
        systemd.reloaded(await self._node.pipeline.reload("SIGHUP"))

    def _lost(self, why: str) -> None:
        if self._systemd is not None:
            self._systemd.waits(why)
        self._node.serving.lost()
        self._node.events.add("error", "link.down", why)

    async def _follow_master(self, master: MasterSide) -> None:
        try:
            await master.run()
        except MasterRefusesError as error:
            node = self._node
            if node.pipeline.served is None and not node.was_serving:
                name = node.options.instance
                of = f'instance "{name}": ' if name else ""
                sys.stderr.write(f"headgate: {of}{error}\n")
                node.leave(EXIT_CONFIG)

    async def _reload_for_systemd(self) -> None:
        await self._node.link.reloading()
        result = await self._node.pipeline.reload("SIGHUP")
        await self._node.link.reloaded(f"last reload: {result.outcome}")

    async def _follow_changes(self) -> None:
        async for _ in self._node.source.changes():
            await self._node.pipeline.reload("file changed")

    # Output.

    def _happened(self, level: str, kind: str, message: str, fields: dict[str, str]) -> None:
        """Reports what happened in the engine."""
        level = level if level in logs.LEVELS else "info"
        _log.log(logs.LEVELS[level], kind, message=message, source="engine", **fields)
        self._node.events.add(level, kind, message, **fields)
        if kind == "jwt.unknown_key":
            self._node.key_sets.hasten()

    def _report(self, result: ReloadResult) -> None:
        if result.is_ok and not self._said_ready:
            # Not always the run at the start: an earlier config may serve without it.
            self._said_ready = True
            self._spawn(self._node.link.control_ready())
            if self._systemd is not None:
                self._systemd.ready()
        # Print why a first config is refused, for whoever started us.
        is_first = self._node.pipeline.served is None and not self._node.was_serving
        for one in () if is_first and not result.is_ok else result.diagnostics:
            write = _log.warning if one.severity is Severity.WARNING else _log.error
            write("config.diagnostic", diagnostic=str(one))
        name = f"config.{result.outcome}"
        fields = {"reason": result.reason, "digest": result.digest[:12]}
        if result.is_ok:
            took = {"load_ms": result.load_ms, "apply_ms": result.apply_ms}
            listening = sorted(self._node.serving.listening)
            _log.info(name, **fields, objects=result.objects, listening=listening, **took)
        else:
            _log.error(name, **fields, error=result.error or "see the diagnostics")
        if self._node.master is not None:
            self._node.master.happened(result)
        if (served := self._node.pipeline.served) is not None:
            self._node.linter.look_at(served)
            self._node.key_sets.follow(served.key_sets, served.key_set_contents)
        self._node.events.add(
            "info" if result.is_ok else "error",
            name,
            result.error or f"{result.outcome} ({result.reason})",
            digest=result.digest,
            diagnostics=_told(result.diagnostics),
        )

    def _lacks_keys(self, one: KeySetStatus) -> None:
        message = f"{one.url}: {one.error}"
        self._node.events.add("warn", "key_set.failed", message, state=one.state)

    def _warn(self, found: tuple[Diagnostic, ...]) -> None:
        for one in found:
            _log.warning("config.diagnostic", diagnostic=str(one))
        for text in _told(found):
            self._node.events.add("warn", "config.warning", text)

    # Start and end.

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        if isinstance(error, LinkError) and self._node.remote is not None:
            return  # it comes back
        if not isinstance(error, LinkError):  # the end of the supervisor's events says the same
            _log.error("control.failed", exc_info=error)
        self._node.leave(1)

    async def _close(self) -> None:
        if self._systemd is not None:
            self._systemd.leaves()
        about = await about_supervisor(self._node)
        ends = about is not None and about.phase != "running"
        await self._node.servers.close()
        self._node.key_sets.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_GRACE_S)
        await self._node.serving.close(ends=ends)
        await self._node.link.close()


def _told(found: Sequence[Diagnostic]) -> list[str]:
    told = [str(one) for one in found[:_MOST_TOLD]]
    if len(found) > _MOST_TOLD:
        told.append(f"and {len(found) - _MOST_TOLD} more; `headgate status` has them all")
    return told
