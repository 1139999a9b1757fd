"""Renders the maps of every config: the request's path in normal form, refusals,
what upstreams learn about the client.

nginx has a path as sent (`$request_uri`) and decoded (`$uri`). We route and forward the normal form
between the two (docs/reference/matching.md). Nearly every path already is in normal form: one
expression checks that. Any other path is normalised: by `$uri` where it needs no escape, or else
one escape at a step. A path that is not normal then gets 400.
"""

from typing import Final

from headgate.nginxtext.tree import Node
from headgate.nginxtext.writer import (
    Arg,
    Literal,
    MapKey,
    Regex,
    Template,
    Var,
    Word,
    comment,
    directive,
    dollar,
    entry,
)

ESCAPE_STEPS: Final = 40
"""The most escapes not in normal form; nginx nests 100 variables at most."""

DOT_STEPS: Final = 8
"""The most dot segments and double slashes beside such escapes."""

_PLAIN: Final = r"A-Za-z0-9\-._~!$&'()*+,;=:@"
_DOTS: Final = r"\.\.?(?:[/?]|%2F|\z)"
_UNRESERVED: Final = "2[DE]|3[0-9]|4[1-9A-F]|5[0-9AF]|6[1-9A-F]|7[0-9AE]"
_ESCAPE: Final = rf"%2F(?!{_DOTS})|%(?!2F|00|5C|{_UNRESERVED})[0-9A-F]{{2}}"
_SEGMENTS: Final = rf"(?:/(?!/|{_DOTS})(?:[{_PLAIN}]++|{_ESCAPE})*+)++"
_QUERY: Final = r"(?:\?[!\"$-\[\]-~]*)?"
_RESERVED_ESCAPE: Final = "%(?:2[146-9A-Ca-cFf]|3[ABDabd]|40)"
_ODD_CHARS: Final = '{}|^"<>[]`'
_IN_CLASS: Final = r"{}|^\"<>\[\]`".replace('\\"', '"')
_OCTET: Final = "%(?:2[146-9a-c]|3[bd]|[89a-f][0-9a-f])"
_LABEL: Final = rf"(?:[a-z0-9_~!$&'()*+,;=-]++|{_OCTET})++"
_HOST: Final = rf"{_LABEL}(?:\.{_LABEL})*|\[[0-9a-f:.]+\]"
_PORT: Final = r"[0-9]{0,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]"

_NOTHING: Final = Literal("")
_HEAD: Final = Var("hg_head")
_TAIL: Final = Var("hg_tail")


def mapped(
    name: str,
    source: Arg,
    default: Arg,
    *entries: tuple[Arg, Arg],
    volatile: bool = False,
) -> Node:
    """Returns a `map` under a name of its own."""
    lines: list[Node] = [directive("volatile")] if volatile else []
    lines.append(entry(Word("default"), default))
    lines += [entry(key, value) for key, value in entries]
    return directive("map", source, Var(name), children=lines)


def request_maps() -> list[Node]:
    """Returns the maps of every request, equal in every config."""
    return [
        comment("Data with a dollar sign in it, and none at all"),
        dollar(),
        mapped("hg_empty", _NOTHING, _NOTHING),
        *_path(),
        *_target(),
    ]


def _path() -> list[Node]:
    request_uri = Var("request_uri")
    return [
        comment("The path that is routed and forwarded; empty = 400"),
        mapped(
            "hg_path",
            request_uri,
            Var("hg_path_odd"),
            (Regex(rf"~\A(?<hg_raw>{_SEGMENTS}){_QUERY}\z"), Var("hg_raw")),
            (Regex(r"~[^!-~]|[#\\]"), _NOTHING),
            (Regex(r"~*\A[^?]*%(?:00|5c)"), _NOTHING),
        ),
        comment("... one that is not in normal form: decoded, where nothing then needs an escape"),
        mapped(
            "hg_path_odd",
            Template((request_uri, " ", Var("uri"))),
            Var("hg_path_made"),
            (
                Regex(
                    rf"~\A(?![^? ]*{_RESERVED_ESCAPE})[^ ]* "
                    rf"(?<hg_raw>(?:/(?!/|\.\.?(?:/|\z))[{_PLAIN}]*+)++)\z"
                ),
                Var("hg_raw"),
            ),
        ),
        comment(f"... or step by step: {ESCAPE_STEPS} escapes, {DOT_STEPS} odd segments at most"),
        mapped(
            "hg_path_made",
            Var(f"hg_path_dots{DOT_STEPS}"),
            _NOTHING,
            (Regex(rf"~\A(?<hg_raw>{_SEGMENTS})\z"), Var("hg_raw")),
        ),
        *_dot_steps(),
        *_escape_steps(),
        *_escapes(),
    ]


def _dot_steps() -> list[Node]:
    found = []
    for step in range(DOT_STEPS, 0, -1):
        before = Var(f"hg_path_dots{step - 1}" if step > 1 else f"hg_path_escape{ESCAPE_STEPS}")
        joined = Template((_HEAD, "/", _TAIL))
        found.append(
            mapped(
                f"hg_path_dots{step}",
                before,
                before,
                (Regex(r"~\A(?<hg_head>.*?)//+(?<hg_tail>.*)\z"), joined),
                (Regex(r"~\A(?<hg_head>.*?)/\.(?:/(?<hg_tail>.*))?\z"), joined),
                (
                    Regex(r"~\A(?<hg_head>.*?)/(?!\.\.?/)[^/]+/\.\.(?:/(?<hg_tail>.*))?\z"),
                    joined,
                ),
            )
        )
    return found


def _escape_steps() -> list[Node]:
    token = rf"%(?<hg_high>[0-9A-Fa-f])(?<hg_low>[0-9A-Fa-f])|[{_IN_CLASS}]"
    normal = rf"(?:[^%{_IN_CLASS}]|%(?!{_UNRESERVED})[0-9A-F]{{2}})*+"
    found = []
    for step in range(ESCAPE_STEPS, 0, -1):
        before = Var(f"hg_path_escape{step - 1}")
        changed = Template((_HEAD, Var("hg_escape"), _TAIL))
        key = Regex(rf"~\A(?<hg_head>{normal})(?<hg_odd>{token})(?<hg_tail>.*)\z")
        found.append(mapped(f"hg_path_escape{step}", before, before, (key, changed)))
    raw = (Regex(r"~\A(?<hg_raw>/[^?]*)"), Var("hg_raw"))
    return [*found, mapped("hg_path_escape0", Var("request_uri"), Literal("/"), raw)]


def _escapes() -> list[Node]:
    """Returns the map from an escape or a character to its normal form, evaluated at every step."""
    digits = tuple((Word(digit), Word(digit.upper())) for digit in "abcdef")
    unreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
    decoded = tuple((Literal(f"%{ord(c):02x}"), Literal(c)) for c in unreserved)
    encoded = tuple((MapKey(c), Literal(f"%{ord(c):02X}")) for c in _ODD_CHARS)
    upper = Template(("%", Var("hg_high_digit"), Var("hg_low_digit")))
    return [
        mapped("hg_escape", Var("hg_odd"), upper, *decoded, *encoded, volatile=True),
        mapped("hg_high_digit", Var("hg_high"), Var("hg_high"), *digits, volatile=True),
        mapped("hg_low_digit", Var("hg_low"), Var("hg_low"), *digits, volatile=True),
    ]


def _target() -> list[Node]:
    source = Template((Var("hg_path"), " ", Var("host"), " ", Var("http_host")))
    return [
        comment("Why a request gets 400; empty when it does not"),
        mapped(
            "hg_refused",
            source,
            Literal("the host is not valid"),
            (Regex(r"~\A "), Literal("the path is not acceptable")),
            # An HTTP/1.0 request without Host: nginx accepts no other without one.
            (Regex(r"~\A\S+  \z"), _NOTHING),
            (Regex(rf"~*\A\S+ ({_HOST}) \1\.?(?::(?:{_PORT}))?\z"), _NOTHING),
        ),
        comment("The path of a request that is taken"),
        mapped("hg_admitted", Var("hg_refused"), Literal("refused"), (MapKey(""), Var("hg_path"))),
        comment("What an upstream is told that the client asked for: never nothing"),
        mapped("hg_host", Var("http_host"), Var("http_host"), (MapKey(""), Var("proxy_host"))),
        comment("The query with its question mark, as it was sent"),
        mapped(
            "hg_query",
            Var("request_uri"),
            _NOTHING,
            (Regex(r"~\A[^?]*(?<hg_raw>\?.*)\z"), Var("hg_raw")),
        ),
        comment("The port that the client named, and as a URL needs it"),
        mapped(
            "hg_port",
            Template((Var("scheme"), " ", Var("http_host"))),
            Word("80"),
            (Regex(r"~:0*(?<hg_raw>[0-9]+)\z"), Var("hg_raw")),
            (Regex(r"~\Ahttps "), Word("443")),
        ),
        mapped(
            "hg_port_suffix",
            Template((Var("scheme"), " ", Var("hg_port"))),
            Template((":", Var("hg_port"))),
            (MapKey("http 80"), _NOTHING),
            (MapKey("https 443"), _NOTHING),
        ),
        *_websocket(),
    ]


def _websocket() -> list[Node]:
    # Over HTTP/2 such headers mean nothing, and nginx would take the answer 101 for a tunnel.
    asked = ("server_protocol", "request_method", "http_upgrade", "http_sec_websocket_version")
    parts: list[str | Var] = []
    for name in (*asked, "http_sec_websocket_key"):
        parts += [Var(name), "\n"]  # no header has a line end in it
    key, connection = "[A-Z0-9+/]{22}==", r"(?:.*[, \t])?upgrade(?:[, \t].*)?"
    handshake = rf"~*\AHTTP/1\.[01]\nGET\nwebsocket\n13\n{key}\n{connection}\z"
    return [
        comment("A WebSocket handshake (RFC 6455) or nothing: no other upgrade is passed on"),
        mapped(
            "hg_upgrade",
            Template((*parts, Var("http_connection")), lines=True),
            _NOTHING,
            (Regex(handshake), Word("websocket")),
        ),
        mapped(
            "hg_connection", Var("hg_upgrade"), _NOTHING, (MapKey("websocket"), Word("upgrade"))
        ),
    ]
