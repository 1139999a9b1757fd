"""A log that nobody reads makes nobody wait."""

import threading

from headgate.node.stderr import QueuedStderr

DEADLINE_S = 20.0


class Reader:
    """Takes what is written, unless it stands still."""

    def __init__(self) -> None:
        self.goes = threading.Event()
        self.goes.set()
        self.stands = threading.Event()
        self.data = b""

    def write(self, data: bytes) -> int:
        if not self.goes.is_set():
            self.stands.set()
            assert self.goes.wait(DEADLINE_S)
        self.data += data[:1000]
        return len(data[:1000])


def test_lines_arrive_whole_and_in_order() -> None:
    reader = Reader()
    stream = QueuedStderr(reader.write)
    print("one", file=stream, flush=True)
    stream.write("two\nthr")
    stream.write("ee\n\udcff" + "x" * 5000)
    assert stream.drain(DEADLINE_S)
    assert reader.data == b"one\ntwo\nthree\n\\udcff" + b"x" * 5000


def test_the_end_of_a_line_is_waited_for_unless_it_is_long() -> None:
    reader = Reader()
    stream = QueuedStderr(reader.write)
    assert [stream.write("one\ntwo"), stream.write("x" * 100_000)] == [7, 100_000]
    stream.write("three")
    assert stream.drain(DEADLINE_S)
    assert reader.data == b"one\ntwo" + b"x" * 100_000 + b"three"


def test_a_reader_that_stands_still_costs_lines_and_not_time_or_memory() -> None:
    reader = Reader()
    stream = QueuedStderr(reader.write)
    reader.goes.clear()
    stream.write("first\n")
    assert reader.stands.wait(DEADLINE_S)
    line = "x" * 99 + "\n"
    for _ in range(20_000):
        stream.write(line)
    assert not stream.drain(0)
    reader.goes.set()
    assert stream.drain(DEADLINE_S)
    kept = reader.data.count(line.encode())
    assert 0 < kept * 100 <= 1024 * 1024
    assert f"headgate: {20_000 - kept} lines of the log are lost".encode() in reader.data
    stream.write("last\n")
    assert stream.drain(DEADLINE_S)
    assert reader.data.endswith(b"last\n")


def test_a_reader_that_is_gone_does_not_end_the_writing() -> None:
    written: list[bytes] = []

    def write(data: bytes) -> int:
        if data == b"one\n":
            raise BrokenPipeError
        written.append(data)
        return len(data)

    stream = QueuedStderr(write)
    stream.write("one\n")
    stream.write("two\n")
    assert stream.drain(DEADLINE_S)
    assert written == [b"two\n"]
