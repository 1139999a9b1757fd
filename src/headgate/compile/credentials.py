"""Where clients send credentials, by the middlewares of a plan; pure."""

from headgate.features.nodes import node_of
from headgate.plan.middleware import Middleware
from headgate.plan.objects import Host, Route
from headgate.plan.plan import Plan


def credential_names(plan: Plan) -> frozenset[str]:
    """Returns the headers (in lower case) and parameters of a query that carry credentials.

    `authorization` and cookies, which always may, are not among them.
    """
    names: set[str] = set()
    for entry in plan.objects.values():
        value = entry.value
        if isinstance(value, Middleware):
            nodes = [node_of(value)]
        elif isinstance(value, Host | Route):
            nodes = [node_of(use) for use in value.middlewares]
        else:
            continue
        for node in nodes:
            names.update(node.credential_names if node is not None else ())
    return frozenset(names)
