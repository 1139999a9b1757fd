"""Converts `mirror` to that of a route.

It is taken where each copy is the request: the same target, the same head, the whole body, to an
upstream of its own. The lines stay in the kept text, where they mean what the route says.
"""

import re
from collections.abc import Mapping
from typing import Final

from headgate.engines.nginx.imports import (
    effects,
    errorpages,
    headers,
    proxies,
    retries,
    splits,
    values,
)
from headgate.engines.nginx.imports.around import Around
from headgate.engines.nginx.imports.objects import (
    NotExpressibleError,
    Table,
    Toml,
    items_in,
    table_in,
)
from headgate.engines.nginx.imports.proxies import Pools
from headgate.kernel.units import ByteSize, Duration

KIND: Final = "mirror"

_OFF: Final = (b"off",)
_LARGEST: Final = ByteSize(1 << 20)
_LONGEST: Final = Duration(300_000)
_MOST: Final = 4
"""The most mirrors of a route."""
_TARGET: Final = re.compile(r"http://([A-Za-z0-9_.:\[\]-]+)(?:\$request_uri|\$\{request_uri\})")
_OWN: Final = frozenset(
    {
        *("internal", "proxy_pass", "proxy_http_version", "proxy_set_header"),
        *("proxy_connect_timeout", "proxy_read_timeout", "proxy_send_timeout"),
        *retries.NAMES,
    }
)
"""The lines that the location of the copies may have, beside those about how bytes move."""
_LIMITS: Final = (b"limit_req", b"limit_conn")


def mirror_of(
    around: Around, pools: Pools, said: Mapping[str, str], rest: Table
) -> dict[str, Toml]:
    """Returns `mirror` of a route that goes on as `rest` says, a list where there are several;
    empty if it mirrors nothing.

    `said` as for `headers.forwarded`. Raises `NotExpressibleError` for a copy that is another
    request.
    """
    lines = [one.directive for one in around.nearest(b"mirror")]
    if not lines or (len(lines) == 1 and lines[0].values == _OFF):
        return {}
    if len(lines) > _MOST:
        raise NotExpressibleError(f"a route has up to {_MOST} mirrors here")
    uris = [values.text(line.values[0]) for line in lines]
    found = [_one(uri, around, pools, said, rest) for uri in uris]
    if len({str(one["upstream"]) for one in found}) < len(found):
        raise NotExpressibleError("an upstream gets one copy of a request here")
    return {KIND: found if len(found) > 1 else found[0]}


def _one(uri: str, around: Around, pools: Pools, said: Mapping[str, str], rest: Table) -> Table:
    level = around.services.get(uri)
    if level is None:
        raise NotExpressibleError(f"`mirror {uri}` leads to no location of that path")
    if around.value(b"mirror_request_body", b"on") != b"on":
        raise NotExpressibleError("`mirror_request_body off`: copies have their body here")
    copying = around._replace(levels=(level, *around.levels[1:]))
    _check_lines(uri, copying, around)
    errorpages.check_asked(f"`mirror {uri}`", copying)
    passed = level.named(b"proxy_pass")
    found = _TARGET.fullmatch(values.text(passed[0].directive.values[0])) if passed else None
    if found is None:
        raise NotExpressibleError(
            f"`mirror {uri}`: its target is not `http://NAME$request_uri`, that of the request"
        )
    _check_same(uri, copying, around, said, rest)
    read, connect = proxies.timeouts_of(copying)
    if read == "off" or Duration.parse(read) > _LONGEST:
        raise NotExpressibleError(f"`mirror {uri}` waits longer than {_LONGEST}")
    target = found[1]
    if target in splits.upstreams_of(rest):
        raise NotExpressibleError(f"`mirror {uri}` leads to the upstream that answers")
    limit = str(table_in(rest, "limits")["body"])
    return {"upstream": pools.lead_to(target, connect), "max_body": limit, "timeout": read}


def _check_lines(uri: str, copying: Around, around: Around) -> None:
    for located in copying.levels[0].lines:
        name = values.text(located.directive.name)
        if name in _OWN or effects.is_of_transport(name) or effects.is_inert(located.directive):
            continue
        raise NotExpressibleError(f"`mirror {uri}`: `{name}` there has no counterpart")
    if any(copying.nearest(name) != around.nearest(name) for name in _LIMITS):
        raise NotExpressibleError(f"`mirror {uri}`: limits of their own count there")


def _check_same(
    uri: str, copying: Around, around: Around, said: Mapping[str, str], rest: Table
) -> None:
    """Raises `NotExpressibleError` unless the copy has the target, head and body of the request."""
    if rest["forward_path"] != "raw":
        raise NotExpressibleError(f"`mirror {uri}`: the endpoint gets another target than the copy")
    copied = headers.forwarded(copying, "", said)
    sent = headers.forwarded(around, "", said)
    if copied._replace(websocket=sent.websocket) != sent:
        raise NotExpressibleError(f"`mirror {uri}`: the endpoint gets another head than the copy")
    if sent.host is not None:
        raise NotExpressibleError(
            f"`mirror {uri}`: the copy has a `Host` of its own there; set it to `$host`"
        )
    limit = str(table_in(rest, "limits")["body"])
    if limit == "off" or ByteSize.parse(limit) > _LARGEST:
        raise NotExpressibleError(
            f"`mirror {uri}`: bodies above {_LARGEST} are copied there; `client_max_body_size 1m` "
            "has none"
        )


def notes_of(found: Table) -> tuple[str, ...]:
    """Returns what differs."""
    if not found:
        return ()
    return (
        "`mirror`: copies have `X-Headgate-Mirror` here, a time of their own as a whole, and at "
        "most 64 under way for each upstream; handshakes of WebSockets have none",
    )


def upstreams_of(route: Table) -> list[str]:
    """Returns the upstreams that get copies of a route's requests."""
    found = route.get(KIND, ())
    several = [found] if isinstance(found, Mapping) else items_in(route, KIND)
    return [str(one["upstream"]) for one in several if isinstance(one, Mapping)]
