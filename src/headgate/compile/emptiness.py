"""Refuses a whole config that serves nothing, unless it says that this is meant. Pure.

Files may be missing during a copy. A part of a config, as in a document or a test, does not come
here.
"""

from headgate.compile.loaded import Loaded
from headgate.kernel.diagnostics import Diagnostic


def emptiness(loaded: Loaded, name: str) -> tuple[Diagnostic, ...]:
    """Returns the error of a valid config without a route; `name` is what people call it."""
    plan, settings = loaded.plan, loaded.node
    if plan is None or settings is None or settings.allow_empty:
        return ()
    if settings.engine == "nginx" and settings.nginx.mode == "observe":
        return ()  # it applies nothing
    if any(key.kind in ("route", "tcp_route", "udp_route") for key in plan.objects):
        return ()
    has_listener = any(key.kind == "listener" for key in plan.objects)
    lacks = "no route" if has_listener else "neither a listener nor a route"
    message = f"the config has {lacks}: it would serve nothing"
    allowed = "add [routes.NAME], or write `allow_empty = true` under [node] to serve nothing"
    return (Diagnostic(file=name, message=message, allowed=allowed),)
