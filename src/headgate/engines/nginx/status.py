"""How a driven nginx is, for the admin API and `headgate nginx status`."""

import msgspec


class LastApply(msgspec.Struct, frozen=True):
    """How the last apply ended; `at` is Unix seconds, the others are seconds as in `Applied`."""

    at: float
    ok: bool
    generation: int
    text: str = ""
    reload_s: float = 0.0
    verified_s: float = 0.0


class NginxStatus(msgspec.Struct, frozen=True):
    """One nginx. Generations are None where there is none or it does not answer.

    `state` is the state of drift, `warning` says what keeps it from being safe: no guard before
    boot, a degraded instance, a missing right. `hold` is empty without one.
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
    known_good: int | None
    state: str
    boot_safe: bool
    degraded: bool
    hold: str = ""
    warning: str = ""
    last_apply: LastApply | None = None
    applied: int = 0
    rejected: int = 0
