"""What a known caller may not do is one line of the audit log, wherever it is refused; both
databases."""

import pytest
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
