"""Keeps `hold.json`: until when, and why, only people change this nginx.

A hold stops heals and applies, works without a master and expires by itself.
"""

import time
from pathlib import Path

import msgspec

from headgate.engines.nginx.releases.links import sync_folder
from headgate.kernel.files import replace_file

HOLD = "hold.json"
_MINUTE_S = 60
_MODE = 0o644


class Hold(msgspec.Struct, frozen=True):
    """A hold; times in seconds since the epoch. `by` is who asked for it."""

    until: float
    reason: str
    since: float
    by: str = ""

    def text(self, now: float) -> str:
        """Returns for people: for how long, why, who.

        >>> Hold(until=160.0, reason="night fix", since=100.0, by="ann").text(100.0)
        'held for 1 min by ann: night fix'
        """
        left = max(self.until - now, 0.0)
        took = f"{left:.0f} s" if left < _MINUTE_S else f"{left / _MINUTE_S:.0f} min"
        by = f" by {self.by}" if self.by else ""
        return f"held for {took}{by}: {self.reason}"


class BadHoldError(Exception):
    """`hold.json` exists and is not valid; a person must release it."""


def read_hold(root: Path, now: float | None = None) -> Hold | None:
    """Returns the hold of the nginx with this folder; None without one, or once it has expired.

    Raises BadHoldError: an unreadable hold is not a permission.
    """
    path = root / HOLD
    try:
        hold = msgspec.json.decode(path.read_bytes(), type=Hold)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise BadHoldError(f"{path} cannot be read ({error}); release the hold to go on") from error
    return hold if hold.until > (time.time() if now is None else now) else None


def set_hold(root: Path, seconds: float, reason: str, by: str = "") -> Hold:
    """Holds from now on, durably; replaces an earlier hold. Raises OSError."""
    now = time.time()
    hold = Hold(until=now + seconds, reason=reason, since=now, by=by)
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    restore_hold(root, hold)
    return hold


def restore_hold(root: Path, hold: Hold) -> None:
    """Stores a hold as it is, durably; replaces another one. Raises OSError."""
    replace_file(root / HOLD, msgspec.json.encode(hold) + b"\n", _MODE)


def release_hold(root: Path) -> bool:
    """Ends a hold and reports whether there was one."""
    try:
        (root / HOLD).unlink()
    except FileNotFoundError:
        return False
    sync_folder(root)
    return True
