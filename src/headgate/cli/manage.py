"""`reload`, `drain`, `upgrade` and `status`: commands that talk to a running node."""

import time
from pathlib import Path

import msgspec

from headgate.cli import calls
from headgate.cli.engine_lines import engine_lines
from headgate.cli.link_lines import link_lines, moment, process_lines
from headgate.cli.master_lines import master_lines
from headgate.compile.forms import served_as
from headgate.engines.types import EndpointStatus, UpstreamStatus
from headgate.node.about import NodeStatus, Problem
from headgate.node.key_sets.about import KeySetStatus
from headgate.node.results import Outcome, ReloadResult

_CONTROL_S = 20.0
_INSTALLED_S = 60.0
"""The first start of a version compiles it, and may be on a machine without a CPU to spare."""
_LOOK_S = 0.05
_WHOLE = 100
"""An endpoint takes this percentage of its weight, unless its agent asks for another."""
_OWN = "takes only "
"""The sentence of an endpoint begins so that takes the requests of its own clients alone."""


def reload(state_dir: Path) -> ReloadResult:
    """Has the config read and served; returns how that ended. Raises calls.NoNodeError."""
    answer = _once_it_answers(state_dir, "POST", "/reload")
    try:
        return msgspec.json.decode(answer.body, type=ReloadResult)
    except ValueError:
        text = answer.body.decode(errors="replace").strip()
        return ReloadResult(outcome=Outcome.FAILED, error=f"HTTP {answer.status}: {text}")


def _once_it_answers(state_dir: Path, method: str, path: str) -> calls.Answer:
    """Returns an answer of the control process, also
    of the next one while this one is being replaced.
    """
    deadline = time.monotonic() + _CONTROL_S
    while True:
        try:
            return calls.call(state_dir, method, path)
        except calls.NoNodeError:
            calls.supervisor(state_dir, "status")  # without a node there is nothing to wait for
            if time.monotonic() >= deadline:
                raise
            time.sleep(_LOOK_S)


def drain(state_dir: Path, *, wait: bool) -> str | None:
    """Drains a node and, if wanted, waits for its end; returns an error or None."""
    answer = calls.supervisor(state_dir, "drain")
    if answer.get("ok") is not True:
        return str(answer.get("error", "refused"))
    if wait:
        calls.wait_until_gone(state_dir)
    return None


def order(state_dir: Path, upstream: str, endpoint: str, state: str) -> str | None:
    """Gives an operator's order for an endpoint; returns an error, or None once it is in force."""
    body = msgspec.json.encode({"upstream": upstream, "endpoint": endpoint, "state": state})
    answer = calls.call(state_dir, "POST", "/endpoint", body)
    if answer.status == 200:  # noqa: PLR2004
        return None
    try:
        return msgspec.json.decode(answer.body, type=Problem).error
    except ValueError:
        return f"HTTP {answer.status}: {answer.body.decode(errors='replace').strip()}"


def upgrade(state_dir: Path) -> str | None:
    """Replaces the node's data plane and control process; returns an error, or None once done.

    Where nginx serves only the control process is replaced.
    """
    answer = calls.supervisor(state_dir, "upgrade")
    if answer.get("ok") is not True:
        return str(answer.get("error", "refused"))
    deadline = time.monotonic() + _INSTALLED_S
    while not calls.supervisor(state_dir, "status").get("control_is_connected"):
        if time.monotonic() >= deadline:
            return "the control process of the installed version does not start; see the node's log"
        time.sleep(_LOOK_S)
    return None


def status(state_dir: Path) -> NodeStatus:
    """Returns how a node is. Raises calls.NoNodeError, also when its control process is away."""
    try:
        answer = calls.call(state_dir, "GET", "/status")
    except calls.NoNodeError:
        serving = calls.supervisor(state_dir, "status").get("listening")
        raise calls.NoNodeError(
            f"the control process of the node at {state_dir} is away; the supervisor says"
            f" it serves {serving}"
        ) from None
    try:
        return msgspec.json.decode(answer.body, type=NodeStatus)
    except ValueError as error:
        raise calls.NoNodeError(f"the node at {state_dir} answers nonsense: {error}") from error


def reload_text(result: ReloadResult) -> str:
    """Returns one line for people.

    >>> reload_text(ReloadResult(outcome=Outcome.APPLIED, digest="ab" * 32, objects=3))
    'applied abababababab: 3 objects, read in 0 ms, served after 0 ms\\n'
    """
    if result.is_ok:
        took = f"read in {result.load_ms:.0f} ms, served after {result.apply_ms:.0f} ms"
        if result.waited_ms:
            took += f", of which it waited {result.waited_ms:.0f} ms for its turn"
        return f"{result.outcome} {result.digest[:12]}: {result.objects} objects, {took}\n"
    return f"{result.outcome}; still serving {result.digest[:12] or 'nothing'}\n"


def status_text(node: NodeStatus) -> str:
    """Returns a node's state in some lines."""
    lines = [
        f"{'ready' if node.ready else 'not ready: ' + node.reason}",
        _config(node),
    ]
    last = node.config.last_reload
    if last is not None:
        lines.append(f"last reload {last.outcome} ({last.reason})")
        lines += [f"            {diagnostic}" for diagnostic in last.diagnostics]
        lines += [f"            {last.error}"] if last.error else []
    lines += link_lines(node.link) if node.link is not None else []
    lines += [
        f"quarantined {one.kind} {one.name}: {served_as(one.kind, one.form)}: {one.why}"
        for one in node.config.quarantined
    ]
    lines += [_key_set(one) for one in node.key_sets]
    lines += master_lines(node.master) if node.master is not None else []
    lines += [f"warning     {warning}" for warning in node.config.warnings]
    lines += [f"warning     {warning}" for warning in node.warnings]
    lines += _control(node) if node.engine.kind == "nginx" else _processes(node)
    lines += engine_lines(node.engine)
    lines += _upstreams(node.engine.upstreams)
    return "\n".join(lines) + "\n"


def _key_set(one: KeySetStatus) -> str:
    """Returns how a key set is.

    >>> _key_set(KeySetStatus("https://login.example/keys", "missing", None, "it answers 404"))
    'key set     https://login.example/keys  missing, its routes answer 503: it answers 404'
    """
    about = f"{one.state}, its routes answer 503" if one.state == "missing" else one.state
    if one.fetched_at is not None:
        about += f", fetched {moment(one.fetched_at)}"
    return f"key set     {one.url}  {about}" + (f": {one.error}" if one.error else "")


def _config(node: NodeStatus) -> str:
    digest = node.config.digest[:12]
    if node.gate is not None:
        return f"config      {digest}  from the control plane"
    return f"config      {digest}  {node.config.objects} objects from " + ", ".join(
        node.config.sources
    )


def _control(node: NodeStatus) -> list[str]:
    if node.supervisor is None or node.control is None:
        return []
    count = node.supervisor.restarts.get("control", 0)
    return [f"processes   control {node.control.pid}, restarted {count} times"]


def _processes(node: NodeStatus) -> list[str]:
    if node.supervisor is None:
        return _rights(node)
    return [
        *process_lines(node, node.supervisor),
        f"listening   {', '.join(node.supervisor.listening) or 'nothing'}",
        *_rights(node),
    ]


def _rights(node: NodeStatus) -> list[str]:
    return [
        f"rights      {one.process} {one.pid}: {one.user}, "
        f"{', '.join(one.capabilities) or 'no capabilities'}"
        f"{', no new privileges' if one.no_new_privs else ''}{', seccomp' if one.seccomp else ''}"
        for one in node.processes
    ]


def _found(endpoint: EndpointStatus) -> str:
    """Returns the addresses that a name resolves to."""
    if endpoint.resolved in ([], [endpoint.address]):
        return ""
    return f" ({', '.join(endpoint.resolved)})"


def _differs(endpoint: EndpointStatus) -> bool:
    """Reports whether an endpoint takes anything but its usual share."""
    is_up = endpoint.state == "up" and endpoint.takes and endpoint.agent_percent == _WHOLE
    return not is_up or endpoint.why.startswith(_OWN)


def _agreed(endpoint: EndpointStatus) -> str:
    """Returns what TLS handshakes with an endpoint agreed on, if it may speak HTTP/2."""
    return f", agreed on {endpoint.negotiated}" if endpoint.negotiated else ""


def _upstreams(upstreams: list[UpstreamStatus]) -> list[str]:
    lines = []
    for upstream in upstreams:
        panic = "  panic: too few endpoints are usable" if upstream.panic else ""
        protocol = f" ({upstream.protocol})" if upstream.protocol else ""
        lines.append(f"upstream    {upstream.name}{protocol}{panic}")
        for one in upstream.endpoints:
            lines.append(
                f"            {one.address}{_found(one)}  {one.state}  {one.requests} requests,"
                f" {one.failures} failures{_agreed(one)}{'  ' + one.error if one.error else ''}"
            )
            if one.why and _differs(one):
                lines.append(f"              {one.why}")
    return lines
