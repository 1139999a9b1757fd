"""`client_certificate`: a condition on the client's verified certificate."""

from typing import Annotated, ClassVar

from pydantic import BeforeValidator, Field

from headgate.features.base import MatchCondition, Options
from headgate.features.fields import parsed
from headgate.features.middleware.client_certificate import patterns
from headgate.features.middleware.client_certificate.spec import (
    LIST_SCHEMA,
    Fingerprints,
    Sans,
    Subjects,
    listed,
)
from headgate.plan.objects import CertificateMatch

Spiffe = Annotated[str, parsed(patterns.spiffe, "a SPIFFE ID", "write text in quotes")]
SpiffeIds = Annotated[list[Spiffe], BeforeValidator(listed), LIST_SCHEMA]


class ClientCertificate(Options, MatchCondition):
    """The client's verified certificate, which each list that is written must know."""

    key: ClassVar[str] = "client_certificate"
    summary: ClassVar[str] = (
        "The client's verified certificate, which must match every list that is given; `{}` "
        "matches any."
    )

    subject: Subjects = Field(
        default_factory=list,
        description="The subject must be one of these, written as in RFC 4514, last component "
        "first. `*` at the end of a value matches any rest of it, `*,` before all components "
        "matches any components.",
    )
    san: Sans = Field(
        default_factory=list,
        description="The certificate must have one of these alternative names: `dns:`, `uri:`, "
        "`email:` or `ip:` and the name, with `*` as in the middleware `client_certificate`.",
    )
    spiffe: SpiffeIds = Field(
        default_factory=list,
        description="The certificate must have one of these SPIFFE IDs "
        "(`spiffe://a.example/ns/*/sa/web`): a segment `*` of the path matches any one segment, a "
        "last `**` any number of them.",
    )
    fingerprint: Fingerprints = Field(
        default_factory=list,
        description="The SHA-256 fingerprints of the certificates, in hex, with or without colons.",
    )

    def to_plan(self) -> CertificateMatch:
        """Returns the condition's plan node, every text once."""
        return CertificateMatch(
            subjects=tuple(sorted(set(self.subject))),
            sans=tuple(sorted(set(self.san))),
            spiffe=tuple(sorted(set(self.spiffe))),
            fingerprints=tuple(sorted(set(self.fingerprint))),
        )
