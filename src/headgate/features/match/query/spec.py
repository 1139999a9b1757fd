"""`query`: conditions on query parameters, by name; all must hold."""

from typing import ClassVar

from pydantic import ConfigDict, RootModel

from headgate.features.base import MatchCondition
from headgate.features.values import CONDITION, ValueCondition
from headgate.plan.objects import ValueMatch


class Query(RootModel[dict[str, ValueCondition]], MatchCondition):
    """Conditions on query parameters by name; all of them must hold."""

    model_config = ConfigDict(frozen=True)
    key: ClassVar[str] = "query"
    summary: ClassVar[str] = "Conditions on query parameters by name; all of them must hold."

    plain: ClassVar = {f"*.{key}": value for key, value in CONDITION.items()}

    def to_plan(self) -> dict[str, ValueMatch]:
        """Returns the conditions by name; of a repeated parameter the first value counts."""
        return {name: condition.to_plan() for name, condition in self.root.items()}
