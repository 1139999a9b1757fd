"""Types for what a config says of how to watch its nginx: logs, status pages, certificates.

Types only; hosts, routes and upstreams are in `imports.picture`.
"""

import msgspec

from headgate.engines.nginx.observe.log_format import Escape


class Listen(msgspec.Struct, frozen=True):
    """A `listen`: `address` is `0.0.0.0:80`, `[::]:443` or `unix:/path`."""

    address: str
    tls: bool = False
    proxy_protocol: bool = False
    default: bool = False
    quic: bool = False

    @property
    def is_unix(self) -> bool:
        """True if it is a Unix socket."""
        return self.address.startswith("unix:")


class KeyPair(msgspec.Struct, frozen=True):
    """A certificate's file and its key's, as written."""

    certificate: str
    key: str = ""


class Server(msgspec.Struct, frozen=True):
    """A `server` block of `http` or `stream`."""

    names: tuple[str, ...]
    listens: tuple[Listen, ...]
    certificates: tuple[KeyPair, ...] = ()
    file: str = ""
    line: int = 0

    @property
    def label(self) -> str:
        """Its name for people: the first server name, else the first address."""
        named = [name for name in self.names if name not in ("", "_")]
        return named[0] if named else next((one.address for one in self.listens), "")


class AccessLogUse(msgspec.Struct, frozen=True):
    """An access log that servers write to, and the format's text.

    `sites` are the labels of those servers; `problem` says why we cannot follow it.
    """

    path: str
    format: str
    escape: Escape = "default"
    sites: tuple[str, ...] = ()
    problem: str = ""


class StatusPage(msgspec.Struct, frozen=True):
    """A `stub_status`: its address (`unix:/path:/uri` or a URL) and the Host to ask with.

    `is_logged`: a question leaves a line in an access log.
    """

    where: str
    host: str = ""
    is_logged: bool = False


class Facts(msgspec.Struct, frozen=True):
    """Everything to watch of a config; `problems` are damaged files."""

    files: tuple[str, ...] = ()
    servers: tuple[Server, ...] = ()
    access_logs: tuple[AccessLogUse, ...] = ()
    error_logs: tuple[str, ...] = ()
    status_pages: tuple[StatusPage, ...] = ()
    problems: tuple[str, ...] = ()


class BuiltIn(msgspec.Struct, frozen=True):
    """A binary's built-in paths, which hold where the config says nothing."""

    version: str = ""
    prefix: str = "/usr/local/nginx"
    conf_path: str = "/usr/local/nginx/conf/nginx.conf"
    error_log: str = "/usr/local/nginx/logs/error.log"
    http_log: str = "/usr/local/nginx/logs/access.log"
    arguments: str = ""
