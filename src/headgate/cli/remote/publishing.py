"""Makes revisions of a workspace's resources, and the rollouts that bring them to a fleet."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, cast

from headgate.cli.remote import rollout_view
from headgate.cli.remote.client import Json, Master
from headgate.cli.remote.errors import MasterError
from headgate.cli.remote.kinds import find, items, kind_named
from headgate.cli.remote.waiting import ENDED, Code, End, Patience, ended

_INTERVAL_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms of a rollout through its fleet; `more` are further fields of the request, `gates`
    of its gates."""

    waves: str
    soak_s: float
    min_requests: int
    more: Mapping[str, object] = field(default_factory=dict)
    gates: Mapping[str, object] = field(default_factory=dict)

    def body(self, fleet: str, what: int | str) -> dict[str, object]:
        """Returns the request that begins it; `what`: a revision's number, or a program."""
        return {
            "fleet": fleet,
            "revision" if isinstance(what, int) else "program": what,
            "waves": [wave.strip() for wave in self.waves.split(",")],
            "soak_s": self.soak_s,
            "gates": {"min_requests": self.min_requests, **self.gates},
            **self.more,
        }


@dataclass(frozen=True, slots=True)
class Published:
    """A fleet's revision and the rollout that brings it; no rollout: nothing is left to do."""

    fleet: Json
    revision: int
    rollout: str
    is_new: bool


def chosen_fleet(master: Master, name: str) -> Json:
    """Returns the fleet of that name, or the workspace's only one; raises MasterError."""
    kind = kind_named("fleet")
    if name:
        return find(kind, name, master)
    found = list(items(kind, master))
    if len(found) == 1:
        return found[0]
    if not found:
        raise MasterError("the workspace has no fleet; make one with `headgate create fleet NAME`")
    names = ", ".join(str(one["name"]) for one in found)
    raise MasterError(f"say which fleet with --fleet; the workspace has {names}")


def new_revision(
    master: Master, fleet: Json, message: str, draft: str | None = None, tag: str | None = None
) -> int:
    """Publishes the workspace's resources, with a draft's changes; no agent serves them yet. `tag`:
    what was looked at of the draft, None for whatever it has become."""
    body = {"fleet": fleet["id"], "message": message, "draft": draft, "is_served": False}
    if tag:
        body["draft_tag"] = tag
    return _number(master.ask("POST", f"/workspaces/{master.workspace}/revisions", body)["number"])


def begin(master: Master, fleet: str, what: int | str, terms: Terms) -> str:
    """Begins a rollout of a revision or a program in the fleet of that name or id; returns the
    rollout's id."""
    body = terms.body(fleet, what)
    return str(master.ask("POST", rollout_view.path_of(master), body)["id"])


def publish(master: Master, fleet: Json, message: str, terms: Terms) -> Published:
    """Brings the workspace's resources to a fleet, unless they are there or on their way.

    Raises MasterError for a revision that the fleet has gone back from: it is not tried again by
    itself.
    """
    newest = _newest(master, fleet)
    if newest is None or _differs(master, fleet):
        number = new_revision(master, fleet, message)
        return Published(fleet, number, begin(master, str(fleet["id"]), number, terms), is_new=True)
    if fleet["revision"] == newest:
        return Published(fleet, newest, "", is_new=False)
    last = _last_rollout(master, fleet, newest)
    if last is None:
        return Published(
            fleet, newest, begin(master, str(fleet["id"]), newest, terms), is_new=False
        )
    if last["status"] in ENDED:
        raise MasterError(
            f"{_what_became(master, last, fleet)}\nor bring the same one again with "
            f"`headgate rollout start {fleet['name']} {newest}`"
        )
    return Published(fleet, newest, str(last["id"]), is_new=False)


def await_serving(master: Master, published: Published, patience: Patience) -> End:
    """Waits until every agent of a fleet serves the revision, but for those that are revoked."""
    while True:
        every = items(kind_named("agent"), master, fleet=str(published.fleet["id"]))
        agents = [one for one in every if one["state"] != "revoked"]
        missing = [
            str(one["id"])
            for one in agents
            if cast("Json", one["revisions"])["serving"] != published.revision
        ]
        if not missing:
            text = f"revision {published.revision} is serving on all {len(agents)} agents"
            return End(Code.SERVING, text)
        if patience.is_over(time.monotonic()):
            text = f"{', '.join(missing)} does not serve revision {published.revision}"
            return End(Code.PARTLY, f"{text}; see why with `headgate describe agent ID`")
        time.sleep(_INTERVAL_S)


def _what_became(master: Master, rollout: Json, fleet: Json) -> str:
    if rollout["status"] == "succeeded":
        return (
            f"revision {rollout['revision']} was rolled out before, and the fleet has gone back to "
            f"revision {fleet['revision']} since; change the config"
        )
    return ended(master.get(rollout_view.path_of(master, str(rollout["id"])))).text


def _newest(master: Master, fleet: Json) -> int | None:
    path = f"/workspaces/{master.workspace}/revisions"
    page = cast("list[Json]", master.get(path, fleet=str(fleet["id"]), limit=1)["items"])
    return _number(page[0]["number"]) if page else None


def _differs(master: Master, fleet: Json) -> bool:
    body = {"fleet": fleet["id"]}
    said = master.ask("POST", f"/workspaces/{master.workspace}/preview", body)
    fleets = cast("list[Json]", said["fleets"])
    return bool(said["objects"]) or any(one["changed_nodes"] for one in fleets)


def _last_rollout(master: Master, fleet: Json, revision: int) -> Json | None:
    wanted = (fleet["id"], revision)
    found = None
    for one in master.all(rollout_view.path_of(master)):
        if (one["fleet"], one["revision"]) == wanted:
            found = one
    return found


def _number(value: object) -> int:
    return cast("int", value)
