"""People and programs prove who they are, on both databases."""

import asyncio
import base64
import json

import pytest
from asgi import ask
from joserfc import jwt
from master_world import PASSWORD, World

from headgate.master.domains.sessions.keys import Claims
from headgate.master.domains.sessions.routes import PROOFS_PER_MINUTE
from headgate.master.domains.sessions.service import password_token, setup_token
from headgate.master.domains.sessions.throttle import NAME
from headgate.master.store.scope import MASTER

WRONG = {"name": "ann", "password": "wrong horse battery"}


def test_a_set_up_link_works_once(world: World) -> None:

    token = world.runner.run(world.database.write(MASTER, lambda tx: setup_token(tx, world.now_ms)))
    body = {"token": token, "name": "ann", "password": PASSWORD}
    assert world.ask("POST", "/auth/setup", body).status == 200
    again = world.ask("POST", "/auth/setup", body | {"name": "eve"})
    assert again.status == 422
    assert again["path"] == "$.token"


def test_a_link_of_the_day_before_is_refused(world: World) -> None:

    token = world.runner.run(world.database.write(MASTER, lambda tx: setup_token(tx, world.now_ms)))
    world.advance(days=1, ms=1)
    body = {"token": token, "name": "ann", "password": PASSWORD}
    assert world.ask("POST", "/auth/setup", body).status == 422


def test_a_link_of_the_host_replaces_a_password(world: World) -> None:
    old = world.set_up()

    def link(name: str) -> str | None:
        return world.runner.run(
            world.database.write(MASTER, lambda tx: password_token(tx, name, world.now_ms))
        )

    assert link("nobody") is None
    body = {"token": link("ann"), "password": "another horse battery"}
    fresh = world.ask("POST", "/auth/setup", body)["access_token"]
    assert world.ask("GET", "/auth/me", token=fresh).json["is_master_admin"] is True
    assert world.ask("GET", "/auth/me", token=old).status == 401
    statuses = [
        world.ask("POST", "/auth/login", {"name": "ann", "password": one}).status
        for one in (PASSWORD, "another horse battery")
    ]
    assert statuses == [401, 200]
    assert world.ask("POST", "/auth/setup", body).status == 422
    actions = [one["action"] for one in world.ask("GET", "/master/audit", token=fresh).items]
    assert "a link for another password was made" in actions


def test_a_password_opens_a_session_and_a_wrong_one_does_not(world: World) -> None:
    world.set_up()
    right = world.ask("POST", "/auth/login", {"name": "ann", "password": PASSWORD})
    assert world.ask("GET", "/auth/me", token=right["access_token"])["name"] == "ann"
    wrong = world.ask("POST", "/auth/login", {"name": "ann", "password": "wrong horse battery"})
    nobody = world.ask("POST", "/auth/login", {"name": "eve", "password": PASSWORD})
    assert (wrong.status, nobody.status) == (401, 401)
    assert wrong.text == nobody.text


def test_failed_logins_wait_longer_each_time_and_are_audited(world: World) -> None:
    admin = world.set_up()
    wrong = {"name": "ann", "password": "wrong horse battery"}
    statuses = [world.ask("POST", "/auth/login", wrong).status for _ in range(7)]
    assert statuses == [401] * 5 + [429] * 2
    world.advance(seconds=1)
    assert world.ask("POST", "/auth/login", wrong).status == 401
    held = world.ask("POST", "/auth/login", {"name": "ann", "password": PASSWORD})
    assert held.status == 429
    assert held.headers["retry-after"] == "2"
    world.advance(seconds=2)
    good = world.ask("POST", "/auth/login", {"name": "ann", "password": PASSWORD})
    assert good.status == 200
    assert world.ask("GET", "/auth/me", token=admin).status == 200


def test_wrong_passwords_that_come_at_once_wait_like_those_that_come_one_by_one(
    world: World,
) -> None:
    world.set_up()
    body = json.dumps({"name": "ann", "password": "wrong horse battery"}).encode()
    header = {"content-type": "application/json"}

    async def tried() -> list[int]:
        each = (ask(world.app, "POST", "/api/v1/auth/login", body, header) for _ in range(50))
        return [one.status for one in await asyncio.gather(*each)]

    statuses = world.runner.run(tried())
    assert set(statuses) == {401, 429}
    assert statuses.count(401) <= 5 + 2


def test_others_who_fail_with_a_name_do_not_hold_up_who_logged_in_from_her_address(
    world: World,
) -> None:
    login = {"name": "ann", "password": PASSWORD}
    world.address = "192.0.2.1"
    world.set_up()
    world.address = "192.0.2.2"
    assert world.ask("POST", "/auth/login", login).status == 200
    for number in range(NAME.free):
        world.address = f"198.51.100.{number}"
        assert world.ask("POST", "/auth/login", WRONG).status == 401
    forged = "login ann 192.0.2.2"  # makes nobody forget that she logged in there
    assert world.ask("GET", "/auth/me", token=forged).status == 401
    statuses = {}
    for world.address in ("192.0.2.1", "192.0.2.2", "192.0.2.3"):
        statuses[world.address] = world.ask("POST", "/auth/login", login).status
    assert statuses == {"192.0.2.1": 200, "192.0.2.2": 200, "192.0.2.3": 429}
    # What fails at her own address is held up as everywhere.
    world.address = "192.0.2.2"
    statuses_there = [world.ask("POST", "/auth/login", WRONG).status for _ in range(6)]
    assert statuses_there == [401] * 5 + [429]


def test_the_addresses_of_one_ipv6_network_wait_together(world: World) -> None:
    world.set_up()
    seen: dict[str, list[int]] = {}
    for network in ("2001:db8:0:1", "2001:db8:0:2"):
        for number in range(7):
            world.address = f"{network}::{number}"
            seen.setdefault(network, []).append(world.ask("POST", "/auth/login", WRONG).status)
    assert list(seen.values()) == [[401] * 5 + [429] * 2] * 2
    for number in range(51):
        world.address = f"2001:db8::{number}"
        status = world.ask("GET", "/auth/me", token=f"hgt_wrong{number}").status
        assert status == (401 if number < 50 else 429)


def test_nothing_is_hashed_for_a_link_that_is_not_good(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world.master, "passwords", None)
    body = {"token": "hgs_unknown", "name": "ann", "password": PASSWORD}
    statuses = [world.ask("POST", "/auth/setup", body).status for _ in range(51)]
    assert statuses == [422] * 50 + [429]


def test_an_access_token_is_good_for_a_quarter_of_an_hour(world: World) -> None:
    token = world.set_up()
    world.advance(minutes=14)
    assert world.ask("GET", "/auth/me", token=token).status == 200
    world.advance(minutes=2)
    refused = world.ask("GET", "/auth/me", token=token)
    assert refused.status == 401
    assert refused.headers["www-authenticate"] == "Bearer"


def test_a_token_is_good_at_a_master_whose_clock_is_behind(world: World) -> None:
    world.set_up()
    world.advance(seconds=5)
    token = world.ask("POST", "/auth/login", {"name": "ann", "password": PASSWORD})["access_token"]
    world.advance(seconds=-5)
    assert world.ask("GET", "/auth/me", token=token).status == 200


def test_a_token_that_says_when_it_was_issued_is_good_there_too(world: World) -> None:
    """Those that are still about at an update of the master."""
    claims = {"iss": "headgate", "iat": world.now_ms // 1_000 + 5, "exp": world.now_ms // 1_000 + 9}
    world.set_up()
    kid, key = world.runner.run(world.master.keys._newest())
    body = claims | {"sub": "someone", "sid": "session"}
    token = jwt.encode({"alg": "Ed25519", "kid": kid}, body, key, algorithms=["Ed25519"])
    found = world.runner.run(world.master.keys.claims(token))
    assert found == Claims(sub="someone", sid="session")


def test_a_changed_token_is_refused(world: World) -> None:
    head, claims, signature = world.set_up().split(".")
    for token in (f"{head}.{claims}.", f"{head}.{claims}.{signature[::-1]}", "a.b.c", "x"):
        assert world.ask("GET", "/auth/me", token=token).status == 401


@pytest.mark.parametrize("head", ['["alg"]', '"alg"', "1", "null"])
def test_a_token_whose_head_is_no_object_is_a_wrong_one(world: World, head: str) -> None:
    begun = base64.urlsafe_b64encode(head.encode()).decode().rstrip("=")
    statuses = [world.ask("GET", "/auth/me", token=f"{begun}.e30.cw").status for _ in range(51)]
    assert statuses == [401] * 50 + [429]


def test_a_refresh_token_used_twice_ends_its_session(world: World) -> None:
    world.set_up()
    first = world.ask("POST", "/auth/login", {"name": "ann", "password": PASSWORD})
    old = {"refresh_token": first["refresh_token"]}
    second = world.ask("POST", "/auth/refresh", old)
    assert second.status == 200
    assert world.ask("GET", "/auth/me", token=second["access_token"]).status == 200
    assert world.ask("POST", "/auth/refresh", old).status == 401
    assert world.ask("GET", "/auth/me", token=second["access_token"]).status == 401
    newest = {"refresh_token": second["refresh_token"]}
    assert world.ask("POST", "/auth/refresh", newest).status == 401


def test_tokens_of_a_user_are_exchanged_so_often_a_minute(world: World) -> None:
    world.set_up()
    login = {"name": "ann", "password": PASSWORD}
    first, second = (world.ask("POST", "/auth/login", login)["refresh_token"] for _ in "ab")
    used = {"refresh_token": first}
    for _ in range(PROOFS_PER_MINUTE):
        answer = world.ask("POST", "/auth/refresh", {"refresh_token": first})
        assert answer.status == 200, answer.text
        first = answer["refresh_token"]
    for token in (first, second):  # another session of the same user has no limit of its own
        answer = world.ask("POST", "/auth/refresh", {"refresh_token": token})
        assert (answer.status, answer.headers["retry-after"]) == (429, "1")
    world.advance(seconds=1)
    answer = world.ask("POST", "/auth/refresh", {"refresh_token": second})
    assert answer.status == 200, "the refused token was not used up"
    # Who floods the master with one chain of tokens hides no second use of one of them.
    assert world.ask("POST", "/auth/refresh", used).status == 401
    world.advance(minutes=5)
    assert world.ask("POST", "/auth/refresh", {"refresh_token": first}).status == 401


def test_a_user_begins_so_many_sessions_a_minute(world: World) -> None:
    world.set_up()
    login = {"name": "ann", "password": PASSWORD}
    for _ in range(PROOFS_PER_MINUTE):
        assert world.ask("POST", "/auth/login", login).status == 200
    refused = world.ask("POST", "/auth/login", login)
    assert (refused.status, refused.headers["retry-after"]) == (429, "1")
    world.advance(seconds=1)
    assert world.ask("POST", "/auth/login", login).status == 200


def test_logging_out_ends_the_session_at_once(world: World) -> None:
    token = world.set_up()
    assert world.ask("POST", "/auth/logout", token=token).status == 204
    assert world.ask("GET", "/auth/me", token=token).status == 401


def test_sessions_outlive_a_restart_and_a_change_of_keys(world: World) -> None:
    world.set_up()
    login = world.ask("POST", "/auth/login", {"name": "ann", "password": PASSWORD})
    world.close()
    world.open()
    assert world.ask("GET", "/auth/me", token=login["access_token"]).status == 200
    world.advance(days=8)
    again = world.ask("POST", "/auth/refresh", {"refresh_token": login["refresh_token"]})
    assert world.ask("GET", "/auth/me", token=again["access_token"]).status == 200
    head = [one["access_token"].split(".")[0] for one in (login, again)]
    assert head[0] != head[1]


def test_an_api_token_may_do_what_its_role_and_list_say(world: World) -> None:
    admin = world.set_up()
    made = world.ask("POST", "/tokens", {"name": "ci", "role": "viewer"}, admin)
    secret = made["secret"]
    assert world.ask("GET", "/workspaces/default", token=secret).status == 200
    assert world.ask("GET", "/audit", token=secret).status == 403
    body = {"name": "log", "role": "admin", "permissions": ["audit.read"]}
    narrow = world.ask("POST", "/tokens", body, admin)["secret"]
    assert world.ask("GET", "/audit", token=narrow).status == 200
    assert world.ask("GET", "/workspaces/default", token=narrow).status == 403
    shown = world.ask("GET", f"/tokens/{made['id']}", token=admin)
    assert secret not in shown.text + world.ask("GET", "/tokens", token=admin).text


def test_a_revoked_or_expired_token_is_refused_and_audited(world: World) -> None:
    admin = world.set_up()
    made = world.ask("POST", "/tokens", {"name": "ci", "role": "viewer", "days": 1}, admin)
    gone = world.ask("POST", "/tokens", {"name": "old", "role": "viewer"}, admin)
    assert world.ask("DELETE", f"/tokens/{gone['id']}", token=admin).status == 204
    assert world.ask("GET", "/auth/me", token=gone["secret"]).status == 401
    newest = world.ask("GET", "/audit?limit=1", token=admin).items[0]
    assert (newest["actor"], newest["outcome"]) == (gone["id"], "refused")
    world.advance(days=1)
    assert world.ask("GET", "/auth/me", token=made["secret"]).status == 401


def test_nobody_makes_a_token_that_may_do_more_than_they(world: World) -> None:
    admin = world.set_up()
    body = {"name": "a", "role": "admin", "permissions": ["tokens.write", "tokens.read"]}
    narrow = world.ask("POST", "/tokens", body, admin)["secret"]
    assert world.ask("POST", "/tokens", {"name": "b", "role": "admin"}, narrow).status == 403
    lesser = {"name": "c", "role": "viewer", "permissions": ["tokens.read"]}
    assert world.ask("POST", "/tokens", lesser, narrow).status == 201


def test_wrong_tokens_from_an_address_are_throttled(world: World) -> None:
    world.set_up()
    wrong = "hgt_wrong"
    statuses = {world.ask("GET", "/auth/me", token=wrong).status for _ in range(60)}
    assert statuses == {401, 429}


def test_wrong_tokens_do_not_hold_up_who_proved_who_they_are_from_the_same_address(
    world: World,
) -> None:
    admin = world.set_up()
    good, ended, unseen = (
        world.ask("POST", "/tokens", {"name": name, "role": "viewer"}, admin)
        for name in ("good", "ended", "unseen")
    )
    for one in (good, ended):
        assert world.ask("GET", "/auth/me", token=one["secret"]).status == 200
    world.ask("DELETE", f"/tokens/{ended['id']}", token=admin)
    for number in range(60):
        world.ask("GET", "/auth/me", token=f"hgt_wrong{number}")
    statuses = [world.ask("GET", "/auth/me", token=one["secret"]).status for one in (good, unseen)]
    assert statuses == [200, 429]
    # Nor do they hold up a user who logs in there; a token that was ended counts as a wrong one.
    assert world.ask("GET", "/auth/me", token=admin).status == 200
    login = {"name": "ann", "password": PASSWORD}
    fresh = world.ask("POST", "/auth/login", login)["access_token"]
    assert world.ask("GET", "/auth/me", token=fresh).status == 200
    statuses = [world.ask("GET", "/auth/me", token=ended["secret"]).status for _ in range(2)]
    assert statuses == [401, 429]


def test_a_token_at_another_tenant_is_audited_and_throttled(world: World) -> None:
    admin = world.set_up()
    world.ask("POST", "/organisations", {"name": "other"}, admin)
    body = {"name": "foreign", "role": "admin"}
    foreign = world.ask("POST", "/tokens?organisation=other", body, admin)
    path = "/workspaces/default/resources"
    assert world.ask("GET", path, token=foreign["secret"]).status == 404
    newest = world.ask("GET", "/audit?limit=1&organisation=other", token=admin).items[0]
    assert (newest["actor"], newest["outcome"]) == (foreign["id"], "refused")
    assert str(newest["object"]).endswith(path)
    statuses = {world.ask("GET", path, token=foreign["secret"]).status for _ in range(60)}
    assert statuses == {404, 429}
    assert world.ask("GET", path, token=admin).status == 200


def test_the_last_administrator_stays(world: World) -> None:
    admin = world.set_up()
    me = world.ask("GET", "/auth/me", token=admin)["id"]
    assert world.ask("DELETE", f"/users/{me}", token=admin).status == 409
    less = world.ask("PUT", f"/users/{me}/role", {"role": "viewer"}, admin)
    assert less["type"] == "urn:headgate:problem:last-admin"
    assert world.ask("GET", "/users", token=admin).status == 200


def test_secrets_are_not_in_the_database(world: World) -> None:
    admin = world.set_up()
    secret = world.ask("POST", "/tokens", {"name": "ci", "role": "viewer"}, admin)["secret"]
    if not world.url:
        world.close()
        raw = b"".join(one.read_bytes() for one in world.directory.glob("master.db*"))
        world.open()
        for text in (secret, PASSWORD, '"kty"', '"d":'):
            assert text.encode() not in raw
