"""`Invalid`: how a parser of ours says what is wrong and what it would have taken."""


class Invalid(ValueError):  # noqa: N818 - reads as what it says: raise Invalid
    """A value that means nothing here.

    `what` says what is wrong with it ("5 parsecs is not a duration"), `allowed` what would have
    been right ("a number and a unit: \"250ms\", \"30s\", \"5m\", \"1h\""), `at` the key below the
    value that is at fault, when only the value as a whole could tell.
    """

    def __init__(self, what: str, allowed: str, *, at: str = "") -> None:
        super().__init__(f"{what}; {allowed}")
        self.what = what
        self.allowed = allowed
        self.at = at
