"""Renders the access logs of TCP connections: the engine's own, and that of the config.

The latter has the keys of docs/reference/access-log.md as far as nginx knows them. It says neither
which side ended a connection nor whether a timeout did: the reason is `ended` then.
"""

from typing import Final, NamedTuple

from headgate.engines.nginx.render import tcp_ended, tcp_route
from headgate.engines.nginx.render.chosen import Field, chosen_format, log_format, text_of
from headgate.engines.nginx.render.context import Context
from headgate.engines.nginx.render.logs import log_to, microseconds, subject, to_sink
from headgate.engines.nginx.render.prelude import mapped
from headgate.engines.nginx.render.utf8 import readable_text
from headgate.nginxtext.tree import Node
from headgate.nginxtext.writer import (
    FilePath,
    Literal,
    MapKey,
    Regex,
    Template,
    Var,
    Word,
    comment,
)

METRICS_FORMAT: Final = "hg_tcp_metrics"
JSON_FORMAT: Final = "hg_tcp_json"
COMBINED_FORMAT: Final = "hg_tcp_combined"
COMMON_FORMAT: Final = "hg_tcp_common"
CHOSEN_FORMAT: Final = "hg_tcp_chosen"

_METRICS: Final = (
    ("time", "time_iso8601"),
    ("tcp", "hg_reason"),
    ("client_ip", "remote_addr"),
    ("listener", "hg_listener"),
    ("route", "hg_route"),
    ("upstream", "hg_upstream"),
    ("endpoint", "upstream_addr"),
    ("status", "status"),
    ("bytes_in", "bytes_received"),
    ("bytes_out", "bytes_sent"),
    ("connect_s", "upstream_connect_time"),
    ("total_s", "session_time"),
)
"""(key, variable), read by `observe/hits.py`; only lines of TCP have the key `tcp`."""

_JSON: Final = (
    *('{"time":"', Var("time_iso8601"), '","client_ip":"', Var("remote_addr")),
    *('","client_port":', Var("remote_port"), ',"listener":"', Var("hg_listener")),
    *('","route":"', Var("hg_route"), '","upstream":"', Var("hg_upstream")),
    *('","endpoint":"', Var("hg_endpoint"), '","protocol":"tcp","bytes_in":'),
    *(Var("bytes_received"), ',"bytes_out":', Var("bytes_sent"), ',"connect_us":'),
    *(Var("hg_log_connect_us"), ',"total_us":', Var("hg_log_total_us"), ',"reason":"'),
    Var("hg_reason"),
)
_FIELDS: Final = {
    "time": Field(Var("time_iso8601")),
    "client_ip": Field(Var("remote_addr")),
    "client_port": Field(Var("remote_port"), is_number=True),
    "listener": Field(Var("hg_listener")),
    "route": Field(Var("hg_route")),
    "upstream": Field(Var("hg_upstream")),
    "endpoint": Field(Var("hg_endpoint")),
    "protocol": Field("tcp"),
    "bytes_in": Field(Var("bytes_received"), is_number=True),
    "bytes_out": Field(Var("bytes_sent"), is_number=True),
    "connect_us": Field(Var("hg_log_connect_us"), is_number=True),
    "total_us": Field(Var("hg_log_total_us"), is_number=True),
    "reason": Field(Var("hg_reason")),
}
_ENDED: Final = {
    "tls_version": Field(Var("ssl_protocol")),
    "alpn": Field(Var("ssl_alpn_protocol")),
    "client_subject": Field(Var("hg_client_subject")),
}
"""The fields that are known of connections whose TLS ends here."""
_COMMON: Final = (
    *(Var("remote_addr"), " - - [", Var("time_local"), '] "TCP ', Var("hg_route"), " "),
    *(Var("hg_endpoint"), '" - ', Var("bytes_sent")),
)
_COMBINED: Final = (*_COMMON, ' "-" "-" ', Var("session_time"), " ", Var("hg_reason"))


class Hello(NamedTuple):
    """The use of ClientHellos: whether nginx reads any that it passes on, and whether it answers
    any; variables exist only then.
    """

    is_read: bool
    is_answered: bool

    @property
    def fields(self) -> dict[str, Field]:
        """The fields that logs can have."""
        if self.name is None:
            return {}
        return {"sni": Field(self.name)} | (_ENDED if self.is_answered else {})

    @property
    def name(self) -> Var | None:
        """The variable of the name that was asked for."""
        if self.is_answered:
            return Var("hg_sni") if self.is_read else tcp_ended.NAME
        return tcp_route.PREREAD_NAME if self.is_read else None

    def maps(self) -> list[Node]:
        """Returns the maps of the variables of `fields`."""
        if not self.is_answered:
            return []
        nodes = [subject()]
        if self.is_read:
            otherwise = (MapKey(""), tcp_route.PREREAD_NAME)
            nodes.append(mapped("hg_sni", tcp_ended.NAME, tcp_ended.NAME, otherwise))
        return nodes


def maps(hello: Hello) -> list[Node]:
    """Returns the maps for log variables that nginx has in another form."""
    last = (Regex(r"~(?:\A|[ ,])(?<hg_raw>(?!hg_)[^ ,]+)\z"), Var("hg_raw"))
    nobody = Regex(r"~\A502 (?:.*, )?hg_up_[^ ,]*\z")
    unsecured = [(Regex(r"~\A500 \z"), Var("hg_unsecured"))] if hello.is_answered else []
    return [
        comment("What logs say: the endpoint tried last, times in microseconds, why it ended"),
        mapped("hg_endpoint", Var("upstream_addr"), Literal(""), last),
        microseconds("hg_log_connect_us", "upstream_connect_time"),
        microseconds("hg_log_total_us", "session_time"),
        mapped(
            "hg_reason",
            Template((Var("status"), " ", Var("upstream_addr"))),
            Word("error"),
            (Regex(r"~\A200 \z"), Word("hello-cut")),
            (Regex("~^200 "), Word("ended")),
            (Regex("~^400 "), Word("bad-hello")),
            (Regex(r"~\A502 hg_none\z"), Word("no-route")),
            (Regex("~^403 "), Word("no-route")),
            (nobody, Word("no-endpoint")),
            (Regex("~^502 "), Word("connect-failed")),
            (Regex("~^503 "), Word("connection-limit")),
            *unsecured,
        ),
        *hello.maps(),
    ]


def directives(ctx: Context, hello: Hello) -> list[Node]:
    """Returns formats and sinks; a file may be that of HTTP too."""
    parts: list[str | Var] = []
    lead = "{"
    for key, variable in _METRICS:
        parts += [f'{lead}"{key}":"', Var(variable), '"']
        lead = ","
    nodes: list[Node] = [
        comment("Access logs"),
        log_format(METRICS_FORMAT, Template((*parts, "}")), "json"),
        log_to(FilePath(ctx.target.access_log), METRICS_FORMAT),
    ]
    log = ctx.settings.access_log
    if log is None:
        return nodes
    known = hello.fields
    if hello.name is not None and log.format == "json" and log.template is None:
        known["sni"] = Field(readable_text(ctx, hello.name))
    chosen = chosen_format(ctx, CHOSEN_FORMAT, log, _FIELDS | known)
    if chosen is not None:
        name, form = CHOSEN_FORMAT, chosen
    elif log.format == "json":
        more = (part for key, one in known.items() for part in (f'","{key}":"', one.value))
        text = Template((*_JSON, *more, '"}'))
        name, form = JSON_FORMAT, log_format(JSON_FORMAT, text, "json")
    elif log.format == "common":
        name, form = COMMON_FORMAT, log_format(COMMON_FORMAT, text_of(ctx, _COMMON), "default")
    else:
        name, form = (
            COMBINED_FORMAT,
            log_format(COMBINED_FORMAT, text_of(ctx, _COMBINED), "default"),
        )
    return [*nodes, form, to_sink(ctx, log, name)]
