"""Renders the files around the servers: nginx.conf, the shared defaults, the status server."""

from typing import Final

from headgate.engines.nginx.common.types import Generation
from headgate.engines.nginx.render import (
    faults,
    forwarded,
    listening,
    logged_headers,
    logs,
    lua,
    prelude,
    proxied,
    stream,
    timeouts,
    upstreams,
    utf8,
    veiled,
)
from headgate.engines.nginx.render.bodies import BASE_HIDDEN
from headgate.engines.nginx.render.context import Context
from headgate.nginxtext.tree import Node, walk
from headgate.nginxtext.writer import (
    FilePath,
    Literal,
    Op,
    Plain,
    Template,
    Var,
    Word,
    comment,
    directive,
)

_ACCEL: Final = (
    "X-Accel-Redirect",
    "X-Accel-Expires",
    "X-Accel-Limit-Rate",
    "X-Accel-Buffering",
    "X-Accel-Charset",
)
_LEVELS: Final = {"error": "error", "warn": "warn", "info": "notice", "debug": "info"}
"""nginx's word for a level: its own `info` logs every connection."""

_SET: Final = ("hg_route", "hg_upstream", "hg_reason", "hg_place", "hg_retry")
"""Variables that locations set and logs read: they must exist where no location sets them."""

_PASSED: Final = ("date", "server", *_ACCEL)


def main(ctx: Context, hashes: list[Node]) -> list[Node]:
    """Returns nginx.conf where it is ours."""
    target = ctx.target
    workers = str(target.workers) if target.workers else "auto"
    nodes: list[Node] = [comment("Rendered by headgate; edits are drift")]
    nodes += [*lua.modules(ctx), *stream.modules(ctx)]
    if target.user is not None:
        nodes.append(directive("user", Plain(target.user)))
    nodes += [
        directive("worker_processes", Word(workers)),
        directive("pid", FilePath(target.pid_path)),
        directive("error_log", FilePath(target.error_log), Word(_LEVELS[ctx.settings.log_level])),
    ]
    if ctx.has("pcre_jit"):
        nodes.append(directive("pcre_jit", Word("on")))
    if ctx.has("worker_shutdown_timeout") and target.shutdown_timeout_s:
        shutdown = upstreams.time(round(target.shutdown_timeout_s * 1000))
        nodes.append(directive("worker_shutdown_timeout", shutdown))
    # Not `worker_rlimit_nofile`: a master that may not raise the limit says so with an alert.
    events = [directive("worker_connections", Word(str(ctx.settings.max_connections)))]
    nodes.append(directive("events", children=events))
    files = ("generation.conf", "http.conf", "defaults.conf")
    http = [*_temporary(ctx), *hashes, *(directive("include", Plain(file)) for file in files)]
    nodes.append(directive("http", children=http))
    return nodes + stream.block(ctx)


def _temporary(ctx: Context) -> list[Node]:
    """Returns the places for bodies that do not fit in memory; the built-in ones need root."""
    folder = f"{ctx.target.root}/run"
    kinds = temporary_kinds(ctx)
    return [directive(f"{kind}_temp_path", FilePath(f"{folder}/{kind}")) for kind in kinds]


def temporary_kinds(ctx: Context) -> list[str]:
    """Returns the kinds whose bodies this nginx puts into files: `KIND_temp_path`."""
    optional = [kind for kind in ("fastcgi", "uwsgi", "scgi") if ctx.has(kind)]
    return ["client_body", "proxy", *optional]


def http(ctx: Context) -> list[Node]:
    """Returns http.conf: everything that `http` must hold, in both modes."""
    files = ["maps/request.conf", "maps/client.conf", "maps/routes.conf", "upstreams.conf"]
    includes = [*files, "http/*.conf", "status.conf"]
    declared, _ = listening.limits(ctx)
    nodes = [*logs.directives(ctx), *lua.http(ctx)]
    if ctx.target.mode == "guest":
        nodes = [node for node in nodes if not _is_log(node)]
        includes.insert(0, "generation.conf")
    nodes += declared
    return nodes + [directive("include", Plain(ctx.release_path(one))) for one in includes]


def _is_log(node: Node) -> bool:
    return any(found.name == b"access_log" for found in walk((node,)))


def client_maps(ctx: Context) -> list[Node]:
    """Returns the maps about listeners, clients, faults and logs."""
    logged_headers.claim(ctx)
    return [
        *listening.maps(ctx),
        *proxied.maps(ctx),
        *forwarded.maps(ctx),
        *faults.maps(tells_limits=ctx.has("limit_conn_dry_run")),
        *logs.maps(),
        *veiled.maps(ctx),
        *logged_headers.maps(ctx),
        *utf8.maps(ctx),
    ]


def request_maps() -> list[Node]:
    """Returns the maps of a request's path, equal in every config."""
    return prelude.request_maps()


def defaults(ctx: Context) -> list[Node]:
    """Returns the defaults of all our servers;
    a location that overrides one line repeats them all.
    """
    _, limits = listening.limits(ctx)
    nodes: list[Node] = [
        comment("Clients"),
        directive("types", children=[]),
        directive("default_type", Literal("")),
        directive("server_tokens", Word("off")),
        directive("client_header_buffer_size", Word("1k")),
        *listening.base(ctx),
        *_lingering(ctx),
        directive("client_max_body_size", Word("0")),
        directive("client_body_buffer_size", Word("64k")),
        directive("tcp_nodelay", Word("on")),
        directive("gzip", Word("off")),
        directive("absolute_redirect", Word("off")),
        directive("merge_slashes", Word("on")),
        directive("ignore_invalid_headers", Word("on")),
        directive("underscores_in_headers", Word("off")),
        directive("uninitialized_variable_warn", Word("off")),
        directive("log_not_found", Word("off")),
        *limits,
        comment("Upstreams"),
        directive("proxy_http_version", Word("1.1")),
        directive("proxy_buffering", Word("off")),
        directive("proxy_request_buffering", Word("off")),
        directive("proxy_redirect", Word("off")),
        directive("proxy_next_upstream", Word("error")),
        directive("proxy_ignore_headers", *map(Word, _ACCEL)),
        *timeouts.base(),
    ]
    nodes += [directive("proxy_pass_header", Word(name)) for name in _PASSED]
    nodes += [directive("proxy_hide_header", Word(name)) for name in BASE_HIDDEN]
    lines = forwarded.request_headers(ctx)
    nodes += [directive("proxy_set_header", Plain(name), value) for name, value in lines]
    nodes += faults.pages()
    if ctx.target.mode == "guest":
        nodes += [node for node in logs.directives(ctx) if _is_log(node)]
        nodes += _reset(ctx)
    return nodes


def _reset(ctx: Context) -> list[Node]:
    """Returns what a guest's servers must not inherit: it would let in whom a route refuses, give
    one client the answer to another, change the answers to faults, or send somebody else another
    request than the client's. Each server resets the trusted peers and the CAs of clients.
    """
    dry_runs = [one for one in ("limit_req_dry_run", "limit_conn_dry_run") if ctx.has(one)]
    optional = [one for one in ("proxy_cache", "ssl_early_data", "mirror") if ctx.has(one)]
    off = ["recursive_error_pages", "proxy_intercept_errors", *dry_runs, *optional]
    return [
        comment("Whatever others have in http"),
        directive("satisfy", Word("all")),
        *(directive(name, Word("off")) for name in off),
        directive("proxy_pass_request_headers", Word("on")),
        directive("proxy_pass_request_body", Word("on")),
    ]


def _lingering(ctx: Context) -> list[Node]:
    """Makes old workers answer requests on their way a while longer, where they can."""
    if not ctx.has("keepalive_min_timeout"):
        return []
    return [directive("keepalive_min_timeout", Word("1s"))]


def generation(ctx: Context) -> list[Node]:
    """Returns generation.conf: the only text that differs between renderings of one plan."""
    return generation_of(ctx.target.generation)


def generation_of(number: Generation) -> list[Node]:
    """Returns generation.conf for a number."""
    return [prelude.mapped("hg_generation", Literal(""), Literal(str(number)))]


def status(ctx: Context) -> list[Node]:
    """Returns the server that reports the running generation and nginx's own counters."""
    body = Template((Var("hg_generation"), "\n", Var("pid"), "\n"), lines=True)
    locations = [
        directive(
            "location",
            Op("="),
            Word("/generation"),
            children=[
                directive("default_type", Word("text/plain")),
                directive("return", Word("200"), body),
            ],
        ),
        directive("location", Word("/"), children=[directive("return", Word("404"))]),
    ]
    if ctx.has("stub_status"):
        page = [directive("stub_status")]
        locations.append(directive("location", Op("="), Word("/stub_status"), children=page))
    server = [
        directive("listen", Plain(f"unix:{ctx.target.status_socket}")),
        directive("server_name", Literal("")),
        directive("access_log", Word("off")),
        *(directive("set", Var(name), Literal("")) for name in _SET),
        *faults.place(),
        *locations,
        *lua.location(ctx),
    ]
    return [comment("Status"), directive("server", children=server)]


def error_place(ctx: Context) -> list[Node]:
    """Returns errors.conf: the location from which every server answers faults."""
    return faults.place(ctx.fault_lines.nodes(ctx.shared))
