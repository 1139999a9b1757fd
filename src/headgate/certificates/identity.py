"""The agent that a certificate of the fleet belongs to, or whose data plane, and the certificate's
lifetime."""

import datetime as dt
import re

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from headgate.kernel.errors import Invalid
from headgate.kernel.unreadable import UNREADABLE

_AGENT = "headgate://agent/"
_DATA_PLANE = "headgate://dataplane/"
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
    return _AGENT + require_agent_id(agent_id)


def data_plane_uri(agent_id: str) -> str:
    """Returns the URI that names the data plane of an agent's node in its certificate."""
    return _DATA_PLANE + require_agent_id(agent_id)


def agent_of(certificate: x509.Certificate) -> str | None:
    """Returns the agent that the certificate is of; None if it is no agent's."""
    return _named(certificate, _AGENT, ExtendedKeyUsageOID.CLIENT_AUTH)


def data_plane_of(certificate: x509.Certificate) -> str | None:
    """Returns the agent of whose node's data plane the certificate is; None if it is none's."""
    return _named(certificate, _DATA_PLANE, ExtendedKeyUsageOID.SERVER_AUTH)


def _named(certificate: x509.Certificate, prefix: str, wanted: x509.ObjectIdentifier) -> str | None:
    try:
        names = certificate.extensions.get_extension_for_oid(
            ExtensionOID.SUBJECT_ALTERNATIVE_NAME
        ).value
        usage = certificate.extensions.get_extension_for_oid(ExtensionOID.EXTENDED_KEY_USAGE).value
    except (x509.ExtensionNotFound, *UNREADABLE):
        return None
    if not isinstance(names, x509.SubjectAlternativeName) or not isinstance(
        usage, x509.ExtendedKeyUsage
    ):
        return None
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    if len(uris) != 1 or wanted not in usage:
        return None
    agent_id = uris[0].removeprefix(prefix)
    return agent_id if agent_id != uris[0] and _ID.fullmatch(agent_id) else None


def serial_of(certificate: x509.Certificate) -> str:
    """Returns the serial number in lower-case hex, as books keep it."""
    return f"{certificate.serial_number:x}"


def renew_at(certificate: x509.Certificate) -> dt.datetime:
    """Returns when two thirds of the certificate's life are over."""
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return begin + (end - begin) * 2 / 3
