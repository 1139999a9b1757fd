"""`api_key` in nginx: refused, because the config has the SHA-256 of keys."""

from typing import Final

from headgate.features.middleware.api_key.spec import ApiKey, ApiKeyNode
from headgate.features.nginx import About, Parity
from headgate.features.nginx_chain import Chain

_WHY: Final = "nginx computes no SHA-256 of a header"

PARITY: Final = tuple(
    Parity(f"middlewares.NAME.api_key.{key}", "no", _WHY) for key in ApiKey.model_fields
)


def apply(node: ApiKeyNode, chain: Chain, about: About) -> None:
    """Refuses the middleware."""
    about.refuse("", f"{_WHY}, so it cannot tell a known key from another")
