"""`client_certificate` in nginx: a map of the subject of a verified certificate."""

from typing import Final

from headgate.features.match.client_subject.nginx import ESCAPED, SUBJECT
from headgate.features.middleware.client_certificate.nginx import (
    NO_NAMES,
    NO_SHA256,
    VERIFIED,
    subject_expression,
)
from headgate.features.nginx import GIVES_UP, About, Entry, Parity, Shared, whole
from headgate.nginxtext.writer import Literal, MapKey, Var, Word
from headgate.plan.objects import CertificateMatch

_KEY: Final = "routes.NAME.match[].client_certificate"

PARITY: Final = (
    Parity(f"{_KEY}.subject", "differs", f"{ESCAPED}; {GIVES_UP}"),
    Parity(f"{_KEY}.san", "no", NO_NAMES),
    Parity(f"{_KEY}.spiffe", "no", NO_NAMES),
    Parity(f"{_KEY}.fingerprint", "no", NO_SHA256),
)


def condition(rule: CertificateMatch, shared: Shared, about: About) -> Var:
    """Returns a variable that is `1` when the certificate fits; refuses what nginx cannot ask."""
    for key, texts, why in (
        ("san", rule.sans, NO_NAMES),
        ("spiffe", rule.spiffe, NO_NAMES),
        ("fingerprint", rule.fingerprints, NO_SHA256),
    ):
        if texts:
            about.refuse(key, why)
    fits: Word | Var = Word("1")
    if rule.subjects:
        known: list[Entry] = [(whole(subject_expression(one)), Word("1")) for one in rule.subjects]
        fits = shared.judged("certificate", SUBJECT, known, Word("0"))
    return shared.map("certificate", VERIFIED, [(MapKey("SUCCESS"), fits)], Literal("0"))
