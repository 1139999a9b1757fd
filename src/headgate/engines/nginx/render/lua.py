"""Renders upstreams whose endpoints are in a table that workers share
and change without a reload.

Nothing of a config becomes Lua but names of upstreams, as strings. No variable says which upstream
is meant: a subrequest (`auth_request`, `mirror`) shares those of its request, whose upstream it is
not.
"""

import re
from pathlib import Path
from typing import Final

from headgate.engines.nginx import endpoints
from headgate.engines.nginx.capabilities.probe import loads
from headgate.engines.nginx.common.types import RenderedFile
from headgate.engines.nginx.endpoints.table import NAMES, why_static
from headgate.engines.nginx.render import faults
from headgate.engines.nginx.render.context import Context
from headgate.engines.nginx.render.names import ERROR_PLACE
from headgate.features.nginx_registry import lua_call
from headgate.nginxtext.tree import Directive, Node
from headgate.nginxtext.writer import FilePath, Op, Plain, Word, comment, directive
from headgate.plan.objects import Upstream

CAPABILITY: Final = "lua_balancer"
KEPT_ENDPOINTS: Final = 16
"""Idle connections are reserved for so many endpoints, since their number is unknown."""

_MODULE: Final = Path(endpoints.__file__).with_name("hg_endpoints.lua").read_bytes()
_ZONE: Final = "hg_endpoints"
_ZONE_SIZE: Final = "8m"
_BODY: Final = "1m"
_UNUSUAL: Final = re.compile(rb"[^A-Za-z0-9_-]")
_LIBRARY: Final = "/usr/share/lua/5.1/?.lua"


def check(ctx: Context) -> None:
    """Refuses what this nginx cannot do; notes which upstreams still change by a reload."""
    if ctx.target.endpoints != "lua":
        return
    about = ctx.findings.of("settings", "node")
    if not ctx.has(CAPABILITY):
        about.refuse(
            "nginx.endpoints",
            "this nginx has no Lua balancer: it takes its modules `ndk_http` and `http_lua` and "
            "lua-resty-core (Debian: libnginx-mod-http-lua, lua-resty-core)",
        )
    if set(ctx.target.root) & set(";?$"):
        about.refuse("nginx.endpoints", "the folder's path contains `;`, `?` or `$`")
    for name, one in ctx.upstreams.items():
        if why := why_static(one):
            ctx.findings.of("upstream", name).note("endpoints", f"they change by a reload: {why}")


def is_dynamic(upstream: Upstream, ctx: Context) -> bool:
    """Reports whether an upstream's endpoints are in the table."""
    return ctx.target.endpoints == "lua" and not why_static(upstream)


def modules(ctx: Context) -> list[Node]:
    """Returns the first lines of nginx.conf."""
    if ctx.target.endpoints != "lua":
        return []
    paths = loads(ctx.target.capabilities, (CAPABILITY,))
    return [directive("load_module", FilePath(path)) for path in paths]


def http(ctx: Context) -> list[Node]:
    """Returns the table and its reader; adds the files that these need."""
    if ctx.target.endpoints != "lua":
        return []
    names = "".join(f"{name}\n" for name, one in ctx.upstreams.items() if is_dynamic(one, ctx))
    for file in (RenderedFile("lua/hg_endpoints.lua", _MODULE), _names(names)):
        ctx.secrets[file.path] = file
    ctx.zones[_ZONE] = f"lua {_ZONE_SIZE}"
    library = f"{ctx.target.root}/current/lua/?.lua;{_LIBRARY};;"
    return [
        comment("Endpoints that change without a reload"),
        directive("lua_package_path", FilePath(library)),
        directive("lua_shared_dict", Word(_ZONE), Word(_ZONE_SIZE)),
        _block(b"init_by_lua_block", b"load()"),
    ]


def _names(text: str) -> RenderedFile:
    return RenderedFile(NAMES, text.encode())


def servers(name: str, upstream: Upstream) -> list[Node]:
    """Returns what stands in an `upstream` of this name instead of its servers."""
    call = b"%b(%b)" % (lua_call(upstream.balance) or b"", _string(name))
    return [directive("server", Plain("0.0.0.1")), _block(b"balancer_by_lua_block", call)]


def unavailable() -> list[Node]:
    """Returns lines for a location: 503 for an upstream without endpoints,
    where Lua can only say 500.
    """
    page = directive("error_page", Word("500"), Word("=503"), Word(ERROR_PLACE))
    # The first line of a status counts.
    return [page, *faults.pages()]


def location(ctx: Context) -> list[Node]:
    """Returns the status socket's location to read the table (GET)
    or set one upstream's endpoints (PUT).
    """
    if ctx.target.endpoints != "lua":
        return []
    children = [
        directive("client_max_body_size", Word(_BODY)),
        directive("client_body_buffer_size", Word(_BODY)),
        _block(b"content_by_lua_block", b"serve()"),
    ]
    return [directive("location", Op("="), Word("/endpoints"), children=children)]


def _string(text: str) -> bytes:
    """Returns Lua for a text: plain names as they are, every other byte as an escape
    (Lua 5.1 manual, §2.1)."""
    return b'"%b"' % _UNUSUAL.sub(lambda one: b"\\%03d" % one[0][0], text.encode())


def _block(name: bytes, call: bytes) -> Node:
    return Directive(name, body=b' require("hg_endpoints").' + call + b" ")
