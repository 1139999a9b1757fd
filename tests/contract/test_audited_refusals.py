"""What a known caller may not do is one line of the audit log, wherever it is refused; both
databases."""

import asyncio
from collections import Counter

import pytest
from asgi import ask
from master_world import World

W = "/workspaces/default"
_REFUSED = {
    "is_served": (f"{W}/revisions", {"fleet": "edge"}, "rollouts.approve"),
    "seen": (f"{W}/preview", {"seen": "edge"}, "logs.read"),
    "token": ("/tokens", {"name": "b", "role": "admin"}, "tokens.write"),
    "is_now": (
        f"{W}/rollouts",
        {"fleet": "edge", "revision": 1, "is_now": True},
        "rollouts.approve",
    ),
    "user": (
        "/users",
        {"name": "bob", "role": "viewer", "is_member_elsewhere": True},
        "users.write",
    ),
    "gate": (f"{W}/fleets", {"name": "other"}, "fleets.write"),
}
"""By name: the path and body of a request, and the permission that its sender lacks."""


@pytest.mark.parametrize("name", _REFUSED)
def test_a_refusal_is_one_line(world: World, name: str) -> None:
    admin = world.set_up()
    world.ask("POST", f"{W}/fleets", {"name": "edge"}, admin)
    path, body, permission = _REFUSED[name]
    narrow = {"name": "a", "role": "admin", "permissions": ["tokens.write", "users.write"]}
    senders = {
        "token": lambda: world.ask("POST", "/tokens", narrow, admin)["secret"],
        "user": lambda: world.ask("POST", "/tokens", narrow, admin)["secret"],
        "seen": lambda: world.invite(admin, "viv", "viewer"),
    }
    sender = senders.get(name, lambda: world.invite(admin, "olga", "operator"))()
    refused = world.ask("POST", path, body, sender)
    assert (refused.status, refused["type"]) == (403, "urn:headgate:problem:forbidden")
    lines = world.ask("GET", "/audit?outcome=refused", token=admin).items
    assert [(one["action"], one["object"]) for one in lines] == [
        (f"{permission} was refused", f"/api/v1{path}")
    ]


def at_once(world: World, path: str, token: str, count: int) -> Counter[int]:
    """How often requests that come at the same moment get each status."""
    header = {"authorization": f"Bearer {token}"}

    async def run() -> list[int]:
        each = (ask(world.app, "GET", f"/api/v1{path}", headers=header) for _ in range(count))
        return [one.status for one in await asyncio.gather(*each)]

    return Counter(world.runner.run(run()))


def refused_lines(world: World, admin: str) -> int:
    return len(world.ask("GET", "/audit?outcome=refused&limit=1000", token=admin).items)


def test_who_is_refused_again_and_again_waits_and_writes_no_more_lines(world: World) -> None:
    """With what the caller may do, it goes on; nobody else waits."""
    admin = world.set_up()
    viewer, other = (world.invite(admin, name, "viewer") for name in ("viv", "eve"))
    assert at_once(world, "/audit", viewer, 70) == {403: 50, 429: 20}
    assert refused_lines(world, admin) == 50
    assert world.ask("GET", "/audit", token=viewer)["type"] == "urn:headgate:problem:throttled"
    assert world.ask("GET", W, token=viewer).status == 200
    assert world.ask("GET", "/audit", token=other).status == 403
    world.advance(seconds=1)
    assert world.ask("GET", "/audit", token=viewer).status == 403


def test_who_asks_for_what_is_not_theirs_at_once_writes_no_more_lines(world: World) -> None:
    admin = world.set_up()
    viewer = world.invite(admin, "viv", "viewer")
    assert at_once(world, "/workspaces/other", viewer, 70) == {404: 50, 429: 20}
    assert refused_lines(world, admin) == 50


def test_who_uses_a_token_that_ended_at_once_writes_no_more_lines(world: World) -> None:
    admin = world.set_up()
    made = world.ask("POST", "/tokens", {"name": "ci", "role": "viewer"}, admin)
    assert world.ask("DELETE", f"/tokens/{made['id']}", token=admin).status == 204
    assert at_once(world, "/auth/me", made["secret"], 70) == {401: 50, 429: 20}
    assert refused_lines(world, admin) == 50
