"""Types for the status of a driven or watched nginx: admin API, `headgate status` and `top`."""

import msgspec

from headgate.engines.types import UpstreamStatus


class LastApply(msgspec.Struct, frozen=True):
    """The result of the last apply; `at` is Unix seconds, the rest are seconds as in `Applied`."""

    at: float
    ok: bool
    generation: int
    text: str = ""
    reload_s: float = 0.0
    verified_s: float = 0.0


class CertificateStatus(msgspec.Struct, frozen=True):
    """A certificate that a watched nginx names; `not_after` is Unix seconds, 0 = not known.
    `issuer` is a common name, `sha256` the hash of the certificate in hex; empty = not known.

    `problems` are findings about it, such as `expires_soon: it expires in 9 days`.
    """

    path: str
    names: tuple[str, ...]
    not_after: float
    problems: tuple[str, ...] = ()
    issuer: str = ""
    sha256: str = ""


class NginxStatus(msgspec.Struct, frozen=True):
    """One nginx. Generations are None where there is none or it does not answer;
    `desired` is the last proven one.

    `state` is the state of drift, `warning` says what keeps it from being safe: no guard before
    boot, an nginx.conf that does not include us any more, an alarm of drift. `boot_safe` is None in
    mode observe, which applies nothing. `hold` is empty without one. `restarts` counts foreign
    restarts since the control process began, `upstreams` are those of the plan or of the watched
    config; `certificates` are known in mode observe. `endpoint_updates` are changes of endpoints
    without a reload, `endpoint_error` says why the last one took a reload. `waits_s`: in how many
    seconds a waiting change is applied, 0 where none waits.
    """

    root: str
    mode: str
    version: str
    pid: int | None
    workers: int
    draining: int
    desired: int | None
    on_disk: int | None
    running: int | None
    state: str
    boot_safe: bool | None
    degraded: bool
    start: str = "own"
    conf: str = ""
    hold: str = ""
    warning: str = ""
    last_apply: LastApply | None = None
    applied: int = 0
    rejected: int = 0
    restarts: int = 0
    endpoint_updates: int = 0
    endpoint_error: str = ""
    upstreams: list[UpstreamStatus] = []
    certificates: tuple[CertificateStatus, ...] = ()
    waits_s: float = 0.0
