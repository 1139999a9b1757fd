"""`Invalid`: the error of our parsers, with what is wrong and what to write instead."""


class Invalid(ValueError):  # noqa: N818 - reads as what it says: raise Invalid
    """A value without a meaning here.

    `what` says what is wrong with it ("5 parsecs is not a duration"), `allowed` what to write
    instead ("write a number and a unit: \"250ms\", \"30s\""), `at` the path below the value to the
    part at fault, if only the whole value shows it.
    """

    def __init__(self, what: str, allowed: str, *, at: tuple[str | int, ...] = ()) -> None:
        super().__init__(f"{what}; {allowed}")
        self.what = what
        self.allowed = allowed
        self.at = at
