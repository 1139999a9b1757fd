"""Renders the maps that make UTF-8 of what clients send, for access logs in JSON.

nginx escapes controls and quotes there, and writes any other byte as it came. A value ends with
U+FFFD where the first byte stands that is not UTF-8 (RFC 3629).
"""

from typing import Final

from headgate.engines.nginx.render.context import Context
from headgate.engines.nginx.render.prelude import mapped
from headgate.engines.nginx.render.veiled import veiled
from headgate.nginxtext.tree import Node
from headgate.nginxtext.writer import Regex, Template, Var, comment

_NAMES: Final = {
    "http_host": "hg_text_host",
    "request_uri": "hg_text_target",
    "http_user_agent": "hg_text_user_agent",
    "http_referer": "hg_text_referer",
    "ssl_server_name": "hg_text_sni",
}
"""By nginx's variable: ours."""

_TAIL: Final = r"[\x80-\xbf]"
_VALID: Final = (
    rf"[\x00-\x7f]++|[\xc2-\xdf]{_TAIL}|\xe0[\xa0-\xbf]{_TAIL}|[\xe1-\xec\xee\xef]{_TAIL}{{2}}"
    rf"|\xed[\x80-\x9f]{_TAIL}|\xf0[\x90-\xbf]{_TAIL}{{2}}|[\xf1-\xf3]{_TAIL}{{3}}"
    rf"|\xf4[\x80-\x8f]{_TAIL}{{2}}"
)

_ODD: Final = (
    Regex(rf"~\A(?<hg_raw>(?:{_VALID})*+)."),
    Template((Var("hg_raw"), "\N{REPLACEMENT CHARACTER}")),
)
"""Cuts a value at the first byte that is not UTF-8."""


def readable(ctx: Context, variable: str) -> Var:
    """Returns what logs in JSON say in place of a variable of nginx's."""
    return Var(_NAMES[variable]) if variable in _NAMES else veiled(ctx, variable)


def readable_text(ctx: Context, source: Var) -> Var:
    """Returns the same of any other variable, by maps that come with it."""
    odd = ctx.shared.map("log_odd", source, (_ODD,), source)
    return ctx.shared.map("log_text", source, ((Regex(r"~[\x80-\xff]"), odd),), source)


def maps(ctx: Context) -> list[Node]:
    """Returns the maps, where a log of this config is JSON."""
    log = ctx.settings.access_log
    if log is None or log.format != "json" or log.template is not None:
        return []
    found: list[Node] = [comment("What clients sent, as far as it is UTF-8")]
    for variable, name in _NAMES.items():
        source, odd = veiled(ctx, variable), Var(f"{name}_odd")
        found += [
            mapped(name, source, source, (Regex(r"~[\x80-\xff]"), odd)),
            mapped(odd.name, source, source, _ODD),
        ]
    return found
