"""`client`: the client's address is in one of these networks."""

from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field, RootModel

from headgate.features.base import MatchCondition
from headgate.features.fields import Cidr


class Client(RootModel[Annotated[list[Cidr], Field(min_length=1)]], MatchCondition):
    """The client's address is in one of these networks."""

    model_config = ConfigDict(frozen=True)
    key: ClassVar[str] = "client"
    summary: ClassVar[str] = "The client's address is in one of these networks."

    def to_plan(self) -> tuple[str, ...]:
        """Returns the networks, sorted and each once."""
        return tuple(sorted(set(self.root)))
