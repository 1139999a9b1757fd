"""What every feature's options share, and the shapes features come in."""

from abc import ABC, abstractmethod
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, model_validator

from headgate.kernel.errors import Invalid
from headgate.kernel.nearest import listed
from headgate.plan.node import PlanNode
from headgate.plan.objects import Balance


class Options(BaseModel):
    """A table of the config: unknown keys are errors, and it never changes once built."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class OneOf(Options):
    """A table of which exactly one key is given."""

    @model_validator(mode="after")
    def _exactly_one(self) -> "OneOf":
        if len(self.__pydantic_fields_set__) != 1:
            keys = type(self).model_fields
            given = [key for key in keys if key in self.model_fields_set]
            raise Invalid(
                f"{listed(given).replace(' or ', ' and ')} exclude each other"
                if given
                else "the table is empty",
                f"exactly one of {listed(keys)}",
            )
        return self

    @property
    def chosen(self) -> str:
        """The key that is given."""
        (key,) = self.model_fields_set
        return key


class MiddlewareOptions(Options, ABC):
    """Options of a middleware."""

    key: ClassVar[str]
    """The word in the config, the plan and the metrics."""
    summary: ClassVar[str]
    """One line for the reference."""

    @abstractmethod
    def to_plan(self) -> PlanNode:
        """The middleware's plan node."""


class BalancerOptions(Options, ABC):
    """Options of a balance policy; every option has a default, so the bare word will do."""

    key: ClassVar[str]
    summary: ClassVar[str]

    @abstractmethod
    def to_plan(self) -> Balance:
        """The policy's plan node."""


class MatchCondition(ABC):
    """A condition of a match: mixed into a table (`Options`) or a list or map (`RootModel`)."""

    key: ClassVar[str]
    summary: ClassVar[str]

    @abstractmethod
    def to_plan(self) -> object:
        """The value of the plan's `Match` field of the same name."""
