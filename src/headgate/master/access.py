"""Access rules: roles, permissions, and the places where each permission counts. Pure data."""

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Final, NamedTuple

from headgate.master.store.scope import Scope


class Role(IntEnum):
    """The role of a person or token in an organisation or workspace; each includes those before."""

    VIEWER = 1
    OPERATOR = 2
    APPROVER = 3
    ADMIN = 4


ROLE_NAMES: Final = {role.name.lower(): role for role in Role}


class Place(StrEnum):
    """The place where a permission counts."""

    ANYWHERE = "anywhere"
    """For everyone, without a token."""
    SELF = "self"
    """For whoever has a token, about themselves."""
    MASTER = "master"
    """For administrators of the whole master."""
    ORGANISATION = "organisation"
    WORKSPACE = "workspace"


class Permission(StrEnum):
    """The permission that a route needs. Every route declares one."""

    PUBLIC = "public"
    SELF = "self"
    MASTER_READ = "master.read"
    MASTER_OPERATE = "master.operate"
    ORGANISATIONS_CREATE = "organisations.create"
    ORGANISATIONS_READ = "organisations.read"
    ORGANISATIONS_WRITE = "organisations.write"
    WORKSPACES_READ = "workspaces.read"
    WORKSPACES_WRITE = "workspaces.write"
    QUOTAS_READ = "quotas.read"
    QUOTAS_WRITE = "quotas.write"
    USERS_READ = "users.read"
    USERS_WRITE = "users.write"
    TOKENS_READ = "tokens.read"
    TOKENS_WRITE = "tokens.write"
    AUDIT_READ = "audit.read"
    EVENTS_READ = "events.read"
    RESOURCES_READ = "resources.read"
    RESOURCES_WRITE = "resources.write"
    RESOURCES_VERBATIM = "resources.verbatim"
    """The permission to write text that the nginx of agents runs as it is."""
    REVISIONS_READ = "revisions.read"
    REVISIONS_PUBLISH = "revisions.publish"
    FLEETS_READ = "fleets.read"
    FLEETS_WRITE = "fleets.write"
    AGENTS_READ = "agents.read"
    AGENTS_OPERATE = "agents.operate"
    AGENTS_WRITE = "agents.write"
    LOGS_READ = "logs.read"
    JOIN_TOKENS_READ = "join-tokens.read"
    JOIN_TOKENS_WRITE = "join-tokens.write"
    ROLLOUTS_READ = "rollouts.read"
    ROLLOUTS_OPERATE = "rollouts.operate"
    ROLLOUTS_APPROVE = "rollouts.approve"


class Rule(NamedTuple):
    """The place where a permission counts, and the least role that has it there."""

    place: Place
    role: Role = Role.VIEWER


RULES: Final = {
    Permission.PUBLIC: Rule(Place.ANYWHERE),
    Permission.SELF: Rule(Place.SELF),
    Permission.MASTER_READ: Rule(Place.MASTER, Role.ADMIN),
    Permission.MASTER_OPERATE: Rule(Place.MASTER, Role.ADMIN),
    Permission.ORGANISATIONS_CREATE: Rule(Place.MASTER, Role.ADMIN),
    Permission.ORGANISATIONS_READ: Rule(Place.ORGANISATION),
    Permission.ORGANISATIONS_WRITE: Rule(Place.ORGANISATION, Role.ADMIN),
    Permission.WORKSPACES_READ: Rule(Place.WORKSPACE),
    Permission.WORKSPACES_WRITE: Rule(Place.ORGANISATION, Role.ADMIN),
    Permission.QUOTAS_READ: Rule(Place.WORKSPACE),
    Permission.QUOTAS_WRITE: Rule(Place.ORGANISATION, Role.ADMIN),
    Permission.USERS_READ: Rule(Place.ORGANISATION, Role.ADMIN),
    Permission.USERS_WRITE: Rule(Place.ORGANISATION, Role.ADMIN),
    Permission.TOKENS_READ: Rule(Place.ORGANISATION, Role.ADMIN),
    Permission.TOKENS_WRITE: Rule(Place.ORGANISATION, Role.ADMIN),
    Permission.AUDIT_READ: Rule(Place.ORGANISATION, Role.ADMIN),
    Permission.EVENTS_READ: Rule(Place.WORKSPACE),
    Permission.RESOURCES_READ: Rule(Place.WORKSPACE),
    Permission.RESOURCES_WRITE: Rule(Place.WORKSPACE, Role.OPERATOR),
    Permission.RESOURCES_VERBATIM: Rule(Place.WORKSPACE, Role.APPROVER),
    Permission.REVISIONS_READ: Rule(Place.WORKSPACE),
    Permission.REVISIONS_PUBLISH: Rule(Place.WORKSPACE, Role.OPERATOR),
    Permission.FLEETS_READ: Rule(Place.WORKSPACE),
    Permission.FLEETS_WRITE: Rule(Place.WORKSPACE, Role.ADMIN),
    Permission.AGENTS_READ: Rule(Place.WORKSPACE),
    Permission.AGENTS_OPERATE: Rule(Place.WORKSPACE, Role.OPERATOR),
    Permission.AGENTS_WRITE: Rule(Place.WORKSPACE, Role.ADMIN),
    Permission.LOGS_READ: Rule(Place.WORKSPACE, Role.OPERATOR),
    Permission.JOIN_TOKENS_READ: Rule(Place.WORKSPACE, Role.ADMIN),
    Permission.JOIN_TOKENS_WRITE: Rule(Place.WORKSPACE, Role.ADMIN),
    Permission.ROLLOUTS_READ: Rule(Place.WORKSPACE),
    Permission.ROLLOUTS_OPERATE: Rule(Place.WORKSPACE, Role.OPERATOR),
    Permission.ROLLOUTS_APPROVE: Rule(Place.WORKSPACE, Role.APPROVER),
}


@dataclass(frozen=True, slots=True)
class Grant:
    """A role in an organisation, or in one workspace of it."""

    organisation_id: str
    workspace_id: str
    """Empty for the whole organisation."""
    role: Role


@dataclass(frozen=True, slots=True)
class Caller:
    """The sender of a request, with its grants."""

    id: str = ""
    name: str = ""
    is_token: bool = False
    is_master_admin: bool = False
    session_id: str = ""
    grants: tuple[Grant, ...] = field(default=())
    only: frozenset[str] | None = None
    """The permissions that a token was narrowed to; None for all of its role."""

    @property
    def is_known(self) -> bool:
        """True if the caller proved who they are."""
        return bool(self.id)

    @property
    def organisations(self) -> frozenset[str]:
        """The ids of organisations in which the caller has any role."""
        return frozenset(grant.organisation_id for grant in self.grants)

    def role_in(self, scope: Scope) -> Role | None:
        """Returns the highest role in the scope; None if the caller does not belong to it.

        A role in one workspace counts in the organisation for nothing but membership.
        """
        found = [
            grant.role
            for grant in self.grants
            if grant.organisation_id == scope.organisation_id
            and grant.workspace_id in {"", scope.workspace_id}
        ]
        return max(found, default=None)

    def may(self, permission: Permission, scope: Scope) -> bool:
        """Reports whether the caller has the permission in the scope."""
        rule = RULES[permission]
        if rule.place is Place.ANYWHERE:
            return True
        if rule.place is Place.SELF:
            return self.is_known
        if self.only is not None and permission.value not in self.only:
            return False
        if rule.place is Place.MASTER:
            return self.is_master_admin
        role = self.role_in(scope)
        return role is not None and role >= rule.role

    def may_give(self, role: Role) -> bool:
        """Reports whether the caller's token was narrowed to no less than all that a role may do;
        the caller's own role is looked at elsewhere."""
        if self.only is None:
            return True
        tenants = {Place.ORGANISATION, Place.WORKSPACE}
        of_role = {
            one.value for one, rule in RULES.items() if rule.place in tenants and rule.role <= role
        }
        return self.only.issuperset(of_role)
