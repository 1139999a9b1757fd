"""Renders the maps that hide parameters of a query from access logs.

One map decides by one look whether a request has such a parameter at all, or a name with escapes;
only then the others are evaluated, each of which hides one value. What is left after the last one,
and a name that is spelled with escapes, loses its whole query.
"""

from collections.abc import Sequence
from typing import Final

from headgate.engines.nginx.render.context import Context
from headgate.engines.nginx.render.prelude import mapped
from headgate.kernel.parameters import expressions, plainly
from headgate.kernel.redaction import SHOWN
from headgate.nginxtext.tree import Node
from headgate.nginxtext.writer import Regex, Template, Var, comment

STEPS: Final = 6
"""The most values that are hidden each for itself."""

_NAMES: Final = {
    "request_uri": "hg_log_target",
    "http_referer": "hg_log_referer",
    "request": "hg_log_request",
}
"""By nginx's variable: ours."""

_END: Final = {"request": r" HTTP/[0-9.]+"}
"""The expression for what follows a URL in a variable."""

_ESCAPED: Final = "[^=&;?#%]*+%"
"""The beginning of a name with an escape. Nothing here is looked at again for each sign of percent:
that would take the square of what a client sends.
"""


def veiled(ctx: Context, variable: str) -> Var:
    """Returns what logs say in place of a variable of nginx's."""
    is_ours = variable in _NAMES and ctx.settings.redaction.query
    return Var(_NAMES[variable] if is_ours else variable)


def maps(ctx: Context) -> list[Node]:
    """Returns the maps for what the log formats of this config name."""
    if not ctx.settings.redaction.query:
        return []
    log = ctx.settings.access_log
    has_request = log is not None and log.template is None and log.format != "json"
    found: list[Node] = [comment("What logs do not say: values of parameters that are secret")]
    for variable, name in _NAMES.items():
        if variable != "request" or has_request:
            found += maps_of(ctx, Var(variable), name, end=_END.get(variable, ""))
    return found


def maps_of(ctx: Context, source: Var, name: str, *, end: str = "") -> list[Node]:
    """Returns the maps that make a variable `name` of another one with a URL in it; none where
    nothing is hidden. `end` is what follows the URL.
    """
    names = ctx.settings.redaction.query
    return _maps(source, name, end, plainly(names), expressions(names)) if names else []


def _maps(
    source: Var, name: str, end: str, plain: Sequence[str], spelled: Sequence[str]
) -> list[Node]:
    """Returns the maps for one variable: `plain` are names without escapes, `spelled` with them."""
    is_hidden = rf"\({SHOWN[1:-1]}\)(?:&|{end}\z)"
    first, rest = r"[?#](?:.*?[?&;#])?", Var(f"{name}_rest")
    maybe = (*(rf"(?:{one})=" for one in plain), f"{_ESCAPED}[^=&;?#]*+=")
    found = [mapped(name, source, source, *((Regex(f"~*[?&;#]{one}"), rest) for one in maybe))]
    one_less = Template((Var("hg_head"), SHOWN, Var("hg_tail")))
    whole = Template((Var("hg_head"), "?", SHOWN, Var("hg_tail")))
    tail = rf"(?<hg_tail>(?:&.*|{end})?)\z" if end else r"(?<hg_tail>(?:&.*)?)\z"
    shown = f"(?!{is_hidden})[^&]*?{tail}"
    starts = [f"{first}(?:{one})=" for one in plain]
    left = [f"{one}(?!{is_hidden})" for one in starts]
    escaped = [f"{first}(?={_ESCAPED})(?:{one})=" for one in spelled]
    for step in range(STEPS):
        cuts = (Regex(rf"~*\A(?<hg_head>[^?#]*+{one}){shown}") for one in starts)
        found.append(mapped(f"{name}_{step}", source, source, *((cut, one_less) for cut in cuts)))
        source = Var(f"{name}_{step}")
    end_kept = rf".*?(?<hg_tail>(?:{end})?)\z"
    gone = (Regex(rf"~*\A(?<hg_head>[^?#]*+){one}{end_kept}") for one in (*left, *escaped))
    return [*found, mapped(rest.name, source, source, *((one, whole) for one in gone))]
