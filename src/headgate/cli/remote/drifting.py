"""The requests of `headgate drift` to a master, and the display of the answers."""

import time
from collections.abc import Iterator
from typing import Final, cast
from urllib.parse import quote

from headgate.cli.remote import kinds
from headgate.cli.remote.client import Json, Master, only, tag_of
from headgate.cli.remote.errors import MasterError
from headgate.kernel.errors import Invalid
from headgate.kernel.units import Duration

_LOOK_S: Final = 0.5
_WORDS: Final = {
    "same": "headgate would write what it wrote last",
    "disk": "headgate would write what is there",
    "other": "headgate would write something else now",
    "none": "headgate would write no such file now",
    "unknown": "what headgate would write now is not known",
}


def path_of(master: Master, agent: str) -> str:
    """Returns where an agent is, by its name or id; raises MasterError."""
    found = kinds.find(kinds.kind_named("agents"), agent, master)
    return f"/workspaces/{master.workspace}/agents/{quote(str(found['id']), safe='')}"


def set_policy(master: Master, fleet: str, policy: str, heal_after: str) -> None:
    """Changes what a fleet wants done about drift, and nothing else of it; raises MasterError."""
    path = f"/workspaces/{master.workspace}/fleets/{quote(fleet, safe='')}"
    current = master.get(path)
    policies: dict[str, object] = {"drift": policy}
    if heal_after:
        policies["heal_after_s"] = _seconds(heal_after)
    master.ask("PATCH", path, {"policies": policies}, headers=only(tag_of(current)))


def _seconds(text: str) -> int:
    try:
        return Duration.parse(text).ms // 1_000
    except Invalid as error:
        raise MasterError(f"--heal-after: {error}") from error


def healed(master: Master, agent: str, wait_s: float) -> Json:
    """Orders a heal; with `wait_s` over 0 returns the drift once it ended, or raises MasterError
    when the time is over or nothing was healed."""
    path = path_of(master, agent)
    found = master.ask("POST", f"{path}/heal")
    ends = time.monotonic() + wait_s
    while wait_s > 0 and _state(found) == "ordered":
        if time.monotonic() >= ends:
            raise MasterError("the agent has not answered yet; see `headgate drift show`")
        time.sleep(_LOOK_S)
        found = master.get(f"{path}/drift")
    if wait_s > 0 and _state(found) != "done":
        error = cast("Json", found["heal"])["error"] or _state(found)
        raise MasterError(f"nothing was healed: {error}")
    return found


def adopted(master: Master, agent: str) -> Json:
    """Makes a draft of what an agent has on disk, and returns it; raises MasterError."""
    return master.ask("POST", f"{path_of(master, agent)}/drift/adopt")


def draft_lines(draft: Json) -> Iterator[str]:
    """Yields what a person reads of a draft that was made."""
    yield f"draft {draft['name']}"
    yield f"tag      {tag_of(draft)}"
    for change in cast("list[Json]", draft["changes"]):
        word = "removes" if change["spec"] is None else "writes"
        yield f"{word:<8} {change['kind']}/{change['name']}"


def _state(found: Json) -> str:
    heal = cast("Json | None", found.get("heal"))
    return str(heal["state"]) if heal else ""


def lines(found: Json) -> Iterator[str]:
    """Yields what a person reads of an agent's drift."""
    drift = cast("Json | None", found.get("drift"))
    if drift is None:
        yield "drift        not known: no nginx, an older agent, or it has not looked yet"
    else:
        states = cast("list[str]", drift["states"])
        since = f" since {drift['since']}" if drift["since"] else ""
        yield f"drift        {', '.join(states)}{since}"
        yield f"policy       {drift['policy']}"
        for word in ("held", "alarm"):
            if drift[word]:
                yield f"{word:<12} {drift[word]}"
    ignored = found.get("ignores_policy")
    yield f"fleet policy {found['fleet_policy']}" + (f" ({ignored})" if ignored else "")
    heal = cast("Json | None", found.get("heal"))
    if heal:
        why = f": {heal['error']}" if heal["error"] else ""
        yield f"heal         {heal['state']}, ordered {heal['ordered_at']}{why}"
    proposal = cast("Json | None", found.get("proposal"))
    if proposal:
        draft = f", draft {proposal['draft']}" if proposal["draft"] else ""
        why = f": {proposal['error']}" if proposal["error"] else ""
        yield f"proposal     {proposal['state']}{draft}, of {proposal['at']}{why}"
    for file in cast("list[Json]", found.get("files") or []):
        yield ""
        yield f"{file['path']}: {file['how']} since {file['since']}; {_WORDS[str(file['next'])]}"
        yield from str(file["diff"]).splitlines()
        if file["next_diff"]:
            yield "what headgate would write now:"
            yield from str(file["next_diff"]).splitlines()
