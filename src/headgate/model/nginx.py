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
    at_most,
)
from headgate.kernel.errors import Invalid
from headgate.kernel.units import Duration

Mode = Literal["full", "guest", "observe"]
DriftPolicy = Literal["report", "heal"]
Start = Literal["own", "systemd", "external"]
Endpoints = Literal["reload", "lua"]


# A run of the pipeline, of which an apply is a part, ends after 10 minutes.
_TOO_LONG = "is longer than an apply can wait"


class Probe(Options):
    """A request that a new release must answer before it counts as served."""

    address: ListenAddress = Field(
        description="The address of a listener, to which the request is sent."
    )
    host: HostName = Field(description="The request's `Host` header and, over TLS, its SNI.")
    path: RoutedPath = Field(default="/", description="The path of the request.")
    tls: Annotated[bool, Strict()] = Field(
        default=False, description="Whether the request uses TLS."
    )
    status: Annotated[int, Strict(), Field(ge=100, le=599), FROM_ENV] = Field(
        default=200, description="The status that the response must have."
    )


class Drift(Options):
    """The handling of changes to headgate's files that headgate did not make."""

    policy: DriftPolicy | None = Field(
        default=None,
        description="`report` logs the difference; `heal` also puts the verified release back. "
        "Absent = `heal` in mode `full`, else `report`.",
    )
    heal_after: DurationText = Field(
        default=Duration(60_000), description="How long a difference must last before it is healed."
    )


class Nginx(Checked):
    """The nginx that this node drives."""

    binary: str | None = Field(
        default=None,
        description="The path of the nginx program; absent = that of the running master, else "
        "`nginx` in PATH.",
    )
    mode: Mode = Field(
        default="full",
        description="`full`: headgate writes the whole nginx.conf; `guest`: an existing "
        "nginx.conf includes what headgate writes; `observe`: headgate writes "
        "nothing.",
    )
    start: Start = Field(
        default="own",
        description="What starts nginx: `own` = this node; `systemd`; `external` = something else "
        "(a container, an init script), and the node finds the master and signals it.",
    )
    conf: str | None = Field(
        default=None,
        description="The absolute path of the existing nginx.conf (modes `guest` and `observe`).",
    )
    pid: str | None = Field(
        default=None,
        description="The absolute path of the pid file, if headgate does not write the nginx.conf.",
    )
    user: str | None = Field(
        default=None,
        description="The user of the worker processes; absent = the binary's own default.",
    )
    soak: Annotated[DurationOrOff, at_most(Duration.parse("5m"), _TOO_LONG)] = Field(
        default=Duration(0),
        description="How long a verified release is watched before it becomes the last good one, "
        "at most 5 minutes.",
    )
    debounce: Annotated[DurationText, at_most(Duration.parse("1m"), _TOO_LONG)] = Field(
        default=Duration(100),
        description="Changes that arrive within this time, at most a minute, share one reload.",
    )
    reloads_per_minute: Annotated[int, Strict(), Field(ge=1, le=600), FROM_ENV] = Field(
        default=30,
        description="At most this many reloads a minute; further changes wait and share one "
        "reload.",
    )
    max_draining: Annotated[int, Strict(), Field(ge=1, le=100), FROM_ENV] = Field(
        default=3,
        description="How many old generations of workers may still drain when a reload begins.",
    )
    shutdown_timeout: DurationOrOff = Field(
        default=Duration(60_000),
        description="After this time an old worker closes the connections that it still has.",
    )
    endpoints: Endpoints = Field(
        default="reload",
        description="How a change of endpoints reaches nginx: `reload` reloads it; `lua` uses "
        "the Lua balancer without a reload (mode `full`, where nginx has the "
        "module). `lua` is frozen: it gets fixes, but no new features.",
    )
    drift: Drift = Field(
        default=Drift(), description="What headgate does when something else edits its files."
    )
    imported: str | None = Field(
        default=None,
        description="The absolute path of an import's folder: nginx serves the imported config "
        "as it was, both the converted and the verbatim parts (mode `full`).",
    )
    probes: list[Probe] = Field(
        default_factory=list,
        description="Requests that a release must answer as expected; otherwise the release is "
        "undone.",
    )

    def contradictions(self, wrong: Set[str]) -> Iterator[Invalid]:
        """Checks that paths are absolute and that the mode allows the other settings."""
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
                "Lua is set up in nginx.conf, which headgate does not write in this mode",
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
        """Yields errors beside `imported`: an imported config is the whole nginx.conf,
        endpoints included.
        """
        if self.mode != "full" and "mode" not in wrong:
            yield Invalid(
                f'headgate writes no whole nginx.conf in `mode = "{self.mode}"`',
                'write `mode = "full"`, or remove `imported`',
                at=("imported",),
            )
        if self.endpoints == "lua":
            yield Invalid(
                "an imported config has its endpoints in its own text",
                'write `endpoints = "reload"`, or remove `imported`',
                at=("endpoints",),
            )
