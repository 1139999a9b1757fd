"""`methods` in nginx: a map of `$request_method`."""

from typing import Final

from headgate.features.nginx import Parity, Shared, quoted, whole
from headgate.nginxtext.writer import Var, Word

PARITY: Final = (
    Parity(
        "routes.NAME.match[].methods",
        "differs",
        "a method with other characters than capital letters, `_` and `-` gets 400",
    ),
)


def condition(methods: tuple[str, ...], shared: Shared) -> Var:
    """Returns a variable that is `1` for these methods. Not by plain keys:
    maps compare without case.
    """
    names = "|".join(quoted(method) for method in methods)
    return shared.map("method", Var("request_method"), ((whole(names), Word("1")),), Word("0"))
