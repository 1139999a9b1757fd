"""The agent that a certificate of the fleet belongs to, and the certificate's lifetime."""

import datetime as dt
import re

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from headgate.kernel.errors import Invalid

_PREFIX = "headgate://agent/"
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def require_agent_id(agent_id: str) -> str:
    """Returns `agent_id`. Raises Invalid if it cannot stand in a certificate."""
    if not _ID.fullmatch(agent_id):
        raise Invalid(
            f"{agent_id[:130]!r} is no agent id", "write letters, digits, `.`, `_` or `-`"
        )
    return agent_id


def agent_uri(agent_id: str) -> str:
    """Returns the URI that names the agent in its certificate."""
    return _PREFIX + require_agent_id(agent_id)


def agent_of(certificate: x509.Certificate) -> str | None:
    """Returns the agent that the certificate is of; None if it is no agent's."""
    try:
        names = certificate.extensions.get_extension_for_oid(
            ExtensionOID.SUBJECT_ALTERNATIVE_NAME
        ).value
        usage = certificate.extensions.get_extension_for_oid(ExtensionOID.EXTENDED_KEY_USAGE).value
    except (x509.ExtensionNotFound, ValueError):
        return None
    if not isinstance(names, x509.SubjectAlternativeName) or not isinstance(
        usage, x509.ExtendedKeyUsage
    ):
        return None
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    if len(uris) != 1 or ExtendedKeyUsageOID.CLIENT_AUTH not in usage:
        return None
    agent_id = uris[0].removeprefix(_PREFIX)
    return agent_id if agent_id != uris[0] and _ID.fullmatch(agent_id) else None


def serial_of(certificate: x509.Certificate) -> str:
    """Returns the serial number in lower-case hex, as books keep it."""
    return f"{certificate.serial_number:x}"


def renew_at(certificate: x509.Certificate) -> dt.datetime:
    """Returns when two thirds of the certificate's life are over."""
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return begin + (end - begin) * 2 / 3
