"""`methods`: any of these methods."""

from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field, RootModel

from headgate.features.base import MatchCondition
from headgate.features.fields import Method


class Methods(RootModel[Annotated[list[Method], Field(min_length=1)]], MatchCondition):
    """The method is one of these."""

    model_config = ConfigDict(frozen=True)
    key: ClassVar[str] = "methods"
    summary: ClassVar[str] = "The method is one of these."

    def to_plan(self) -> tuple[str, ...]:
        """Returns the methods, sorted and each once."""
        return tuple(sorted(set(self.root)))
