"""Says why an nginx proxies no connections or datagrams (`stream`) at all."""

from collections.abc import Mapping

from headgate.engines.nginx.render.context import Context


def of_stream(ctx: Context, what: str, needed: Mapping[str, str]) -> str:
    """Returns why there is no `what` (TCP or UDP) here, or an empty text; `needed` has snippets
    and the word for each.
    """
    if ctx.target.mode == "guest":
        return (
            f"a foreign nginx.conf includes headgate's files inside `http`, where {what} cannot be"
        )
    if not ctx.has("stream"):
        return (
            "this nginx has no `stream`: install its module (Debian: libnginx-mod-stream, Fedora: "
            "nginx-mod-stream)"
        )
    missing = [word for snippet, word in needed.items() if not ctx.has(snippet)]
    return f"`stream` of this nginx has no {', '.join(missing)}" if missing else ""
