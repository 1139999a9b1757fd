"""`headers`: conditions on request headers, by name; all must hold."""

from typing import Annotated, ClassVar

from pydantic import ConfigDict, RootModel

from headgate.features.base import MatchCondition
from headgate.features.fields import HeaderName
from headgate.features.values import CONDITION, DISTINCT_HEADERS, ValueCondition
from headgate.plan.objects import ValueMatch


class Headers(
    RootModel[Annotated[dict[HeaderName, ValueCondition], DISTINCT_HEADERS]], MatchCondition
):
    """Conditions on request headers by name; all of them must hold."""

    model_config = ConfigDict(frozen=True)
    key: ClassVar[str] = "headers"
    summary: ClassVar[str] = "Conditions on request headers by name; all of them must hold."

    plain: ClassVar = {f"*.{key}": value for key, value in CONDITION.items()}

    def to_plan(self) -> dict[str, ValueMatch]:
        """Returns the conditions by lower-case name."""
        return {name: condition.to_plan() for name, condition in self.root.items()}
