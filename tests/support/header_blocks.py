"""Blocks of HPACK (RFC 7541): written field by field, whatever the fields are, and read back.

It writes every form of a field that the format has, also such that no encoder would choose, and
reads what a server of ours sends. It never checks what a field may be.
"""

from collections.abc import Iterator, Mapping

_ENTRIES = (
    b":authority :method=GET :method=POST :path=/ :path=/index.html :scheme=http :scheme=https "
    b":status=200 :status=204 :status=206 :status=304 :status=400 :status=404 :status=500 "
    b"accept-charset accept-encoding=gzip,deflate accept-language accept-ranges accept "
    b"access-control-allow-origin age allow authorization cache-control content-disposition "
    b"content-encoding content-language content-length content-location content-range "
    b"content-type cookie date etag expect expires from host if-match if-modified-since "
    b"if-none-match if-range if-unmodified-since last-modified link location max-forwards "
    b"proxy-authenticate proxy-authorization range referer refresh retry-after server "
    b"set-cookie strict-transport-security transfer-encoding user-agent vary via "
    b"www-authenticate"
)
STATIC = [(name, value) for name, _, value in (e.partition(b"=") for e in _ENTRIES.split())]
"""Appendix A; entry 1 stands first. The blank of `gzip, deflate` is left out: no answer has it."""

_LENGTHS = (
    "8innnnnnnjpnnpnnnnnnnnpnnnnnnnnn1557813655363111000111111123a1758122222222222222222222"
    "223238e891a01010111022111012100122222a698nfhffhhhihiiiiijijjhijiiiighihiijhgfhhiigihhj"
    "ghiigghgihiifhhhihhillfehihklllmmljkeglmmlmjggllnmmmfjfghggihhkkjjlilmllmmmmmnmmmmmlp"
)
"""The length of each code of appendix B, less 5, as a digit of base 36; the code is canonical."""

Field = tuple[bytes, bytes]


def _codes() -> dict[int, tuple[int, int]]:
    """The code and its length in bits for each octet; 256 is the end of a string."""
    code = last = 0
    out = {}
    for length, octet in sorted((int(digit, 36) + 5, at) for at, digit in enumerate(_LENGTHS)):
        code <<= length - last
        out[octet] = (code, length)
        code, last = code + 1, length
    return out


_CODES = _codes()
_OCTETS: Mapping[tuple[int, int], int] = {code: octet for octet, code in _CODES.items()}


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
    bits = "".join(f"{_CODES[octet][0]:0{_CODES[octet][1]}b}" for octet in text)
    bits += "1" * (-len(bits) % 8)
    coded = int(bits or "0", 2).to_bytes(len(bits) // 8)
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


class Reader:
    """Reads the blocks of one connection in their order."""

    def __init__(self) -> None:
        self._table: list[Field] = []

    def read(self, block: bytes) -> list[Field]:
        """The fields of a block."""
        return list(self._fields(_Octets(block)))

    def _fields(self, octets: "_Octets") -> Iterator[Field]:
        while octets.left():
            first = octets.peek()
            if first & 0x80:
                yield self._entry(octets.integer(7))
            elif first & 0x40:
                field = self._literal(octets, 6)
                self._table.insert(0, field)
                yield field
            elif first & 0x20:
                size = octets.integer(5)
                while sum(len(n) + len(v) + 32 for n, v in self._table) > size:
                    self._table.pop()
            else:
                yield self._literal(octets, 4)

    def _literal(self, octets: "_Octets", bits: int) -> Field:
        at = octets.integer(bits)
        name = self._entry(at)[0] if at else octets.string()
        return name, octets.string()

    def _entry(self, at: int) -> Field:
        if at <= len(STATIC):
            return STATIC[at - 1]
        return self._table[at - len(STATIC) - 1]


class _Octets:
    """A block and a place in it."""

    def __init__(self, block: bytes) -> None:
        self._block, self._at = block, 0

    def left(self) -> bool:
        return self._at < len(self._block)

    def peek(self) -> int:
        return self._block[self._at]

    def integer(self, bits: int) -> int:
        most = (1 << bits) - 1
        value = self._block[self._at] & most
        self._at += 1
        shift = 0
        while value >= most:
            octet = self._block[self._at]
            self._at += 1
            value += (octet & 0x7F) << shift
            shift += 7
            if octet < 0x80:
                break
        return value

    def string(self) -> bytes:
        is_coded = self.peek() >= 0x80
        length = self.integer(7)
        text = self._block[self._at : self._at + length]
        self._at += length
        return _decoded(text) if is_coded else text


def _decoded(text: bytes) -> bytes:
    out, code, length = bytearray(), 0, 0
    for bit in "".join(f"{octet:08b}" for octet in text):
        code, length = code << 1 | int(bit), length + 1
        octet = _OCTETS.get((code, length))
        if octet is not None:
            out.append(octet)
            code = length = 0
    return bytes(out)
