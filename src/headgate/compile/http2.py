"""Compiles the bounds of a listener's HTTP/2 connections."""

from headgate.model import http2 as model
from headgate.plan import http2 as plan


def http2(given: model.Http2) -> plan.Http2:
    """Returns the bounds; what is absent is the listener's."""
    if not given.model_fields_set:
        return plan.Http2()
    return plan.Http2(
        streams=given.streams,
        dispatched=given.dispatched,
        bodies=given.bodies,
        header_list_bytes=given.header_list.bytes if given.header_list else None,
        continuations=given.continuations,
        windows=_windows(given.windows),
        output=plan.Http2Output(
            frames_bytes=given.output.frames.bytes,
            control_frames=given.output.control_frames,
            answers_bytes=given.output.answers.bytes,
        ),
        budgets=_budgets(given.budgets),
        timeouts=_timeouts(given.timeouts),
    )


def _windows(given: model.Http2Windows) -> plan.Http2Windows:
    # A default may be smaller than a window that is written.
    return plan.Http2Windows(
        stream_bytes=given.initial.bytes,
        most_stream_bytes=max(given.max, given.initial).bytes,
        connection_bytes=max(given.connection, given.initial).bytes,
    )


def _budgets(given: model.Http2Budgets) -> plan.Http2Budgets:
    return plan.Http2Budgets(
        resets=given.resets,
        reset_wait_ms=given.reset_wait.ms,
        settings=given.settings,
        pings=given.pings,
        priorities=given.priorities,
        others=given.other_frames,
        small_data=given.small_data,
        small_messages=given.small_messages,
        empty_data=given.empty_data,
        window_updates=given.window_updates,
        work=given.work,
    )


def _timeouts(given: model.Http2Timeouts) -> plan.Http2Timeouts:
    return plan.Http2Timeouts(
        settings_ms=given.settings.ms if given.settings else None,
        idle_ms=given.idle.ms if given.idle else None,
        write_ms=given.write.ms,
        drain_ms=given.drain.ms,
        ping_after_ms=given.ping_after.ms,
        ping_ms=given.ping.ms,
    )
