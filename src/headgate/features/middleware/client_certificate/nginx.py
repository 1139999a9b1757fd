"""`client_certificate` in nginx: `return 403` by the variables of a verified certificate.

`if` with `return` alone is safe in a location; nginx asks these before any other phase.
"""

import re
from typing import Final

from headgate.features.match.client_subject.nginx import ESCAPED, SUBJECT
from headgate.features.middleware.client_certificate.spec import ClientCertificateNode
from headgate.features.nginx import About, Parity, quoted, whole
from headgate.features.nginx_chain import Chain, Refusal
from headgate.nginxtext import writer
from headgate.nginxtext.writer import Literal, Var, Word

_KEY: Final = "middlewares.NAME.client_certificate"
NO_NAMES: Final = "nginx has no variable of alternative names"
NO_SHA256: Final = "nginx has the sha1 of a certificate alone"

PARITY: Final = (
    Parity(f"{_KEY}.mode", "same"),
    Parity(f"{_KEY}.subject", "differs", ESCAPED),
    Parity(f"{_KEY}.san", "no", NO_NAMES),
    Parity(f"{_KEY}.fingerprint", "no", NO_SHA256),
)

VERIFIED: Final = Var("ssl_client_verify")
_VALUE: Final = r"(?:[^,+\\]|\\.)*"
_COMPONENTS: Final = r"(?:(?:[^,\\]|\\.)+,)*"
_MISSING: Final = Refusal(
    403, "http_request_denied", "certificate-missing", "a client certificate is needed here"
)
_REFUSED: Final = Refusal(
    403, "http_request_denied", "certificate-refused", "this client certificate may not pass here"
)


def apply(node: ClientCertificateNode, chain: Chain, about: About) -> None:
    """Refuses the clients that may not pass."""
    if node.sans:
        about.refuse("san", NO_NAMES)
    if node.fingerprints:
        about.refuse("fingerprint", NO_SHA256)
    if not node.optional:
        # Also `NONE`, and nothing at all on a plain connection.
        answer = [chain.refusal(_MISSING)]
        chain.steps.append(writer.if_(VERIFIED, "!=", Literal("SUCCESS"), children=answer))
    if node.subjects:
        known = [(whole(subject_expression(pattern)), Word("1")) for pattern in node.subjects]
        fits = chain.shared.map("certificate", SUBJECT, known, Literal("0"))
        if node.optional:
            nobody = [(whole("(?:NONE)?"), Word("1"))]
            fits = chain.shared.map("certificate", VERIFIED, nobody, fits)
        answer = [chain.refusal(_REFUSED)]
        chain.steps.append(writer.if_(fits, "!=", Literal("1"), children=answer))


def subject_expression(pattern: str) -> str:
    """Returns the expression of a pattern of subjects."""
    rest = pattern.removeprefix("*,")
    parts = re.findall(r"(?:[^\\,]|\\.)+", rest)
    texts = [
        quoted(part.removesuffix("*")) + (_VALUE if part.endswith("*") else "") for part in parts
    ]
    return (_COMPONENTS if rest != pattern else "") + ",".join(texts)
