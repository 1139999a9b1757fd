"""Defines `Place`: what we must know of an instance before we see any of its processes."""

from dataclasses import dataclass
from pathlib import PurePosixPath


@dataclass(frozen=True, slots=True)
class Place:
    """An instance by its paths, all absolute and as its master sees them.

    `conf` is its `-c`; `prefix` is `-p`, None = the one built in; `error_log` is `-e` (nginx
    1.19.5), None = not given. `binary` counts while no master runs; a running one's own path comes
    first. `pid_path` None = only titles are searched.

    `unit` is its systemd unit, when systemd starts it. `is_sidecar`: it is in another container
    that shares our pid and network namespaces; where we may look, we also notice a different root
    without it. `user` is who its workers run as while none runs: a name or a number, None = as the
    master.

    `redirected` are directories of ours that `conf` names by absolute path and a root master writes
    in (pid file, logs): a test without root moves them to a scratch folder, for a sidecar beside
    the first of them.
    """

    conf: str
    prefix: str | None = None
    pid_path: str | None = None
    error_log: str | None = None
    binary: str = "/usr/sbin/nginx"
    unit: str | None = None
    is_sidecar: bool = False
    user: str | None = None
    redirected: tuple[str, ...] = ()

    def arguments(self, conf: str) -> list[str]:
        """Returns `-c`, `-p` and `-e` for a config of this instance.

        A prefix that is the folder of `conf` (as in full mode, `current/`) moves with it.
        """
        arguments = ["-c", conf]
        if self.prefix is not None:
            own = PurePosixPath(self.prefix) == PurePosixPath(self.conf).parent
            folder = f"{PurePosixPath(conf).parent}/"
            arguments += ["-p", folder if own else self.prefix]
        if self.error_log is not None:
            arguments += ["-e", self.error_log]
        return arguments
