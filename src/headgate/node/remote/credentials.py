"""Reads the certificates of one end of a control link, and reads them again when they change."""

import ssl
import time
from collections.abc import Callable
from pathlib import Path

from headgate.node.remote.peer import Certificate
from headgate.node.remote.target import Files


class CredentialsError(Exception):
    """A certificate file cannot be used; the message names it and says what to do."""


class Credentials:
    """The TLS context of one end, from the files as they were when it was last good."""

    def __init__(self, files: Files, *, is_server: bool) -> None:
        """Reads the files; raises CredentialsError."""
        self._files = files
        self._is_server = is_server
        self._contents = self._read()
        self.context, self.certificate = self._build(self._contents)
        self._refused: tuple[bytes, ...] | None = None

    def renewed(self) -> bool:
        """Reads the files again; returns whether they changed and the new ones are in use now.

        Raises CredentialsError, once for each change, when the new ones cannot be used; the last
        good ones stay in use.
        """
        contents = self._read_changed()
        if contents is None or contents == self._refused:
            return False
        try:
            context, certificate = self._build(contents)
            if self._read() != contents:
                return False  # they are being written: the next look finds the rest
        except CredentialsError:
            self._refused = contents
            raise
        self._contents, self._refused = contents, None
        self.context, self.certificate = context, certificate
        return True

    def _read_changed(self) -> tuple[bytes, ...] | None:
        try:
            contents = self._read()
        except CredentialsError:
            if self._refused == ():
                return None
            self._refused = ()
            raise
        if self._refused == ():
            self._refused = None
        return None if contents == self._contents else contents

    def _read(self) -> tuple[bytes, ...]:
        return tuple(
            _bytes(path, what)
            for path, what in (
                (self._files.cert, "certificate"),
                (self._files.key, "key"),
                (self._files.ca, "CA"),
            )
        )

    def _build(self, contents: tuple[bytes, ...]) -> tuple[ssl.SSLContext, Certificate]:
        files = self._files
        certificate = _own(files.cert, contents[0])
        kind = ssl.PROTOCOL_TLS_SERVER if self._is_server else ssl.PROTOCOL_TLS_CLIENT
        context = ssl.SSLContext(kind)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.verify_mode = ssl.CERT_REQUIRED
        if self._is_server:
            context.num_tickets = 0  # who comes back shows its certificate again
        _load(lambda: context.load_cert_chain(files.cert, files.key, lambda: ""), _pair(files))
        _load(
            lambda: context.load_verify_locations(cadata=contents[2].decode("ascii", "replace")),
            f"{files.ca} holds no certificate of a CA; write PEM certificates into it",
        )
        return context, certificate


def _pair(files: Files) -> str:
    return (
        f"the key {files.key} and the certificate {files.cert} do not make a pair; "
        "write an unencrypted PEM key and the certificate that was issued for it"
    )


def _load(step: Callable[[], None], why: str) -> None:
    try:
        step()
    except (ssl.SSLError, ValueError, OSError) as error:
        raise CredentialsError(f"{why} ({_detail(error)})") from error


def _detail(error: Exception) -> str:
    return str(getattr(error, "reason", None) or error).lower().replace("_", " ")


def _bytes(path: str, what: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise CredentialsError(
            f"the {what} file {path} cannot be read: {why}; "
            "give the path of a PEM file that the node's user may read"
        ) from error


def _own(path: str, content: bytes) -> Certificate:
    from cryptography import x509  # noqa: PLC0415 - 8 MiB that a whole node need not hold

    try:
        leaf = x509.load_pem_x509_certificates(content)[0]
        found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = [str(one.value) for one in found]
    except x509.ExtensionNotFound:
        names = []
    except (ValueError, IndexError) as error:
        raise CredentialsError(f"{path} holds no certificate; write PEM into it") from error
    until = leaf.not_valid_after_utc.timestamp()
    return Certificate(leaf.subject.rfc4514_string(), names, until)


def is_over(certificate: Certificate) -> bool:
    """Reports whether a certificate has ended."""
    return certificate.not_after <= time.time()
