"""Blocks of HPACK (RFC 7541), written field by field: every form that the format has, also such
that no encoder would choose, whatever the fields are."""

from hpack import Decoder
from hpack.huffman import HuffmanEncoder
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH

_HUFFMAN = HuffmanEncoder(REQUEST_CODES, REQUEST_CODES_LENGTH)

Field = tuple[bytes, bytes]


def read(decoder: Decoder, block: bytes) -> list[Field]:
    """The fields of the next block of a connection."""
    return [(bytes(name), bytes(value)) for name, value in decoder.decode(block, raw=True)]


def integer(value: int, bits: int, first: int = 0) -> bytes:
    """A number with a prefix of so many bits; `first` has the bits before it."""
    most = (1 << bits) - 1
    if value < most:
        return bytes([first | value])
    out, rest = [first | most], value - most
    while rest >= 128:
        out.append(rest % 128 + 128)
        rest //= 128
    return bytes([*out, rest])


def string(text: bytes, *, huffman: bool = False) -> bytes:
    """A text as it is, or in the code of appendix B."""
    if not huffman:
        return integer(len(text), 7) + text
    coded = _HUFFMAN.encode(text)
    return integer(len(coded), 7, 0x80) + coded


INDEXING, WITHOUT, NEVER = (0x40, 6), (0x00, 4), (0x10, 4)
"""The forms of a literal: its first bits, and how many bits are left for the index of its name."""


def literal(
    name: bytes | int,
    value: bytes,
    form: tuple[int, int] = WITHOUT,
    *,
    huffman: bool = False,
) -> bytes:
    """A literal; `name` = the name itself, or the entry of the tables that has it."""
    first, bits = form
    if isinstance(name, int):
        return integer(name, bits, first) + string(value, huffman=huffman)
    return integer(0, bits, first) + string(name, huffman=huffman) + string(value, huffman=huffman)


def indexed(entry: int) -> bytes:
    """A field of the tables."""
    return integer(entry, 7, 0x80)


def size_update(size: int) -> bytes:
    """The dynamic table gets another size."""
    return integer(size, 5, 0x20)
