"""`client_certificate`: let clients in by the certificate of their connection."""

from typing import Annotated, ClassVar, Final, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from headgate.features.base import MiddlewareOptions
from headgate.features.fields import parsed
from headgate.features.middleware.client_certificate import patterns
from headgate.plan.middleware import MiddlewareNode, Shown


class ClientCertificateNode(MiddlewareNode, frozen=True):
    """The conditions on a certificate; an empty list asks for nothing."""

    optional: bool = False
    subjects: tuple[str, ...] = ()
    sans: tuple[str, ...] = ()
    fingerprints: tuple[str, ...] = ()

    @property
    def wants_credentials(self) -> bool:
        """It does: browsers ask for a preflight without a certificate."""
        return not self.optional

    @property
    def wants_certificate(self) -> bool:
        """It does."""
        return True

    def shown(self) -> Shown:
        """Returns nothing: no request shows a rule."""
        return Shown()


def listed(value: object) -> object:
    """Returns one text as a list of it."""
    return [value] if isinstance(value, str) else value


_TEXT: Final = {"type": "string", "minLength": 1, "maxLength": patterns.MOST_CHARACTERS}
LIST_SCHEMA: Final = WithJsonSchema({"anyOf": [{"type": "array", "items": _TEXT}, _TEXT]})

Subject = Annotated[str, parsed(patterns.subject, "a subject", "write text in quotes")]
San = Annotated[str, parsed(patterns.san, "an alternative name", "write text in quotes")]
Fingerprint = Annotated[str, parsed(patterns.fingerprint, "a fingerprint", "write text in quotes")]
Subjects = Annotated[list[Subject], BeforeValidator(listed), LIST_SCHEMA]
Sans = Annotated[list[San], BeforeValidator(listed), LIST_SCHEMA]
Fingerprints = Annotated[list[Fingerprint], BeforeValidator(listed), LIST_SCHEMA]


class ClientCertificate(MiddlewareOptions):
    """Let clients in by the certificate of their connection; others get 403."""

    key: ClassVar[str] = "client_certificate"
    summary: ClassVar[str] = "Lets in clients by the certificate of their connection."
    node = ClientCertificateNode
    aliases: ClassVar[tuple[str, ...]] = ("mtls", "ssl_verify_client", "require_client_certificate")

    mode: Literal["required", "optional"] = Field(
        default="required",
        description="`required`: clients without a certificate get 403; `optional`: they pass. In "
        "both cases a certificate that a client sends must match.",
    )
    subject: Subjects = Field(
        default_factory=list,
        description="The subject must be one of these, written as in RFC 4514, last component "
        "first. `*` at the end of a value matches any rest of it, `*,` before all components "
        "matches any components. Empty = any subject.",
    )
    san: Sans = Field(
        default_factory=list,
        description="The certificate must have one of these alternative names: `dns:`, `uri:`, "
        "`email:` or `ip:` and the name. `dns:*.x` matches every name below `x`, `email:*@x` every "
        "address there; in a URI's path a segment `*` matches any one segment, a last `**` any "
        "number of them. Empty = any names.",
    )
    fingerprint: Fingerprints = Field(
        default_factory=list,
        description="The SHA-256 fingerprints of the certificates that may pass, in hex, with or "
        "without colons. Empty = any certificate.",
    )

    def to_plan(self) -> ClientCertificateNode:
        """Returns the rules' plan node, each once."""
        return ClientCertificateNode(
            optional=self.mode == "optional",
            subjects=tuple(sorted(set(self.subject))),
            sans=tuple(sorted(set(self.san))),
            fingerprints=tuple(sorted(set(self.fingerprint))),
        )
