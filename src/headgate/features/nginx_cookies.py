"""`Set-Cookie` of an upstream's answer, for answers of our own."""

from typing import Final

from headgate.features.nginx import Entry, Shared
from headgate.nginxtext.writer import Literal, Regex, Var

MOST: Final = 4
"""So many lines are kept."""


def lines(joined: Var, shared: Shared, hint: str) -> list[Var]:
    """Returns the lines of `Set-Cookie`, of which newer nginx makes one with commas."""
    begins = r"(?=[^\s=;,]+=)"
    head, tail = Var("hg_head"), Var("hg_tail")
    first: Entry = (Regex(rf"~\A(?<hg_head>.*?), ?{begins}"), head)
    others: Entry = (Regex(rf"~\A.*?, ?(?<hg_tail>{begins}.*)\z"), tail)
    found = []
    rest = joined
    for _ in range(MOST):
        found.append(shared.map(f"{hint}_cookie", rest, (first,), rest))
        rest = shared.map(f"{hint}_cookies", rest, (others,), Literal(""))
    return found
