"""What `get`, `describe` and `delete` know: where each kind of object is, and its columns."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from headgate.cli.remote.client import Json, Master
from headgate.cli.remote.errors import MasterError
from headgate.kernel.nearest import listed, nearest


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of object; `path` may name `{workspace}`.

    `key` is the field that names one in its path; `section` is the only section of the config that
    the list shall have.
    """

    name: str
    path: str
    columns: tuple[str, ...]
    singular: str
    key: str = "id"
    section: str = ""


KINDS: Final = (
    Kind("workspaces", "/workspaces", ("name", "id", "created_at"), "workspace"),
    Kind("users", "/users", ("name", "id", "grants", "is_disabled"), "user"),
    Kind("tokens", "/tokens", ("name", "id", "role", "workspace", "expires_at"), "token"),
    Kind("fleets", "/workspaces/{workspace}/fleets", ("name", "id", "engine", "revision"), "fleet"),
    Kind(
        "agents",
        "/workspaces/{workspace}/agents",
        ("name", "id", "state", "labels", "revisions"),
        "agent",
    ),
    Kind(
        "served-certificates",
        "/workspaces/{workspace}/certificates",
        ("name", "names", "issuer", "expires_at", "agent"),
        "served-certificate",
    ),
    Kind(
        "rollouts",
        "/workspaces/{workspace}/rollouts",
        ("id", "revision", "status", "created_by", "created_at"),
        "rollout",
    ),
    Kind("audit", "/audit", ("at", "actor_name", "action", "object", "outcome"), "audit"),
)
_CONFIG: Final = {
    "listeners": "listener",
    "hosts": "host",
    "routes": "route",
    "middlewares": "middleware",
    "upstreams": "upstream",
    "certificates": "certificate",
    "tls_policies": "tls_policy",
}
_RESOURCES: Final = "/workspaces/{workspace}/resources"
SECTIONS: Final = tuple(
    Kind(name, _RESOURCES, ("name", "version", "changed_at"), singular, "name", name)
    for name, singular in _CONFIG.items()
)
_ALL: Final = (*KINDS, *SECTIONS)
_BY_NAME: Final = {name: kind for kind in _ALL for name in (kind.name, kind.singular)}


def kind_named(name: str) -> Kind:
    """Returns the kind; raises MasterError for an unknown one."""
    if name in _BY_NAME:
        return _BY_NAME[name]
    known = [kind.name for kind in _ALL]
    close = nearest(name, known)
    meant = f'did you mean "{close}"?' if close else f"choose one of {listed(known)}"
    raise MasterError(f'there is no kind "{name}"; {meant}')


def path_of(kind: Kind, master: Master) -> str:
    """Returns where the kind's list is; raises MasterError if it needs a workspace."""
    if "{workspace}" not in kind.path:
        return kind.path
    if not master.workspace:
        raise MasterError(
            f"{kind.name} belong to a workspace; choose one with "
            "`headgate context use NAME --workspace NAME`"
        )
    return kind.path.format(workspace=master.workspace)


def items(kind: Kind, master: Master) -> Iterator[Json]:
    """Yields every object of the kind."""
    if kind.section:
        return master.all(path_of(kind, master), kind=kind.section)
    return master.all(path_of(kind, master))


def path_of_one(kind: Kind, one: Json, master: Master) -> str:
    """Returns where the object is."""
    key = quote(str(one[kind.key]), safe="")
    section = f"/{kind.section}" if kind.section else ""
    return f"{path_of(kind, master)}{section}/{key}"


def find(kind: Kind, name: str, master: Master) -> Json:
    """Returns the object with that name or id; raises MasterError."""
    for item in items(kind, master):
        if name in {str(item.get("name")), str(item.get("id")), str(item.get("number"))}:
            return item
    raise MasterError(f'there is no {kind.singular} "{name}"; see `headgate get {kind.name}`')
