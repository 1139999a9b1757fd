"""`cookies`: conditions on the cookies of a request, by name; all must hold."""

from typing import ClassVar

from pydantic import ConfigDict, RootModel

from headgate.features.base import MatchCondition
from headgate.features.fields import CookieName
from headgate.features.values import CONDITION, ValueCondition
from headgate.plan.objects import ValueMatch


class Cookies(RootModel[dict[CookieName, ValueCondition]], MatchCondition):
    """Conditions on cookies by name; all of them must hold.

    Names are case-sensitive (RFC 6265 §4.1.1, §4.2.1). Of several cookies of one name the first one
    counts, as in Envoy, HAProxy and Go: clients send those with the longest path first (§5.4).
    """

    model_config = ConfigDict(frozen=True)
    key: ClassVar[str] = "cookies"
    summary: ClassVar[str] = (
        "Conditions on cookies by name, which is case-sensitive; all of them must hold."
    )

    plain: ClassVar = {f"*.{key}": value for key, value in CONDITION.items()}

    def to_plan(self) -> dict[str, ValueMatch]:
        """Returns the conditions by name."""
        return {name: condition.to_plan() for name, condition in self.root.items()}
