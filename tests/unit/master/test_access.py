"""Who may do what, as data."""

import pytest

from headgate.master.access import Caller, Grant, Permission, Role
from headgate.master.store.scope import Scope

ROOM = Scope("org", "room")


def caller(role: Role, workspace: str = "", only: frozenset[str] | None = None) -> Caller:
    return Caller(id="u", grants=(Grant("org", workspace, role),), only=only)


@pytest.mark.parametrize(
    ("permission", "least"),
    [
        (Permission.RESOURCES_READ, Role.VIEWER),
        (Permission.RESOURCES_WRITE, Role.OPERATOR),
        (Permission.ROLLOUTS_APPROVE, Role.APPROVER),
        (Permission.FLEETS_WRITE, Role.ADMIN),
    ],
)
def test_a_role_has_what_it_and_lesser_ones_have(permission: Permission, least: Role) -> None:
    for role in Role:
        assert caller(role).may(permission, ROOM) == (role >= least)


def test_a_role_counts_where_it_was_given() -> None:
    assert not caller(Role.ADMIN).may(Permission.RESOURCES_READ, Scope("other", "room"))
    assert not caller(Role.ADMIN, "attic").may(Permission.RESOURCES_READ, ROOM)
    assert not caller(Role.ADMIN, "room").may(Permission.USERS_READ, Scope("org"))


def test_the_higher_of_two_roles_counts() -> None:
    both = Caller(id="u", grants=(Grant("org", "", Role.VIEWER), Grant("org", "room", Role.ADMIN)))
    assert both.may(Permission.FLEETS_WRITE, ROOM)
    assert not both.may(Permission.FLEETS_WRITE, Scope("org", "attic"))


def test_a_narrowed_token_has_nothing_else() -> None:
    narrow = caller(Role.ADMIN, only=frozenset({"agents.read"}))
    assert narrow.may(Permission.AGENTS_READ, ROOM)
    assert not narrow.may(Permission.RESOURCES_READ, ROOM)
    assert not narrow.may(Permission.ORGANISATIONS_CREATE, Scope())


def test_nobody_may_only_what_everyone_may() -> None:
    for permission in Permission:
        assert Caller().may(permission, ROOM) == (permission is Permission.PUBLIC)
