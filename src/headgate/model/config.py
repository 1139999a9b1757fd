"""The whole config: its sections, and how an entry of each is validated."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from pydantic import Field, TypeAdapter

from headgate.features import syntax
from headgate.features.base import Options
from headgate.kernel.errors import Invalid
from headgate.model.choice import Middleware, MiddlewareTable
from headgate.model.host import Host
from headgate.model.listener import Listener
from headgate.model.node import Node
from headgate.model.route import Route
from headgate.model.tcp_route import TcpRoute
from headgate.model.tls import BUILT_IN_POLICY, Certificate, TlsPolicy
from headgate.model.udp_route import UdpRoute
from headgate.model.upstream import Upstream
from headgate.plan.kinds import Kind

Entry = (
    Listener | Host | Route | TcpRoute | UdpRoute | Middleware | Upstream | Certificate | TlsPolicy
)
"""One object of the config, validated."""

NAME_ALLOWED: Final = "write up to 200 visible characters without spaces or quotes"
_NAME = re.compile(r"[^\s\"'\x00-\x20\x7f]{1,200}")


def object_name(text: str) -> str:
    """Returns the object's name, unchanged; raises `Invalid` if it is not a valid name."""
    if not _NAME.fullmatch(text):
        raise Invalid(f"{syntax.described(text)} is not a name", NAME_ALLOWED)
    return text


def policy_name(text: str) -> str:
    """Returns the TLS policy's name, unchanged;
    raises `Invalid` for the name of the built-in policy.
    """
    if text == BUILT_IN_POLICY:
        raise Invalid(
            f'"{text}" is the built-in policy, which no config changes',
            "write another name, and name it as `policy` of listeners or `tls_policy` of hosts",
        )
    return object_name(text)


class Config(Options):
    """A config; every section is a table of named objects, in one document or several."""

    include: list[str] = Field(
        default_factory=list,
        description="Further documents, relative to this one; in the last part of a path, `*` and "
        "`?` match any characters.",
    )
    node: Node = Field(default=Node(), description="Settings of the whole node.")
    listeners: dict[str, Listener] = Field(
        default_factory=dict, description="Addresses on which the node accepts connections."
    )
    hosts: dict[str, Host] = Field(
        default_factory=dict,
        description="Virtual hosts, with the settings that their routes inherit.",
    )
    routes: dict[str, Route] = Field(
        default_factory=dict, description="Which requests are matched, and where they go."
    )
    tcp_routes: dict[str, TcpRoute] = Field(
        default_factory=dict,
        description="Which connections of TCP listeners go to which upstream.",
    )
    udp_routes: dict[str, UdpRoute] = Field(
        default_factory=dict,
        description="Which datagrams of UDP listeners go to which upstream.",
    )
    middlewares: dict[str, MiddlewareTable] = Field(
        default_factory=dict, description="Named middlewares, for use in hosts and routes."
    )
    upstreams: dict[str, Upstream] = Field(
        default_factory=dict, description="Named pools of endpoints."
    )
    certificates: dict[str, Certificate] = Field(
        default_factory=dict, description="Certificates with their private keys."
    )
    tls_policies: dict[str, TlsPolicy] = Field(
        default_factory=dict,
        description="TLS versions, ciphers and client authentication; `default` is built in and"
        " cannot be redefined.",
    )


@dataclass(frozen=True, slots=True)
class Section:
    """A section of named objects."""

    key: str
    """The top-level key."""
    kind: Kind
    """The kind of its objects in the plan."""
    noun: str
    """The word for one of them in messages."""
    validate: Callable[..., Entry]
    """From a document's values to the model; raises `pydantic.ValidationError`."""
    name: Callable[[str], str] = object_name
    """From a key to a canonical name; raises `Invalid`."""


SECTIONS: Final = {
    section.key: section
    for section in (
        Section("listeners", "listener", "listener", Listener.model_validate),
        Section("hosts", "host", "host", Host.model_validate, syntax.host_pattern),
        Section("routes", "route", "route", Route.model_validate),
        Section("tcp_routes", "tcp_route", "TCP route", TcpRoute.model_validate),
        Section("udp_routes", "udp_route", "UDP route", UdpRoute.model_validate),
        Section(
            "middlewares",
            "middleware",
            "middleware",
            TypeAdapter[Middleware](MiddlewareTable).validate_python,
        ),
        Section("upstreams", "upstream", "upstream", Upstream.model_validate),
        Section("certificates", "certificate", "certificate", Certificate.model_validate),
        Section("tls_policies", "tls_policy", "TLS policy", TlsPolicy.model_validate, policy_name),
    )
}
"""The sections of named objects by their key."""

SECTION_OF: Final[dict[Kind, str]] = {section.kind: section.key for section in SECTIONS.values()}
"""The section an object of a kind is written in."""

TOP_LEVEL: Final = tuple(Config.model_fields)
"""Every top-level key there is."""
