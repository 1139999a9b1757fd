"""Names the errors of reading a certificate that others made: TLS may serve what we cannot read."""

from typing import Final

from cryptography import x509

UNREADABLE: Final = (
    ValueError,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
"""Only the first is a ValueError. Names and extensions are not parsed before they are asked for."""
