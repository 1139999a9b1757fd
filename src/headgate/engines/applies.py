"""Remembers how the applies of an engine ended, for its status. The caller passes in the time."""

from headgate.engines.status import LastApply


class Applies:
    """The last apply since the control process began, and when what serves began to serve."""

    def __init__(self) -> None:
        self.last: LastApply | None = None
        self._served: tuple[str, float] = ("", 0.0)

    def ended(self, last: LastApply) -> None:
        """Records one more apply that has ended."""
        self.last = last
        if last.phase == "serving":
            self._served = (last.digest, last.at)

    def since(self, digest: str) -> float:
        """Returns when the plan `digest` began to serve, in Unix seconds; 0 if an earlier control
        process applied it, or a person went back to it.

        >>> applies = Applies()
        >>> applies.ended(LastApply(7.0, "serving", "ab"))
        >>> applies.ended(LastApply(9.0, "rejected", "cd"))
        >>> applies.since("ab"), applies.since("cd")
        (7.0, 0.0)
        """
        served, at = self._served
        return at if digest and digest == served else 0.0
