"""Types for what an nginx config serves, at a glance; `picture.picture` draws it."""

import msgspec

from headgate.engines.nginx.lint.finding import Finding


class Place(msgspec.Struct, frozen=True, order=True):
    """A place in a file; line from 1."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class PictureHost(msgspec.Struct, frozen=True):
    """A `server` block of `http` or `stream`.

    `names` as written (none: the listener's default only), `listens` as `ADDRESS:PORT` or
    `unix:PATH`, `is_default` where it answers for unknown names on some listener, `certificates`
    paths as written (variables included).
    """

    protocol: str
    names: tuple[str, ...]
    listens: tuple[str, ...]
    tls: bool
    is_default: bool
    certificates: tuple[str, ...]
    place: Place


class PictureRoute(msgspec.Struct, frozen=True):
    """A `location`, or what a `server` does by itself (`match` is empty).

    `match` is what stands between `location` and `{`; `action` is one of `proxy`, `fastcgi`,
    `uwsgi`, `scgi`, `grpc`, `memcached`, `return`, `files`; `target` the argument of the pass or
    the return, or the directory where the location names one.
    """

    hosts: tuple[str, ...]
    match: str
    action: str
    target: str
    place: Place


class PictureUpstream(msgspec.Struct, frozen=True):
    """An `upstream` block, or an address that a pass names directly (`implicit`)."""

    name: str
    endpoints: tuple[str, ...]
    balance: str
    implicit: bool
    place: Place


class PictureCertificate(msgspec.Struct, frozen=True):
    """A certificate by its file; `key_file` is a path only: keys are never read."""

    cert_file: str
    key_file: str
    names: tuple[str, ...]
    place: Place


class Picture(msgspec.Struct, frozen=True):
    """Everything above. `problems` say why files are unreadable (`file:line: …`)."""

    entry: str
    files: tuple[str, ...]
    directives: int
    hosts: tuple[PictureHost, ...]
    routes: tuple[PictureRoute, ...]
    upstreams: tuple[PictureUpstream, ...]
    certificates: tuple[PictureCertificate, ...]
    findings: tuple[Finding, ...]
    problems: tuple[str, ...]
