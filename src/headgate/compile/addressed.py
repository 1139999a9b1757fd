"""Finds the listener of a connection or a flow that a question is about, by its address."""

import re
from collections.abc import Mapping
from typing import Final, Literal

from headgate.compile.routing import Question
from headgate.features import syntax
from headgate.kernel.errors import Invalid
from headgate.plan.kinds import Kind
from headgate.plan.objects import Listener

Network = Literal["tcp", "udp"]

_URL: Final = re.compile(r"(?:tcp|udp)://(\[[0-9A-Fa-f:.]+\]|[^:/\[\]@\s]+):([0-9]{1,5})/?")
_WHAT: Final = {"tcp": "a connection", "udp": "a flow"}
_ALLOWED: Final = {
    "tcp": 'write an address with its port, such as "tcp://127.0.0.1:5432"',
    "udp": 'write an address with its port, such as "udp://127.0.0.1:53"',
}


def network_of(url: str) -> Network | None:
    """Returns what a question is about: a connection over TCP, a flow of UDP, or a request."""
    if url.startswith("tcp://"):
        return "tcp"
    return "udp" if url.startswith("udp://") else None


def kind_of(url: str) -> Kind:
    """Returns the kind of the routes that answer a question about this."""
    match network_of(url):
        case "tcp":
            return "tcp_route"
        case "udp":
            return "udp_route"
        case None:
            return "route"


def listener_at(question: Question, network: Network, known: Mapping[str, Listener]) -> str:
    """Returns the listener that a question names, or that has its address, or else its port.

    Raises `Invalid` if none of those known does.
    """
    url = _URL.fullmatch(question.url)
    if url is None:
        what = f'"{question.url}" is not {_WHAT[network]}'
        raise Invalid(what, _ALLOWED[network], at=("request",))
    names = ", ".join(f'"{name}"' for name in known) or "none are configured"
    if question.listener is not None:
        if question.listener not in known:
            what = f'there is no {network.upper()} listener "{question.listener}"'
            raise Invalid(what, f"write one of the listeners: {names}", at=("listener",))
        return question.listener
    address, port = f"{url[1]}:{url[2]}", f":{url[2]}"
    fitting = [
        (address not in one.addresses, name)
        for name, one in known.items()
        if any(text.endswith(port) for text in one.addresses)
    ]
    if not fitting:
        what = f"no {network.upper()} listener has port {url[2]}"
        raise Invalid(what, f"write that of one of the listeners: {names}", at=("request",))
    return min(fitting)[1]


def server_name(text: str) -> str:
    """Returns a name as a ClientHello has it; raises `Invalid` for what is not one name."""
    name = syntax.server_name(text)
    if "*" in name:
        raise Invalid(f'"{text}" is not one name', 'write a name such as "a.example"', at=("sni",))
    return name
