"""Keeps the journal of applies: each step is on disk before it is taken.

One line per record: the CRC-32 of the rest in hex, a space, JSON. Appended and synced before each
step; a torn last line (a crash while writing) counts as never written. Standard library only: the
boot guard reads it. It decides nothing: `headgate.engines.nginx.apply.replay` does.
"""

from __future__ import annotations

import contextlib
import json
import os
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from headgate.engines.nginx.releases.links import sync_folder
from headgate.engines.nginx.releases.names import ReleaseName

if TYPE_CHECKING:
    from pathlib import Path

Step = Literal[
    "fetch",
    "stage",
    "lint",
    "test",
    "preflight",
    "swap",
    "signal",
    "verify",
    "soak",
    "commit",
    "rollback",
    "rollback_signal",
    "rollback_verify",
    "known_good",
    "done",
]
STEPS: tuple[Step, ...] = get_args(Step)

JOURNAL = "journal"
_COMPACT_BYTES = 65_536


class JournalError(Exception):
    """A record could not be written; its step must not be taken."""


@dataclass(frozen=True, slots=True)
class Record:
    """A step that is about to be taken.

    `apply` is the generation of the apply. `release` is None before STAGE. `fallbacks` are the
    releases to go back to, best first; the first was current before. `target` is where a rollback
    goes (None: to no release). `detail` is free text, for SIGNAL the log's mark.
    """

    apply: int
    step: Step
    release: ReleaseName | None = None
    fallbacks: tuple[ReleaseName, ...] = ()
    target: ReleaseName | None = None
    at: float = 0.0
    detail: str = ""


class Journal:
    """The journal of one nginx. One process at a time may append."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def records(self) -> tuple[Record, ...]:
        """Returns all whole records; damaged ones are left out. Empty without a file."""
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return ()
        return _decode_all(data)[0]

    def append(self, record: Record) -> None:
        """Writes a record and waits until it is on disk.
        Raises JournalError if nothing could be written.

        It first cuts off what a crash left half written.
        """
        try:
            is_new = not self.path.exists()
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise JournalError(f"{self.path}: {error.strerror}") from error
        end = None
        try:
            end = _whole_bytes(fd)
            os.ftruncate(fd, end)
            line = encode(record)
            if os.pwrite(fd, line, end) != len(line):
                raise OSError("no space left")
            os.fsync(fd)
            if is_new:
                sync_folder(self.path.parent)
        except OSError as error:
            if end is not None:
                with contextlib.suppress(OSError):
                    os.ftruncate(fd, end)
            raise JournalError(f"{self.path}: {error.strerror or error}") from error
        finally:
            os.close(fd)

    def compact(self) -> None:
        """Keeps only the last record of a large journal, if an apply ended with it.

        Raises JournalError and leaves the journal as it was.
        """
        try:
            if self.path.stat().st_size < _COMPACT_BYTES:
                return
        except FileNotFoundError:
            return
        records = self.records()
        if not records or records[-1].step != "done":
            return
        fresh = self.path.with_name(f".{self.path.name}")
        try:
            with fresh.open("wb") as file:
                file.write(encode(records[-1]))
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self.path)
            sync_folder(self.path.parent)
        except OSError as error:
            raise JournalError(f"{self.path}: {error.strerror or error}") from error

    def highest_generation(self) -> int:
        """Returns the highest generation it knows of; 0 without any."""
        return max((record.apply for record in self.records()), default=0)


def encode(record: Record) -> bytes:
    """Returns a record as its line."""
    fields: dict[str, object] = {"apply": record.apply, "step": record.step, "at": record.at}
    if record.release is not None:
        fields["release"] = str(record.release)
    if record.fallbacks:
        fields["fallbacks"] = [str(name) for name in record.fallbacks]
    if record.target is not None:
        fields["target"] = str(record.target)
    if record.detail:
        fields["detail"] = record.detail
    body = json.dumps(fields, separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(body), body)


def decode(line: bytes) -> Record | None:
    """Returns the record of a line without its end; None if it is damaged or not of this format."""
    crc, _, body = line.partition(b" ")
    if crc != b"%08x" % zlib.crc32(body):
        return None
    try:
        fields = json.loads(body)
        if fields["step"] not in STEPS:
            return None
        return Record(
            apply=int(fields["apply"]),
            step=fields["step"],
            release=_name(fields.get("release")),
            fallbacks=tuple(
                name for one in fields.get("fallbacks", ()) if (name := _name(one)) is not None
            ),
            target=_name(fields.get("target")),
            at=float(fields.get("at", 0.0)),
            detail=str(fields.get("detail", "")),
        )
    except (ValueError, KeyError, TypeError):
        return None


def _name(text: object) -> ReleaseName | None:
    return ReleaseName.parse(text) if isinstance(text, str) else None


def _decode_all(data: bytes) -> tuple[tuple[Record, ...], int]:
    """Returns the whole records, and the bytes up to the end of the last line."""
    end = data.rfind(b"\n") + 1
    records = tuple(
        record for line in data[:end].split(b"\n") if (record := decode(line)) is not None
    )
    return records, end


def _whole_bytes(fd: int) -> int:
    with os.fdopen(fd, "rb", closefd=False) as file:
        return _decode_all(file.read())[1]
