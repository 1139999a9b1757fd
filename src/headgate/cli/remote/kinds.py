"""The kinds of objects for `get`, `describe` and `delete`: where each one is, and its columns."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from headgate.cli.remote.client import Json, Master, Query
from headgate.cli.remote.errors import MasterError
from headgate.kernel.nearest import listed, nearest


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of object; `path` may name `{workspace}`.

    `key` is the field that names one in its path; `section` is the only section of the config that
    the list shall have. `has_fleet`: the list can be that of one fleet. `has_set`: each belongs to
    a set. `is_lasting`: nobody removes one. `way`: the command to use in place of removing one.
    `is_only_listed`: the list says all there is to say of one. `is_revoked`: removing one ends it,
    whatever its version.
    """

    name: str
    path: str
    columns: tuple[str, ...]
    singular: str
    key: str = "id"
    section: str = ""
    has_fleet: bool = False
    has_set: bool = False
    is_lasting: bool = False
    way: str = ""
    is_only_listed: bool = False
    is_revoked: bool = False


KINDS: Final = (
    Kind(
        "organisations",
        "/organisations",
        ("name", "id", "created_at"),
        "organisation",
        is_lasting=True,
    ),
    Kind(
        "workspaces",
        "/workspaces",
        ("name", "id", "created_at"),
        "workspace",
        is_lasting=True,
    ),
    Kind("users", "/users", ("name", "id", "grants", "is_disabled"), "user"),
    Kind(
        "tokens",
        "/tokens",
        ("name", "id", "role", "workspace", "expires_at"),
        "token",
        is_revoked=True,
    ),
    Kind("fleets", "/workspaces/{workspace}/fleets", ("name", "id", "engine", "revision"), "fleet"),
    Kind(
        "agents",
        "/workspaces/{workspace}/agents",
        ("name", "id", "state", "facts.program", "labels", "revisions", "drifts"),
        "agent",
        has_fleet=True,
    ),
    Kind(
        "join-tokens",
        "/workspaces/{workspace}/join-tokens",
        ("id", "fleet", "used", "uses", "expires_at", "revoked_at"),
        "join-token",
        has_fleet=True,
        is_revoked=True,
    ),
    Kind(
        "secrets",
        "/workspaces/{workspace}/secrets",
        ("name", "changed_at"),
        "secret",
        "name",
    ),
    Kind("drafts", "/workspaces/{workspace}/drafts", ("name", "changed_at"), "draft", "name"),
    Kind(
        "revisions",
        "/workspaces/{workspace}/revisions",
        ("number", "fleet_id", "author_name", "created_at", "restores", "message"),
        "revision",
        has_fleet=True,
        is_lasting=True,
    ),
    Kind(
        "templates",
        "/workspaces/{workspace}/templates",
        ("name", "version", "set", "changed_at"),
        "template",
        "name",
        has_set=True,
    ),
    Kind(
        "virtual-hosts",
        "/workspaces/{workspace}/virtual-hosts",
        ("name", "template", "values", "fleets", "set", "objects"),
        "virtual-host",
        "name",
        has_fleet=True,
        has_set=True,
    ),
    Kind(
        "served-certificates",
        "/workspaces/{workspace}/certificates",
        ("name", "names", "issuer", "expires_at", "agent"),
        "served-certificate",
        has_fleet=True,
    ),
    Kind(
        "rollouts",
        "/workspaces/{workspace}/rollouts",
        ("id", "revision", "program", "status", "created_by", "created_at"),
        "rollout",
        has_fleet=True,
        way="rollout abort",
    ),
    Kind(
        "freezes",
        "/workspaces/{workspace}/freezes",
        ("id", "fleet", "begins_at", "ends_at", "reason"),
        "freeze",
        has_fleet=True,
        is_only_listed=True,
    ),
    Kind(
        "audit",
        "/audit",
        ("at", "actor_name", "action", "object", "outcome"),
        "audit",
        is_lasting=True,
        is_only_listed=True,
    ),
    Kind(
        "master-audit",
        "/master/audit",
        ("at", "actor_name", "action", "object", "outcome"),
        "master-audit",
        is_lasting=True,
        is_only_listed=True,
    ),
    Kind(
        "events",
        "/workspaces/{workspace}/events",
        ("seq", "at", "type", "object", "detail"),
        "event",
        "seq",
        is_lasting=True,
        is_only_listed=True,
    ),
)
_CONFIG: Final = {
    "listeners": "listener",
    "hosts": "host",
    "routes": "route",
    "tcp_routes": "tcp_route",
    "udp_routes": "udp_route",
    "middlewares": "middleware",
    "upstreams": "upstream",
    "certificates": "certificate",
    "tls_policies": "tls_policy",
    "nginx_imports": "nginx_import",
}
_OWN: Final = frozenset({"limit", "cursor"})
"""Parameters of lists that this client sets itself."""
_RESOURCES: Final = "/workspaces/{workspace}/resources"
_COLUMNS: Final = ("name", "version", "set", "changed_at")
_SECTIONS: Final = tuple(
    Kind(name, _RESOURCES, _COLUMNS, singular, "name", name, has_fleet=True, has_set=True)
    for name, singular in _CONFIG.items()
)
_ALL: Final = (*KINDS, *_SECTIONS)
_BY_NAME: Final = {name: kind for kind in _ALL for name in (kind.name, kind.singular)}


def names() -> list[str]:
    """Returns what every kind is called."""
    return [kind.name for kind in _ALL]


def kind_named(name: str) -> Kind:
    """Returns the kind; raises MasterError for an unknown one."""
    if name in _BY_NAME:
        return _BY_NAME[name]
    known = names()
    close = nearest(name, known)
    meant = f'did you mean "{close}"?' if close else f"choose one of {listed(known)}"
    raise MasterError(f'there is no kind "{name}"; {meant}')


def path_of(kind: Kind, master: Master) -> str:
    """Returns where the kind's list is; raises MasterError if it needs a workspace."""
    if "{workspace}" not in kind.path:
        return kind.path
    return kind.path.format(workspace=master.workspace)


def query_of(kind: Kind, fleet: str = "", filters: Sequence[str] = ()) -> Query:
    """Returns the query of the kind's list: with `fleet` those of one fleet, with `filters` those
    that each NAME=VALUE chooses. The master knows which there are; raises MasterError for others
    than that form."""
    query: Query = {"kind": kind.section} if kind.section else {}
    if fleet and not kind.has_fleet:
        raise MasterError(f"{kind.name} have no fleet; leave --fleet out")
    if fleet:
        query["fleet"] = fleet
    given: dict[str, list[str]] = {}
    for one in filters:
        name, sign, value = one.partition("=")
        if not sign or name in query or name in _OWN:
            raise MasterError(
                f'"{one}" is not a filter of {kind.name}; write NAME=VALUE, such as'
                " name_prefix=a; the reference of the REST API lists the names"
            )
        given.setdefault(name, []).append(value)
    return query | given


def items(
    kind: Kind, master: Master, fleet: str = "", filters: Sequence[str] = ()
) -> Iterator[Json]:
    """Yields every object of the kind that the fleet and the filters choose; raises MasterError."""
    return master.all(path_of(kind, master), **query_of(kind, fleet, filters))


def path_of_one(kind: Kind, one: Json, master: Master) -> str:
    """Returns where the object is."""
    key = quote(str(one[kind.key]), safe="")
    section = f"/{kind.section}" if kind.section else ""
    return f"{path_of(kind, master)}{section}/{key}"


def find(
    kind: Kind, name: str, master: Master, fleet: str = "", filters: Sequence[str] = ()
) -> Json:
    """Returns the object with that id, name or number; raises MasterError if there is none, or
    more than one of that name."""
    named = []
    for item in items(kind, master, fleet, filters):
        if name == str(item.get("id")):
            return item
        if name in {str(item.get("name")), str(item.get("number"))}:
            named.append(item)
    if len(named) == 1:
        return named[0]
    if not named:
        raise MasterError(f'there is no {kind.singular} "{name}"; see `headgate get {kind.name}`')
    ids = ", ".join(str(item.get("id")) for item in named)
    raise MasterError(f'there are several {kind.name} "{name}"; name one by its id: {ids}')


def chosen_organisation(master: Master, name: str) -> Json:
    """Returns the organisation of that name or id, or the caller's only one; raises MasterError."""
    kind = kind_named("organisation")
    if name:
        return find(kind, name, master)
    found = list(items(kind, master))
    if len(found) == 1:
        return found[0]
    names = ", ".join(str(one["name"]) for one in found)
    raise MasterError(f"say which organisation with --organisation; you have {names or 'none'}")


def set_query(kind: Kind, set_name: str) -> Query:
    """Returns what the removal of an object says of its set; raises MasterError for a kind without
    sets."""
    if set_name and not kind.has_set:
        raise MasterError(f"{kind.name} belong to no set; leave --set out")
    return {"set": set_name} if set_name else {}


def removable(kind: Kind) -> None:
    """Raises MasterError for a kind of which nobody removes an object."""
    if kind.way:
        raise MasterError(f"a {kind.singular} is not removed; see `headgate {kind.way} --help`")
    if kind.is_lasting:
        raise MasterError(f"{kind.name} are never removed")
