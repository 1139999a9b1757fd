"""nginx's lexer once more, state by state as `ngx_conf_read_token` has it: slow, for comparison."""

from dataclasses import dataclass, field

SPACES = b" \t\r\n"


class RefusedError(Exception):
    """nginx refuses the text."""


@dataclass
class _Statement:
    """The state while one statement is read."""

    words: list[bytes] = field(default_factory=list)
    start: int = 0
    last_space: bool = True
    need_space: bool = False
    comment: bool = False
    escaped: bool = False
    variable: bool = False
    quote: int = 0


def statements(data: bytes) -> list[tuple[str, tuple[bytes, ...]]]:
    """What nginx reads, one entry a statement: `;`, `{` or `}` and its words unquoted.

    Raises `RefusedError` for what the lexer refuses; knows neither blocks nor buffer sizes.
    """
    out: list[tuple[str, tuple[bytes, ...]]] = []
    state = _Statement()
    for at, char in enumerate(data):
        end = _step(state, data, at, char)
        if end:
            out.append((end, tuple(state.words)))
            state = _Statement()
    if state.words or not state.last_space:
        raise RefusedError("end of file")
    return out


def _step(state: _Statement, data: bytes, at: int, char: int) -> str:
    if state.comment:
        if char != ord("\n"):
            return ""
        state.comment = False
    if state.escaped:
        state.escaped = False
        return ""
    if state.need_space:
        if char in SPACES:
            state.last_space, state.need_space = True, False
            return ""
        if char in b";{":
            return chr(char)
        if char != ord(")"):
            raise RefusedError(f"unexpected {char} after a quoted word")
        state.last_space, state.need_space = True, False
    return _begin(state, at, char) if state.last_space else _go_on(state, data, at, char)


def _begin(state: _Statement, at: int, char: int) -> str:
    state.start = at
    if char in SPACES:
        return ""
    if char in b";{}":
        if bool(state.words) == (char == ord("}")):
            raise RefusedError(f"unexpected {char}")
        return chr(char)
    if char == ord("#"):
        state.comment = True
        return ""
    state.last_space = False
    if char == ord("\\"):
        state.escaped = True
    elif char in b"\"'":
        state.start += 1
        state.quote = char
    elif char == ord("$"):
        state.variable = True
    return ""


def _go_on(state: _Statement, data: bytes, at: int, char: int) -> str:
    if char == ord("{") and state.variable:
        return ""
    state.variable = char == ord("$")
    if char in b"\\$":
        state.escaped = char == ord("\\")
        return ""
    if state.quote:
        if char != state.quote:
            return ""
        state.quote = 0
        state.need_space = True
    elif char in b" \t\r\n;{":
        state.last_space = True
    else:
        return ""
    state.words.append(_unescaped(data[state.start : at]))
    return chr(char) if char in b";{" else ""


def _unescaped(word: bytes) -> bytes:
    out = bytearray()
    at = 0
    while at < len(word):
        pair = word[at : at + 2]
        if pair in (b'\\"', b"\\'", b"\\\\"):
            out += pair[1:]
            at += 2
        elif pair in (b"\\t", b"\\r", b"\\n"):
            out += {b"t": b"\t", b"r": b"\r", b"n": b"\n"}[pair[1:]]
            at += 2
        else:
            out += word[at : at + 1]
            at += 1
    return bytes(out)
