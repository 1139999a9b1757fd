"""Reads the state of a driven nginx from its folder and its processes; changes nothing.

Needs no running node: it reads files, /proc and the status socket.
"""

import time
from pathlib import Path
from typing import Literal

import msgspec

from headgate.engines.nginx.apply.bootsafe import DiskTests, boot_safe, with_disk
from headgate.engines.nginx.apply.here import Here, recall
from headgate.engines.nginx.apply.hold import BadHoldError, Hold, read_hold
from headgate.engines.nginx.apply.journal import JOURNAL, Journal, Record
from headgate.engines.nginx.apply.statussocket import ask
from headgate.engines.nginx.common.types import Process, RightMissingError
from headgate.engines.nginx.drift import Finding, Looks, Running, compared, release_desired
from headgate.engines.nginx.instance import NginxInstance, SeveralMastersError
from headgate.engines.nginx.observe.processes import ProcessFigures, figures
from headgate.engines.nginx.releases.names import LINKS, ReleaseName
from headgate.engines.nginx.releases.objects import DamagedObjectError
from headgate.engines.nginx.releases.store import Store, UnknownReleaseError
from headgate.engines.status import EngineStatus

_ASKS = 8
"""Connections to the status socket; each may meet another worker."""


class ManagedWorker(msgspec.Struct, frozen=True):
    """A worker process."""

    pid: int
    draining: bool
    age_s: float
    resident_bytes: int


class LastApply(msgspec.Struct, frozen=True):
    """The newest apply in the journal.

    `ended`: `served`, `refused` (before a change of anything that nginx reads), `undone`, or `open`
    (under way, or interrupted); `step` is the last one taken, `at` seconds since the epoch.
    """

    generation: int
    ended: Literal["served", "refused", "undone", "open"]
    step: str
    at: float
    release: str = ""
    went_back_to: str = ""


class Managed(msgspec.Struct, frozen=True):
    """The whole state. Generations are None where there is none or no answer.

    `desired` is that of `known_good`, the last one verified, `on_disk` that of `current`, `running`
    those that workers answered with. `drift` are states of `drift.State`, none where there is no
    release. `problems` are what it could not look at. `node` is the running node's own word, None
    where none runs.
    """

    root: str
    binary: str
    master: int | None
    is_upgrading: bool
    workers: tuple[ManagedWorker, ...]
    links: dict[str, str]
    releases: tuple[str, ...]
    desired: int | None
    on_disk: int | None
    running: tuple[int, ...]
    drift: tuple[str, ...]
    edits: tuple[str, ...]
    hold: Hold | None
    is_boot_safe: bool
    boot_safe_why: str
    last_apply: LastApply | None
    problems: tuple[str, ...]
    node: EngineStatus | None = None


def managed(root: Path) -> Managed:
    """Returns the state of the nginx with this folder (`STATE_DIR/nginx`).

    Raises NotHereError when no node has driven an nginx from there.
    """
    here = recall(root)
    problems: list[str] = []
    instance = NginxInstance(here.place)
    master, workers, is_upgrading = _processes(instance, problems)
    store = Store(root)
    current, good = store.linked("current"), store.linked("known_good")
    last = last_apply(Journal(root / JOURNAL).records())
    running = _running(here) if master is not None else ()
    if master is None:
        problems.append("no nginx master runs")
    elif not running:
        problems.append("no worker answers on the status socket")
    finding = _finding(store, current, running, problems)
    starts_it = here.starts_it and here.place.unit is None and not here.place.is_sidecar
    proven = None if good is None else str(good)
    tests = DiskTests(instance)
    safe = with_disk(
        boot_safe(root, master, here.place.unit, we_start_it=starts_it),
        lambda: tests.problem(proven, here.place.conf),
    )
    return Managed(
        root=str(root),
        binary=here.place.binary,
        master=None if master is None else master.pid,
        is_upgrading=is_upgrading,
        workers=tuple(
            ManagedWorker(
                one.process.pid,
                one.process.shutting_down,
                round(one.age_s, 1),
                one.resident_bytes,
            )
            for one in workers
        ),
        links={link: str(name) for link in LINKS if (name := store.linked(link)) is not None},
        releases=tuple(str(name) for name in store.names()),
        desired=None if good is None else good.generation,
        on_disk=None if current is None else current.generation,
        running=running,
        drift=tuple(str(state) for state in finding.states) if finding is not None else (),
        edits=tuple(f"{one.path}: {one.how}" for one in finding.edits) if finding else (),
        hold=_hold(root, problems),
        is_boot_safe=safe.is_safe,
        boot_safe_why=safe.why,
        last_apply=last,
        problems=tuple(problems),
    )


def last_apply(records: tuple[Record, ...]) -> LastApply | None:
    """Returns how the newest apply of a journal ended; None without any."""
    if not records:
        return None
    own = [record for record in records if record.apply == records[-1].apply]
    end = own[-1]
    release = next((one.release for one in reversed(own) if one.release is not None), None)
    steps = [one.step for one in own if one.step != "done"]
    ended: Literal["served", "refused", "undone", "open"] = "open"
    if end.step == "done":
        if "swap" not in steps and "commit" not in steps and len(steps) > 0:
            ended = "refused"
        else:
            ended = "served" if release is None or end.target == release else "undone"
    return LastApply(
        generation=end.apply,
        ended=ended,
        step=steps[-1] if steps else end.step,
        at=end.at,
        release="" if release is None else str(release),
        went_back_to=str(end.target) if ended == "undone" and end.target is not None else "",
    )


def _processes(
    instance: NginxInstance, problems: list[str]
) -> tuple[Process | None, tuple[ProcessFigures, ...], bool]:
    try:
        master = instance.master()
        workers = figures(None, instance.workers()).workers
        return master, workers, instance.is_upgrading()
    except (SeveralMastersError, RightMissingError) as error:
        problems.append(str(error))
        return None, (), False


def _running(here: Here) -> tuple[int, ...]:
    answers = (ask(here.settings.status_socket) for _ in range(_ASKS))
    return tuple(sorted({answer.generation for answer in answers if answer is not None}))


def _finding(
    store: Store, current: ReleaseName | None, running: tuple[int, ...], problems: list[str]
) -> Finding | None:
    """Returns how disk and workers differ from the release that is current."""
    if current is None:
        return None
    try:
        desired = release_desired(store, current)
    except (UnknownReleaseError, DamagedObjectError) as error:
        problems.append(str(error))
        return None
    # Of several answers the one that is not the current generation's says most.
    strange = [one for one in running if one != current.generation]
    answered = strange[0] if strange else next(iter(running), None)
    return compared(desired, Looks().look(desired), Running(answered))


def _hold(root: Path, problems: list[str]) -> Hold | None:
    try:
        return read_hold(root, time.time())
    except BadHoldError as error:
        problems.append(str(error))
        return None
