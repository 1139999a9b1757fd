"""Parts of blobs as bytes: Chunks of proto/headgate/v1/fleet.proto, alone or with an offer."""

from typing import Any, TypeAlias

from google.protobuf.message import DecodeError

from headgate.fleet.frames import Chunk, Chunks
from headgate.fleet.generated import fleet_pb2 as pb
from headgate.kernel.errors import Invalid

_Message: TypeAlias = Any  # protobuf's own types say no more


def encode(chunks: Chunks) -> bytes:
    """Returns the bytes of `Offer.contents`."""
    return bytes(message_of(chunks).SerializeToString())


def decode(data: bytes) -> Chunks:
    """Returns what an offer brings along. Raises Invalid if `data` is none of that."""
    message = pb.Chunks()
    try:
        message.ParseFromString(data)
    except DecodeError as error:
        raise Invalid(f"these are no chunks ({error})", "send a message of fleet.proto") from None
    return read(message)


def message_of(chunks: Chunks) -> _Message:
    """Returns the message that says it."""
    parts = [
        pb.Chunk(sha256=one.sha256, offset=one.offset, total=one.total, data=one.data)
        for one in chunks.chunks
    ]
    return pb.Chunks(chunks=parts, unknown=chunks.unknown)


def read(message: _Message) -> Chunks:
    """Returns what the message says."""
    chunks = (Chunk(one.sha256, one.offset, one.total, one.data) for one in message.chunks)
    return Chunks(tuple(chunks), tuple(message.unknown))
