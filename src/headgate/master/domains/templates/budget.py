"""A bound on what templates make at once. Pure.

A template of a few kilobytes makes megabytes when each text names long values many times, and a
request may have a thousand virtual hosts of it.
"""

from typing import Final

from headgate.master.api.problems import invalid

MOST_OBJECTS: Final = 10_000
MOST_SIZE: Final = 16 << 20
_FEWER: Final = "write fewer virtual hosts at once, or shorter objects"


class Budget:
    """The room that is left for objects, and for the texts in them. It is taken before something
    is made, so that nothing is made in vain."""

    def __init__(self, most_size: int = MOST_SIZE) -> None:
        self._most_size = most_size
        self._objects = 0
        self._size = 0

    def take_object(self) -> None:
        """Takes the place of an object; raises ProblemError if there is none."""
        self._objects += 1
        if self._objects > MOST_OBJECTS:
            raise invalid(
                "$", f"templates would make more than {MOST_OBJECTS} objects at once", _FEWER
            )

    def take(self, size: int) -> None:
        """Takes room for so many characters; raises ProblemError if there is not as much."""
        self._size += size
        if self._size > self._most_size:
            most = f"{self._most_size >> 20} MiB"
            raise invalid("$", f"templates would make more than {most} of objects", _FEWER)
