"""Where clients send credentials, by the middlewares of a plan."""

from headgate.compile.credentials import credential_names
from headgate.features.middleware.api_key.spec import ApiKeyNode
from headgate.features.middleware.jwt.spec import JwtNode
from headgate.plan.middleware import Middleware, MiddlewareUse, Redirect
from headgate.plan.objects import Action, Host, Route
from headgate.plan.plan import entry, plan_of


def test_named_and_inline_middlewares_say_where_they_look() -> None:
    by_header = ApiKeyNode(clients={}, header="x-shop")
    by_query = JwtNode(keys="{}", query="ticket")
    by_cookie = ApiKeyNode(clients={}, cookie="who")
    plan = plan_of(
        [
            entry("middleware", "shop", Middleware(api_key=by_header)),
            entry("middleware", "who", Middleware(api_key=by_cookie)),
            entry("host", "a.example", Host(middlewares=(MiddlewareUse(jwt=by_query),))),
            entry(
                "route",
                "all",
                Route(
                    hosts=("*",),
                    listeners=("web",),
                    action=Action(upstream="app"),
                    middlewares=(
                        MiddlewareUse(use="shop"),
                        MiddlewareUse(redirect=Redirect(status=301)),
                    ),
                ),
            ),
        ]
    )
    assert credential_names(plan) == {"x-shop", "ticket"}
    assert credential_names(plan_of([])) == frozenset()
