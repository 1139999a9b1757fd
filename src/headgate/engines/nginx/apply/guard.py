"""The boot guard: before nginx starts, `current` becomes the last verified release.

    python -m headgate.engines.nginx.apply.guard --root /var/lib/headgate/default/nginx

Runs as `ExecStartPre=` or in an entrypoint, without the node, and imports only what stands on the
standard library. A host that lost power between SWAP and COMMIT has an unproven release as
`current`; the journal knows the one before. It also goes back where files of `current` are gone.

Exit codes: 0 nginx may start; 1 it may not, or the folder cannot be read; 2 usage.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from headgate.engines.nginx.apply.journal import JOURNAL, Journal, JournalError, Record
from headgate.engines.nginx.apply.replay import Settled, Undoing, Unproven, replay, safe_release
from headgate.engines.nginx.common.stale import remove_stale_sockets
from headgate.engines.nginx.releases.links import is_whole, read_link, set_link
from headgate.engines.nginx.releases.lock import BusyError, locked

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from headgate.engines.nginx.releases.names import ReleaseName

MARK = "guard.json"


@dataclass(frozen=True, slots=True)
class Guarded:
    """The result of the guard: `current` as nginx will start with it, and why it was changed.

    `is_safe` False: nginx has nothing verified to start with.
    """

    current: ReleaseName | None
    was: ReleaseName | None
    why: str
    is_safe: bool


def guard(root: Path) -> Guarded:
    """Replays the journal of the nginx with this folder;
    safe at any time and as often as wanted.

    During an apply (somebody holds the lock) it sets the link alone and leaves the journal to that
    process. On a read-only disk it only looks. Raises OSError when it has to set the link and
    cannot.
    """
    try:
        with guarding(root) as found:
            return found
    except BusyError:
        found = _settle(root)
    _finish(root)
    return found


@contextlib.contextmanager
def guarding(root: Path) -> Iterator[Guarded]:
    """Does what `guard` does and keeps the lock, so
    that no apply begins before nginx has started.

    Raises BusyError during an apply, before it touches anything.
    """
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locked(root))
        except OSError as error:
            if error.errno not in {errno.EROFS, errno.EACCES, errno.EPERM}:
                raise
            found = _settle(root)
        else:
            found = _settle(root)
            _close(root)
        _finish(root)
        yield found


def _finish(root: Path) -> None:
    _make_folders(root)
    remove_stale_sockets([root / "run"])
    _leave_mark(root)


def _make_folders(root: Path) -> None:
    """Makes the folders that nginx cannot start without, for its workers' group."""
    for folder in (root / "run", root / "logs"):
        with contextlib.suppress(OSError):
            folder.mkdir(mode=0o750)
            os.chown(folder, -1, root.stat().st_gid)


def _settle(root: Path) -> Guarded:
    journal = Journal(root / JOURNAL)
    was = read_link(root, "current")
    decision = replay(journal.records())
    wanted = safe_release(decision, was)
    why = "" if isinstance(decision, Settled) else f"the apply of {decision.apply} was interrupted"
    current = wanted
    if wanted is None or not is_whole(root, wanted):
        candidates = [read_link(root, link) for link in ("known_good", "previous")]
        whole = [name for name in candidates if name is not None and is_whole(root, name)]
        why = f"files of {wanted} are missing" if wanted is not None else why or "no release"
        current = whole[0] if whole else wanted
    if current is not None and current != was:
        set_link(root, "current", current)
    is_safe = current is not None and is_whole(root, current)
    return Guarded(current, was, why if current != was or not is_safe else "", is_safe)


def _close(root: Path) -> None:
    """Journals that an unproven release is not used, so that the node has nothing to undo."""
    journal = Journal(root / JOURNAL)
    decision = replay(journal.records())
    if isinstance(decision, Unproven | Undoing):
        target = read_link(root, "current")
        if target == decision.release:
            return
        with contextlib.suppress(JournalError):
            journal.append(
                Record(decision.apply, "done", target=target, at=time.time(), detail="guard")
            )


def _leave_mark(root: Path) -> None:
    """Records that a guard runs before nginx here (`boot_safe`), unless the disk is read-only."""
    fresh = root / f".{MARK}.{os.getpid()}"
    with contextlib.suppress(OSError):
        fresh.write_text(json.dumps({"boot": boot_id(), "at": time.time()}))
        fresh.replace(root / MARK)


def boot_id() -> str:
    """Returns an id that changes with every boot (random(4)); empty where the kernel has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def text_of(found: Guarded) -> str:
    """Returns one line for the log of whatever starts nginx."""
    if not found.is_safe:
        return f"no verified release to start with ({found.why or 'files are missing'})"
    if found.why:
        return f"starts with release {found.current} instead of {found.was}: {found.why}"
    return f"starts with release {found.current}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="headgate nginx guard", description=__doc__)
    parser.add_argument("--root", required=True, type=Path, help="the nginx folder of the node")
    root = parser.parse_args(arguments).root
    if not root.is_dir():
        sys.stderr.write(f"headgate: {root} is not a directory; give the node's nginx folder\n")
        return 1
    try:
        found = guard(root)
    except OSError as error:
        sys.stderr.write(f"headgate: {root}: {error.strerror or error}\n")
        return 1
    sys.stderr.write(f"headgate: {text_of(found)}\n")
    return 0 if found.is_safe else 1


if __name__ == "__main__":
    sys.exit(main())
