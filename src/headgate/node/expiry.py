"""Finds when the served certificates end. The first one loads the parser."""

from collections.abc import Iterator
from functools import lru_cache

from headgate.node.ports import Candidate
from headgate.plan.objects import Certificate

DAY_S = 86_400.0


def expiries(served: Candidate | None) -> Iterator[tuple[str, float]]:
    """Yields (name, seconds since 1970) of each certificate, by name:
    when the first of its chain ends.
    """
    if served is None:
        return
    for key in sorted(key for key in served.plan.objects if key.kind == "certificate"):
        pair = served.plan.objects[key].value
        pem = served.blobs.get(pair.cert) if isinstance(pair, Certificate) else None
        until = _first_end(pem) if pem is not None else None
        if until is not None:
            yield str(key.name), until


@lru_cache(maxsize=10_000)
def _first_end(pem: bytes) -> float | None:
    from cryptography import x509  # noqa: PLC0415 - 8 MiB that a node without TLS need not hold

    try:
        chain = x509.load_pem_x509_certificates(pem)
    except ValueError:
        return None
    return min(one.not_valid_after_utc.timestamp() for one in chain)
