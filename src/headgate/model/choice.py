"""Tables assembled from the feature registry: a match, a middleware, a balance policy."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Optional, Protocol, cast

from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    GetCoreSchemaHandler,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    create_model,
)
from pydantic_core import CoreSchema

from headgate.features import syntax
from headgate.features.base import BalancerOptions, MiddlewareOptions, OneOf, Options, StandIn
from headgate.features.registry import BALANCERS, MATCHES, MIDDLEWARES
from headgate.kernel.errors import Invalid
from headgate.kernel.nearest import listed, nearest
from headgate.model.shorthand import OrWord
from headgate.plan.balance import Balance
from headgate.plan.middleware import Middleware as MiddlewareNode
from headgate.plan.middleware import MiddlewareUse
from headgate.plan.node import only
from headgate.plan.objects import Match as MatchNode


class Match(Options):
    """Conditions that must all hold; its fields are the registered conditions."""

    def to_plan(self) -> MatchNode:
        """Returns the match's plan node."""
        given = [(key, getattr(self, key)) for key in self.__pydantic_fields_set__]
        return MatchNode(**{key: cond.to_plan() for key, cond in given if cond is not None})


class Middleware(OneOf):
    """One middleware; its fields are the registered middlewares."""

    allowed: ClassVar[str] = "write exactly one kind, as in { rewrite = { … } }"

    @property
    def options(self) -> MiddlewareOptions:
        """The options of the middleware that is given."""
        return cast(MiddlewareOptions, getattr(self, self.chosen))

    def to_plan(self) -> MiddlewareNode:
        """Returns the plan node of a named middleware."""
        return only(MiddlewareNode, *self._made())

    def to_use(self) -> MiddlewareUse:
        """Returns the plan node of an inline middleware."""
        return only(MiddlewareUse, *self._made())

    def _made(self) -> StandIn:
        return self.options.stand_in() or StandIn(self.chosen, self.options.to_plan())


class BalanceTable(OneOf):
    """One balance policy; its fields are the registered policies."""

    @property
    def options(self) -> BalancerOptions:
        """The options of the policy that is given."""
        return cast(BalancerOptions, getattr(self, self.chosen))

    def to_plan(self) -> Balance:
        """Returns the policy's plan node."""
        return only(Balance, self.chosen, self.options.to_plan())


class _Feature(Protocol):
    """The parts of a feature that a table needs."""

    key: ClassVar[str]
    summary: ClassVar[str]


def _assembled(base: type[Options], features: Sequence[type[_Feature]]) -> type[BaseModel]:
    build: Callable[..., type[BaseModel]] = create_model
    fields = {
        f.key: (Optional[f], Field(default=None, description=f.summary))  # noqa: UP045
        for f in features
    }
    own = {"__base__": base, "__module__": __name__, "__doc__": base.__doc__}
    return build(base.__name__, **own, **fields)


@dataclass(frozen=True, slots=True)
class _From:
    """Validates by an assembled model where the annotation names its typed base."""

    model: type[BaseModel]

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return handler.generate_schema(self.model)


_MATCH = _assembled(Match, MATCHES)
_MIDDLEWARE = _assembled(Middleware, MIDDLEWARES)
_BALANCE = _assembled(BalanceTable, BALANCERS)
_POLICIES = tuple(balancer.key for balancer in BALANCERS)


def _expanded_policy(value: object) -> object:
    if not isinstance(value, str):
        return value
    if value not in _POLICIES:
        near = nearest(value, _POLICIES)
        allowed = f'write "{near}"' if near else f"write one of {listed(_POLICIES)}"
        raise Invalid(f'"{value}" is not a balance policy', allowed)
    return {value: {}}


def _use(value: object, inline: ValidatorFunctionWrapHandler) -> object:
    if isinstance(value, str):
        return value
    if not isinstance(value, dict):
        raise Invalid(
            f"{syntax.described(value)} is not a middleware",
            "write the name of a middleware, or a table such as { rewrite = { … } }",
        )
    return inline(value)


MatchTable = Annotated[Match, _From(_MATCH)]
MiddlewareTable = Annotated[Middleware, _From(_MIDDLEWARE)]
MiddlewareRef = Annotated[
    str | Middleware,
    _From(_MIDDLEWARE),
    WrapValidator(_use),
    OrWord(),
]
"""The name of a middleware, or one inline."""

BalancePolicy = Annotated[
    BalanceTable, _From(_BALANCE), BeforeValidator(_expanded_policy), OrWord(_POLICIES)
]
"""The word of a policy, or a table with its options."""

DEFAULT_POLICY = cast(BalanceTable, _BALANCE.model_validate({_POLICIES[0]: {}}))
"""The policy of upstreams that name none: the first of the registry."""
