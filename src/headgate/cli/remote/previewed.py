"""The result of a preview for fleets, for people and for programs."""

from collections.abc import Iterator, Mapping
from typing import Final, cast

from headgate.cli.remote.client import Json

_SHOWN: Final = 20
"""Requests of a fleet that the text lists; JSON has all that the preview named."""
_CHANGES: Final = {
    "in-place": "takes the config over without a reload",
    "reload": "reloads",
    "unknown": "has not said what it can do",
}


def nodes(said: Mapping[str, object]) -> list[dict[str, object]]:
    """Returns what nodes with values of their own would get, of every fleet."""
    found = []
    for fleet in _fleets(said):
        for node in cast("list[Json]", fleet["nodes"]):
            paths = [one["path"] for one in cast("list[Json]", node["objects"])]
            about = {"fleet": fleet["fleet"], "node": node["name"], "agent": node["agent"]}
            found.append(about | {"digest": node["digest"], "objects": paths})
    return found


def effects(said: Mapping[str, object]) -> list[dict[str, object]]:
    """Returns what would change in each fleet: its engines and its requests."""
    return [{key: one[key] for key in ("fleet", "engines", "requests")} for one in _fleets(said)]


def text(said: Mapping[str, object]) -> Iterator[str]:
    """Yields a line for each node with values of its own, each kind of engine that does something,
    and each request that would go elsewhere."""
    for one in nodes(said):
        count = len(cast("list[str]", one["objects"]))
        digest = str(one["digest"])[:12]
        yield f"node     {one['fleet']}/{one['node']}: {digest}, {count} objects differ"
    for one in effects(said):
        yield from _engines(str(one["fleet"]), cast("list[Json]", one["engines"]))
        yield from _requests(str(one["fleet"]), cast("Json", one["requests"]))


def _engines(fleet: str, engines: list[Json]) -> Iterator[str]:
    for one in engines:
        named = f"engine   {fleet}: {one['engine']} {one['version']}".rstrip()
        for refused in cast("list[Json]", one["refuses"]):
            place = f"{refused['object']}: {refused['path']}"
            yield f"{named} refuses {place}: {refused['detail']}; {refused['allowed']}"
        if not one["refuses"] and one["change"] in _CHANGES:
            yield f"{named} of {_agents(one['agents'])} {_CHANGES[str(one['change'])]}"
        for note in cast("list[str]", one["notes"]):
            yield f"{named}: {note}"


def _requests(fleet: str, requests: Json) -> Iterator[str]:
    moved = cast("list[Json]", requests["moved"])
    count = len(moved) + int(str(requests["more"]))
    is_seen = requests["source"] == "seen"
    if requests["unsearched"]:
        count_of = _agents(requests["unsearched"])
        yield f"requests {fleet}: {count_of} could not be searched; `headgate logs` says why"
    if requests["asked"]:
        which = "that its nodes had lately" if is_seen else "that are made out of its routes"
        yield f"requests {fleet}: {count} of {requests['asked']} {which} would go elsewhere"
    for one in moved[:_SHOWN]:
        often = f" ({one['count']} times)" if is_seen else ""
        where = f"{one['before']} -> {one['after']}"
        yield f"  {one['method']} {one['url']}{often}: {where}"
    if count > len(moved[:_SHOWN]):
        yield f"  … and {count - len(moved[:_SHOWN])} more"


def _agents(count: object) -> str:
    return "1 agent" if count == 1 else f"{count} agents"


def _fleets(said: Mapping[str, object]) -> list[Json]:
    found = said.get("fleets")
    return found if isinstance(found, list) else []
