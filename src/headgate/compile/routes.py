"""Compiles routes into their plan nodes."""

from collections.abc import Sequence
from typing import Final

from headgate.compile.objects import chain, cookie
from headgate.compile.resolved import Ref, Resolved
from headgate.model.mirror import Mirror
from headgate.model.retry import ALWAYS, Retry
from headgate.model.route import Route, RouteTimeouts
from headgate.model.sticky import Sticky
from headgate.plan import objects as plan

_DEFAULT_TIMEOUTS: Final = plan.RouteTimeouts()
_OBSERVED: Final = plan.Observed()


def route(model: Route, default_listeners: Sequence[str]) -> Resolved:
    """Returns a route; attaches to the default listeners unless it names its own."""
    out = Resolved()
    listeners = _listeners(model, default_listeners, out)
    limits = model.limits
    out.value = plan.Route(
        hosts=tuple(sorted(set(model.hosts))),
        listeners=listeners,
        action=_action(model, out),
        match=tuple([match.to_plan() for match in model.match]),
        priority=model.priority,
        middlewares=chain(model.middlewares, out),
        timeouts=_timeouts(model),
        forward_raw_path=model.forward_path == "raw",
        websocket=model.websocket,
        body_bytes=limits.body.bytes if limits and limits.body else None,
        body_buffer_bytes=limits.body_buffer.bytes if limits else 0,
        response_buffer_bytes=limits.response_buffer.bytes if limits else 0,
        retry=_retry(model.retry) if model.retry is not None else None,
        importance=model.importance,
        observed=_observed(model),
        sticky=_sticky(model.sticky) if model.sticky is not None else None,
        mirrors=tuple(_mirror(one, at, out) for at, one in enumerate(model.mirror)),
    )
    return out


def _observed(model: Route) -> plan.Observed:
    log = model.access_log
    if log.share == _OBSERVED.access_log_percent:
        return plan.Observed(tracing=model.tracing)
    return plan.Observed(
        access_log_percent=log.share,
        access_log_statuses=log.logged_statuses,
        access_log_slower_ms=log.slower_ms,
        tracing=model.tracing,
    )


def is_crosschecked(model: Route) -> bool:
    """Reports whether a key of a route excludes keys of objects that it names."""
    hedges = model.retry is not None and model.retry.hedge is not None
    return hedges or model.forward_path == "raw" or bool(model.mirror)


def _listeners(model: Route, defaults: Sequence[str], out: Resolved) -> tuple[str, ...]:
    if model.listeners is None:
        return tuple(defaults)  # one check for all routes says whether there are any
    for index, name in enumerate(model.listeners):
        out.refs.append(Ref("listener", name, ("listeners", index)))
    return tuple(sorted(set(model.listeners)))


def _action(model: Route, out: Resolved) -> plan.Action:
    if model.upstream is not None:
        out.refs.append(Ref("upstream", model.upstream, ("upstream",)))
        return plan.Action(upstream=model.upstream)
    if model.split is not None:
        for index, part in enumerate(model.split):
            out.refs.append(Ref("upstream", part.upstream, ("split", index, "upstream")))
        return plan.Action(split=tuple(plan.SplitPart(p.upstream, p.weight) for p in model.split))
    if model.respond is not None:
        return plan.Action(respond=model.respond.to_plan())
    if model.not_imported is not None:
        return plan.Action(not_imported=model.not_imported)
    return plan.Action(redirect=model.redirect.to_plan() if model.redirect else None)


def _sticky(model: Sticky) -> plan.Sticky:
    if model.cookie is not None:
        return plan.Sticky(cookie=cookie(model.cookie, model))
    return plan.Sticky(by=tuple(model.by or ()))


def _mirror(model: Mirror, at: int, out: Resolved) -> plan.Mirror:
    out.refs.append(Ref("upstream", model.upstream, ("mirror", at, "upstream")))
    return plan.Mirror(
        upstream=model.upstream,
        share=model.share,
        body_bytes=model.max_body.bytes,
        timeout_ms=model.timeout.ms,
        in_flight=model.max_in_flight,
    )


def _timeouts(model: Route) -> plan.RouteTimeouts:
    timeouts: RouteTimeouts = model.timeouts
    if not timeouts.model_fields_set and model.limits is None:
        return _DEFAULT_TIMEOUTS
    return plan.RouteTimeouts(
        request_ms=timeouts.request.ms,
        per_try_ms=timeouts.per_try.ms,
        body_ms=timeouts.body.ms,
        body_rate=model.limits.body_rate.bytes if model.limits else _DEFAULT_TIMEOUTS.body_rate,
        first_byte_ms=timeouts.first_byte.ms,
        stream_idle_ms=timeouts.stream_idle.ms,
    )


def _retry(model: Retry) -> plan.Retry:
    methods = model.methods
    return plan.Retry(
        retries=model.retries,
        on=tuple(sorted({one for one in model.on if one not in ALWAYS})),
        methods=plan.OnlyMethods(methods) if isinstance(methods, tuple) else methods,
        backoff=plan.RetryBackoff(
            base_ms=model.backoff.base.ms,
            factor_percent=round(model.backoff.factor * 100),
            max_ms=model.backoff.max.ms,
            jitter=model.backoff.jitter == "full",
        ),
        hedge=plan.RetryHedge(after_ms=model.hedge.after.ms) if model.hedge else None,
        budget=plan.RetryBudget(percent=model.budget.percent, per_second=model.budget.per_second),
    )
