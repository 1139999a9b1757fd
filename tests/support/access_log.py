"""An access log as tests read it: whole lines, waited for.

A line follows the answer, the metric and the event of what it tells, and workers write theirs in no
order. So nothing here looks at a log only once.
"""

import json
from pathlib import Path

from waiting import until

Line = dict[str, object]


class AccessLog:
    """The file that an engine writes its access log to."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def texts(self, count: int) -> list[str]:
        """Every line, once there are at least so many; `count` is 1 or more.

        A carriage return or a separator of Unicode ends no line: whoever forges one is seen.
        """
        assert count > 0, "a log without a line proves nothing: wait for one that comes later"
        until(lambda: len(self._whole()) >= count, f"{count} lines of {self.path}")
        return self._whole()

    def lines(self, count: int, **fields: object) -> list[Line]:
        """Every line of a log in JSON that has these fields, once there are at least so many."""
        assert count > 0, "a log without a line proves nothing: wait for one that comes later"
        until(lambda: len(self._with(fields)) >= count, f"{count} lines of {self.path} {fields}")
        return self._with(fields)

    def line(self, **fields: object) -> Line:
        """The first line that has these fields, once there is one."""
        return self.lines(1, **fields)[0]

    def _whole(self) -> list[str]:
        """The lines so far; the last one may be half written, and is not among them."""
        written = self.path.read_bytes() if self.path.exists() else b""
        return [line.decode() for line in written.split(b"\n")[:-1]]

    def _with(self, fields: Line) -> list[Line]:
        every: list[Line] = [json.loads(text) for text in self._whole()]
        return [one for one in every if fields.items() <= one.items()]
