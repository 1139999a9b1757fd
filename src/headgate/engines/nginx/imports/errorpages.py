"""Converts `error_page` with `proxy_intercept_errors` to `error_pages`.

It is taken where a location of the server answers with a text, which then has the status of the
error. The lines stay in the kept text, where they mean what the middleware says.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from headgate.engines.nginx.imports import accesslogs, effects, returns, values
from headgate.engines.nginx.imports.around import Around, Level
from headgate.engines.nginx.imports.objects import NotExpressibleError, Table, Toml

KIND: Final = "error_pages"

_INTERCEPT: Final = b"proxy_intercept_errors"
_FORWARDING: Final = frozenset({400, 413, 429, 500, 502, 503, 504})
"""The statuses that nginx answers by itself where it forwards, beside those about who may pass."""
_PAGED: Final = frozenset(range(400, 600)) - {408, 444, 494, 495, 496, 497, 499}
"""The statuses that a page of ours can have, on either engine."""
_LOGGED: Final = "`error_page`: an error is in the access log as its location says, not its page"
_FEWEST_WORDS: Final = 2
_RETURN_WORDS: Final = 2
_OTHER_RETURNS: Final = frozenset({b"444", *(b"%d" % one for one in returns.REDIRECTS)})
"""The statuses of `return` that lead elsewhere, or end the connection."""
_OWN: Final = frozenset({"internal", "return", "default_type", "add_header", "expires"})
_VARIABLES: Final[Mapping[bytes, bytes]] = {
    b"status": b"${status}",
    b"request_id": b"${request_id}",
}


class _Led(NamedTuple):
    """The target of the error of a status; `changed` says that another status is answered."""

    target: str
    changed: bool


def pages_of(around: Around) -> Table | None:
    """Returns the middleware with the pages of a location that forwards, None = none.

    Raises `NotExpressibleError` where an error is answered with another status, or one of an
    endpoint with a page that is not a text.
    """
    intercepts = around.value(_INTERCEPT, b"off") == b"on"
    led = _led(around)
    own = _own_statuses(around)
    found: dict[str, list[int]] = {}
    for status in sorted(led):
        if not intercepts and status not in own:
            continue
        target, changed = led[status]
        if changed:
            raise NotExpressibleError(
                f"`error_page {status} … {target}` answers with another status than the error's"
            )
        if intercepts and status not in _PAGED:
            raise NotExpressibleError(f"`error_page {status}`: that status has no page here")
        found.setdefault(target, []).append(status)
    if not intercepts or not found:
        return None
    pages: list[Toml] = [
        {"statuses": statuses, **_page(target, around)} for target, statuses in found.items()
    ]
    return {KIND: {"pages": pages}}


def _own_statuses(around: Around) -> set[int]:
    """Returns what nginx answers by itself where it forwards, its limits among that."""
    limits = [around.value(kind + b"_status", b"503") for kind in (b"limit_req", b"limit_conn")]
    return {*_FORWARDING, *(int(word) for word in limits if word.isdigit())}


def _led(around: Around) -> dict[int, _Led]:
    """Returns where errors lead: the first line for a status counts."""
    found: dict[int, _Led] = {}
    for _, line in around.nearest(b"error_page"):
        words = [values.text(value) for value in line.values]
        if len(words) < _FEWEST_WORDS:
            raise NotExpressibleError("an `error_page` line is not understood")
        *codes, target = words
        has_own = codes[-1].startswith("=")
        codes = codes[:-1] if has_own else codes
        if not all(code.isdigit() for code in codes):
            raise NotExpressibleError("an `error_page` line is not understood")
        changed = has_own or not target.startswith("/") or "$" in target
        for code in codes:
            found.setdefault(int(code), _Led(target, changed))
    return found


def _page(target: str, around: Around) -> dict[str, Toml]:
    """Returns text and type of the page that a location answers with."""
    level = around.services.get(target)
    if level is None:
        raise NotExpressibleError(f"`error_page … {target}` leads to no location of that path")
    answering = around._replace(levels=(level, *around.levels[1:]))
    _check_lines(target, level)
    if answering.nearest(b"add_header") != around.nearest(b"add_header"):
        raise NotExpressibleError(f"`error_page … {target}`: `add_header` there is another one")
    (line,) = level.named(b"return")
    words = line.directive.values
    if len(words) != _RETURN_WORDS or words[0] in _OTHER_RETURNS:
        raise NotExpressibleError(f"`error_page … {target}` leads to no text")
    kind = returns.type_of(answering, target)
    if values.has_variables(kind.encode()):
        raise NotExpressibleError(f"`error_page … {target}`: its type is a variable")
    return {"body": _text(words[1]), "content_type": kind}


def _check_lines(target: str, level: Level) -> None:
    for located in level.lines:
        name = values.text(located.directive.name)
        if name in _OWN or effects.is_of_transport(name) or effects.is_inert(located.directive):
            continue
        raise NotExpressibleError(
            f"`error_page … {target}`: `{name}` there; a page is the text of a `return` here"
        )
    if len(level.named(b"return")) != 1:
        raise NotExpressibleError(f"`error_page … {target}` leads to no text")


def _text(value: bytes) -> str:
    """Returns a text with the variables that pages have; raises `NotExpressibleError`."""
    for name in values.names(value):
        if name not in _VARIABLES:
            raise NotExpressibleError(
                f"the variable ${values.text(name)} has no counterpart in a page"
            )
    return values.text(values.folded(value, _VARIABLES))


def check_asked(what: str, asking: Around) -> None:
    """Raises `NotExpressibleError` where an answer to a request of nginx's own is a page."""
    if asking.value(_INTERCEPT, b"off") == b"on" and asking.nearest(b"error_page"):
        raise NotExpressibleError(f"{what}: errors of its answers lead to an `error_page`")


def notes_of(pages: Table | None, around: Around) -> tuple[str, ...]:
    """Returns what differs."""
    logged = (_LOGGED,) if _is_logged_otherwise(around) else ()
    if pages is not None:
        return (
            "`error_page`: headers of an endpoint's error, but those of its body, stay beside a "
            "page here",
            *logged,
        )
    if not _own_statuses(around).isdisjoint(_led(around)):
        return ("error pages for answers that nginx makes itself stay in the kept text", *logged)
    return ()


def _is_logged_otherwise(around: Around) -> bool:
    """Reports whether errors are in another log than what else the location answers: in nginx they
    are in the one of the page.
    """
    for target, _ in _led(around).values():
        level = around.services.get(target)
        if level is None:
            continue
        answering = around._replace(levels=(level, *around.levels[1:]))
        if accesslogs.switch(answering) != accesslogs.switch(around):
            return True
    return False
