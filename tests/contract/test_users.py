"""Whom administrators make members of an organisation, and who answers for an account."""

import pytest
from master_world import PASSWORD, Answer, World

from headgate.master.access import RULES, Place
from headgate.master.domains.organisations import store as organisations_store
from headgate.master.domains.users import store as users_store
from headgate.master.store.transaction import Transaction

_ELSEWHERE = "is_member_elsewhere"
_TENANTS = {Place.ORGANISATION, Place.WORKSPACE}


def founded(world: World, admin: str, organisation: str) -> str:
    """Makes an organisation with an administrator of its own; returns their token."""
    made = world.ask("POST", "/organisations", {"name": organisation}, admin)
    assert made.status == 201, made.text
    return world.invite(
        admin, f"root@{organisation}", "admin", query=f"?organisation={organisation}"
    )


def invited(world: World, token: str, name: str, organisation: str, **more: object) -> Answer:
    """What the master answers to the invitation of a viewer."""
    body = {"name": name, "role": "viewer", **more}
    return world.ask("POST", f"/users?organisation={organisation}", body, token)


def chosen(world: World, token: object) -> Answer:
    """What the master answers to a set-up link."""
    return world.ask("POST", "/auth/setup", {"token": token, "password": PASSWORD})


def organisations(world: World, token: str) -> list[object]:
    """The names of the organisations in which the user has a role."""
    return [one["name"] for one in world.ask("GET", "/organisations", token=token).items]


def test_an_organisation_gets_no_link_of_a_user_that_another_one_invited(world: World) -> None:
    ann = world.set_up()
    bea = founded(world, ann, "b")
    ours = invited(world, ann, "ops@a.example", "main", role="admin")
    theirs = invited(world, bea, "ops@a.example", "b")
    assert (theirs.status, theirs["type"]) == (409, "urn:headgate:problem:taken"), theirs.text
    assert "main" not in theirs.text
    assert "setup_token" not in theirs.text
    assert len(world.ask("GET", "/users?organisation=b", token=bea).items) == 2
    used = chosen(world, ours["setup_token"])
    assert used.status == 200, used.text
    assert organisations(world, used["access_token"]) == ["main"]


def test_an_organisation_gives_no_role_to_an_account_that_another_one_made(world: World) -> None:
    ann = world.set_up()
    ada = founded(world, ann, "a")
    bea = founded(world, ann, "b")
    squatter = chosen(world, invited(world, bea, "ops@a.example", "b")["setup_token"])
    unused = invited(world, bea, "dev@a.example", "b")
    for name in ("ops@a.example", "dev@a.example"):
        refused = invited(world, ada, name, "a", role="admin")
        assert (refused.status, refused["type"]) == (409, "urn:headgate:problem:taken")
    assert organisations(world, squatter["access_token"]) == ["b"]
    assert organisations(world, chosen(world, unused["setup_token"])["access_token"]) == ["b"]


def test_administrators_of_the_master_take_a_user_in_if_they_say_so(world: World) -> None:
    ann = world.set_up()
    bea = founded(world, ann, "b")
    bob = world.invite(ann, "bob", "viewer", query="?organisation=main")
    assert invited(world, ann, "bob", "b").status == 409
    assert invited(world, bea, "bob", "b", **{_ELSEWHERE: True}).status == 403
    token = world.ask("POST", "/tokens?organisation=b", {"name": "ci", "role": "admin"}, ann)
    assert invited(world, token["secret"], "bob", "b", **{_ELSEWHERE: True}).status == 403
    taken = invited(world, ann, "bob", "b", **{_ELSEWHERE: True})
    assert (taken.status, taken.json["setup_token"]) == (201, None), taken.text
    assert organisations(world, bob) == ["main", "b"]
    nobody = invited(world, ann, "bo", "b", **{_ELSEWHERE: True})
    assert (nobody.status, nobody["path"]) == (422, f"$.{_ELSEWHERE}"), nobody.text


def test_the_first_link_of_a_user_stays_the_only_one(world: World) -> None:
    ann = world.set_up()
    founded(world, ann, "b")
    first = invited(world, ann, "bob", "main")
    taken = invited(world, ann, "bob", "b", **{_ELSEWHERE: True})
    assert (taken.status, taken.json["setup_token"]) == (201, None), taken.text
    used = chosen(world, first["setup_token"])
    assert organisations(world, used["access_token"]) == ["main", "b"]


def test_an_administrator_of_the_master_is_nobody_elses_user(world: World) -> None:
    ann = world.set_up()
    bea = founded(world, ann, "b")
    me = world.ask("GET", "/auth/me", token=ann)["id"]
    assert world.ask("DELETE", f"/users/{me}?organisation=b", token=bea).status == 204
    assert invited(world, bea, "ann", "b").status == 409
    carl = world.invite(ann, "carl", "admin", query="?organisation=main")
    assert world.ask("DELETE", f"/users/{me}", token=carl).status == 204
    assert invited(world, bea, "ann", "b").status == 409
    assert world.ask("GET", "/master/key", token=ann).status == 200


def test_who_is_removed_from_the_last_organisation_has_no_account(world: World) -> None:
    ann = world.set_up()
    bea = founded(world, ann, "b")
    made = invited(world, bea, "ops@a.example", "b")
    session = chosen(world, made["setup_token"])
    unused = invited(world, bea, "dev@a.example", "b")
    for user in (made, unused):
        assert world.ask("DELETE", f"/users/{user['id']}", token=bea).status == 204
    assert world.ask("GET", "/auth/me", token=session["access_token"]).status == 401
    refresh = {"refresh_token": session["refresh_token"]}
    assert world.ask("POST", "/auth/refresh", refresh).status == 401
    login = {"name": "ops@a.example", "password": PASSWORD}
    assert world.ask("POST", "/auth/login", login).status == 401
    # The names are free; neither the password nor the link of before is good for who has them now.
    for name in ("ops@a.example", "dev@a.example"):
        ours = invited(world, ann, name, "main", role="admin")
        assert (ours.status, type(ours.json["setup_token"])) == (201, str), ours.text
        assert ours["id"] not in {made["id"], unused["id"]}
    assert world.ask("POST", "/auth/login", login).status == 401
    assert chosen(world, unused["setup_token"]).status == 422


def test_who_is_removed_from_one_of_two_organisations_keeps_the_other(world: World) -> None:
    ann = world.set_up()
    founded(world, ann, "b")
    bob = world.invite(ann, "bob", "viewer", query="?organisation=main")
    taken = invited(world, ann, "bob", "b", **{_ELSEWHERE: True})
    path = f"/users/{taken['id']}?organisation=main"
    assert world.ask("DELETE", path, token=ann).status == 204
    assert organisations(world, bob) == ["b"]


def test_a_link_that_was_lost_is_replaced_by_removing_and_inviting(world: World) -> None:
    ann = world.set_up()
    lost = invited(world, ann, "bob", "main")
    assert invited(world, ann, "bob", "main").status == 409
    assert world.ask("DELETE", f"/users/{lost['id']}", token=ann).status == 204
    fresh = invited(world, ann, "bob", "main")
    assert chosen(world, lost["setup_token"]).status == 422
    assert chosen(world, fresh["setup_token"]).status == 200


def made_token(world: World, maker: str, name: str, role: str, workspace: str = "") -> Answer:
    """An API token, with its secret."""
    body = {"name": name, "role": role, "workspace": workspace}
    made = world.ask("POST", "/tokens", body, maker)
    assert made.status == 201, made.text
    return made


def test_tokens_lose_what_who_made_them_loses(world: World) -> None:
    ann = world.set_up()
    bob = world.invite(ann, "bob", "admin")
    path = f"/users/{world.ask('GET', '/auth/me', token=bob)['id']}"
    place = world.ask("GET", "/workspaces/default", token=ann)["id"]
    other = made_token(world, ann, "other", "admin")
    first = made_token(world, bob, "first", "admin")
    second = made_token(world, first["secret"], "second", "admin")
    third = made_token(world, second["secret"], "third", "operator", place)
    least = made_token(world, bob, "least", "viewer")

    def roles() -> dict[object, tuple[object, bool]]:
        found = world.ask("GET", "/tokens", token=ann).items
        return {one["name"]: (one["role"], one["revoked_at"] is None) for one in found}

    grant = {"role": "approver"}
    assert world.ask("PUT", f"{path}/role", grant, ann).status == 200
    assert roles() == {
        "other": ("admin", True),
        "first": ("approver", True),
        "second": ("approver", True),
        "third": ("operator", True),
        "least": ("viewer", True),
    }
    assert world.ask("GET", "/users", token=second["secret"]).status == 403
    lines = world.ask("GET", "/audit", token=ann).items
    said = [one["object"] for one in lines if one["action"] == "a token lost what its maker lost"]
    assert sorted(map(str, said)) == sorted(f"/tokens/{one['id']}" for one in (first, second))
    world.ask("PUT", f"{path}/role", {"role": "operator", "workspace": place}, ann)
    assert world.ask("DELETE", path, token=ann).status == 204
    assert {name for name, (_, is_good) in roles().items() if is_good} == {"other"}
    for one in (first, second, third, least):
        assert world.ask("GET", "/auth/me", token=one["secret"]).status == 401
    assert world.ask("GET", "/users", token=other["secret"]).status == 200


def test_a_token_that_lost_its_role_meanwhile_makes_none(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = world.set_up()
    bob = world.invite(ann, "bob", "admin")
    path = f"/users/{world.ask('GET', '/auth/me', token=bob)['id']}"
    original = organisations_store.lock

    async def removed_first(tx: Transaction) -> None:
        monkeypatch.setattr(organisations_store, "lock", original)
        await users_store.remove_roles(tx, path.rpartition("/")[2])
        await original(tx)

    monkeypatch.setattr(organisations_store, "lock", removed_first)
    body = {"name": "late", "role": "viewer"}
    assert world.ask("POST", "/tokens", body, bob).status == 403


def test_a_narrowed_token_gives_no_role_that_may_do_more_than_it(world: World) -> None:
    """The link of an invitation is answered to it: it could use that role itself."""
    admin = world.set_up()
    viv = world.ask("GET", "/auth/me", token=world.invite(admin, "viv", "viewer"))["id"]
    reads = [one.value for one, rule in RULES.items() if rule.place in _TENANTS and rule.role == 1]

    def token(name: str, *permissions: str) -> str:
        body = {"name": name, "role": "admin", "permissions": permissions}
        return world.ask("POST", "/tokens", body, admin)["secret"]

    narrow, wider = token("narrow", "users.write"), token("wider", "users.write", *reads)
    for secret, role in ((narrow, "admin"), (narrow, "viewer"), (wider, "operator")):
        for method, path, body in (
            ("POST", "/users", {"name": "new", "role": role}),
            ("PUT", f"/users/{viv}/role", {"role": role}),
        ):
            refused = world.ask(method, path, body, secret)
            assert (refused.status, refused["type"]) == (403, "urn:headgate:problem:forbidden")
    assert len(world.ask("GET", "/users", token=admin).items) == 2
    assert len(world.ask("GET", "/audit?outcome=refused", token=admin).items) == 6
    assert invited(world, wider, "new", "main").status == 201
    assert world.ask("PUT", f"/users/{viv}/role", {"role": "viewer"}, wider).status == 200
