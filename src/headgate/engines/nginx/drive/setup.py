"""Turns the settings of a node into the parts that drive its nginx:
where it is, how to reach it.
"""

import os
import pwd
import shutil
import ssl
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import msgspec

from headgate.compile.settings import NginxSettings
from headgate.engines.nginx.apply.checks import Limits
from headgate.engines.nginx.apply.evidence import Probe
from headgate.engines.nginx.apply.here import Here, full_mode
from headgate.engines.nginx.apply.schedule import Pace
from headgate.engines.nginx.drive.guest import check_include, host
from headgate.engines.nginx.drive.unable import NoBinaryError, WrongConfError
from headgate.engines.nginx.instance import Place

DEFAULT_UNIT: Final = "nginx.service"
_USUAL: Final = ("/usr/sbin/nginx", "/usr/local/sbin/nginx", "/usr/local/nginx/sbin/nginx")
_ROOTS: Final = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")
_OTHERS_PASS: Final = 0o001
_WORKERS: Final = ("www-data", "nginx", "nobody")


@dataclass(frozen=True, slots=True)
class Setup:
    """A driven nginx: its place, the user of its workers, and the pace of applies."""

    here: Here
    user: str | None
    pace: Pace
    starts: bool

    @property
    def error_log(self) -> str:
        """The error log's path, as we see it."""
        return self.here.settings.error_log


def setup(root: Path, settings: NginxSettings) -> Setup:
    """Returns how to reach the nginx of these settings; its files are below `root`.

    Makes the folders that nginx writes in. Raises CannotDriveError, OSError.
    """
    here, user = _found_here(root, settings)
    limits = Limits(settings.max_draining, here.settings.limits.folders)
    applied = replace(here.settings, limits=limits, soak_s=settings.soak_s)
    make_folders(root, user)
    pace = Pace(
        debounce_s=settings.debounce_s,
        endpoints_debounce_s=max(settings.debounce_s, 1.0),
        per_minute=settings.reloads_per_minute,
    )
    group = pwd.getpwnam(user).pw_gid if user is not None else None
    starts = settings.start == "own"
    return Setup(Here(here.place, applied, group, starts), user, pace, starts)


def place_of(root: Path, settings: NginxSettings) -> Place:
    """Returns where the nginx of these settings is, and makes nothing; raises as `setup`."""
    return _found_here(root, settings)[0].place


def _found_here(root: Path, settings: NginxSettings) -> tuple[Here, str | None]:
    """Returns the instance, and the user of its workers."""
    here, user = _guest(root, settings) if settings.mode == "guest" else _full(root, settings)
    place = here.place
    if settings.start == "systemd":
        place = replace(place, unit=DEFAULT_UNIT)
    elif settings.start == "external":
        place = replace(place, is_sidecar=True)
    if settings.pid is not None:
        place = replace(place, pid_path=settings.pid)
    return msgspec.structs.replace(here, place=place), user


def _full(root: Path, settings: NginxSettings) -> tuple[Here, str | None]:
    """Returns the instance in full mode, where everything is ours, and the user of the workers."""
    user = (settings.user or _workers_user()) if os.geteuid() == 0 else None
    # For another container's nginx its master's binary serves: none is needed here.
    binary = settings.binary or _found(is_needed=settings.start != "external")
    return full_mode(root, binary, user), user


def _guest(root: Path, settings: NginxSettings) -> tuple[Here, str | None]:
    """Returns the instance in guest mode: releases are ours, the foreign config says the rest."""
    found = host(settings.conf, settings.pid, settings.binary or _found(is_needed=False))
    check_include(found.conf, root)
    binary = settings.binary or found.binary or _found()
    named = settings.user or found.user or "nobody"
    user = named if os.geteuid() == 0 else None
    if user is not None and not _is_user(user):
        raise WrongConfError(f'the user of its workers, "{user}", is unknown here')
    here = full_mode(root, binary, user)
    place = Place(
        conf=found.conf,
        prefix=found.prefix,
        pid_path=found.pid_path,
        error_log=found.dash_e,
        binary=binary,
        user=user,
    )
    applied = replace(here.settings, error_log=found.error_log, entry=found.conf)
    return Here(place, applied), user


def probes(settings: NginxSettings) -> tuple[Probe, ...]:
    """Returns the user's own probes."""
    return tuple(
        Probe(one.address, one.host, one.path, one.status, one.tls) for one in settings.probes
    )


def system_roots() -> str | None:
    """Returns the system's bundle of roots, as OpenSSL was built to find it or
    where systems keep it.
    """
    built_in = ssl.get_default_verify_paths().openssl_cafile
    return next((one for one in (built_in, *_ROOTS) if Path(one).is_file()), None)


def _found(*, is_needed: bool = True) -> str:
    found = shutil.which("nginx") or next((one for one in _USUAL if Path(one).is_file()), None)
    if found is None and not is_needed:
        return _USUAL[0]
    if found is None:
        raise NoBinaryError(
            f"there is no nginx in PATH, nor {', '.join(_USUAL)}; install it, or name it in "
            "`node.nginx.binary`"
        )
    return found


def _workers_user() -> str:
    """Returns the user that this system's packages run workers as."""
    return next((name for name in _WORKERS if _is_user(name)), "nobody")


def _is_user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def make_folders(root: Path, user: str | None) -> None:
    """Makes the folders that nginx writes in;
    workers reach the status socket and files of users, and can reopen their logs.

    It replaces folders that somebody removed. Raises OSError.
    """
    for name in ("run", "logs"):
        (root / name).mkdir(mode=0o750, parents=True, exist_ok=True)
    # nginx makes them itself, but a missing log proves nothing about the first start.
    for log in ("error.log", "access.log"):
        if not (root / "logs" / log).exists():  # a root master's are not ours to touch
            (root / "logs" / log).touch(mode=0o640)
    if user is None:
        return
    group = pwd.getpwnam(user).pw_gid
    for path in (root, root / "run", root / "logs"):
        _let_pass(path, group)
    # The state directory is its owner's alone by default: workers pass through, and see nothing.
    if not root.parent.stat().st_mode & _OTHERS_PASS:
        _let_pass(root.parent, group)


def _let_pass(folder: Path, group: int) -> None:
    os.chown(folder, -1, group)
    folder.chmod(folder.stat().st_mode | 0o010)
