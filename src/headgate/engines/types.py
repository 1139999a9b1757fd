"""What every engine tells the rest of the node."""

import msgspec


class EngineUnavailableError(Exception):
    """What carries plans out does not answer: it is being replaced, or we are early.

    Can be tried again: the native engine once the supervisor announces a data plane.
    """


class ObjectError(msgspec.Struct, frozen=True):
    """Why an engine refused an object; `path` is the field, empty for the whole object."""

    kind: str
    name: str
    path: str
    message: str


class EndpointStatus(msgspec.Struct, frozen=True):
    """One endpoint. `state`: `up` or `unresolved`; `error`: the last reason it failed."""

    address: str
    resolved: list[str]
    state: str
    active: int
    idle: int
    requests: int
    failures: int
    error: str


class UpstreamStatus(msgspec.Struct, frozen=True):
    """One upstream with its endpoints in the order of the config."""

    name: str
    endpoints: list[EndpointStatus]
