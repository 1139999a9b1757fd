"""Explains what becomes of a request, a connection or a flow, by the URL of the question."""

from headgate.compile.addressed import network_of
from headgate.compile.connections import connection
from headgate.compile.explanation import Explanation, Locate, States, explain
from headgate.compile.flows import flow
from headgate.compile.routing import Question, Routing
from headgate.kernel.errors import Invalid


def answer(
    routing: Routing, question: Question, locate: Locate, states: States | None = None
) -> Explanation:
    """Explains what becomes of a request, of a connection where the URL begins with `tcp://`, or of
    a flow where it begins with `udp://`.

    Raises `Invalid` when it is none of them, `ValueError` for a client that is not an address.
    """
    match network_of(question.url):
        case "tcp":
            return connection(routing, question, locate, states)
        case "udp":
            return flow(routing, question, locate, states)
        case None:
            if question.sni is not None or question.alpn:
                allowed = 'write it of a connection, such as "tcp://127.0.0.1:5432"'
                raise Invalid("the server name of a request is its host", allowed, at=("sni",))
            return explain(routing, routing.request(question), locate, states)
