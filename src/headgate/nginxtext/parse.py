"""Parses the bytes of a file into its lossless tree."""

from headgate.nginxtext import lexer, lua
from headgate.nginxtext.tree import Argument, Comment, Directive, Document, Node, Space


class NginxSyntaxError(ValueError):
    """A text that nginx's lexer refuses; `line` and `column` count from 1, columns in bytes."""

    def __init__(self, name: str, line: int, column: int, message: str) -> None:
        super().__init__(f"{name or '<text>'}:{line}:{column}: {message}")
        self.name = name
        self.line = line
        self.column = column
        self.message = message


def parse(data: bytes, name: str = "") -> Document:
    """Returns the tree of a file; `name` is for messages.

    `parse(data).to_bytes() == data` for every text that nginx's own lexer accepts, any other raises
    `NginxSyntaxError`. Linear in time; blocks may be nested to any depth. It does not check whether
    a directive exists, takes these arguments or may stand here.

    >>> [d.name for d in parse(b"user www; http {}").directives()]
    [b'user', b'http']
    """
    return Document(name, _Parser(data, name).nodes())


class _Open:
    """A block whose `}` has not come yet."""

    __slots__ = ("before_end", "column", "line", "nodes", "rest", "word")

    def __init__(self, word: bytes, rest: bytes, before_end: bytes, place: tuple[int, int]) -> None:
        self.word = word
        self.rest = rest
        self.before_end = before_end
        self.line, self.column = place
        self.nodes: list[Node] = []


class _Parser:
    """One pass over a text; offsets only grow, so that lines are counted once."""

    __slots__ = ("_counted", "_data", "_line", "_name")

    def __init__(self, data: bytes, name: str) -> None:
        self._data = data
        self._name = name
        self._line = 1
        self._counted = 0

    def nodes(self) -> tuple[Node, ...]:
        """Returns the nodes at the top."""
        data, match = self._data, lexer.STATEMENT.match
        nodes: list[Node] = []
        stack: list[_Open] = []
        at = 0
        while True:
            found = match(data, at)
            if found is None:
                raise self._error(*lexer.fault_in(data, at))
            start, at = at, found.end()
            if at - start >= lexer.WORD_LIMIT:
                self._check_lengths(start, at)
            before, word, rest, before_end, end, close, _ = found.groups()
            if before:
                self._between(start, before, nodes)
            if word is None:
                if not close:
                    break
                nodes = self._closed(stack, nodes, at)
                continue
            head = _Open(word, rest, before_end, self._place(found.start(2)))
            if end == b";":
                nodes.append(_directive(head, None, None))
            elif word.endswith(lua.SUFFIX):
                at = self._lua(head, at, nodes)
            else:
                stack.append(head)
                head.nodes, nodes = nodes, head.nodes
        if stack:
            raise self._unclosed(stack[-1])
        return tuple(nodes)

    def _closed(self, stack: list[_Open], children: list[Node], at: int) -> list[Node]:
        """Puts the block that ends here into its parent's nodes, which it returns."""
        if not stack:
            raise self._error(at - 1, 'unexpected "}"')
        head = stack.pop()
        head.nodes.append(_directive(head, tuple(children), None))
        return head.nodes

    def _lua(self, head: _Open, at: int, nodes: list[Node]) -> int:
        """Adds a Lua block; returns the offset after its `}`."""
        end = lua.body_end(self._data, at)
        if end is None:
            raise self._error(at - 1, 'the Lua block that begins here has no closing "}"')
        nodes.append(_directive(head, None, self._data[at:end]))
        return end + 1

    def _between(self, start: int, text: bytes, nodes: list[Node]) -> None:
        """Adds the white space and comments of `text`, which begins at `start`."""
        if b"#" not in text:
            nodes.append(Space(text))
            return
        for found in lexer.COMMENT_OR_SPACE.finditer(text):
            piece = found[0]
            if piece[0] == ord("#"):
                nodes.append(Comment(piece, *self._place(start + found.start())))
            else:
                nodes.append(Space(piece))

    def _place(self, offset: int) -> tuple[int, int]:
        """Returns line and column of an offset, which must not be before the previous one."""
        self._line += self._data.count(b"\n", self._counted, offset)
        self._counted = offset
        return self._line, offset - self._data.rfind(b"\n", 0, offset)

    def _check_lengths(self, start: int, end: int) -> None:
        fault = lexer.too_long(self._data, start, end)
        if fault is not None:
            raise self._error(*fault)

    def _unclosed(self, head: _Open) -> NginxSyntaxError:
        message = f'the block "{lexer.value_of(head.word).decode(errors="replace")}" is not closed'
        return NginxSyntaxError(self._name, head.line, head.column, message)

    def _error(self, offset: int, message: str) -> NginxSyntaxError:
        line = self._data.count(b"\n", 0, offset) + 1
        column = offset - self._data.rfind(b"\n", 0, offset)
        return NginxSyntaxError(self._name, line, column, message)


def _directive(head: _Open, children: tuple[Node, ...] | None, body: bytes | None) -> Directive:
    return Directive(
        _value(head.word),
        _arguments(head.rest) if head.rest else (),
        children,
        body,
        head.line,
        head.column,
        head.word,
        head.before_end,
    )


def _arguments(rest: bytes) -> tuple[Argument, ...]:
    words = lexer.FURTHER_WORD.findall(rest)
    return tuple([Argument(raw, _value(raw), before) for before, raw in words])


def _value(raw: bytes) -> bytes:
    """Does `lexer.value_of`, with a fast path for most words."""
    if b"\\" in raw or raw[0] in b"\"'":
        return lexer.value_of(raw)
    return raw
