"""Reads the certificates of one end of a control link, and reads them again when they change.

They are files of the operator's, or what the node's master issued.
"""

import os
import ssl
import time
from asyncio import StreamWriter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from headgate.node.remote.peer import Certificate, certificate_of
from headgate.node.remote.target import Files, Fleet, Trust

if TYPE_CHECKING:
    from headgate.node.remote.identity import Known


class CredentialsError(Exception):
    """A certificate file cannot be used; the message names it and says what to do."""


class Credentials:
    """The TLS context of one end, from what it was when it was last good."""

    def __init__(self, trust: Trust, *, is_server: bool) -> None:
        """Reads the certificates; raises CredentialsError, but not for what a master has yet to
        give."""
        self._trust = trust
        self._is_server = is_server
        self._contents: tuple[bytes, ...] = ()
        self._context: ssl.SSLContext | None = None
        self._refused: tuple[bytes, ...] | None = None
        self._why = ""
        self._other_name = ""
        """The name that the other end's certificate must have, if the fleet's CA issued it."""
        self._known: Known | None = None
        """The master's last word on the other end, as it was last read."""
        self._unknown = ""
        """The reason why the last word cannot be read, while none was read before."""
        self.certificate = Certificate("", [], 0.0)
        try:
            contents = self._read()
            self._use(contents, self._build(contents))
        except CredentialsError as error:
            if isinstance(trust, Files):
                raise
            self._why, self._refused = str(error), ()

    @property
    def context(self) -> ssl.SSLContext:
        """The context of the next handshake; raises CredentialsError while there is none."""
        if self._context is None:
            raise CredentialsError(self._why)
        return self._context

    def shown(self, writer: StreamWriter) -> Certificate:
        """Returns the certificate that the other end of a connection has shown."""
        found = certificate_of(writer.get_extra_info("peercert"))
        if isinstance(self._trust, Files):
            return found
        from headgate.node.remote.identity import key_pin  # noqa: PLC0415 - see `_own`

        raw = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        return msgspec.structs.replace(found, key=key_pin(raw))

    def objection(self, shown: Certificate) -> str:
        """Returns why the other end is not this node's other plane, as far as a master says which
        it is; empty if it is, or if files say whom to trust."""
        if isinstance(self._trust, Files):
            return ""
        from headgate.node.remote.identity import objection  # noqa: PLC0415 - see `_own`

        return objection(self._other_name, self._known, shown) or self._unknown

    def renewed(self) -> bool:
        """Reads the files again; returns whether they changed and the new ones are in use now.

        Raises CredentialsError, once for each change, when the new ones cannot be used; the last
        good ones stay in use.
        """
        self._read_known()
        contents = self._read_changed()
        if contents is None or contents == self._refused:
            return False
        try:
            built = self._build(contents)
            if self._read() != contents:
                return False  # they are being written: the next look finds the rest
        except CredentialsError:
            self._refused = contents
            raise
        self._use(contents, built)
        return True

    def _use(self, contents: tuple[bytes, ...], built: "_Built") -> None:
        self._contents, self._refused = contents, None
        self._context, self.certificate, self._other_name = built
        self._read_known()

    def _read_known(self) -> None:
        if isinstance(self._trust, Fleet):
            from headgate.node.remote.identity import read_known  # noqa: PLC0415 - see `_own`

            try:
                found = read_known(Path(self._trust.folder))
            except CredentialsError as error:
                self._unknown = "" if self._known is not None else str(error)
                return
            self._known, self._unknown = found or self._known, ""

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
        """Returns certificate, key and CA."""
        if isinstance(self._trust, Fleet):
            from headgate.node.remote.identity import read_identity  # noqa: PLC0415 - see `_own`

            return read_identity(self._trust)
        return tuple(
            _bytes(path, what)
            for path, what in (
                (self._trust.cert, "certificate"),
                (self._trust.key, "key"),
                (self._trust.ca, "CA"),
            )
        )

    def _build(self, contents: tuple[bytes, ...]) -> "_Built":
        trust = self._trust
        kind = ssl.PROTOCOL_TLS_SERVER if self._is_server else ssl.PROTOCOL_TLS_CLIENT
        context = ssl.SSLContext(kind)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        name = ""
        if isinstance(trust, Fleet):
            from headgate.node.remote.identity import other_name  # noqa: PLC0415 - see `_own`

            certificate, ca = _own(trust.folder, contents[0]), f"the identity in {trust.folder}"
            name = other_name(trust, contents[0])
            context.check_hostname = False  # `objection` compares the one name that counts
            pair = f"the key and the certificate in {trust.folder} do not make a pair; enrol again"
            _load(lambda: _load_pair(context, contents[0] + b"\n" + contents[1]), pair)
        else:
            certificate, ca = _own(trust.cert, contents[0]), trust.ca
            cert, key = trust.cert, trust.key
            _load(lambda: context.load_cert_chain(cert, key, lambda: ""), _pair(trust))
        context.verify_mode = ssl.CERT_REQUIRED
        if self._is_server:
            context.num_tickets = 0  # who comes back shows its certificate again
        _load(
            lambda: context.load_verify_locations(cadata=contents[2].decode("ascii", "replace")),
            f"{ca} holds no certificate of a CA; write PEM certificates into it",
        )
        return context, certificate, name


_Built = tuple[ssl.SSLContext, Certificate, str]


def _load_pair(context: ssl.SSLContext, pem: bytes) -> None:
    """Loads a certificate with its key, which OpenSSL takes from files only, from memory."""
    fd = os.memfd_create("headgate-link", os.MFD_CLOEXEC)
    try:
        os.write(fd, pem)
        context.load_cert_chain(f"/proc/self/fd/{fd}")
    finally:
        os.close(fd)


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

    from headgate.kernel.unreadable import UNREADABLE  # noqa: PLC0415 - as above

    try:
        leaf = x509.load_pem_x509_certificates(content)[0]
        subject, until = leaf.subject.rfc4514_string(), leaf.not_valid_after_utc.timestamp()
        found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = [str(one.value) for one in found]
    except x509.ExtensionNotFound:
        names = []
    except (IndexError, *UNREADABLE) as error:
        why = f"{path} holds no certificate that can be read; write PEM into it"
        raise CredentialsError(why) from error
    return Certificate(subject, names, until)


def is_over(certificate: Certificate) -> bool:
    """Reports whether a certificate has ended."""
    return certificate.not_after <= time.time()
