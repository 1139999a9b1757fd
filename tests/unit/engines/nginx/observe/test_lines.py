"""A growing file as whole lines, whatever happens to it between two looks."""

from hypothesis import given
from hypothesis import strategies as st

from headgate.engines.nginx.observe.lines import LineTail


class _Written:
    """A file in memory."""

    def __init__(self) -> None:
        self.content = b""

    def read(self, tail: LineTail) -> bytes:
        """Everything the tail hands out now."""
        lines = b""
        while (span := tail.want(len(self.content))) is not None:
            lines += tail.take(self.content[span.offset : span.offset + span.length])
        return lines


@given(st.lists(st.binary(max_size=40)), st.integers(1, 50))
def test_every_whole_line_comes_once_in_order_however_it_was_written(
    parts: list[bytes], chunk: int
) -> None:
    file, tail, seen = _Written(), LineTail(chunk_bytes=chunk), b""
    for part in parts:
        file.content += part
        lines = file.read(tail)
        assert lines.endswith(b"\n") or not lines
        seen += lines
    assert seen == file.content[: file.content.rfind(b"\n") + 1]
    assert tail.offset == len(seen)
    assert tail.losses.skipped_bytes == 0


@given(st.lists(st.binary(max_size=20)), st.data())
def test_a_tail_that_begins_at_the_offset_of_another_misses_and_repeats_nothing(
    parts: list[bytes], data: st.DataObject
) -> None:
    file, first = _Written(), LineTail()
    cut = data.draw(st.integers(0, len(parts)))
    file.content = b"".join(parts[:cut])
    seen = file.read(first)
    file.content += b"".join(parts[cut:]) + b"\n"
    assert seen + file.read(LineTail(first.offset)) == file.content


def test_a_file_that_became_shorter_is_read_from_its_start() -> None:
    file, tail = _Written(), LineTail()
    file.content = b"one\ntwo\nhalf"
    file.read(tail)
    file.content = b"new\n"
    assert file.read(tail) == b"new\n"
    assert tail.losses.truncations == 1


def test_a_file_that_was_truncated_and_has_grown_past_the_old_place_is_noticed() -> None:
    file, tail = _Written(), LineTail()
    file.content = b"one\ntwo\n"
    file.read(tail)
    file.content = b"alpha\nbeta\ngamma\n"
    assert file.read(tail) == file.content
    assert tail.losses.truncations == 1


def test_a_backlog_is_passed_over_to_a_line_and_counted() -> None:
    file, tail = _Written(), LineTail(backlog_bytes=1000, chunk_bytes=100)
    file.content = b"".join(b"%08d\n" % n for n in range(1000))
    lines = file.read(tail)
    assert lines == b"".join(b"%08d\n" % n for n in range(1000 - len(lines) // 9, 1000))
    assert 0 < len(lines) <= 100
    assert tail.losses.skips == 1
    assert tail.losses.skipped_bytes + len(lines) == len(file.content)


def test_a_line_without_end_is_given_up_at_the_limit() -> None:
    file, tail = _Written(), LineTail(line_bytes=50, chunk_bytes=20)
    file.content = b"x" * 200
    assert file.read(tail) == b""
    file.content += b"rest\nnext\n"
    assert file.read(tail) == b"next\n"
    assert tail.losses.skips == 1
    assert tail.losses.skipped_bytes == 205
