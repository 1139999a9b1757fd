"""The bases of every part of a plan: frozen, and canonical by construction."""

from collections.abc import Callable
from functools import cache
from typing import TypeVar

import msgspec
from msgspec.structs import force_setattr

ChoiceT = TypeVar("ChoiceT")


class PlanNode(
    msgspec.Struct,
    frozen=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
    gc=False,
):
    """A part of a plan object whose optional fields are absent, empty or false by default.

    Fields at their default are left out of its bytes. Nodes never form cycles, so the collector
    need not look at them: a plan can have a hundred thousand.
    """


class DefaultedNode(PlanNode, frozen=True, gc=False):
    """A part of a plan object with defaults that are values.

    msgspec leaves a field out only when its value *is* the default, so a value that equals the
    default is replaced by it here: the bytes cannot depend on where a value came from.
    """

    def __post_init__(self) -> None:
        for name, default in valued_defaults(type(self)):
            value = getattr(self, name)
            if value is not default and value == default:
                force_setattr(self, name, default)


def only(choice: Callable[..., ChoiceT], key: str, value: object) -> ChoiceT:
    """Returns a choice of which the one field `key` is set."""
    return choice(**{key: value})


def plain_text(value: object) -> str:
    """Encodes text that remembers its source like any other text."""
    if isinstance(value, str):
        return str(value)
    raise NotImplementedError(f"{type(value).__name__} is not part of a plan")


@cache
def valued_defaults(node: type[PlanNode]) -> tuple[tuple[str, object], ...]:
    """Returns the fields whose default is a value:
    not None, a truth value, or an empty collection.
    """
    fields = msgspec.structs.fields(node)
    trivial = (msgspec.NODEFAULT, None, (), True, False)
    return tuple(
        (f.name, f.default) for f in fields if not any(f.default is value for value in trivial)
    )
