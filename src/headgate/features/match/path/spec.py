"""`path`: a condition on the normalised path."""

from typing import ClassVar

from pydantic import Field

from headgate.features.base import MatchCondition, OneOf
from headgate.features.expressions import Pattern
from headgate.features.fields import RoutedPath
from headgate.features.paths import PrefixPath
from headgate.features.plain import EXPRESSION, PATH, PREFIX
from headgate.plan.objects import PathMatch


class Path(OneOf, MatchCondition):
    """A condition on the normalised path."""

    key: ClassVar[str] = "path"
    summary: ClassVar[str] = (
        "A condition on the path: exact, a prefix of whole segments, or an expression."
    )
    plain: ClassVar = {"exact": PATH, "prefix": PREFIX, "regex": EXPRESSION}

    exact: RoutedPath | None = Field(default=None, description="The path is equal to this path.")
    prefix: PrefixPath | None = Field(
        default=None,
        description="The path begins with these whole segments: `/v1` matches `/v1` and `/v1/…`.",
    )
    regex: Pattern | None = Field(
        default=None, description="The expression matches the whole path."
    )

    def to_plan(self) -> PathMatch:
        """Returns the condition's plan node."""
        return PathMatch(exact=self.exact, prefix=self.prefix, regex=self.regex)
