"""The types in which every engine reports to the rest of the node."""

import msgspec


class EngineUnavailableError(Exception):
    """The engine does not answer: it is being replaced, or we are early.

    Can be tried again: the native engine once the supervisor announces a data plane.
    """


class ObjectError(msgspec.Struct, frozen=True):
    """An engine's refusal of an object; `path` is the field, empty for the whole object.

    `is_passing`: the machine lacks something now, so that another try may succeed.
    """

    kind: str
    name: str
    path: str
    message: str
    is_passing: bool = False


class EndpointStatus(msgspec.Struct, frozen=True):
    """One endpoint. `state`: `up`, `down`, `unknown` (not checked yet), `unresolved`, `ejected`,
    `probing`, `breaker-open`, `breaker-half-open`, `drain`, `maintenance`, or `degraded` (the
    addresses of a name differ); `error`: the last reason a request failed there.

    `takes` says whether it gets new requests, `why` says the reason in a sentence. `reason` is the
    word for the last change of its state, `changed_at` its time (Unix seconds). `negotiated` is
    what TLS handshakes agreed on (`h2`, `http/1.1`, or both), where the upstream may speak HTTP/2;
    `agent_percent` the part of its weight that its agent asks for.
    """

    address: str
    resolved: list[str]
    state: str
    active: int
    idle: int
    requests: int
    failures: int
    error: str
    takes: bool = True
    why: str = ""
    reason: str = ""
    changed_at: float = 0.0
    checks_passed: int = 0
    checks_failed: int = 0
    negotiated: str = ""
    agent_percent: int = 100


class UpstreamStatus(msgspec.Struct, frozen=True):
    """One upstream with its endpoints in the order of the config.

    `panic`: too few are usable, so that those that look bad get requests, too. `protocol`: the
    config's word for what its endpoints speak; empty where this process has not read the config.
    """

    name: str
    endpoints: list[EndpointStatus]
    panic: bool = False
    protocol: str = ""


class TapFilter(msgspec.Struct, frozen=True):
    """The requests that a tap shows; what is empty or 0 leaves nothing out.

    `host`: without its port, `*.example.com` is every name below; `path`: what the target begins
    with; `status`: the least and the greatest; `client`: a network; `slower_us`: the least time in
    all, in microseconds. `headers`: the headers of requests are shown, too.
    """

    host: str = ""
    path: str = ""
    method: str = ""
    listener: str = ""
    route: str = ""
    upstream: str = ""
    status: tuple[int, int] = (0, 0)
    client: str = ""
    slower_us: int = 0
    headers: bool = False


class TapChunk(msgspec.Struct, frozen=True):
    """Whole lines of JSON, in the order in which requests ended on each worker.

    `dropped`: requests that were not shown since the chunk before, because nobody read in time.
    Nothing is redacted.
    """

    lines: bytes
    dropped: int = 0


class TapRefusedError(Exception):
    """An engine opens no tap; the message says why. `is_full`: as many as may be are open."""

    def __init__(self, message: str, *, is_full: bool = False) -> None:
        super().__init__(message)
        self.is_full = is_full
