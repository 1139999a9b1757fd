"""The certificate of the REST port that files have: renewed ones are shown, wrong ones are not."""

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import loops
import pytest
from cryptography import x509
from structlog.testing import capture_logs
from tls_authority import Authority
from waiting import until_async

from headgate.master import agents_port
from headgate.master.agents_port import keep_from
from headgate.master.settings import Tls


def shown(context: ssl.SSLContext) -> int:
    """The serial number of the certificate that a handshake shows."""
    client = ssl.create_default_context()
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    here = client.wrap_bio(to_client, to_server)
    there = context.wrap_bio(to_server, to_client, server_side=True)
    for one in (here, there, here, there):
        with contextlib.suppress(ssl.SSLWantReadError):
            one.do_handshake()
    found = here.getpeercert(binary_form=True)
    assert found is not None
    return x509.load_der_x509_certificate(found).serial_number


def while_kept(
    files: Tls, work: Callable[[ssl.SSLContext], Awaitable[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Does a work beside `keep_from`, which looks all the time."""
    monkeypatch.setattr(agents_port, "_LOOK_S", 0.001)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)

    async def both() -> None:
        keeping = asyncio.create_task(keep_from(files, context))
        try:
            await work(context)
            assert not keeping.done()
        finally:
            keeping.cancel()

    loops.run(both())


def test_a_renewed_certificate_is_shown_once_its_key_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path)
    old, new = authority.issue("one", "localhost"), authority.issue("two", "localhost")

    async def work(context: ssl.SSLContext) -> None:
        with capture_logs() as logs:
            new.cert_file.replace(old.cert_file)
            await until_async(lambda: bool(logs), "a line about the pair")
            assert shown(context) == old.serial
            new.key_file.replace(old.key_file)
            await until_async(lambda: shown(context) == new.serial, "the new certificate")
        assert [one["event"] for one in logs] == ["the REST port's certificate cannot be renewed"]

    while_kept(Tls(old.cert_file, old.key_file), work, monkeypatch)


def test_files_that_are_gone_or_wrong_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path)
    pair = authority.issue("one", "localhost")
    still, read = threading.Lock(), agents_port._read

    def whole(files: Tls) -> agents_port._Pair:
        with still:  # no look sees a file that is not whole, or one of a new pair
            return read(files)

    async def work(context: ssl.SSLContext) -> None:
        with capture_logs() as logs:
            pair.key_file.unlink()
            await until_async(lambda: len(logs) == 1, "a line about the key that is gone")
            with still:
                pair.key_file.write_text("no key")
            await until_async(lambda: len(logs) == 2, "a line about the key that is none")
            assert shown(context) == pair.serial
            with still:
                again = authority.issue("one", "localhost")
            await until_async(lambda: shown(context) == again.serial, "the next certificate")
        assert len(logs) == 2

    monkeypatch.setattr(agents_port, "_read", whole)
    while_kept(Tls(pair.cert_file, pair.key_file), work, monkeypatch)


def test_what_changed_before_the_first_look_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path)
    pair = authority.issue("one", "localhost")

    async def work(context: ssl.SSLContext) -> None:
        again = authority.issue("one", "localhost")  # the task has not begun yet
        await until_async(lambda: shown(context) == again.serial, "the next certificate")

    while_kept(Tls(pair.cert_file, pair.key_file), work, monkeypatch)
