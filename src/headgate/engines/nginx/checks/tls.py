"""Makes the TLS of checks, as nginx would speak it to the endpoints of an upstream."""

import os
import ssl
from collections.abc import Mapping

from headgate.kernel.ids import BlobId
from headgate.plan.objects import Certificate, UpstreamTls


def context_of(
    wanted: UpstreamTls, certificate: Certificate | None, blobs: Mapping[BlobId, bytes]
) -> ssl.SSLContext:
    """Returns the context of an upstream's checks; `certificate` is the client's, if any.

    Raises ssl.SSLError and OSError for what OpenSSL does not read.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    is_new = wanted.min_version == "1.3"
    context.minimum_version = ssl.TLSVersion.TLSv1_3 if is_new else ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if not wanted.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif wanted.ca is not None:
        context.load_verify_locations(cadata=blobs[wanted.ca].decode("ascii", "ignore"))
    else:
        context.load_default_certs()
    if certificate is not None:
        cert, key = (BlobId(one) for one in (certificate.cert, certificate.key))
        _load_pair(context, blobs[cert] + b"\n" + blobs[key])
    return context


def _load_pair(context: ssl.SSLContext, pem: bytes) -> None:
    """Loads a certificate with its key, which OpenSSL takes from files only, from memory."""
    fd = os.memfd_create("headgate-check", os.MFD_CLOEXEC)
    try:
        os.write(fd, pem)
        context.load_cert_chain(f"/proc/self/fd/{fd}")
    finally:
        os.close(fd)


def name_of(wanted: UpstreamTls, address: str) -> str:
    """Returns what an endpoint's certificate is verified against."""
    if wanted.verify_name is not None:
        return wanted.verify_name
    return "localhost" if address.startswith("unix:") else address.rpartition(":")[0].strip("[]")
