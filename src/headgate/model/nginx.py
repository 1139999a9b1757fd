"""`[node.nginx]`: the nginx that a node drives where its engine is nginx."""

from collections.abc import Iterator, Set
from typing import Annotated, Literal

from pydantic import Field, Strict

from headgate.features.base import Checked, Options
from headgate.features.fields import (
    FROM_ENV,
    DurationOrOff,
    DurationText,
    HostName,
    ListenAddress,
    RoutedPath,
)
from headgate.kernel.errors import Invalid
from headgate.kernel.units import Duration

Mode = Literal["full", "guest", "observe"]
DriftPolicy = Literal["report", "heal"]
Start = Literal["own", "systemd", "external"]
Endpoints = Literal["reload", "lua"]


class Probe(Options):
    """A request that a new release must answer before it counts as served."""

    address: ListenAddress = Field(description="A listener's address.")
    host: HostName = Field(description="The Host of the request; over TLS its server name too.")
    path: RoutedPath = Field(default="/", description="The path of the request.")
    tls: Annotated[bool, Strict()] = Field(default=False, description="Whether to speak TLS.")
    status: Annotated[int, Strict(), Field(ge=100, le=599), FROM_ENV] = Field(
        default=200, description="The status that is expected."
    )


class Drift(Options):
    """What becomes of files that somebody else has changed."""

    policy: DriftPolicy | None = Field(
        default=None,
        description="`report` or `heal` (put back what was verified); absent = `heal` in full "
        "mode, else `report`.",
    )
    heal_after: DurationText = Field(
        default=Duration(60_000), description="A difference is left alone this long."
    )


class Nginx(Checked):
    """The nginx that this node drives."""

    binary: str | None = Field(
        default=None,
        description="Its program; absent = the running master's, else `nginx` in PATH.",
    )
    mode: Mode = Field(
        default="full",
        description="`full`: nginx.conf is ours; `guest`: it includes ours; `observe`: nothing is "
        "written.",
    )
    start: Start = Field(
        default="own",
        description="Who starts it: `own` = this node, `systemd`, or `external` (a container "
        "beside us, an init script): then its master is found and signalled.",
    )
    conf: str | None = Field(
        default=None,
        description="Its nginx.conf, absolute, where that is not ours (guest, observe).",
    )
    pid: str | None = Field(
        default=None, description="Its pid file, absolute, where that is not ours."
    )
    user: str | None = Field(
        default=None, description="The workers' user; absent = the binary's own default."
    )
    soak: DurationOrOff = Field(
        default=Duration(0), description="A verified release is watched this long before it counts."
    )
    debounce: DurationText = Field(
        default=Duration(100), description="Changes that come this close together are one reload."
    )
    reloads_per_minute: Annotated[int, Strict(), Field(ge=1, le=600), FROM_ENV] = Field(
        default=30, description="More reloads than this wait and become one."
    )
    max_draining: Annotated[int, Strict(), Field(ge=1, le=100), FROM_ENV] = Field(
        default=3, description="Old generations that may still drain when a reload begins."
    )
    shutdown_timeout: DurationOrOff = Field(
        default=Duration(60_000), description="An old worker's connections are cut after this."
    )
    endpoints: Endpoints = Field(
        default="reload",
        description="How endpoints change: `reload`, or `lua` = without one, where nginx has the "
        "Lua balancer (mode full). `lua` is frozen: faults are mended, nothing is added.",
    )
    imported: str | None = Field(
        default=None,
        description="The folder of an import, absolute: nginx runs the imported config as it is, "
        "what became model and what was kept (mode full).",
    )
    drift: Drift = Field(default=Drift(), description="What becomes of edits by others.")
    probes: list[Probe] = Field(
        default_factory=list, description="Requests that a release must answer to be kept."
    )

    def contradictions(self, wrong: Set[str]) -> Iterator[Invalid]:
        """Paths are absolute, and the mode allows what else is asked for."""
        for key in ("binary", "conf", "pid", "imported"):
            path = getattr(self, key)
            if path is not None and not path.startswith("/"):
                yield Invalid(f'"{path}" is not an absolute path', "write a path from /", at=(key,))
        if self.mode != "full" and self.start == "own" and not {"mode", "start"} & wrong:
            yield Invalid(
                f'`mode = "{self.mode}"` is for an nginx that others start',
                'write `start = "systemd"` or `start = "external"`',
                at=("start",),
            )
        if self.mode != "full" and self.endpoints == "lua":
            yield Invalid(
                "Lua is set up in nginx.conf, which is not ours in this mode",
                'write `endpoints = "reload"` or `mode = "full"`',
                at=("endpoints",),
            )
        if self.imported is not None:
            yield from self._about_import(wrong)
        if self.start == "external" and self.endpoints == "lua":
            yield Invalid(
                "headgate cannot know whether an nginx that others start may read its endpoints",
                'write `endpoints = "reload"`, `start = "own"` or `start = "systemd"`',
                at=("endpoints",),
            )
        if self.mode == "observe" and self.drift.policy == "heal":
            yield Invalid(
                'headgate writes nothing in `mode = "observe"`',
                'write `policy = "report"`',
                at=("drift", "policy"),
            )

    def _about_import(self, wrong: Set[str]) -> Iterator[Invalid]:
        """An imported config is the whole nginx.conf, endpoints included."""
        if self.mode != "full" and "mode" not in wrong:
            yield Invalid(
                f'an imported config is a whole nginx.conf, not ours in `mode = "{self.mode}"`',
                'write `mode = "full"`, or remove `imported`',
                at=("imported",),
            )
        if self.endpoints == "lua":
            yield Invalid(
                "an imported config has its endpoints in its own text",
                'write `endpoints = "reload"`, or remove `imported`',
                at=("endpoints",),
            )
