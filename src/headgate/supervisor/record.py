"""Makes immutable records for the supervisor's events and commands.

`dataclasses` costs the process 1.7 MB (it imports `inspect`), a sixth of what the supervisor may
use, so at run time `record` is the few lines below. Type checkers see the real decorator.
"""

# ruff: noqa: N807
from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dataclasses import dataclass as record
else:

    def record(cls):
        """Gives a class with annotated fields an initialiser, equality and a readable form."""
        fields = tuple(cls.__annotations__)

        def __init__(self, *values, **named):
            given = dict(zip(fields, values, strict=False)) | named
            for field in fields:
                setattr(self, field, given[field] if field in given else getattr(cls, field))

        def __eq__(self, other):
            return type(self) is type(other) and self.__dict__ == other.__dict__

        def __repr__(self):
            inside = ", ".join(f"{field}={getattr(self, field)!r}" for field in fields)
            return f"{cls.__name__}({inside})"

        cls.__init__, cls.__eq__, cls.__repr__ = __init__, __eq__, __repr__
        cls.__hash__ = None
        cls.__match_args__ = fields
        return cls


__all__ = ["record"]
