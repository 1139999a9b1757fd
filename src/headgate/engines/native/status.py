"""Says of a data plane what every engine says of itself. Asks nothing."""

import time
from typing import Final

from headgate.engines.applies import Applies
from headgate.engines.native.types import DataPlaneStatus, Identity
from headgate.engines.status import EngineState, EngineStatus, NativeStatus
from headgate.plan.plan import Plan

_NOTHING: Final = Plan().digest.hex()
"""The plan of a data plane that was given none."""
_WHY: Final[dict[EngineState, str]] = {
    "waiting": "no config was served yet",
    "draining": "it accepts no new connections",
}


def engine_status(
    plane: DataPlaneStatus | None, identity: Identity | None, applies: Applies
) -> EngineStatus:
    """Returns the status of the data plane that answers; `down` while none does."""
    if plane is None or identity is None:
        why = "there is no data plane"
        return EngineStatus(kind="native", state="down", why=why, last_apply=applies.last)
    state = _state(plane)
    return EngineStatus(
        kind="native",
        state=state,
        why=_WHY.get(state, ""),
        version=identity.version,
        pid=identity.pid,
        started_at=round(time.time() - plane.uptime_s),
        workers=len(plane.workers),
        digest=plane.plan_digest,
        since=applies.since(plane.plan_digest),
        last_apply=applies.last,
        upstreams=plane.upstreams,
        native=NativeStatus(
            generation=plane.generation,
            workers=plane.workers,
            listeners=plane.listeners,
            overload=plane.overload,
            overload_cause=plane.overload_cause,
            traces=plane.traces,
            access_log=plane.access_log,
            access_log_failure=plane.access_log_failure,
            limit_store=plane.limit_store,
        ),
    )


def _state(plane: DataPlaneStatus) -> EngineState:
    if plane.draining:
        return "draining"
    return "waiting" if plane.plan_digest in {"", _NOTHING} else "serving"
