"""The records of a backup: a head, each table with its rows, and an end that counts them."""

from typing import Any, Final

import msgspec

FORMAT: Final = 1


class Head(msgspec.Struct, frozen=True, tag="head"):
    """The first record."""

    format: int
    program: str
    """The version of headgate that wrote it."""
    schema: str
    """The schema of the database."""
    at_ms: int
    master_key: str | None
    """The master's key as its file has it; None if it came from the environment."""


class Rows(msgspec.Struct, frozen=True, tag="rows"):
    """Some rows of a table."""

    table: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    """Values of the databases: texts, numbers, bytes, booleans and nulls."""


class End(msgspec.Struct, frozen=True, tag="end"):
    """The last record: how many rows each table had."""

    counts: dict[str, int]


Record = Head | Rows | End
_DECODER: Final[msgspec.msgpack.Decoder[Record]] = msgspec.msgpack.Decoder(Record)


def encoded(record: Record) -> bytes:
    """Returns a record as bytes."""
    return msgspec.msgpack.encode(record)


def decoded(raw: bytes) -> Record:
    """Returns the record in these bytes; raises msgspec.DecodeError if it is none."""
    return _DECODER.decode(raw)
