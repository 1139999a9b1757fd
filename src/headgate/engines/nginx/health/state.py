"""Names the state of an nginx in the words of every engine. No I/O."""

from headgate.engines.status import EngineState


def state_of(
    *, runs: bool, trouble: str, serves: bool, has_release: bool
) -> tuple[EngineState, str]:
    """Returns the state, and why it is not `serving`.

    `runs`: it has a master; `trouble`: why it cannot serve or be reloaded, empty when it can;
    `serves`: a generation of ours answers; `has_release`: one was proven before.

    >>> state_of(runs=True, trouble="", serves=True, has_release=True)
    ('serving', '')
    >>> state_of(runs=False, trouble="", serves=False, has_release=True)
    ('down', 'nginx does not answer: no master runs')
    """
    if not runs:
        return "down", trouble or "nginx does not answer: no master runs"
    if trouble:
        return "degraded", trouble
    if serves:
        return "serving", ""
    if has_release:
        return "degraded", "no nginx worker answers on the status socket"
    return "waiting", "no config was served yet"
