"""`fault` in nginx: refused. nginx cannot let a request wait, and a config that only tests failure
is not worth an approximation.
"""

from typing import Final

from headgate.features.middleware.fault.spec import FaultNode
from headgate.features.nginx import About, Parity
from headgate.features.nginx_chain import Chain

_WHY: Final = "nginx has no faults"

PARITY: Final = tuple(
    Parity(f"middlewares.NAME.fault.{key}", "no", "refused: " + _WHY)
    for key in ("delay", "delay_percent", "most", "abort", "abort_percent")
)


def apply(node: FaultNode, chain: Chain, about: About) -> None:
    """Refuses it."""
    about.refuse("delay_ms" if node.delay_ms else "abort", _WHY)
