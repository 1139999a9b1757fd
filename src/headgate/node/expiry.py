"""Finds when the served certificates end. The first one loads the parser."""

from collections.abc import Iterator
from functools import lru_cache

from headgate.kernel.ids import BlobId
from headgate.node.ports import Candidate
from headgate.plan.objects import Certificate
from headgate.plan.plan import Plan
from headgate.plan.settings import Settings

DAY_S = 86_400.0


def expiries(served: Candidate | None) -> Iterator[tuple[str, float]]:
    """Yields (name, seconds since 1970) of each certificate, by name: when the first of its chain
    ends. Those that the node shows to a collector or a store are named by their keys.
    """
    if served is None:
        return
    for name, cert in sorted(_chains(served.plan)):
        pem = served.blobs.get(BlobId(cert))
        until = _first_end(pem) if pem is not None else None
        if until is not None:
            yield name, until


def _chains(plan: Plan) -> Iterator[tuple[str, str]]:
    """Yields names and blobs."""
    for key, one in plan.objects.items():
        if isinstance(one.value, Certificate):
            yield str(key.name), one.value.cert
        elif isinstance(one.value, Settings):
            for name, tls in one.value.outlets():
                if tls.cert is not None:
                    yield f"node.{name}", tls.cert


@lru_cache(maxsize=10_000)
def _first_end(pem: bytes) -> float | None:
    from cryptography import x509  # noqa: PLC0415 - 8 MiB that a node without TLS need not hold

    try:
        chain = x509.load_pem_x509_certificates(pem)
    except ValueError:
        return None
    return min(one.not_valid_after_utc.timestamp() for one in chain)
