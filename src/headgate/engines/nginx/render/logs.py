"""Renders access logs: the engine's own, from which metrics come, and those of the config.

The latter have the keys of docs/reference/access-log.md. nginx cannot leave a key out, so unknown
values are empty or `null` here; its times have three digits.
"""

from typing import Final

from headgate.engines.nginx.common.logged import LAST, NUMBERS, TEXTS, logged
from headgate.engines.nginx.observe.fields import VARIABLES
from headgate.engines.nginx.render import logged_headers, route_logs
from headgate.engines.nginx.render.chosen import Field, chosen_format, log_format, text_of
from headgate.engines.nginx.render.context import Context
from headgate.engines.nginx.render.forwarded import request_id
from headgate.engines.nginx.render.prelude import mapped
from headgate.engines.nginx.render.utf8 import readable, readable_text
from headgate.engines.nginx.render.veiled import veiled
from headgate.nginxtext.tree import Node
from headgate.nginxtext.writer import (
    Arg,
    FilePath,
    Literal,
    Plain,
    Regex,
    Template,
    Var,
    Word,
    comment,
    directive,
)
from headgate.plan.settings import AccessLog

METRICS_FORMAT: Final = "hg_metrics"
JSON_FORMAT: Final = "hg_json"
COMBINED_FORMAT: Final = "hg_combined"
COMMON_FORMAT: Final = "hg_common"
CHOSEN_FORMAT: Final = "hg_chosen"

_TIMES: Final = ("connect_us", "first_byte_us", "total_us")
_COMMON: Final = (
    *(Var("remote_addr"), " - - [", Var("time_local"), '] "', Var("request"), '" '),
    *(Var("status"), " ", Var("body_bytes_sent")),
)
_COMBINED: Final = (
    *(*_COMMON, ' "', Var("http_referer"), '" "'),
    *(Var("http_user_agent"), '" ', Var("request_time"), " ", Var("hg_log_reason")),
)


def maps() -> list[Node]:
    """Returns the maps for log variables that nginx has in another form."""
    whole = (Regex(r"~\A(?<hg_raw>[0-9]+)\z"), Var("hg_raw"))
    reason = (Regex(r"~\A(?<hg_raw>.+)\z"), Var("hg_raw"))
    last = (Regex(r"~(?:\A|[ ,])(?<hg_raw>[^ ,]+)\z"), Var("hg_raw"))
    return [
        comment("Who a client is by its certificate, if that was verified"),
        subject(),
        comment("What logs say: the endpoint tried last, times in microseconds"),
        mapped("hg_endpoint", Var(logged("endpoint").source), Literal(""), last),
        *(microseconds(one.variable, one.source) for one in map(logged, _TIMES)),
        mapped("hg_log_bytes_in", Var(logged("bytes_in").source), Word("0"), whole),
        mapped("hg_log_reason", Var("hg_reason"), Word("-"), reason),
    ]


def subject() -> Node:
    """Returns the map to the subject of a client's certificate; empty where none was verified."""
    verified = (Word("SUCCESS"), Var(logged("client_subject").source))
    return mapped("hg_client_subject", Var("ssl_client_verify"), Literal(""), verified)


def microseconds(name: str, source: str) -> Node:
    """Returns a map from seconds with three digits, the last of a list,
    to whole µs; else `null`.
    """
    number = Var("hg_raw")
    return mapped(
        name,
        Var(source),
        Word("null"),
        (Regex(r"~(?:\A|[ ,:])0\.000\z"), Word("0")),
        (Regex(r"~(?:\A|[ ,:])0\.0*(?<hg_raw>[1-9][0-9]*)\z"), Template((number, "000"))),
        (
            Regex(r"~(?:\A|[ ,:])(?<hg_raw>[1-9][0-9]*)\.(?<hg_low>[0-9]{3})\z"),
            Template((number, Var("hg_low"), "000")),
        ),
    )


def directives(ctx: Context) -> list[Node]:
    """Returns formats and sinks."""
    metrics = _object(ctx, [(key, veiled(ctx, variable)) for key, variable in VARIABLES], ())
    nodes: list[Node] = [
        comment("Access logs"),
        log_format(METRICS_FORMAT, metrics, "json"),
        log_to(FilePath(ctx.target.access_log), METRICS_FORMAT),
    ]
    if ctx.settings.access_log is not None:
        nodes += _wanted(ctx, ctx.settings.access_log)
    return nodes


def _wanted(ctx: Context, log: AccessLog) -> list[Node]:
    is_json = log.format == "json" and log.template is None
    told = readable if is_json else veiled
    identity = [(one.field, told(ctx, one.variable)) for one in TEXTS]
    identity[1] = ("request_id", request_id(ctx))
    about = ctx.findings.of("settings", "node", "access_log")
    last = [(one.field, told(ctx, one.variable)) for one in LAST]
    headers = {
        key: Field(readable_text(ctx, one) if is_json else one)
        for key, one in logged_headers.fields(ctx, about).items()
    }
    chosen = chosen_format(ctx, CHOSEN_FORMAT, log, _fields(identity, last) | headers)
    if chosen is not None:
        name, form = CHOSEN_FORMAT, chosen
    elif log.format == "json":
        text = _object(ctx, identity, [(one.field, Var(one.variable)) for one in NUMBERS])
        name, form = JSON_FORMAT, log_format(JSON_FORMAT, text, "json")
    elif log.format == "common":
        name, form = COMMON_FORMAT, log_format(COMMON_FORMAT, _line(ctx, _COMMON), "default")
    else:
        name, form = COMBINED_FORMAT, log_format(COMBINED_FORMAT, _line(ctx, _COMBINED), "default")
    return [form, to_sink(ctx, log, name, *route_logs.condition(ctx))]


def _fields(identity: list[tuple[str, Var]], last: list[tuple[str, Var]]) -> dict[str, Field]:
    """Returns what nginx knows of a request, by the keys of our lines."""
    return {
        **{key: Field(variable) for key, variable in identity},
        **{one.field: Field(Var(one.variable), is_number=True) for one in NUMBERS},
        **{key: Field(variable) for key, variable in last},
    }


def to_sink(ctx: Context, log: AccessLog, name: str, *chosen: Arg) -> Node:
    """Returns the line that writes a format to the sink of the config."""
    sink = log.sink
    about = ctx.findings.of("settings", "node", "access_log")
    if sink is None:  # only beside `otlp`
        return directive("access_log", Word("off"))
    if sink.file is not None:
        return log_to(FilePath(sink.file.path), name, *chosen)
    if sink.syslog is not None:
        about.note("sink", "nginx writes RFC 3164 datagrams")
        where = f"syslog:server={sink.syslog.address},facility=local7,severity=info,tag=headgate"
        return directive("access_log", Plain(where), Word(name), *chosen)
    about.note("sink", "standard output is nginx's own, which leads nowhere when it is a daemon")
    return directive("access_log", Word("/dev/stdout"), Word(name), *chosen)


def _line(ctx: Context, parts: tuple[str | Var, ...]) -> Template:
    return text_of(ctx, (veiled(ctx, p.name) if isinstance(p, Var) else p for p in parts))


def _object(ctx: Context, texts: list[tuple[str, Var]], numbers: object) -> Template:
    parts: list[str | Var] = []
    lead = "{"
    for key, variable in texts:
        parts += [f'{lead}"{key}":"', variable, '"']
        lead = ","
    for key, variable in numbers if isinstance(numbers, list) else ():
        parts += [f',"{key}":', variable]
    if numbers:
        for one in LAST:
            parts += [f',"{one.field}":"', readable(ctx, one.variable), '"']
    return Template((*parts, "}"))


def log_to(path: FilePath, name: str, *chosen: Arg) -> Node:
    """Returns the line that writes a format to a file, which HTTP and TCP may share so."""
    buffered = (Word("buffer=64k"), Word("flush=200ms"))
    return directive("access_log", path, Word(name), *buffered, *chosen)
