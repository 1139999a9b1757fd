"""Does what people order of a rollout; an order that it cannot have raises `Invalid`. Pure."""

from headgate.kernel.errors import Invalid
from headgate.master.domains.rollouts import rolling, undoing
from headgate.master.domains.rollouts.events import Approve, Order, Supersede
from headgate.master.domains.rollouts.state import Approval, status
from headgate.master.domains.rollouts.turn import Turn


def obey(turn: Turn, order: Order) -> None:
    """Does what an order says; one that is repeated changes nothing."""
    {"pause": _pause, "promote": _promote, "abort": _abort, "undo": _undo}[order.verb](
        turn, order.by
    )


def approve(turn: Turn, event: Approve) -> None:
    """Counts an approval; nobody approves their own rollout, or twice."""
    state = turn.state
    spec = state.spec
    if event.by_id in spec.authors if spec.authors else event.by == spec.author:
        raise Invalid("the author cannot approve a rollout", "let another person approve it")
    if state.phase not in {"queued", "waiting"}:
        raise _unfit(turn, "approve", "only one that has not begun can be approved")
    if any(one.by == event.by for one in state.approvals):
        return
    turn.set(approvals=(*state.approvals, Approval(event.by, turn.now)))
    turn.note("approval", f"{event.by} approved")
    turn.need(event.approvals)
    state = turn.state
    if state.phase == "waiting" and len(state.approvals) >= state.spec.approvals:
        start(turn)


def start(turn: Turn) -> None:
    """Begins a rollout that has its approvals."""
    turn.enter("rolling", f"{turn.state.spec.new} rolls out")


def supersede(turn: Turn, event: Supersede) -> None:
    """Stops where the rollout is: the next one takes the agents over as they are."""
    if turn.state.has_ended:
        return
    if turn.state.phase == "undoing" and not event.is_lost:
        raise _unfit(turn, "supersede", "wait until it is undone")
    what = f"headgate {event.program}" if event.program else f"revision {event.revision}"
    turn.set(reason=f"superseded by {what}")
    turn.enter("superseded", f"{event.by} superseded it with {what}")


def _pause(turn: Turn, by: str) -> None:
    if turn.state.phase != "rolling":
        raise _unfit(turn, "pause", "only one under way can be paused")
    if not turn.state.is_paused:
        turn.set(is_paused=True)
        turn.note("pause", f"{by} paused it")


def _promote(turn: Turn, by: str) -> None:
    state = turn.state
    if state.phase != "rolling":
        raise _unfit(turn, "promote", "only one under way can be promoted")
    if state.is_paused:
        turn.set(is_paused=False)
        turn.note("promote", f"{by} let it go on")
        return
    if state.open_wave is None:
        raise _unfit(turn, "promote", "no wave is under way")
    if rolling.has_offers_left(turn):
        raise _unfit(turn, "promote", "agents still apply the revision; wait for them, or abort")
    rolling.close(turn, f"{by} promoted it")


def _abort(turn: Turn, by: str) -> None:
    state = turn.state
    if state.phase in {"undoing", "undone", "aborted"}:
        return
    if state.has_ended:
        raise _unfit(turn, "abort", "undo it, or publish another revision")
    _refuse_urgent(turn, "abort")
    undoing.begin(turn, f"{by} aborted it")


def _undo(turn: Turn, by: str) -> None:
    state = turn.state
    if state.phase in {"undoing", "undone", "aborted"}:
        return
    if state.phase not in {"rolling", "succeeded"}:
        raise _unfit(turn, "undo", "only one under way, or one that succeeded, can be undone")
    _refuse_urgent(turn, "undo")
    if state.spec.base is None:
        raise _unfit(turn, "undo", "there is no earlier revision; publish another one")
    undoing.begin(turn, f"{by} undid it")


def _refuse_urgent(turn: Turn, verb: str) -> None:
    if turn.state.spec.is_urgent:
        raise _unfit(turn, verb, f"{turn.state.spec.kind} are never undone; publish newer ones")


def _unfit(turn: Turn, verb: str, allowed: str) -> Invalid:
    state = turn.state
    return Invalid(f"cannot {verb} rollout {state.spec.rollout}: it is {status(state)}", allowed)
