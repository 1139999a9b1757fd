"""Defines what every feature's options share, and the shapes of features."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import ClassVar, NamedTuple, Self, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    ModelWrapValidatorHandler,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails, InitErrorDetails

from headgate.features.plain import Plain
from headgate.kernel.errors import Invalid
from headgate.kernel.nearest import listed
from headgate.plan.balance import AnyBalancerNode
from headgate.plan.middleware import DefaultedMiddlewareNode, MiddlewareNode


class Options(BaseModel):
    """A table of the config: unknown keys are errors, and it never changes once built.

    Validators are made when a table of the kind is first read (`defer_build`), for what it holds as
    well: most configs use few of the kinds, and every process that reads a config would make all.
    Threads may read configs at once: pydantic 2.14 and later make one validator at a time.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, defer_build=True
    )


class Checked(Options):
    """A table whose keys may contradict each other.

    A wrong value hides no contradiction: keys with a wrong value count as written.
    """

    def contradictions(self, wrong: Set[str]) -> Iterator[Invalid]:
        """Yields what is wrong with the keys together.

        `wrong` are the keys that are written and not in the model: those with a wrong value, by
        the name of their field, and those that no table has.
        """
        yield from ()

    @classmethod
    def may_lack(cls, wrong: Set[str]) -> bool:
        """Reports whether a key that is not written can be called missing:
        no other may be meant as it.
        """
        return wrong <= cls.model_fields.keys()

    @model_validator(mode="wrap")
    @classmethod
    def _checked(cls, value: object, handler: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            model = handler(value)
        except ValidationError as error:
            raise _with_contradictions(value, handler, error) from None
        found = list(model.contradictions(_NOTHING))
        if found:
            raise _errors(cls.__name__, [], found, value)
        return model


_NOTHING: Set[str] = frozenset()
T = TypeVar("T", bound=Checked)


def _with_contradictions(
    value: object, handler: ModelWrapValidatorHandler[T], error: ValidationError
) -> ValidationError:
    """Returns the errors of single keys, and what the keys together get wrong besides."""
    before = error.errors(include_url=False)
    keys = {str(one["loc"][0]) for one in before if one["loc"]}
    if not isinstance(value, dict) or not keys <= value.keys():
        return error  # no table at all, or a key is missing
    try:
        model = handler({key: item for key, item in value.items() if key not in keys})
    except ValidationError:
        return error
    names = {field.alias or name: name for name, field in type(model).model_fields.items()}
    found = list(model.contradictions({names.get(key, key) for key in keys}))
    return _errors(error.title, before, found, value) if found else error


def _errors(
    title: str, before: list[ErrorDetails], found: list[Invalid], value: object
) -> ValidationError:
    lines = [
        InitErrorDetails(
            type=one["type"], loc=one["loc"], input=one["input"], ctx=one.get("ctx", {})
        )
        for one in before
    ]
    lines += [
        InitErrorDetails(type="value_error", loc=(), input=value, ctx={"error": wrong})
        for wrong in found
    ]
    return ValidationError.from_exception_data(title, lines)


def excluding(given: Sequence[str], allowed: str) -> Invalid:
    """Returns the contradiction of keys that exclude each other."""
    return Invalid(f"{listed(given, joined='and')} exclude each other", allowed)


class OneOf(Checked):
    """A table of which exactly one key is given."""

    allowed: ClassVar[str] = ""
    """The hint on what to write, where the keys are too many to list."""

    def contradictions(self, wrong: Set[str]) -> Iterator[Invalid]:
        """Yields an error unless exactly one key is given."""
        if not wrong and len(self.__pydantic_fields_set__) == 1:
            return
        keys = type(self).model_fields
        given = [key for key in keys if key in self.model_fields_set or key in wrong]
        allowed = self.allowed or f"write exactly one of {listed(keys)}"
        if len(given) > 1:
            yield excluding(given, allowed)
        elif not given and self.may_lack(wrong):
            yield Invalid("the table is empty", allowed)

    @property
    def chosen(self) -> str:
        """The key that is given."""
        (key,) = self.model_fields_set
        return key


AnyMiddlewareNode = MiddlewareNode | DefaultedMiddlewareNode


class StandIn(NamedTuple):
    """The node that the plan has instead of a middleware that cannot work yet."""

    kind: str
    node: AnyMiddlewareNode


class MiddlewareOptions(Checked, ABC):
    """Options of a middleware."""

    key: ClassVar[str]
    """The word in the config, the plan and the metrics."""
    summary: ClassVar[str]
    """A sentence for the reference page."""
    node: ClassVar[type[AnyMiddlewareNode]]
    """The type of its plan node, whose properties say what others need to know of its effects."""
    aliases: ClassVar[tuple[str, ...]] = ()
    """Words that other proxies have for it: an error that finds one names this middleware."""
    plain: ClassVar[Mapping[str, Plain]] = {}
    """Values by place, such as `set.*`, that no `contradictions` looks at."""

    def stand_in(self) -> StandIn | None:
        """Returns what the plan has in its place while it cannot work; None if it can."""
        return None

    @abstractmethod
    def to_plan(self) -> AnyMiddlewareNode:
        """Returns the middleware's plan node."""


class BalancerOptions(Options, ABC):
    """Options of a balance policy; every option has a default, so the bare word will do."""

    key: ClassVar[str]
    """The word in the config and the plan."""
    summary: ClassVar[str]
    """A sentence for the reference page."""
    suits: ClassVar[str]
    """The uses that it is good for: a few words for the table of balancers."""
    node: ClassVar[type[AnyBalancerNode]]
    """The type of its plan node, whose properties say what others need to know of its choice."""

    @abstractmethod
    def to_plan(self) -> AnyBalancerNode:
        """Returns the policy's plan node."""

    @property
    def places(self) -> tuple[str, int] | None:
        """The option that bounds the number of endpoints, and that number; None: there may be any
        number."""
        return None


class MatchCondition(ABC):
    """A condition of a match: mixed into a table (`Options`) or a list or map (`RootModel`)."""

    key: ClassVar[str]
    summary: ClassVar[str]
    plain: ClassVar[Mapping[str, Plain]] = {}
    """Values by place, such as `*.exact`, that no `contradictions` looks at."""

    @abstractmethod
    def to_plan(self) -> object:
        """Returns the value of the plan's `Match` field of the same name."""
