"""Keeps `instance.json`: how to reach the nginx of a folder, so
that commands work without the node.
"""

from collections.abc import Callable
from pathlib import Path

import msgspec

from headgate.engines.nginx.apply.applier import Applier, Settings
from headgate.engines.nginx.apply.checks import Checks, Limits
from headgate.engines.nginx.apply.results import PhaseChanged
from headgate.engines.nginx.instance import NginxInstance, Place
from headgate.engines.nginx.releases.store import Store
from headgate.kernel.files import replace_file

INSTANCE = "instance.json"
_MODE = 0o644


class Here(msgspec.Struct, frozen=True):
    """An instance by its place, its apply settings, and the workers' group (`Store`).

    `starts_it`: the node starts this nginx itself; systemd and others do not.
    """

    place: Place
    settings: Settings
    group: int | None = None
    starts_it: bool = True

    def applier(
        self, root: Path, report: Callable[[PhaseChanged], None] = lambda _: None
    ) -> Applier:
        """Returns an applier of this instance with its releases below `root`;
        `report` receives the steps.
        """
        instance, settings = NginxInstance(self.place), self.settings
        checks = Checks(instance, settings.limits, entry=settings.entry, permits=instance.may_load)
        store = Store(root, group=self.group)
        return Applier(store, instance, settings, report=report, checks=checks)


class NotHereError(Exception):
    """No node has driven an nginx with this folder, or what it left cannot be read."""


def remember(root: Path, here: Here) -> None:
    """Stores how to reach the instance; the node does so when it starts. Raises OSError."""
    content = msgspec.json.format(msgspec.json.encode(here, enc_hook=_encode))
    replace_file(root / INSTANCE, content, _MODE)


def recall(root: Path) -> Here:
    """Returns what `remember` wrote last; raises NotHereError."""
    path = root / INSTANCE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Here, dec_hook=_decode)
    except FileNotFoundError:
        raise NotHereError(f"no nginx is driven from {root}") from None
    except (OSError, ValueError) as error:
        raise NotHereError(f"{path} cannot be read: {error}") from error


def full_mode(root: Path, binary: str, user: str | None) -> Here:
    """Returns the place in full mode: everything is below `root`."""
    error_log = f"{root}/logs/error.log"
    place = Place(
        conf=f"{root}/current/nginx.conf",
        prefix=f"{root}/current/",
        pid_path=f"{root}/run/nginx.pid",
        error_log=error_log,
        binary=binary,
        user=user,
        redirected=(f"{root}/run", f"{root}/logs"),
    )
    limits = Limits(folders=(root / "run", root / "logs"))
    settings = Settings(error_log=error_log, status_socket=f"{root}/run/status.sock", limits=limits)
    return Here(place, settings)


def _encode(value: object) -> str:
    if isinstance(value, Path):
        return str(value)
    raise NotImplementedError(type(value).__name__)


def _decode(kind: type, value: object) -> Path:
    """Returns a path: the one kind of field that msgspec does not know itself."""
    if isinstance(value, str):
        return Path(value)
    # msgspec wraps this error in its own, with the place.
    raise TypeError(f"{value!r} is not a {kind.__name__}")
